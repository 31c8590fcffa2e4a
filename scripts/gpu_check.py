"""Check a GPU in ten minutes: equality, transfers, time of a pass in both forms, fits, refusals.

python scripts/gpu_check.py [--library cupy] [--scale 1] [--out FILE] [--steps 0123456]

One JSON line a step is printed, and written to FILE, as the step ends, so that what was done is
kept if the time runs out; a step that takes longer than its budget is ended. Run with
``--library strict --scale 0.001`` it is a rehearsal on the CPU.
"""

import argparse
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import time
import traceback
from pathlib import Path

os.environ["SCIPY_ARRAY_API"] = "1"  # read when scipy is imported

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "helpers")]
SHAPES = (10, 4), (20, 8)
"""Columns and experts of the passes that are timed."""
REPEATS = 10
PYTEST = "-m pytest -q -x -n 0 -p no:cacheprovider tests/backends -k"


class Late(Exception):
    """A step has used up its budget."""


class Device:
    """A library of arrays and the device that is checked."""

    def __init__(self, library):
        self.library, self.module = library, None
        if library == "cupy":
            import cupy

            self.module = cupy
        elif library in ("torch", "cuda"):
            import torch

            self.module = torch

    def array(self, values):
        """Return an array of numpy on the device."""
        if self.library == "cupy":
            return self.module.asarray(values)
        if self.library in ("torch", "cuda"):
            return self.module.asarray(values, device=self.place)
        import array_api_strict as strict

        return strict.asarray(values, device=strict.Device("device1"))

    @property
    def place(self):
        """The device's name in torch."""
        return "cuda" if self.library == "cuda" else "cpu"

    def wait(self):
        """Wait until the device has done what it was asked for."""
        if self.library == "cupy":
            self.module.cuda.Device().synchronize()
        elif self.library == "cuda":
            self.module.cuda.synchronize()

    def memory(self):
        """Return free bytes and the most that were taken so far, None where nobody says."""
        if self.library == "cupy":
            pool = self.module.get_default_memory_pool()
            return self.module.cuda.Device().mem_info[0], pool.total_bytes()
        if self.library == "cuda":
            return self.module.cuda.mem_get_info()[0], self.module.cuda.max_memory_allocated()
        return None, None

    def matmul(self):
        """Return the trace of a product, which tells whether anything is computed at all."""
        import numpy as np

        a = self.array(np.eye(64) * 2.0)
        from classic_moe._kernels.array import to_host

        return float(np.trace(to_host(a @ a)))


def rows(n, p, seed=0, dtype="float64"):
    """Return X (n, p) and y (n,), with a kink."""
    import numpy as np

    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p), dtype="float32").astype(dtype, copy=False)
    y = np.where(X[:, 0] > 0, 1 + X[:, 1], -X[:, 1]) + 0.3 * rng.standard_normal(n)
    return X, y.astype(np.float64)


def problem(n, p, K, dtype="float64"):
    """Return a model, params, and rows in internal units: X, y (n, 1), weight."""
    import numpy as np

    from classic_moe.experts import LinearExpert
    from classic_moe.gates import SoftmaxGate
    from classic_moe.model.mixture import MixtureModel

    X, y = rows(n, p, dtype=dtype)
    model = MixtureModel(SoftmaxGate(), LinearExpert(), compiled=True)
    some = slice(0, 2000)
    resp = np.random.default_rng(1).dirichlet(np.ones(K), len(X[some]))
    params = model.init(X[some], y[some, None], resp, np.random.RandomState(0))
    return model, params, (X, y[:, None], np.ones(n))


def timed(device, function):
    """Return the median of some timings in seconds, after one that does not count."""
    function()
    taken = []
    for _ in range(REPEATS):
        device.wait()
        start = time.perf_counter()
        function()
        device.wait()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


@contextlib.contextmanager
def form_of_the_pass(form):
    """Make the passes of a device have one of their forms."""
    from classic_moe._kernels import device

    before, device.FORM = device.FORM, form
    try:
        yield
    finally:
        device.FORM = before


def difference(one, other):
    """Return the largest difference of two statistics relative to the largest number of a leaf."""
    import numpy as np

    worst = 0.0
    for name, value in one.items():
        if isinstance(value, dict):
            worst = max(worst, difference(value, other[name]))
        elif np.size(value):
            size = max(np.abs(value).max(), 1e-300)
            worst = max(worst, float(np.abs(value - other[name]).max() / size))
    return worst


