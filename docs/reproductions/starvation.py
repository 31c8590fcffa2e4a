"""Why experts starve in a sparse mixture trained by gradients, and what balancing repairs.

    python docs/reproductions/starvation.py --seeds 3

Shazeer, N. et al. (2017). Outrageously large neural networks: the sparsely-gated
mixture-of-experts layer. International Conference on Learning Representations.

An expert that is chosen learns, and is chosen more. 16 linear experts, two of them a row, on a
plane of 16 pieces, the likelihood of the mixture climbed by Adam on minibatches from a random
start; each rule of routing by its loads and by -log p of rows that it has not seen. The best that
can be had is what EM finds with all experts.
"""

from __future__ import annotations

import numpy as np
from _report import command, spread, table

from classic_moe import MixtureOfExpertsRegressor, SparseMixtureOfExpertsRegressor
from classic_moe.datasets import make_voronoi_pieces
from classic_moe.routing import (
    AuxiliaryLoss,
    BiasBalancing,
    ExpertChoiceRouter,
    ImportanceLoss,
    LoadLoss,
    TopKRouter,
    ZLoss,
)
from classic_moe.solvers import Adam

TOP = TopKRouter(2)
RULES = {
    "no balancing": dict(router=TOP),
    "z-loss .001": dict(router=TOP, balance=ZLoss(0.001)),
    "noise, learned": dict(router=TopKRouter(2, noise="learned")),
    "noise, importance .1, load .1": dict(
        router=TopKRouter(2, noise="learned"), balance=[ImportanceLoss(0.1), LoadLoss(0.1)]
    ),
    "auxiliary .01": dict(router=TOP, balance=AuxiliaryLoss(0.01)),
    "auxiliary .1": dict(router=TOP, balance=AuxiliaryLoss(0.1)),
    "auxiliary 1": dict(router=TOP, balance=AuxiliaryLoss(1.0)),
    "bias .001": dict(router=TOP, balance=BiasBalancing(0.001)),
    "bias .01": dict(router=TOP, balance=BiasBalancing(0.01)),
    "bias, automatic": dict(router=TOP, balance=BiasBalancing()),
    "expert choice, 2 a row": dict(router=ExpertChoiceRouter(2.0)),
    "capacity 1": dict(router=TOP, capacity_factor=1.0),
    "capacity 1, auxiliary .1": dict(router=TOP, capacity_factor=1.0, balance=AuxiliaryLoss(0.1)),
    "capacity 1, next best": dict(router=TOP, capacity_factor=1.0, overflow="next"),
}
UNUSED = 0.001
"""Share of an equal load below which an expert counts as unused."""


def loads(route):
    """Return the largest load over the mean, and how many experts are unused."""
    load = np.asarray((route.toarray() > 0).sum(axis=0), dtype=float)
    return load.max() / load.mean(), int((load < UNUSED * load.mean()).sum())


def main(seeds=3, rows=4000, n_experts=16, epochs=40, rate=0.04, rules=tuple(RULES), em=1):
    results = {name: [] for name in rules}
    for seed in range(seeds):
        X, y = make_voronoi_pieces(
            2 * rows, n_pieces=n_experts, sharpness=1e8, random_state=100 + seed
        )
        X, X_new, y, y_new = X[:rows], X[rows:], y[:rows], y[rows:]
        options = dict(init_params="random", random_state=seed, max_iter=epochs)
        solver = Adam(learning_rate=rate, batch_size=128)
        for name in rules:
            rule = dict(RULES[name], solver=solver)
            model = SparseMixtureOfExpertsRegressor(n_experts, **rule, **options).fit(X, y)
            error = np.mean((y_new - model.predict(X_new)) ** 2) / y_new.var()
            nll, dropped = -model.log_prob(X_new, y_new).mean(), model.dropped_fraction_
            results[name].append((nll, error, *loads(model.route(X_new)), dropped))
        if em:
            dense = MixtureOfExpertsRegressor(n_experts, n_init=5, random_state=seed).fit(X, y)
            error = np.mean((y_new - dense.predict(X_new)) ** 2) / y_new.var()
            found = -dense.log_prob(X_new, y_new).mean(), error, np.nan, np.nan, np.nan
            results.setdefault("all experts, EM", []).append(found)
    headers = "rule", "-log p a row", "relative error", "load, max/mean", "unused", "dropped"
    table(
        f"{n_experts} lines, {rows} rows, {epochs} epochs, medians of {seeds} seeds",
        headers,
        [(name, *_entries(np.array(found))) for name, found in results.items()],
    )
    return results


def _entries(found):
    """Return the entries of a row of the table; blanks for what a fit has not."""
    digits = (2, 3, 2, 0, 3)
    return [
        "" if np.isnan(column).all() else spread(column, d)
        for column, d in zip(found.T, digits, strict=True)
    ]


if __name__ == "__main__":
    command(main)
