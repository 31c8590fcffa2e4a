"""What a second thread brings the default fit: wall seconds, and whether the bits are the same.

    python tests/benchmarks/threads.py                              # n = 10,000 and 100,000
    python tests/benchmarks/threads.py --rows 1000000 --repeats 1

Fits with one thread and with more are timed in turns. It is wall time that threads save, so this
one means nothing on a machine that does other work; the scripts for CPU seconds do.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from _measure import alone, compile_kernels, fitted, heading, in_turns, row, weak
from em_iteration import make

from classic_moe import MixtureOfExpertsRegressor


def is_same(a, b):
    """Whether two fits are equal in every bit."""
    pairs = [(a.lower_bounds_, b.lower_bounds_), (a.gate_.coef_, b.gate_.coef_)]
    pairs += [(x.coef_, y.coef_) for x, y in zip(a.experts_, b.experts_, strict=True)]
    pairs += [(x.scale_, y.scale_) for x, y in zip(a.experts_, b.experts_, strict=True)]
    return all(np.array_equal(x, y) for x, y in pairs)


def of_rows(n, jobs, repeats):
    """Time fits of n rows with each number of threads and print a line; returns what was found."""
    X, y = make(n)
    models = {}

    def fit(n_jobs):
        model = weak(MixtureOfExpertsRegressor(4, random_state=0, n_jobs=n_jobs))
        models[n_jobs] = fitted(model, X, y)

    calls = {n_jobs: lambda n_jobs=n_jobs: fit(n_jobs) for n_jobs in jobs}
    wall = in_turns(calls, repeats, time.perf_counter, warm=False)
    same = all(is_same(models[jobs[0]], models[n_jobs]) for n_jobs in jobs)
    for n_jobs in jobs:
        words = "yes" if same else "NO"
        row(f"{n:,} rows, {n_jobs} thread(s)", wall[n_jobs], wall[jobs[0]] / wall[n_jobs], words)
    return {"wall": wall, "same": same}


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args(argv)
    compile_kernels(*make(2_000), 4)
    heading("p = 10, K = 4", "wall seconds", "times as fast", "same bits")
    return {n: of_rows(n, options.jobs, options.repeats) for n in options.rows}


if __name__ == "__main__":
    alone(main)
