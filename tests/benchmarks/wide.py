"""Seconds of an iteration of EM by the number of columns: nothing jumps.

    python tests/benchmarks/wide.py                                 # p = 46, 47 and 120
    python tests/benchmarks/wide.py --columns 18 19 20 300 --rows 5000

Plain EM from the first of the usual starts, in turns; an iteration is the difference of two fits of
different length. Ratios are to the first number of columns.
"""

from __future__ import annotations

import argparse
import statistics

from _measure import alone, compile_kernels, fitted, heading, per_iteration, row, weak
from em_iteration import make

from classic_moe import MixtureOfExpertsRegressor


def em(X, y, K):
    """A function of a number of iterations, which fits so many."""

    def run(n_iter):
        model = weak(
            MixtureOfExpertsRegressor(
                K, solver="em", n_init=1, random_state=0, max_iter=n_iter, tol=0
            )
        )
        fitted(model, X, y)
        assert model.n_iter_ == n_iter, "converged too early to be timed"

    return run


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--columns", type=int, nargs="+", default=[46, 47, 120])
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--experts", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--iterations", type=int, default=10)
    options = parser.parse_args(argv)
    fits = {}
    for p in options.columns:
        X, y = make(options.rows, p, options.experts)
        compile_kernels(X, y, options.experts)
        fits[p] = em(X, y, options.experts)
    seconds = per_iteration(fits, 2, 2 + options.iterations, options.repeats)
    first = seconds[options.columns[0]]
    ratios = {
        p: statistics.median(a / b for a, b in zip(its, first, strict=True))
        for p, its in seconds.items()
    }
    heading(f"n = {options.rows:,}, K = {options.experts}", "CPU ms an iteration", "ratio")
    for p, its in seconds.items():
        row(f"p = {p}", 1e3 * statistics.median(its), ratios[p])
    return {"seconds": seconds, "ratios": ratios}


if __name__ == "__main__":
    alone(main)