# -- the steps ------------------------------------------------------------------------------------


def step_0(device, scale):
    """What there is: driver, library, an allocation and a product."""
    try:
        line = subprocess.run(
            ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"],
            capture_output=True,
            text=True,
        ).stdout.strip()
    except OSError:
        line = "no nvidia-smi"
    version = getattr(device.module, "__version__", None)
    return {"nvidia_smi": line, "version": version, "trace": device.matmul()}


def step_1(device, scale):
    """The tests of arrays on the device: equality and transfers."""
    name = device.library
    run = subprocess.run(
        [
            sys.executable,
            *PYTEST.split(),
            name,
        ],
        cwd=ROOT,
        env={**os.environ, "CLASSIC_MOE_DEVICE": name},
        capture_output=True,
        text=True,
    )
    return {"rc": run.returncode, "tail": run.stdout.strip().splitlines()[-1:]}


def step_2(device, scale):
    """A pass over a million rows in both forms and precisions, beside numba's on this host."""
    from classic_moe._kernels.device import FORMS

    found, n = [], max(1000, int(1_000_000 * scale))
    for p, K in SHAPES:
        for dtype in ("float64", "float32"):
            model, params, host = problem(n, p, K, dtype)
            there = [device.array(values) for values in host]
            expected = model.statistics(params, *host)
            line = {"n": n, "p": p, "K": K, "dtype": dtype}
            line["numba_s"] = timed(device, lambda: model.statistics(params, *host))  # noqa: B023
            for form in FORMS:
                with form_of_the_pass(form):
                    got = model.statistics(params, *there)
                    line[f"{form}_difference"] = difference(expected, got)
                    line[f"{form}_s"] = timed(
                        device,
                        lambda: model.statistics(params, *there),  # noqa: B023
                    )
            found.append(line)
    return {"passes": found}


def step_3(device, scale):
    """A pass over ten million rows, 20 columns, 8 experts, in blocks as a fit has them."""
    import functools

    from classic_moe._kernels.device import FORMS
    from classic_moe.data.devices import DeviceBatches, block_rows

    n, (p, K) = max(1000, int(10_000_000 * scale)), SHAPES[1]
    model, params, (X, y, weight) = problem(n, p, K, "float32")
    there = device.array(X)
    batches = DeviceBatches(there, y, weight, prepare=lambda X: X)
    found = {"n": n, "block_rows": min(n, block_rows(there))}
    for form in FORMS:
        with form_of_the_pass(form):
            one_pass = functools.partial(batches.map_sum, model.statistics, params)
            found[f"{form}_s"] = timed(device, one_pass)
    found["free_bytes"], found["most_bytes"] = device.memory()
    return found


def step_4(device, scale):
    """A whole fit to ten million rows: where its time goes; and one that must equal numba's."""
    from classic_moe import MixtureOfExpertsRegressor
    from classic_moe.data.devices import DeviceBatches
    from classic_moe.model.mixture import MixtureModel

    taken = dict.fromkeys(("passes_s", "steps_s"), 0.0)

    def watched(owner, name, key):
        original = getattr(owner, name)

        def call(*args, **kwargs):
            start = time.perf_counter()
            try:
                return original(*args, **kwargs)
            finally:
                taken[key] += time.perf_counter() - start

        setattr(owner, name, call)
        return original

    options = dict(n_experts=3, n_init=3, random_state=0)
    X, y = rows(max(6000, int(1_000_000 * scale)), 5)
    expected = MixtureOfExpertsRegressor(**options).fit(X, y)
    found = MixtureOfExpertsRegressor(**options).fit(device.array(X), y)
    equal = abs(found.log_likelihood_ / expected.log_likelihood_ - 1)
    X, y = rows(max(6000, int(10_000_000 * scale)), 20, dtype="float32")
    there = device.array(X)
    originals = (
        watched(DeviceBatches, "map_sum", "passes_s"),
        watched(MixtureModel, "maximize", "steps_s"),
    )
    start = time.perf_counter()
    try:
        model = MixtureOfExpertsRegressor(**options).fit(there, y)
    finally:
        DeviceBatches.map_sum, MixtureModel.maximize = originals
    return {
        "difference": equal,
        "iterations": [expected.n_iter_, found.n_iter_],
        "fit_s": time.perf_counter() - start,
        "n_iter": model.n_iter_,
        **taken,
    }


