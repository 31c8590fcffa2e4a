"""From one network to many: sparse upcycling on the robot arm.

    python docs/reproductions/upcycling.py --seeds 3

Komatsuzaki, A. et al. (2023). Sparse upcycling: training mixture-of-experts from dense checkpoints.
International Conference on Learning Representations.

A network of 12 units is trained for 40 epochs. Eight copies of it, two of them for a row, beside a
small random gate, predict at first as it does; they are trained on and compared with as many
experts from random weights, and with the network itself trained on. Adam, batches of 100 rows, a
rate that falls from 0.01 to 0 over the epochs of a fit; every entry is a fit of its own. The paper
is about language and images; its claim is that after few more steps the copies are ahead of both.
"""

from __future__ import annotations

import numpy as np
from _report import command, spread, table

from classic_moe import SparseMixtureOfExpertsRegressor
from classic_moe.datasets import make_robot_arm
from classic_moe.experts import MLPExpert
from classic_moe.solvers import Adam

N_EXPERTS, UNITS = 8, 12


def fit(X, y, n_experts, epochs, seed, start="quantile"):
    model = SparseMixtureOfExpertsRegressor(
        n_experts,
        combine="blend",
        expert=MLPExpert((UNITS,)),
        solver=Adam(learning_rate=0.01, batch_size=100),
        max_iter=epochs,
        init_params=start,
        random_state=seed,
    )
    return model.fit(X, y)


def main(seeds=3, rows=4000, dense_epochs=40, further=(1, 3, 5, 10, 20)):
    results = {}
    for seed in range(seeds):
        X, y = make_robot_arm(3 * rows // 2, random_state=seed)[:2]
        train, test = slice(0, rows), slice(rows, None)
        deviation = np.sum((y[test] - y[test].mean(axis=0)) ** 2)

        def note(name, model, X=X[test], y=y[test], deviation=deviation):
            error = np.sum((y - model.predict(X)) ** 2) / deviation
            results.setdefault(name, []).append(error)

        own = X[train], y[train]
        dense = fit(*own, 1, dense_epochs, seed)
        note("dense", dense)
        note("scratch in all", fit(*own, N_EXPERTS, dense_epochs + further[-1], seed))
        for epochs in further:
            note(f"dense + {epochs}", fit(*own, 1, epochs, seed, dense))
            note(f"upcycled + {epochs}", fit(*own, N_EXPERTS, epochs, seed, dense))
            note(f"scratch + {epochs}", fit(*own, N_EXPERTS, epochs, seed))
    table(
        f"Robot arm, {rows} rows, {seeds} seeds; relative error on other rows",
        ["further epochs", "the network", f"{N_EXPERTS} copies", f"{N_EXPERTS} from random"],
        [[0, spread(results["dense"]), spread(results["dense"]), ""]]
        + [
            [n, *(spread(results[f"{name} + {n}"]) for name in ("dense", "upcycled", "scratch"))]
            for n in further
        ]
        + [[f"{dense_epochs + further[-1]} in all", "", "", spread(results["scratch in all"])]],
    )
    return results


if __name__ == "__main__":
    command(main)
