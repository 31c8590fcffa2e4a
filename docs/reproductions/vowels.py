"""Four vowels and adaptive mixtures of local experts: the first table of mixtures of experts.

    python docs/reproductions/vowels.py --seeds 25 --path pb52.csv    # the measurements
    python docs/reproductions/vowels.py --seeds 25                    # simulated speakers

Jacobs, R. A., Jordan, M. I., Nowlan, S. J. & Hinton, G. E. (1991). Adaptive mixtures of local
experts. Neural Computation 3, 79-87, table 1. Data of Peterson & Barney (1952).

[i], [I], [a] and [A] (heed, hid, hod, hud) from the first two formants. Linear experts with unit
variance, one output a vowel, and a softmax gate climb the log-likelihood by the batch gradient from
small random values, until the mean squared error of the blended outputs is .08. The paper trains on
the first 50 speakers and tests on 25; in the order of the file that is mostly men against women and
children, so here the 50 are drawn at random and all others are tested on. Backpropagation:
networks of 6 and 12 sigmoid hidden units and sigmoid outputs, batch gradient of the squared error.
Every method has the longest step of one grid, common to all, with which the error falls in every
epoch of 50 runs on splits of their own. With longer steps the error swings: a run may then never
get to .08, or pass it by chance while it still takes many tokens for the wrong vowel.

The second table compares EM with the gradient: the same likelihood from the same start, and how
many passes over the data each needs.
"""

from __future__ import annotations

import numpy as np
from _report import command, fit_counted, spread, table
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupShuffleSplit
from sklearn.preprocessing import StandardScaler

from classic_moe import AdaptiveLocalExpertsClassifier
from classic_moe.datasets import load_peterson_barney, make_vowels
from classic_moe.experts import LinearExpert
from classic_moe.solvers import GradientAscent

VOWELS = ("i", "I", "A", "V")
GOAL = 0.08
STEPS = (0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0, 15.0)


def data(path):
    """The first two formants, the vowels and the speakers."""
    if path is None:
        X, y, speaker = make_vowels(vowels=VOWELS, random_state=0)
    else:
        table = load_peterson_barney(path, vowels=VOWELS)
        X, y, speaker = table.data, table.target, table.speaker
    return X[:, 1:3], y, speaker


def splits(X, y, speaker, n, random_state):
    """Standardised formants of 50 random speakers to train, and of the rest to test."""
    splitter = GroupShuffleSplit(n, train_size=50, random_state=random_state)
    for train, test in splitter.split(X, y, speaker):
        scaler = StandardScaler().fit(X[train])
        yield scaler.transform(X[train]), y[train], scaler.transform(X[test]), y[test]


def codes(y):
    return (y[:, None] == np.unique(y)).astype(float)


# --- adaptive mixtures of local experts


def small_values(n_experts, seed):
    """A random start with four outputs and two features, for `init_params`."""
    rng = np.random.default_rng(seed)
    draw = lambda *shape: rng.uniform(-0.5, 0.5, shape)  # noqa: E731
    return {
        "gate": {"coef": draw(n_experts, 2), "intercept": draw(n_experts)},
        "expert": {"coef": draw(n_experts, 4, 2), "intercept": draw(n_experts, 4)},
    }


def mixture(n_experts, seed, solver, epochs, variance=1.0):
    return AdaptiveLocalExpertsClassifier(
        n_experts,
        expert=LinearExpert(variance=variance, alpha=0),
        solver=solver,
        init_params=small_values(n_experts, seed),
        max_iter=epochs,
        tol=0,
    )


def blend(model, X):
    """Σ_k g_k(x) μ_k(x), (n, 4)."""
    return np.einsum("nk,nkc->nc", model.gate_proba(X), model.predict_experts(X))


