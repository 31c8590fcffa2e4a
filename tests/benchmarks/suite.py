"""Twelve problems, easy and hard: CPU seconds of the default fit beside how good its end is.

    python tests/benchmarks/suite.py                                # five seeds
    python tests/benchmarks/suite.py --problems friedman sine --seeds 10
    python tests/benchmarks/suite.py --restarts 50                  # without the default's search

For each: the median time; how far the fits of several seeds end below the best known; how many end
within a hundredth of a nat, within one and within five; the largest slope left a row; and how many
passes over the rows the default solver makes from one start until no slope above 1e-8 a row is left
(those that make an information in brackets), and SQUAREM alone from the same; medians of four
starts, from which both may go to different maxima.

*Best known* is the best of what fifty starts lead to, each climbed to its end, of three seeds, or
the best that was ever seen of Friedman's function: `--restarts 50` works it out.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
from unittest import mock

import numpy as np
from _measure import (
    alone,
    compile_kernels,
    fitted,
    free_slope,
    heading,
    row,
    slope_left,
    timed,
    weak,
)
from sklearn.datasets import load_breast_cancer, load_diabetes, make_friedman1

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.model import fused_climb, information
from classic_moe.solvers import AcceleratedEM, EMNewton
from classic_moe.solvers.loop import evaluate
from classic_moe.starts import search

KNOWN = {
    "friedman1": -7074.23,
    "five experts for two": -2660.37,
    "breast cancer, radius": 890.48,
}
"""The best objective known where the seeds of one run may not find it."""
STARTS, SLOPE = 4, 1e-8
"""Starts from which passes are counted, until no slope a row is larger."""


def mixture(rng, n, p, K, gate, spread, noise, correlation=0.0, scaled=False):
    """Rows of a mixture of K linear experts; `gate` and `spread` say how far apart these are."""
    shared = np.full((p, p), correlation) + (1 - correlation) * np.eye(p)
    X = rng.standard_normal((n, p)) @ np.linalg.cholesky(shared).T
    scores = X @ (rng.standard_normal((K, p)) * gate / np.sqrt(p)).T
    scores += rng.standard_normal(K) * 0.3
    expert = (scores + rng.gumbel(size=scores.shape)).argmax(axis=1)
    slopes = rng.standard_normal((K, p)) * spread / np.sqrt(p)
    means = X @ slopes.T + rng.standard_normal(K) * spread
    deviation = noise * rng.uniform(0.5, 1.5, K)
    y = means[np.arange(n), expert] + deviation[expert] * rng.standard_normal(n)
    if scaled:
        X = X * 10.0 ** rng.uniform(-3, 3, p) + 10.0 ** rng.uniform(0, 3, p)
    return X, y


def problems(seed=0):
    """The twelve problems, by name: X, y, K."""
    rng = np.random.default_rng(seed)  # one stream: the order is part of the data
    drawn = {
        "well separated": (*mixture(rng, 5000, 5, 3, 4.0, 4.0, 0.3), 3),
        "overlapping, p = 5": (*mixture(rng, 5000, 5, 3, 0.5, 0.7, 1.0), 3),
        "overlapping, p = 2": (*mixture(rng, 4000, 2, 2, 1.0, 0.8, 1.0), 2),
        "between": (*mixture(rng, 10000, 10, 4, 2.0, 2.0, 0.7), 4),
        "collinear": (*mixture(rng, 10000, 10, 4, 2.0, 2.0, 0.7, correlation=0.999), 4),
        "badly scaled": (*mixture(rng, 5000, 8, 3, 2.0, 2.0, 0.7, scaled=True), 3),
        "five experts for two": (*mixture(rng, 4000, 4, 2, 2.0, 2.0, 0.5), 5),
        "twenty columns": (*mixture(rng, 8000, 20, 6, 3.0, 3.0, 0.5), 6),
    }
    x = rng.uniform(-3, 3, 3000)
    wave = np.sin(2 * x) + 0.1 * (1 + (x > 0)) * rng.standard_normal(3000)
    cancer = load_breast_cancer().data
    return drawn | {
        "sine": (x[:, None], wave, 4),
        "friedman1": (*make_friedman1(4000, 10, noise=1.0, random_state=0), 4),
        "diabetes": (*load_diabetes(return_X_y=True), 2),
        "breast cancer, radius": (np.delete(cancer, 0, 1)[:, :12], cancer[:, 0], 2),
    }


class Counted:
    """Batches that count the passes over their rows, and those of them that make an information."""

    def __init__(self, batches):
        self.batches, self.passes, self.informations = batches, 0, 0

    def map_sum(self, function, params, scaled=False):
        self.passes += 1
        self.informations += getattr(function, "func", None) is information._sums
        return self.batches.map_sum(function, params, scaled)

    def __getattr__(self, name):
        return getattr(self.batches, name)


class Captured(Exception):
    """Enough starts are known."""


def starts(X, y, K, n):
    """The first n of the usual starts of a fit: model, params, batches."""
    found = []

    class Catching(AcceleratedEM):
        def contender(self):
            return self

        def run(self, model, params, batches, **options):
            found.append((model, params, batches))
            if len(found) == n:
                raise Captured
            return super().run(model, params, batches, **options | dict(max_iter=1))

    with contextlib.suppress(Captured):
        weak(MixtureOfExpertsRegressor(K, solver=Catching(), n_init=n, random_state=0)).fit(X, y)
    return found


def passes(solver, model, params, batches):
    """Count a solver's passes until no slope is left: all, and those that make an information."""
    counted = Counted(batches)

    def arrived(iteration, params, objective):
        point = evaluate(model, batches, params, derivatives=1)
        return free_slope(model, point, batches.total_weight) <= SLOPE

    with mock.patch.object(fused_climb, "lookup", return_value=None):  # every pass one by one
        solver.run(model, params, counted, max_iter=3000, tol=1e-16, callback=arrived)
    return counted.passes, counted.informations


