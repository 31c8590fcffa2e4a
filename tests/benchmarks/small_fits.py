"""The everyday case: a grid search over the number of experts on a few hundred rows.

    python tests/benchmarks/small_fits.py                           # n = 400, p = 3, K = 1 to 5
    python tests/benchmarks/small_fits.py --jobs 1                  # without a second process

CPU seconds of the search in one process and of a single fit for each number of experts; then wall
seconds of the search in one process and in several, whose own time the clock of this one does not
see: the first of these starts the processes, the second finds them running.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings

from _measure import alone, fitted, heading, in_turns, row, timed
from em_iteration import make
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV

from classic_moe import MixtureOfExpertsRegressor


def search(X, y, experts, folds, n_jobs=None):
    """Fit a grid search over the number of experts; returns it."""
    grid = GridSearchCV(
        MixtureOfExpertsRegressor(random_state=0),
        {"n_experts": experts},
        cv=folds,
        n_jobs=n_jobs,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return grid.fit(X, y)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=400)
    parser.add_argument("--experts", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args(argv)
    X, y = make(options.rows, 3, 3)
    arguments = X, y, options.experts, options.folds
    searched, first = timed(lambda: search(*arguments))
    again = [timed(lambda: search(*arguments))[1] for _ in range(options.repeats)]
    fits = len(options.experts) * options.folds + 1
    heading(f"{options.rows} rows, p = 3", "seconds", "milliseconds a fit")
    row("grid search, the first, numba's loading included: CPU", first, 1e3 * first / fits)
    seconds = statistics.median(again)
    row(f"grid search, {fits} fits: CPU", seconds, 1e3 * seconds / fits)
    fewer = round(options.rows * (1 - 1 / options.folds))
    its_X, its_y = X[:fewer], y[:fewer]
    models = {K: MixtureOfExpertsRegressor(K, random_state=0) for K in options.experts}
    calls = {K: lambda model=model: fitted(model, its_X, its_y) for K, model in models.items()}
    each = in_turns(calls, options.repeats)
    for K, its in each.items():
        row(f"one fit of {fewer} rows, K = {K}: CPU", its, 1e3 * its)
    if options.jobs > 1:
        jobs = {None: "one process", options.jobs: f"{options.jobs} processes"}
        wall = {n: timed(lambda n=n: search(*arguments, n), time.perf_counter)[1] for n in jobs}
        row(f"grid search, {options.jobs} new processes: wall", wall[options.jobs], "")
        calls = {n: lambda n=n: search(*arguments, n) for n in jobs}
        wall = in_turns(calls, options.repeats, time.perf_counter, warm=False)
        for n, name in jobs.items():
            row(f"grid search, {name}: wall", wall[n], 1e3 * wall[n] / fits)
    return {"fits": fits, "search": searched, "each": each, "seconds": seconds}


if __name__ == "__main__":
    alone(main)