def train_mixture(n_experts, step, split, seed, epochs):
    """Epochs to the goal (inf: not reached), the accuracies there, and whether the error swung."""
    X, y, X_test, y_test = split
    target, last, swings = codes(y), np.inf, False
    solver = GradientAscent(step, n_iter_no_change=epochs)  # goes on while it swings, as BP does
    model, path, *_ = fit_counted(mixture(n_experts, seed, solver, epochs), X, y)
    reached = np.inf
    for epoch, (_, params) in enumerate(path, start=1):
        model.params_ = params
        error = np.mean((target - blend(model, X)) ** 2)
        last, swings = error, swings or error > last
        if error <= GOAL:
            reached = epoch
            break
    return reached, model.score(X, y), model.score(X_test, y_test), swings


# --- backpropagation


def train_network(n_hidden, step, split, seed, epochs):
    """The same for a network with one hidden layer."""
    X, y, X_test, y_test = split
    target, classes = codes(y), np.unique(y)
    rng = np.random.default_rng(seed)
    weights = [rng.uniform(-0.5, 0.5, (3, n_hidden)), rng.uniform(-0.5, 0.5, (n_hidden + 1, 4))]
    one = lambda values: np.column_stack([np.ones(len(values)), values])  # noqa: E731
    reached, last, swings = np.inf, np.inf, False
    for epoch in range(epochs + 1):
        hidden = one(expit(one(X) @ weights[0]))
        output = expit(hidden @ weights[1])
        error = np.mean((target - output) ** 2)
        last, swings = error, swings or error > last
        if error <= GOAL:
            reached = epoch
            break
        slope = (target - output) * output * (1 - output) / len(X)
        below = (slope @ weights[1][1:].T) * hidden[:, 1:] * (1 - hidden[:, 1:])
        weights = [weights[0] + step * one(X).T @ below, weights[1] + step * hidden.T @ slope]

    def score(X, y):
        output = one(expit(one(X) @ weights[0])) @ weights[1]
        return np.mean(classes[output.argmax(axis=1)] == y)

    return reached, score(X, y), score(X_test, y_test), swings


SYSTEMS = {  # and the rows of the paper: train %, test %, epochs, standard deviation
    "4 experts": (train_mixture, 4, "88 / 90 %, 1124 (23)"),
    "8 experts": (train_mixture, 8, "88 / 90 %, 1083 (12)"),
    "BP, 6 hidden": (train_network, 6, "88 / 90 %, 2209 (83)"),
    "BP, 12 hidden": (train_network, 12, "88 / 90 %, 2435 (124)"),
}


def best_step(train, size, training, epochs, steps):
    """The longest step that gets to the goal on all `training` splits, the error always falling."""
    for step in sorted(steps, reverse=True):
        runs = (train(size, step, split, 1000 + s, epochs) for s, split in enumerate(training))
        if all(np.isfinite(reached) and not swings for reached, *_, swings in runs):
            return step
    raise ValueError(f"no step of {steps} gets to {GOAL} on all splits; take shorter ones.")