def step_5(device, scale):
    """Classes, predictions, missing values, and as many rows as fill the device."""
    import numpy as np

    from classic_moe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor

    n = max(6000, int(1_000_000 * scale))
    X, y = rows(n, 10)
    there = device.array(X)
    codes = np.digitize(y, [-0.5, 1.0])
    options = dict(n_experts=2, n_init=1, random_state=0, max_iter=20)
    found, start = {}, time.perf_counter()
    MixtureOfExpertsClassifier(**options).fit(there, codes)
    found["classifier_s"] = time.perf_counter() - start
    model = MixtureOfExpertsRegressor(**options).fit(there, y)
    for name, call in (
        ("predict", lambda: model.predict(there)),
        ("gate_proba", lambda: model.gate_proba(there)),
        ("log_prob", lambda: model.log_prob(there, y)),
    ):
        found[f"{name}_s"] = timed(device, call)
    X[5, 0] = np.nan
    found["missing"] = _said(lambda: model.predict(device.array(X)))
    free, _ = device.memory()
    if free is not None:
        large = int(0.7 * free / (4 * 20))
        many = device.module.zeros((large, 20), dtype=device.module.float32)
        if device.library == "cuda":
            many = many.to("cuda")
        y = np.zeros(large)
        y[::2] = 1.0
        found["full"] = _said(lambda: MixtureOfExpertsRegressor(**options).fit(many, y))
        found["full_rows"] = large
    return found


def step_6(device, scale):
    """The same fit twice: are the bits equal?"""
    import numpy as np

    from classic_moe import MixtureOfExpertsRegressor

    X, y = rows(max(6000, int(200_000 * scale)), 5)
    fits = [
        MixtureOfExpertsRegressor(3, n_init=2, random_state=0).fit(device.array(X), y)
        for _ in range(2)
    ]
    curves = [fit.lower_bounds_ for fit in fits]
    return {"same_bits": len(curves[0]) == len(curves[1]) and bool(np.array_equal(*curves))}


def _said(call):
    """Return the error that a call raises in a line, or "no error"."""
    try:
        call()
    except Exception as error:
        return f"{type(error).__name__}: {error}".splitlines()[0]
    return "no error"


STEPS = [(step_0, 30), (step_1, 60), (step_2, 90), (step_3, 60), (step_4, 60), (step_5, 45)]
STEPS += [(step_6, 30)]
"""What is done, and the seconds it may take."""


def within(seconds, function, *args):
    """Return what a function returns, or what went wrong, and how long it took: a dict."""

    def late(number, frame):
        raise Late(f"more than {seconds} s")

    start, before = time.perf_counter(), signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        found = function(*args)
    except (Exception, Late) as error:
        found = {"error": f"{type(error).__name__}: {error}", "where": traceback.format_exc(-2)}
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    return {**found, "wall_s": round(time.perf_counter() - start, 3)}


def main(argv=None):
    """Do the steps; return the exit status: 1 if one has failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--library", default="cupy", choices=["cupy", "cuda", "torch", "strict"])
    parser.add_argument("--scale", type=float, default=1.0, help="of all numbers of rows")
    parser.add_argument("--out", default=None, help="a file that gets the lines too")
    parser.add_argument("--steps", default="0123456", help="which of them, as digits")
    args = parser.parse_args(argv)
    import warnings

    import sklearn

    from classic_moe._kernels import array

    warnings.simplefilter("ignore")
    if args.library == "torch":  # a rehearsal: tensors on the CPU as if they were on a device
        away = array.LIBRARIES["torch"]._replace(on_host=lambda values: False)
        array.LIBRARIES["torch"] = away
    failed = 0
    with sklearn.config_context(array_api_dispatch=True):
        device = Device(args.library)
        for digit in args.steps:
            step, budget = STEPS[int(digit)]
            found = {"step": int(digit), "what": step.__doc__.splitlines()[0]}
            found |= within(budget, step, device, args.scale)
            failed += "error" in found
            line = json.dumps(found)
            print(line, flush=True)
            if args.out:
                with open(args.out, "a") as file:
                    file.write(line + "\n")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
