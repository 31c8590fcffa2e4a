"""Fifteen papers' routing rules by name: loads with and without balancing, and errors.

    python docs/reproductions/presets.py

Every preset of `classic_moe.routing.PRESETS` on the robot arm: 16 experts (also where the paper has
others), 4,000 rows to train and 2,000 to test, four outputs, or which quarter the first of them is
in. Experts are networks of 8 units, trained for 20 epochs by the default of a blend. A load
imbalance is max/mean - 1 of the rows of the fit, as they are routed in predictions; "free" is the
same router and shared experts with balance="none" and capacity_factor="none". An expert is unused
if it has less than a tenth of an equal share. `hash` hashes a column that says in which of 23
places a row was written down, which tells nothing. These are experts of classical size: what the
papers report of language and images is not at stake here.
"""

from __future__ import annotations

import numpy as np
from _report import command, table

from classic_moe import SparseMixtureOfExpertsClassifier, SparseMixtureOfExpertsRegressor
from classic_moe.datasets import make_robot_arm
from classic_moe.experts import MLPExpert
from classic_moe.routing import PRESETS

UNITS, PLACES = 8, 23


def data(rows, seed):
    X, y = make_robot_arm(3 * rows // 2, random_state=seed)[:2]
    X = np.column_stack([X, np.arange(len(X)) % PLACES])
    quarter = np.digitize(y[:, 0], np.quantile(y[:rows, 0], [0.25, 0.5, 0.75]))
    return X, y, quarter


def fit(kind, name, X, y, seed, epochs, free):
    options = dict(balance="none", capacity_factor="none") if free else {}
    if name == "hash":
        options["hash_features"] = [X.shape[1] - 1]
    p = X.shape[1] - 1
    model = kind(
        16,
        router=name,
        combine="blend",
        expert=MLPExpert((UNITS,)),
        gate_features=np.arange(p),
        expert_features=np.arange(p),
        max_iter=epochs,
        random_state=seed,
        **options,
    )
    return model.fit(X, y)


def main(part="both", rows=4000, seed=0, epochs=20, names=tuple(PRESETS)):
    X, y, quarter = data(rows, seed)
    train, test = slice(0, rows), slice(rows, None)
    tasks = {
        "regression": (SparseMixtureOfExpertsRegressor, y),
        "classification": (SparseMixtureOfExpertsClassifier, quarter),
    }
    tasks = {task: found for task, found in tasks.items() if part in ("both", task)}
    results = {}

    def line(name, task, kind, y):
        for label in ("free", "balanced"):
            own = X[train], y[train], seed, epochs
            model = fit(kind, name, *own, free=label == "free")
            found = model.predict(X[test])
            if task == "regression":
                deviation = np.sum((y[test] - y[test].mean(axis=0)) ** 2)
                error = np.sum((y[test] - found) ** 2) / deviation
            else:
                error = np.mean(found != y[test])
            unused = model.n_experts_ - model.n_active_experts_
            results[name, task, label] = model.load_imbalance_, error, unused
        free, own = (results[name, task, label] for label in ("free", "balanced"))
        numbers = [f"{free[0]:.2f}", f"{own[0]:.2f}", f"{free[1]:.3f}", f"{own[1]:.3f}"]
        return [f"`{name}`", *numbers, free[2], own[2]]

    for task, (kind, target) in tasks.items():
        error = "relative error" if task == "regression" else "wrong labels"
        headers = ["preset", "imbalance, free", "imbalance", f"{error}, free", error]
        table(
            f"Presets, {task}, 16 experts, {rows} rows, {epochs} epochs",
            [*headers, "unused, free", "unused"],
            (line(name, task, kind, target) for name in names),
        )
    return results


if __name__ == "__main__":
    command(main)