def first_table(table_of, seeds, epochs, tuning, systems, steps):
    results, rows = {}, []
    own = list(splits(*table_of, tuning, random_state=1000))
    for name in systems:
        train, size, paper = SYSTEMS[name]
        step = best_step(train, size, own, epochs, steps)
        runs = np.array(
            [
                train(size, step, split, seed, epochs)
                for seed, split in enumerate(splits(*table_of, seeds, random_state=0))
            ]
        )
        slow = np.array(
            [
                train(size, 1.0, split, seed, 4 * epochs)
                for seed, split in enumerate(splits(*table_of, min(seeds, 5), random_state=0))
            ]
        )
        results[name] = {"runs": runs, "step": step, "slow": slow}
        reached = np.isfinite(runs[:, 0])
        rows.append(
            [
                name,
                paper,
                f"{100 * runs[:, 1].mean():.1f} / {100 * runs[:, 2].mean():.1f} %",
                f"{100 * runs[:, 2].min():.1f} to {100 * runs[:, 2].max():.1f}",
                f"{reached.sum()} of {seeds}",
                f"{step:g}",
                spread(runs[:, 0], 0),
                spread(slow[:, 0], 0),
            ]
        )
    logistic = np.array(
        [
            [model.score(X, y), model.score(X_test, y_test)]
            for X, y, X_test, y_test in splits(*table_of, seeds, random_state=0)
            for model in [LogisticRegression(C=100).fit(X, y)]
        ]
    )
    softmax = np.array(
        [
            [model.score(X, y), model.score(X_test, y_test)]
            for X, y, X_test, y_test in splits(*table_of, min(seeds, 10), random_state=0)
            for model in [
                AdaptiveLocalExpertsClassifier(4, solver="auto", n_init=3, random_state=0).fit(X, y)
            ]
        ]
    )
    for name, runs in (("logistic regression", logistic), ("4 softmax experts, EM", softmax)):
        results[name] = {"runs": runs}
        rows.append(
            [
                name,
                "",
                f"{100 * runs[:, 0].mean():.1f} / {100 * runs[:, 1].mean():.1f} %",
                f"{100 * runs[:, 1].min():.1f} to {100 * runs[:, 1].max():.1f}",
                *4 * [""],
            ]
        )
    table(
        f"Four vowels, {seeds} splits by speaker",
        [
            "system",
            "paper: train / test, epochs (sd)",
            "ours: train / test, mean",
            "test, range",
            "reached .08",
            "best step",
            "epochs",
            "epochs at step 1",
        ],
        rows,
    )
    if {"4 experts", "BP, 6 hidden"} <= set(systems):
        median = [
            [np.median(results[name][runs][:, 0]) for runs in ("runs", "slow")]
            for name in ("BP, 6 hidden", "4 experts")
        ]
        best, same = np.divide(*median)
        print(f"\nEpochs of BP (6) to those of 4 experts: {best:.1f}, and {same:.0f} at step 1")
    return results


def second_table(table_of, seeds, epochs, steps):
    """Passes that EM needs to the log-likelihood that `epochs` passes of the gradient reach."""
    results, rows = {}, []
    for variance in (1.0, 0.1):
        # the largest stable step: curvature grows with 1 / variance
        grid = [step * variance for step in steps]
        counts, gradient_counts, chosen, falls = [], [], [], []
        for seed, (X, y, *_) in enumerate(splits(*table_of, seeds, random_state=0)):
            climbs = {}
            for step in grid:
                model = mixture(4, seed, GradientAscent(step), epochs, variance).fit(X, y)
                climbs[step] = model.learning_curve_["objective"]
            step = max(climbs, key=lambda step: climbs[step][-1])
            level = climbs[step][-1]
            em = mixture(4, seed, "em", epochs, variance).fit(X, y)
            reached = em.lower_bounds_ >= level - 1e-9 * abs(level)
            counts.append(np.argmax(reached) if reached.any() else np.inf)
            gradient_counts.append(np.argmax(climbs[step] >= level - 1e-9 * abs(level)))
            chosen.append(step)
            falls.append(np.maximum(-np.diff(em.lower_bounds_), 0).max())
        ratios = np.array(gradient_counts) / np.array(counts)
        results[variance] = {"ratio": ratios, "em": np.array(counts), "fall": max(falls)}
        finite = np.array(counts)[np.isfinite(counts)]
        rows.append(
            [
                f"{variance:g}",
                f"{np.median(chosen):g}",
                spread(gradient_counts, 0),
                spread(finite, 0) if len(finite) else "-",
                f"{np.isfinite(counts).sum()} of {seeds}",
                spread(ratios, 1),
                f"{max(falls):.0e}",
            ]
        )
    table(
        f"EM against the gradient: passes to the same log-likelihood, 4 experts, {seeds} splits",
        [
            "σ²",
            "gradient: best step",
            "its passes",
            "EM: passes",
            "EM got there",
            "ratio",
            "largest fall of EM",
        ],
        rows,
    )
    print("\nJordan & Jacobs (1994) speak of two orders of magnitude on the robot arm.")
    return results


def main(seeds=25, path=None, epochs=400, tuning=50, systems=tuple(SYSTEMS), steps=STEPS):
    table_of = data(path)
    print(f"{'Simulated speakers' if path is None else 'Measurements'}, {len(table_of[0])} tokens")
    first = first_table(table_of, seeds, epochs, tuning, systems, steps)
    return first, second_table(table_of, min(seeds, 10), epochs, steps)


if __name__ == "__main__":
    command(main)
