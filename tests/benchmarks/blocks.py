"""What it takes to fit data larger than memory: peak memory, time and the same answer.

    python tests/benchmarks/blocks.py                               # 12.5e6 x 20 float32, 1 GB
    python tests/benchmarks/blocks.py --rows 3000000 --modes memory map
    python tests/benchmarks/blocks.py --rows 1000000 --columns 10 --double --modes memory

The table is written to a file once. A fit of it from memory, from a memory map, from blocks of
`--block` rows and from something that is only sliced, each in a process of its own: CPU seconds of
the fit, rows a second and pass, the peak of anonymous memory (Linux) that the fit adds to what
there was before, X in memory included, and the log-likelihood. Nothing here is asserted.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path

import numpy as np

from classic_moe import MixtureOfExpertsRegressor

MODES = ("memory", "map", "blocks", "sliced")
WRITTEN = 500_000
"""Rows that are made at a time."""


class Sliced:
    """An array as HDF5 and zarr have them: with a shape and a type, and read by slices alone."""

    def __init__(self, X):
        self._X, self.shape, self.dtype = X, X.shape, X.dtype

    def __len__(self):
        return len(self._X)

    def __getitem__(self, rows):
        return np.array(self._X[rows])


def make(path, n, p, dtype):
    """Write X (n, p) to a file, unless it is there, and return y (n,), noise included."""
    rng, y = np.random.default_rng(0), np.empty(n)
    is_there = path.exists() and path.stat().st_size == n * p * dtype.itemsize
    with open(os.devnull if is_there else path, "wb") as file:
        for start in range(0, n, WRITTEN):
            X = rng.standard_normal((min(WRITTEN, n - start), p), dtype=dtype)
            X.tofile(file) if not is_there else None
            mean = np.where(X[:, 0] > 0, X[:, 1], 1 - X[:, 1]) + 0.1 * X[:, 2]
            y[start : start + WRITTEN] = mean + 0.3 * rng.standard_normal(len(X))
    return y


def anonymous():
    """MiB of memory of this process that no file stands behind; NaN where nobody tells."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return np.nan
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024


class Peak:
    """The peak of `anonymous` in a block of code, beyond what there was before."""

    def __enter__(self):
        self.before = self.most = anonymous()
        self._ends = threading.Event()
        self._watch = threading.Thread(target=self._look)
        self._watch.start()
        return self

    def _look(self):
        while not self._ends.wait(0.005):
            self.most = max(self.most, anonymous())

    def __exit__(self, *error):
        self._ends.set()
        self._watch.join()


def fitted(mode, X, y, block, model):
    """Return a model fitted to the rows of a memory map in one of the `MODES`."""
    if mode == "blocks":
        starts = range(0, len(y), block)
        return model.fit_blocks(lambda: ((X[i : i + block], y[i : i + block]) for i in starts))
    return model.fit(Sliced(X) if mode == "sliced" else X, y)


def measure(mode, path, n, p, dtype, block, max_iter):
    """Print what a fit in one of the `MODES` takes."""
    y = make(path, n, p, dtype)
    X = np.memmap(path, dtype, "r", shape=(n, p))
    options = dict(random_state=0, n_init=2)
    warnings.simplefilter("ignore")
    few = min(n, 30_000)
    rows = [np.array(X[:few]), y[:few]]
    MixtureOfExpertsRegressor(2, max_iter=2, **options).fit(*rows)  # compiles
    X = np.array(X) if mode == "memory" else X
    model = MixtureOfExpertsRegressor(2, max_iter=max_iter, **options)
    with Peak() as peak:
        start, begun = time.process_time(), time.perf_counter()
        fitted(mode, X, y, block, model)
        spent, lasted = time.process_time() - start, time.perf_counter() - begun
    size = n * p * dtype.itemsize / 2**20
    added = peak.most - peak.before
    print(
        f"{mode:7s} X {size:6.0f} MiB  +{added:7.1f} MiB ({added / size:.2f} X)  CPU {spent:6.1f} s"
        f"  elapsed {lasted:6.1f} s  {model.n_iter_} iterations"
        f"  log-likelihood {model.log_likelihood_!r}",
        flush=True,
    )


def main(arguments=None):
    """Measure every mode in a process of its own, or one in this."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=12_500_000)
    parser.add_argument("--columns", type=int, default=20)
    parser.add_argument("--double", action="store_true", help="X in double precision")
    parser.add_argument("--block", type=int, default=100_000)
    parser.add_argument("--max-iter", type=int, default=10)
    parser.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES))
    parser.add_argument("--file", type=Path, help="where the table is, or is written to")
    parser.add_argument("--here", action="store_true", help="in this process; one mode")
    args = parser.parse_args(arguments)
    dtype = np.dtype(np.float64 if args.double else np.float32)
    with tempfile.TemporaryDirectory() as folder:
        path = args.file or Path(folder) / "table"
        if args.here:
            sizes = args.rows, args.columns, dtype, args.block, args.max_iter
            measure(args.modes[0], path, *sizes)
            return
        given = list(sys.argv[1:] if arguments is None else arguments)
        for mode in args.modes:
            own = [*given, "--file", str(path), "--here", "--modes", mode]
            subprocess.run([sys.executable, __file__, *own], check=True)


if __name__ == "__main__":
    main()
