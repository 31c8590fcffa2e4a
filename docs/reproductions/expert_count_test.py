"""How often the bootstrap test of K experts against K + 1 rejects, at 5 %.

    python docs/reproductions/expert_count_test.py --simulations 1000

McLachlan, G. J. (1987). On bootstrapping the likelihood ratio test statistic for the number of
components in a normal mixture. Applied Statistics 36, 318-324.

He tests mixtures of normals of one variable; here the components are lines. A test is as it should
be if it rejects one in twenty true hypotheses. Simulations count from `--first`, each with a random
state of its own, so that several runs may share them. With B = 99 a test rejects at 5 % if at most
four of the resampled statistics reach the observed one; so it ends with the fifth (`stop_after`),
which changes no decision.
"""

from __future__ import annotations

import sys

import numpy as np
from _report import command, table

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.experts import LinearExpert
from classic_moe.gates import SoftmaxGate
from classic_moe.inference import bootstrap_likelihood_ratio_test

LEVEL = 0.05
DESIGNS = {
    "one": (1, "softmax", 0.0),
    "one, constant gate": (1, "constant", 0.0),
    "two": (2, "constant", 6.0),
    "gap 2": (1, "softmax", 2.0),
    "gap 3": (1, "softmax", 3.0),
    "gap 4": (1, "softmax", 4.0),
}
"""Experts of the hypothesis, the gate, and the distance of two parallel lines, in standard
deviations of the noise, from which half of the rows come each; 0 is one line."""


def simulate(design, rows, seed):
    """Return X (n, 1) and y (n,) of a design."""
    rng = np.random.RandomState(seed)
    X = rng.standard_normal((rows, 1))
    side = rng.permutation(rows) < rows // 2
    return X, 1 + X[:, 0] + DESIGNS[design][2] * side + rng.standard_normal(rows)


def rejects(design, rows, resamples, seed):
    """Return whether the test rejects at 5 % on one simulated data set."""
    K, gate, _ = DESIGNS[design]
    X, y = simulate(design, rows, seed)
    gate = SoftmaxGate("weak") if gate == "softmax" else gate
    model = MixtureOfExpertsRegressor(K, gate=gate, expert=LinearExpert("weak"), random_state=seed)
    model.fit(X, y)
    most = int(LEVEL * (resamples + 1) + 1e-9)
    result = bootstrap_likelihood_ratio_test(
        model, X, y, n_resamples=resamples, stop_after=most, random_state=seed
    )
    return result.pvalue <= LEVEL


def main(
    simulations=1000, power=200, rows=100, resamples=99, first=0, only="", designs=tuple(DESIGNS)
):
    found = {}
    for design in [only] if only else designs:
        true = DESIGNS[design][2] == 0 or DESIGNS[design][0] == 2
        n, count = simulations if true else power, 0
        for done, seed in enumerate(range(first, first + n), 1):
            count += rejects(design, rows, resamples, seed)
            if done % 50 == 0:
                print(f"{design}: {count} of {done} rejected", file=sys.stderr, flush=True)
        found[design] = count, n
    lines = []
    for design, (count, n) in found.items():
        K, gate, gap = DESIGNS[design]
        rate = count / n
        error = np.sqrt(rate * (1 - rate) / n)
        truth = "one line" if gap == 0 else f"two lines, {gap:g} sd apart"
        lines.append(
            [truth, f"{K} against {K + 1}", gate, f"{count} of {n}", f"{rate:.3f}", f"{error:.3f}"]
        )
    table(
        f"Rejections at 5 %, {rows} rows, B = {resamples}",
        ["truth", "test", "gate", "rejected", "rate", "standard error"],
        lines,
    )
    return found


if __name__ == "__main__":
    command(main)
