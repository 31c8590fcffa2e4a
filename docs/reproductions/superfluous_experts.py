"""How many of eight experts are left where three lines are the truth.

    python docs/reproductions/superfluous_experts.py --simulations 50

MacKay, D. J. C. (1992). Bayesian interpolation. Neural Computation 4, 415-447.

His automatic penalties take from a model what the data do not ask for. Here these are whole
experts: 800 rows in two columns come from three lines, which a softmax gate chooses, and eight
experts are fitted. Counted are the lines that are left: experts with at least 1 % of the weight, of
which two are one if their lines are within half a standard deviation of the noise on the rows that
they share.
"""

from __future__ import annotations

import sys

import numpy as np
from _report import command, table

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.experts import LinearExpert
from classic_moe.gates import SoftmaxGate

TRUTH, NOISE, LEAST_WEIGHT = 3, 0.3, 0.01
WAYS = {"auto": ("auto", "weak"), "auto, variance too": ("auto", "auto"), "weak": ("weak", "weak")}
"""Penalties of gate and experts, and the prior of the variances."""


def simulate(rows, seed):
    """Return X (n, 2) and y (n,) of three lines, each with a region of its own."""
    rng = np.random.RandomState(seed)
    X = rng.standard_normal((rows, 2))
    angles = 2 * np.pi * (np.arange(TRUTH) / TRUTH + rng.uniform())
    scores = 4 * X @ np.array([np.cos(angles), np.sin(angles)])
    which = (scores + rng.gumbel(size=scores.shape)).argmax(axis=1)
    lines, levels = 1.5 * rng.standard_normal((2, TRUTH)), rng.standard_normal(TRUTH)
    means = X @ lines + levels
    return X, means[np.arange(rows), which] + NOISE * rng.standard_normal(rows)


def lines_left(model, X):
    """Return how many lines of a fit differ, of the experts with some weight."""
    gate, means = model.gate_proba(X), model.predict_experts(X)
    groups = []
    for k in np.flatnonzero(model.weights_ >= LEAST_WEIGHT):
        for group in groups:
            shared = gate[:, k] * gate[:, group].sum(axis=1)
            apart = np.average((means[:, k] - means[:, group[0]]) ** 2, weights=shared)
            if apart < (NOISE / 2) ** 2:
                group.append(k)
                break
        else:
            groups.append([k])
    return len(groups)


def fitted(way, n_experts, X, y, seed):
    """Return the fit of so many experts in one of the ways."""
    alpha, variance = WAYS[way]
    parts = dict(expert=LinearExpert(alpha, variance), gate=SoftmaxGate(alpha))
    return MixtureOfExpertsRegressor(n_experts, **parts, random_state=seed).fit(X, y)


def main(simulations=50, experts=8, rows=800, first=0, only="", ways=tuple(WAYS)):
    ways = [only] if only else ways
    found = {way: [] for way in ways}
    weights = {way: [] for way in ways}
    for done, seed in enumerate(range(first, first + simulations), 1):
        X, y = simulate(rows, seed)
        for way in ways:
            model = fitted(way, experts, X, y, seed)
            found[way].append(lines_left(model, X))
            weights[way].append(int((model.weights_ >= LEAST_WEIGHT).sum()))
        if done % 5 == 0:
            print(f"{done}: {found}", file=sys.stderr, flush=True)
    lines = [
        [
            way,
            f"{each.count(TRUTH)} of {len(each)}",
            " ".join(f"{k}: {each.count(k)}" for k in sorted(set(each))),
            " ".join(f"{k}: {weights[way].count(k)}" for k in sorted(set(weights[way]))),
        ]
        for way, each in found.items()
    ]
    table(
        f"{experts} experts on {TRUTH} lines, {rows} rows",
        ["penalties", "three lines left", "lines left: fits", "experts with weight: fits"],
        lines,
    )
    return found


if __name__ == "__main__":
    command(main)