def of_problem(name, X, y, K, known, options):
    """Measure one problem and print its line; returns what was found."""
    fits, seconds, n_seeds = [], [], options.seeds
    for seed in range(n_seeds):
        model = weak(MixtureOfExpertsRegressor(K, random_state=seed))
        fits.append(model)
        seconds.append(timed(lambda model=model: fitted(model, X, y))[1])
    ends = np.array([model.lower_bounds_[-1] for model in fits])
    known = ends.max() if known is None else known
    slope = statistics.median(slope_left(model, X, y) for model in fits)
    begun = starts(X, y, K, STARTS)
    ours = np.array([passes(EMNewton(), *start) for start in begun])
    plain = np.array([passes(AcceleratedEM(), *start)[0] for start in begun])
    close = [f"{np.sum(known - ends <= limit)} of {n_seeds}" for limit in (0.01, 1, 5)]
    converged = f"{sum(model.converged_ for model in fits)} of {n_seeds}"
    numbers = statistics.median(seconds), float(np.median(known - ends))
    counts = "{:.0f} ({:.0f})".format(*np.median(ours, axis=0)), float(np.median(plain))
    ratios = plain / ours[:, 0]
    ratio = float(np.exp(np.mean(np.log(ratios))))
    row(name, *numbers, *close, f"{slope:.0e}", converged, *counts, ratio)
    return {"ends": ends, "slope": slope, "ratios": ratios}


def of_restarts(name, X, y, K, n):
    """Print what n starts lead to, each climbed to its end, for three seeds."""

    class Restarts(EMNewton):  # every end is looked at; one round of n climbs, none given up
        def contender(self):
            return self

    best = []
    for seed in range(3):
        model = weak(MixtureOfExpertsRegressor(K, solver=Restarts(), n_init=n, random_state=seed))
        with mock.patch.multiple(search, HOPS=0, MET=n):
            best.append(float(fitted(model, X, y).lower_bounds_[-1]))
    row(name, *(f"{each:.2f}" for each in best))


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problems", nargs="+", default=[""], help="parts of their names")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rows", type=int, help="the first rows alone, for a quick look")
    parser.add_argument("--restarts", type=int, help="best ends of so many starts, and no more")
    options = parser.parse_args(argv)
    chosen = {
        name: (X[: options.rows], y[: options.rows], K)
        for name, (X, y, K) in problems().items()
        if any(part in name for part in options.problems)
    }
    if options.restarts:
        heading(f"best of {options.restarts} starts", "seed 0", "seed 1", "seed 2")
        return [of_restarts(name, *each, options.restarts) for name, each in chosen.items()]
    columns = "CPU seconds", "nats below the best known", "within .01", "within 1", "within 5"
    columns += "slope a row", "converged", "passes (informations)", "SQUAREM's", "ratio"
    heading("problem", *columns)
    found = {}
    for name, (X, y, K) in chosen.items():
        compile_kernels(X, y, K)
        known = KNOWN.get(name) if options.rows is None else None
        found[name] = of_problem(name, X, y, K, known, options)
    ratios = np.concatenate([each["ratios"] for each in found.values()])
    print(f"# SQUAREM's passes to ours, geometric mean: {np.exp(np.mean(np.log(ratios))):.2f}")
    return found


if __name__ == "__main__":
    alone(main)
