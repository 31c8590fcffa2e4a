"""CPU time of an EM iteration of every family and gate, in units of the linear Gaussian's.

    python tests/benchmarks/families.py                   # n = 10,000, p = 10, K = 3
    python tests/benchmarks/families.py --only poisson gamma
    python tests/benchmarks/families.py --rows 600 --repeats 1 --iterations 2

Every fit is plain EM (`solver="em"`), one start, `tol=0`; an iteration takes the CPU seconds of the
process between the callbacks of the first and the last, over their number. The linear Gaussian runs
before each of the others, in the same process, and the ratio is the median over the repeats.
Nothing here is asserted on time.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings

import numpy as np
from sklearn.linear_model import Ridge
from threadpoolctl import threadpool_limits

from classic_moe import (
    HierarchicalMixtureOfExpertsRegressor,
    MixtureOfExpertsClassifier,
    MixtureOfExpertsRegressor,
)
from classic_moe.experts import GammaExpert, LinearExpert, MLPExpert
from classic_moe.gates import ExponentialFamilyGate, GaussianGate, TreeGate

COLUMNS, EXPERTS = 10, 3


def make(n, seed=0):
    """Inputs (n, p), and the linear predictor of the expert that makes the row, (n,)."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, COLUMNS))
    scores = X @ rng.standard_normal((COLUMNS, EXPERTS))
    expert = (scores + rng.gumbel(size=scores.shape)).argmax(axis=1)
    slopes = 0.3 * rng.standard_normal((COLUMNS, EXPERTS))
    eta = (X @ slopes + 0.5 * np.arange(EXPERTS))[np.arange(n), expert]
    return rng, X, eta


def regressor(**parts):
    """A regressor with as many experts as the data have."""
    return MixtureOfExpertsRegressor(EXPERTS, **parts)


def classifier(**parts):
    """A classifier with as many experts as the data have."""
    return MixtureOfExpertsClassifier(EXPERTS, **parts)


def cases(n):
    """Every case: name -> (estimator, X, y)."""
    rng, X, eta = make(n)
    p = 1 / (1 + np.exp(-eta))
    y = eta + 0.3 * rng.standard_normal(n)
    outputs = np.column_stack([y, X[:, 0] + rng.standard_normal(n), rng.standard_normal(n) - y])
    trials = rng.integers(1, 20, n)
    successes = rng.binomial(trials, p)
    rival = X[:, :3] + eta[:, None] * [0, 1, -1]
    codes = (rival + rng.gumbel(size=rival.shape)).argmax(axis=1)
    gamma = rng.gamma(2, np.exp(eta))
    tree = HierarchicalMixtureOfExpertsRegressor
    return {
        "linear": (regressor(), X, y),
        "linear, 3 outputs": (regressor(), X, outputs),
        "linear, tied variance": (regressor(expert=LinearExpert(covariance_type="tied")), X, y),
        "constant": (regressor(expert="gaussian"), X, y),
        "student t": (regressor(expert="student_t"), X, y + 0.1 * rng.standard_t(2, n)),
        "laplace": (regressor(expert="laplace"), X, eta + 0.3 * rng.laplace(size=n)),
        "poisson": (regressor(expert="poisson"), X, rng.poisson(np.exp(eta))),
        "poisson, large": (regressor(expert="poisson"), X, rng.poisson(np.exp(eta + 9))),
        "negative binomial": (
            regressor(expert="negative_binomial"),
            X,
            rng.negative_binomial(2, 2 / (2 + np.exp(eta + 1))),
        ),
        "negative binomial, large": (
            regressor(expert="negative_binomial"),
            X,
            rng.negative_binomial(2, 2 / (2 + np.exp(eta + 9))),
        ),
        "gamma": (regressor(expert="gamma"), X, gamma),
        "gamma, inverse link": (regressor(expert=GammaExpert(link="inverse")), X, gamma),
        "binomial": (
            regressor(expert="binomial"),
            X,
            np.column_stack([successes, trials - successes]),
        ),
        "binomial, 0/1": (regressor(expert="binomial"), X, rng.binomial(1, p)),
        "list of linear and noise": (
            regressor(expert=["linear", "linear", "noise"]),
            X,
            y,
        ),
        "logistic, 2 classes": (classifier(expert="logistic"), X, codes > 0),
        "softmax, 3 classes": (classifier(), X, codes),
        "linear, 3 classes": (classifier(expert="linear"), X, codes),
        "constant gate": (regressor(gate="constant"), X, y),
        "gaussian gate": (regressor(gate="gaussian"), X, y),
        "gaussian gate, diag": (regressor(gate=GaussianGate("diag")), X, y),
        "gaussian gate, poisson": (
            regressor(gate="gaussian", expert="poisson"),
            X,
            rng.poisson(np.exp(eta)),
        ),
        "exponential family gate": (
            regressor(gate=ExponentialFamilyGate(["poisson"] + 9 * ["gaussian"])),
            np.column_stack([rng.poisson(np.exp(X[:, 0])), X[:, 1:]]),
            y,
        ),
        "least squares gate": (regressor(gate="least_squares"), X, y),
        "tree gate": (regressor(gate=TreeGate(structure=((0, 1), 2))), X, y),
        "tree of depth 2": (tree(2, 2), X, y),
        "tree, least squares": (tree(2, 2, gate="least_squares"), X, y),
        "mlp": (regressor(expert="mlp"), X, y),
        "mlp, adam": (regressor(expert=MLPExpert(solver="adam")), X, y),
        "mlp, 3 classes": (classifier(expert="mlp"), X, codes),
        "estimators": (regressor(expert=Ridge()), X, y),
    }


def iteration(estimator, X, y, count):
    """CPU seconds of an EM iteration, over `count` of them."""
    times = []
    estimator.set_params(solver="em", n_init=1, max_iter=count + 1, tol=0, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a fixed number of iterations
        estimator.fit(X, y, callback=lambda *step: times.append(time.process_time()))
    own = times[-count - 1 :]  # whatever came before are the starts'
    return (own[-1] - own[0]) / (len(own) - 1)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--iterations", type=int, default=10)
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="part of a name")
    options = parser.parse_args(argv)
    every = cases(options.rows)
    linear, ratios = every.pop("linear"), {}
    chosen = {
        name: case
        for name, case in every.items()
        if not options.only or any(part in name for part in options.only)
    }
    print(f"n = {options.rows:,}, p = {COLUMNS}, K = {EXPERTS}, solver='em', one thread")
    iteration(*linear, 1)  # compiles
    for name, case in chosen.items():
        iteration(*case, 1)
        pairs = [
            [iteration(*each, options.iterations) for each in (linear, case)]
            for _ in range(options.repeats)
        ]
        base, own = (1e3 * statistics.median(times) for times in zip(*pairs, strict=True))
        ratios[name] = statistics.median(pair[1] / pair[0] for pair in pairs)
        print(f"{name:26s} {own:8.2f} ms, linear {base:.2f} ms, ratio {ratios[name]:6.2f}")
    return ratios


if __name__ == "__main__":
    with threadpool_limits(1):
        main()
