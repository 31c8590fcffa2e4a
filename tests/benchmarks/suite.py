"""Twelve problems, easy and hard: CPU seconds of the default fit beside how good its end is.

    python tests/benchmarks/suite.py                                # five seeds
    python tests/benchmarks/suite.py --problems friedman sine --seeds 10

For each: the median time; how far the fits of several seeds end below the best of them (or below
the best known, where that is more); how many end within a hundredth of a nat, and within five; the
largest slope left a row; and how many passes over the rows the default solver makes from one start
(those that make an information in brackets: these take longer), and SQUAREM alone from the same.
Both may end at different maxima, which the last column tells.
"""

from __future__ import annotations

import argparse
import statistics
from unittest import mock

import numpy as np
from _measure import alone, compile_kernels, fitted, heading, row, slope_left, timed
from sklearn.datasets import load_breast_cancer, load_diabetes, make_friedman1

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.model import fused_climb, information
from classic_moe.solvers import AcceleratedEM, EMNewton

KNOWN = {"friedman1": -7074.23}
"""The best objective known where the seeds of one run hardly ever find it."""


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

    def map_sum(self, function, params):
        self.passes += 1
        self.informations += getattr(function, "func", None) is information._grams
        return self.batches.map_sum(function, params)

    def __getattr__(self, name):
        return getattr(self.batches, name)


def passes(kind, X, y, K, tol):
    """Count a solver's passes from the first of the usual starts.

    Returns all, those that make an information, and the objective at the start and at the end.
    """
    seen = []

    class Counting(kind):
        def run(self, model, params, batches, **options):
            seen.append(Counted(batches))
            return super().run(model, params, seen[-1], **options)

    options = dict(n_init=1, random_state=0, max_iter=5000, tol=tol)
    model = MixtureOfExpertsRegressor(K, solver=Counting(), **options)
    with mock.patch.object(fused_climb, "lookup", return_value=None):  # every pass one by one
        fitted(model, X, y)
    counts = [sum(getattr(each, name) for each in seen) for name in ("passes", "informations")]
    return *counts, model.lower_bounds_[[0, -1]]


def of_problem(name, X, y, K, known, options):
    """Measure one problem and print its line; returns what was found."""
    fits, seconds, n_seeds = [], [], options.seeds
    for seed in range(n_seeds):
        model = MixtureOfExpertsRegressor(K, random_state=seed)
        fits.append(model)
        seconds.append(timed(lambda model=model: fitted(model, X, y))[1])
    ends = np.array([model.lower_bounds_[-1] for model in fits])
    below = max(ends.max(), known) - ends
    slope = statistics.median(slope_left(model, X, y) for model in fits)
    auto, of_these, (start, high) = passes(EMNewton, X, y, K, options.tol)
    plain, _, (its_start, low) = passes(AcceleratedEM, X, y, K, options.tol)
    assert start == its_start, "not the same start"
    close = [f"{np.sum(below <= limit)} of {n_seeds}" for limit in (0.01, 5)]
    converged = f"{sum(model.converged_ for model in fits)} of {n_seeds}"
    numbers = statistics.median(seconds), float(np.median(below))
    counts = f"{auto} ({of_these})", plain, plain / auto, high - low
    row(name, *numbers, *close, f"{slope:.0e}", converged, *counts)
    return {"below": below, "slope": slope, "passes": (auto, plain), "ends": (high, low)}


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problems", nargs="+", default=[""], help="parts of their names")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rows", type=int, help="the first rows alone, for a quick look")
    parser.add_argument("--tol", type=float, default=1e-7, help="where passes are counted")
    options = parser.parse_args(argv)
    columns = "CPU seconds", "nats below the best", "within .01", "within 5", "slope a row"
    columns += "converged", "passes (informations)", "SQUAREM's", "ratio", "end above SQUAREM's"
    heading("problem", *columns)
    found = {}
    for name, (X, y, K) in problems().items():
        if any(part in name for part in options.problems):
            X, y = X[: options.rows], y[: options.rows]
            compile_kernels(X, y, K)
            known = KNOWN.get(name, -np.inf) if options.rows is None else -np.inf
            found[name] = of_problem(name, X, y, K, known, options)
    ratios = [plain / auto for auto, plain in (each["passes"] for each in found.values())]
    print(f"# SQUAREM's passes to ours, geometric mean: {np.exp(np.mean(np.log(ratios))):.2f}")
    return found


if __name__ == "__main__":
    alone(main)
