"""Twenty fixed fits and the bits of their parameters: what a change of the code leaves as it was.

    python tests/helpers/fixed_fits.py record before.npz
    python tests/helpers/fixed_fits.py compare before.npz

Bits are those of one machine: record and compare on the same one. `compare` prints a line for every
fit, "the same bits" or the largest relative difference, and ends with status 1 if any fit differs.
"""

from __future__ import annotations

import argparse
import sys
import warnings

import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.linear_model import LinearRegression
from sklearn.tree import DecisionTreeRegressor

import classic_moe as cm
from classic_moe.datasets import (
    load_motorcycle,
    make_crossing_lines,
    make_piecewise_regression,
    make_robot_arm,
)
from classic_moe.experts import (
    GammaExpert,
    LinearExpert,
    NegativeBinomialExpert,
    NoiseExpert,
)
from classic_moe.gates import GaussianGate, TreeGate
from classic_moe.solvers import Adam


def fits():
    """The fits by name: (estimator, X, y, keywords of fit)."""
    rng = np.random.default_rng(0)
    motorcycle = load_motorcycle(return_X_y=True)
    lines = make_crossing_lines(random_state=0)
    pieces = make_piecewise_regression(2000, n_pieces=3, random_state=0)
    arm = make_robot_arm(1500, random_state=0)
    iris, cancer = load_iris(return_X_y=True), load_breast_cancer(return_X_y=True)
    cancer = cancer[0][:, :3], cancer[1]
    X = rng.uniform(-1, 1, (400, 2))
    mean = np.exp(1 + np.abs(X[:, 0]))
    counts, positive = rng.poisson(mean), rng.gamma(3, mean / 3)
    over = rng.negative_binomial(2, 1 / (1 + mean / 2))
    trials = rng.binomial(10, 1 / (1 + np.exp(-3 * np.abs(X[:, 0]))))
    binomial = np.column_stack([trials, 10 - trials])
    real = np.abs(X[:, 0]) + 0.1 * rng.standard_normal(400)
    groups = np.arange(400) // 4
    Regressor, Classifier = cm.MixtureOfExpertsRegressor, cm.MixtureOfExpertsClassifier
    tied = LinearExpert(covariance_type="tied")
    return {
        "linear": (Regressor(3), *motorcycle, {}),
        "constant gate": (Regressor(2, gate="constant"), *lines, {}),
        "compiled": (Regressor(3), *pieces, {}),
        "two outputs": (Regressor(3, max_iter=60), *arm, {}),
        "tied": (Regressor(3, expert=tied), *arm, {"sample_weight": np.arange(1500) % 3}),
        "student_t": (Regressor(2, expert="student_t"), X, real, {}),
        "laplace": (Regressor(2, expert="laplace"), X, real, {}),
        "poisson": (Regressor(2, expert="poisson"), X, counts, {}),
        "negative binomial": (Regressor(2, expert=NegativeBinomialExpert()), X, over, {}),
        "gamma": (Regressor(2, expert=GammaExpert()), X, positive, {}),
        "binomial": (Regressor(2, expert="binomial"), X, binomial, {}),
        "gaussian gate": (Regressor(2, gate=GaussianGate("tied")), X, real, {}),
        "union": (Regressor(2, expert=["linear", NoiseExpert()]), X, real, {}),
        "black box": (Regressor(2, expert=DecisionTreeRegressor(max_depth=2)), X, real, {}),
        "groups": (Regressor(2, gate="constant"), X, real, {"groups": groups}),
        "softmax": (Classifier(2), *iris, {}),
        "logistic tree": (
            Classifier(4, expert="logistic", gate=TreeGate()),
            *cancer,
            {},
        ),
        "hierarchical lbfgs": (
            cm.HierarchicalMixtureOfExpertsRegressor(solver="lbfgs", max_iter=40),
            *arm,
            {},
        ),
        "adaptive": (
            cm.AdaptiveLocalExpertsRegressor(2, solver=Adam(), n_init=2, max_iter=20),
            *lines,
            {},
        ),
        "meta_pi": (
            cm.MetaPiRegressor([LinearRegression(), LinearRegression()]),
            X,
            real,
            {"expert_groups": (X[:, 0] > 0).astype(int)},
        ),
    }


def numbers(name, estimator, X, y, keywords):
    """{name/path of a leaf: its numbers} of one fit, and its objective."""
    model = clone(estimator).set_params(random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a fit is short or its data odd is no matter here
        model.fit(X, y, **keywords)
    found = {f"{name}/objective": model.lower_bounds_}
    for path, leaf in _leaves(model.params_):
        if leaf.dtype != object:
            found[f"{name}/{path}"] = leaf
    return found


def _leaves(params, path=""):
    for name, leaf in params.items():
        if isinstance(leaf, dict):
            yield from _leaves(leaf, f"{path}{name}.")
        else:
            yield path + name, np.asarray(leaf)


def record(only=None):
    """All numbers of all fits."""
    found = {}
    for name, fit in fits().items():
        if only is None or name in only:
            found |= numbers(name, *fit)
    return found


def compare(before, after):
    """A line for every fit, and whether all have the same bits."""
    lines, same = [], True
    for name in dict.fromkeys(key.split("/")[0] for key in before):
        keys = {key for key in {*before, *after} if key.split("/")[0] == name}
        moved = {key for key in keys if (key in before) != (key in after)}
        moved |= {key for key in keys - moved if np.shape(before[key]) != np.shape(after[key])}
        worst = max((_difference(before[key], after[key]) for key in keys - moved), default=0.0)
        equal = not moved and all(
            np.array_equal(before[key], after[key], equal_nan=True) for key in keys
        )
        same &= equal
        says = "the same bits" if equal else f"largest relative difference {worst:.2g}"
        says += f"; other leaves or shapes: {', '.join(sorted(moved))}" if moved else ""
        lines.append(f"{name:20} {says}")
    return lines, same


def _difference(a, b):
    size = max(np.abs(a).max(initial=0.0), np.abs(b).max(initial=0.0), 1e-300)
    return float(np.abs(np.asarray(a) - b).max(initial=0.0) / size)


def main(arguments=None):
    """Run as a script."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["record", "compare"])
    parser.add_argument("file")
    options = parser.parse_args(arguments)
    found = record()
    if options.what == "record":
        np.savez(options.file, **found)
        return 0
    lines, same = compare(dict(np.load(options.file)), found)
    print(*lines, sep="\n")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
