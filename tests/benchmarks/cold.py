"""What a new process pays: CPU seconds of the import, of the first default fit and of the second.

    python tests/benchmarks/cold.py                         # compiles: a quarter of a minute
    python tests/benchmarks/cold.py --import-only

Two processes, one after the other, share a cache folder that is empty at first: the first compiles
the kernels, the second loads them. Neither may load numba with `import classic_moe`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def child(rows):
    """Measure this process, which has loaded nothing yet; prints what was found as JSON."""
    began = time.process_time()
    import classic_moe

    found = {"import classic_moe": time.process_time() - began, "numba": "numba" in sys.modules}
    model = classic_moe.MixtureOfExpertsRegressor(4, random_state=0)  # brings scikit-learn
    found["with an estimator"] = time.process_time() - began
    found["numba"] |= "numba" in sys.modules
    if rows:
        from em_iteration import make

        X, y = make(rows)
        for name in ("first fit", "second fit"):
            began = time.process_time()
            model.fit(X, y)
            found[name] = time.process_time() - began
    print(json.dumps(found))


def process(cache, rows):
    """Run a new process on a cache folder; returns what it found."""
    environment = os.environ | dict(
        NUMBA_CACHE_DIR=str(cache), OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1"
    )
    command = [sys.executable, str(Path(__file__)), "--child", str(rows)]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--import-only", action="store_true")
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.child is not None:
        return child(options.child)
    rows = 0 if options.import_only else options.rows
    found = {}
    with tempfile.TemporaryDirectory() as cache:
        for name in ("empty cache",) if options.import_only else ("empty cache", "full cache"):
            found[name] = process(cache, rows)
    print("| CPU seconds | " + " | ".join(found) + " |")
    print("|---|" + "---:|" * len(found))
    for what in next(iter(found.values())):
        if what != "numba":
            each = " | ".join(f"{its[what]:.2f}" for its in found.values())
            print(f"| {what} | {each} |")
    loaded = any(its["numba"] for its in found.values())
    print(f"# numba is {'LOADED' if loaded else 'not loaded'} by the import and an estimator")
    return found


if __name__ == "__main__":
    main()
