"""Every gate with every expert: 120 rows, two experts, and what every pair promises.

`examine` fits one pair and lists the promises it broke and the warnings it gave. Run as a program
it prints the table of all pairs:

    python tests/helpers/pairs.py            # or the names of some experts behind it
"""

from __future__ import annotations

import sys
import warnings

import numpy as np
from scipy.special import expit
from scipy.stats import kstest
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from classic_moe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from classic_moe.experts import GammaExpert, LinearExpert, MLPExpert, NoiseExpert, SoftmaxExpert
from classic_moe.gates import GaussianGate, TreeGate

ROWS, DRAWS = 120, 5000
FALL = 1e-10
"""Largest fall of the objective that counts as rounding, relative to max(1, |objective|)."""

GATES = {
    "constant": "constant",
    "softmax": "softmax",
    "tree": TreeGate(depth=1),
    "least squares": "least_squares",
    "gaussian": "gaussian",
    "gaussian tied": GaussianGate(covariance_type="tied"),
    "exponential family": "exponential_family",
    "estimator": LogisticRegression(),
    "tree estimator": DecisionTreeClassifier(max_depth=2, min_samples_leaf=5),
}
EXPERTS = {  # kind of target, expert
    "gaussian": ("real", "gaussian"),
    "linear": ("real", "linear"),
    "linear tied": ("real", LinearExpert(covariance_type="tied")),
    "linear, two outputs": ("two", LinearExpert(covariance_type="diag")),
    "student t": ("real", "student_t"),
    "student t, two outputs": ("two", "student_t"),
    "laplace": ("real", "laplace"),
    "poisson": ("count", "poisson"),
    "negative binomial": ("count", "negative_binomial"),
    "gamma": ("positive", "gamma"),
    "gamma inverse": ("positive", GammaExpert(link="inverse")),
    "binomial": ("trials", "binomial"),
    "mlp": ("real", MLPExpert((4,), max_iter=10)),
    "estimator": ("real", GradientBoostingRegressor(n_estimators=3, max_depth=2)),
    "union": ("real", [LinearExpert(), NoiseExpert()]),
    "union of units": ("positive", [LinearExpert(), GammaExpert()]),
    "noise": ("real", "noise"),
    "softmax": ("class", "softmax"),
    "logistic": ("binary", "logistic"),
    "mlp classes": ("class", MLPExpert((4,), max_iter=10)),
    "estimator classes": ("class", LogisticRegression()),
    "union classes": ("class", [SoftmaxExpert(), DecisionTreeClassifier(max_depth=2)]),
}


def data(kind, rng):
    """X (120, 2) and y of a kind: two regimes, left and right of x0 = 0."""
    X = rng.normal(size=(ROWS, 2))
    right = rng.random(ROWS) < expit(4 * X[:, 0])
    eta = np.where(right, 1.5 + 0.8 * X[:, 1], 0.3 - 0.8 * X[:, 1])
    if kind == "real":
        return X, eta + 0.3 * rng.standard_normal(ROWS)
    if kind == "two":
        return X, np.column_stack([eta, -eta]) + 0.3 * rng.standard_normal((ROWS, 2))
    if kind == "count":
        return X, rng.poisson(np.exp(eta)).astype(float)
    if kind == "positive":
        return X, np.exp(eta) * rng.gamma(5.0, 0.2, ROWS)
    if kind == "trials":
        trials = rng.integers(1, 12, ROWS)
        successes = rng.binomial(trials, expit(2 * eta - 2))
        return X, np.column_stack([successes, trials - successes]).astype(float)
    if kind == "binary":
        return X, (rng.random(ROWS) < expit(3 * eta - 3)).astype(int)
    return X, np.digitize(eta + 0.3 * rng.logistic(size=ROWS), [0.5, 1.5])


def examine(gate, expert, seed=0, n_init=3, max_iter=200):
    """The promises that a pair broke, the warnings it gave, and its fit."""
    kind, part = EXPERTS[expert]
    X, y = data(kind, np.random.default_rng(seed))
    classes = kind in ("class", "binary")
    estimator = MixtureOfExpertsClassifier if classes else MixtureOfExpertsRegressor
    options = dict(n_init=n_init, max_iter=max_iter, random_state=seed)
    model = estimator(2, expert=part, gate=GATES[gate], **options)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, y)
    broken = []

    def need(condition, promise):
        if not condition:
            broken.append(promise)

    bounds = model.lower_bounds_
    need(np.isfinite(bounds).all(), "objective finite")
    need((np.diff(bounds) >= -FALL * np.maximum(1, np.abs(bounds[1:]))).all(), "monotone")
    log_prob = model.log_prob(X, y)
    need(np.isfinite(log_prob).all(), "log_prob finite")
    need(np.isclose(log_prob.sum(), model.log_likelihood_, rtol=1e-9), "log_likelihood_ its sum")
    gate_proba = model.gate_proba(X)
    need(np.allclose(gate_proba.sum(axis=1), 1), "gate_proba sums to 1")
    need(np.allclose(model.responsibilities(X, y).sum(axis=1), 1), "responsibilities sum to 1")
    if (
        model._fitted.model.gate.inputs.uses_x and expert != "noise"
    ):  # where all experts are one, so is the gate
        need(np.ptp(gate_proba, axis=0).max() > 1e-3, "gate not constant")
    need(np.isfinite(model.predict_experts(X)).all(), "experts' means finite")
    need(min(pit_p_values(model, X, classes)) > 1e-3, "sample and score agree")
    if not classes and kind != "trials":
        dist = model.predict_dist(X)
        # near its Poisson limit, scipy's negative binomial keeps no more than six digits
        digits = 1e-6 if model._fitted.model.expert.target.kind == "mass" else 1e-8
        need(np.allclose(dist.logpdf(y), log_prob, rtol=digits, atol=digits), "logpdf is log_prob")
    return broken, caught, model


def pit_p_values(model, X, classes, seed=1):
    """Kolmogorov-Smirnov p-values of the probability integral transform of draws from the model.

    For counts and classes the transform is drawn between the two values of the step.
    """
    rng = np.random.default_rng(seed)
    X = X[np.arange(DRAWS) % len(X)]
    y, _ = model.sample(X, random_state=seed)
    if classes:
        proba = model.predict_proba(X)
        codes = np.searchsorted(model.classes_, y)
        upper = np.cumsum(proba, axis=1)[np.arange(DRAWS), codes]
        step = proba[np.arange(DRAWS), codes]
    else:
        dist = model.predict_dist(X)
        upper = dist.cdf(y)
        step = dist.pdf(y) if model._fitted.model.expert.target.kind == "mass" else 0 * upper
    u = upper - step * rng.random(step.shape)
    columns = u.reshape(DRAWS, -1).T
    return [kstest(np.clip(column, 0, 1), "uniform").pvalue for column in columns]


def main(experts=EXPERTS):
    failures = 0
    print(f"{'expert':24s}{'gate':20s}{'log-lik.':>10s} {'iter.':>5s}  broken; warnings")
    for expert in experts:
        for gate in GATES:
            broken, caught, model = examine(gate, expert)
            failures += bool(broken)
            said = [f"{w.category.__name__}: {w.message}" for w in caught]
            line = f"{model.log_likelihood_:10.2f} {model.n_iter_:5d}"
            print(f"{expert:24s}{gate:20s}{line}  {', '.join(broken) or '-'}; {' | '.join(said)}")
    print(f"{len(experts) * len(GATES)} pairs, {failures} with a broken promise")
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or EXPERTS))
