"""Random small problems whose penalties are to be found, and whether their evidence ever falls.

One integer is one problem: a fit with `alpha="auto"`, of any family with second derivatives, with
clean or awkward rows. Run as a program it tries many and counts:

    python tests/helpers/evidence_problems.py 0 1000
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections import Counter

import numpy as np

from classic_moe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor, experts
from classic_moe.gates import SoftmaxGate, TreeGate

FAMILIES = {
    "linear": lambda rng: experts.LinearExpert("auto", str(rng.choice(["weak", "auto"]))),
    "linear without a prior": lambda rng: experts.LinearExpert("auto", 0.0),
    "linear of another": lambda rng: experts.LinearExpert(
        "auto", "auto", covariance_type=str(rng.choice(["tied", "diag", "spherical"]))
    ),
    "linear of weak slopes": lambda rng: experts.LinearExpert("weak", "auto"),
    "gaussian": lambda rng: experts.GaussianExpert(variance_prior="auto"),
    "student_t": lambda rng: experts.StudentTExpert(alpha="auto", variance_prior="auto"),
    "poisson": lambda rng: experts.PoissonExpert("auto"),
    "negative_binomial": lambda rng: experts.NegativeBinomialExpert("auto"),
    "gamma": lambda rng: experts.GammaExpert(alpha="auto"),
    "logistic": lambda rng: experts.LogisticExpert("auto"),
    "softmax": lambda rng: experts.SoftmaxExpert("auto"),
}
SHARES = np.array([6, 2, 2, 1, 1, 2, 2, 1, 1, 2, 2])
GATES = {
    "softmax": lambda: SoftmaxGate("auto"),
    "softmax of a number": lambda: SoftmaxGate(0.1),
    "constant": lambda: "constant",
    "gaussian": lambda: "gaussian",
    "tree": lambda: TreeGate(SoftmaxGate("auto"), structure=((0, 1), 2)),
}
AWKWARD = (
    "clean",
    "copied column",
    "constant column",
    "outliers",
    "few rows",
    "no noise",
    "weights",
)


def target(family, mean, noise, rng):
    """Return y of a family around a mean (n,)."""
    n = len(mean)
    if family == "poisson":
        return rng.poisson(np.exp(np.clip(mean, -5, 5)))
    if family == "negative_binomial":
        return rng.poisson(rng.gamma(2.0, np.exp(np.clip(mean, -5, 5)) / 2))
    if family == "gamma":
        return rng.gamma(3.0, np.exp(np.clip(mean, -5, 5)) / 3) + 1e-3
    if family == "logistic":
        y = (mean + noise * rng.standard_normal(n) > 0).astype(int)
        y[:2] = 0, 1
        return y
    if family == "softmax":
        y = np.digitize(mean + noise * rng.standard_normal(n), [-0.7, 0.7])
        y[:3] = 0, 1, 2
        return y
    return mean + noise * rng.standard_normal(n)


def draw(seed):
    """Return an unfitted estimator, X, y and the weights of a problem, and what it is in words."""
    rng = np.random.default_rng(seed)
    family = str(rng.choice(list(FAMILIES), p=SHARES / SHARES.sum()))
    gate = str(rng.choice(list(GATES), p=[0.5, 0.1, 0.15, 0.1, 0.15]))
    kind = str(rng.choice(AWKWARD))
    K = 3 if gate == "tree" else int(rng.integers(1, 5))
    p, n = int(rng.integers(1, 5)), int(rng.integers(16, 80))
    if kind == "few rows":
        n = int(rng.integers(8, 16))
    X = rng.standard_normal((n, p)) * 10 ** rng.uniform(-2, 2, p)
    inner = (X - X.mean(axis=0)) / X.std(axis=0)
    lines = rng.standard_normal((3, p)) * (rng.random((3, p)) < 0.6)
    scores = rng.choice([0.5, 2.0, 20.0]) * inner @ rng.standard_normal((p, 3))
    which = (scores + rng.gumbel(size=scores.shape)).argmax(axis=1)
    mean = (inner @ lines.T + rng.standard_normal(3))[np.arange(n), which]
    noise = 1e-6 if kind == "no noise" else 10 ** rng.uniform(-1.5, 0.5)
    y = target(family, mean, noise, rng)
    if kind == "copied column":
        X = np.column_stack([X, X[:, 0]])
    elif kind == "constant column":
        X[:, 0] = 3.0
    elif kind == "outliers" and np.issubdtype(y.dtype, np.floating):
        y[: n // 20] *= 10
    if family == "linear of another":
        y = np.column_stack([y, mean + rng.standard_normal(n)])
    weight = rng.integers(0, 4, n) + (np.arange(n) < 3) if kind == "weights" else None
    options = dict(gate=GATES[gate](), random_state=seed, n_init=1)
    estimator = MixtureOfExpertsRegressor
    if family in ("logistic", "softmax"):
        estimator = MixtureOfExpertsClassifier
    model = estimator(K, expert=FAMILIES[family](rng), **options)
    return model, X, y, weight, f"{family}, {gate}, {kind}, K = {K}, p = {X.shape[1]}, n = {n}"


def examine(seed):
    """Return the fit of a problem, what it is in words, and its largest fall of the evidence."""
    model, X, y, weight, words = draw(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X, y, weight)
    if not hasattr(model, "evidence_path_"):
        raise ValueError(getattr(model, "evidence_missing_", "no penalties to be found"))
    return model, words, -float(np.diff(model.evidence_path_).min(initial=0.0))


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("first", type=int)
    parser.add_argument("end", type=int)
    options = parser.parse_args(argv)
    begin, refused, falls, lengths = time.process_time(), Counter(), [], []
    for seed in range(options.first, options.end):
        try:
            model, words, fall = examine(seed)
        except ValueError as error:
            refused[str(error)[:100]] += 1
            continue
        lengths.append(len(model.evidence_path_))
        if (seed + 1) % 100 == 0:
            print(f"{len(lengths)} fits, {len(falls)} with a fall", file=sys.stderr, flush=True)
        if fall > 0:
            falls.append(fall)
            print(f"problem {seed} ({words}): falls by {fall:.3g}", flush=True)
    for reason, count in refused.items():
        print(f"refused {count} times: {reason}")
    print(
        f"{len(lengths)} fits, {len(falls)} with a fall, {max(falls, default=0.0):.3g} at most;"
        f" {np.mean(lengths):.1f} values a path; {time.process_time() - begin:.0f} s"
    )
    return falls


if __name__ == "__main__":
    main()
