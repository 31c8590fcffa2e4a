"""Draws routing_loads.png and routing_map.png for docs/routing.md; run it from anywhere:
python docs/images/make_routing.py

Blends of lines on data with a line in each of many cells: the loads without and with an auxiliary
loss, and where the rows of blends of eight lines go.
"""

from pathlib import Path

from matplotlib.figure import Figure

from classic_moe import SparseMixtureOfExpertsRegressor
from classic_moe.datasets import make_voronoi_pieces
from classic_moe.inspection import BalanceCurveDisplay, ExpertLoadDisplay, RoutingMapDisplay
from classic_moe.routing import AuxiliaryLoss, TopKRouter
from classic_moe.solvers import Adam

HERE = Path(__file__)
RULES = {"no balancing": None, "auxiliary loss, weight 0.3": AuxiliaryLoss(0.3)}


def blend(n_experts, n_pieces, seed, **options):
    """A blend of lines on its 2,000 rows, and these."""
    X, y = make_voronoi_pieces(2000, n_pieces=n_pieces, random_state=seed)
    solver = Adam(0.03, batch_size=128)
    common = dict(combine="blend", solver=solver, max_iter=60, random_state=0)
    return SparseMixtureOfExpertsRegressor(n_experts, **common | options).fit(X, y), X


def draw_loads():
    figure = Figure(figsize=(10, 6), layout="constrained")
    axes = figure.subplots(2, 2)
    for (above, below), (name, term) in zip(axes.T, RULES.items(), strict=True):
        model, X = blend(16, 16, 3, balance=term)
        BalanceCurveDisplay.from_estimator(model, kind="loads", ax=above)
        ExpertLoadDisplay.from_estimator(model, X, ax=below)
        above.set_title(name)
        below.set_ylim(0, 0.3)
    figure.savefig(HERE.with_name("routing_loads.png"), dpi=110)


def draw_map():
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    balance = AuxiliaryLoss(0.1)
    model, X = blend(8, 8, 2, balance=balance)
    RoutingMapDisplay.from_estimator(model, X, ax=left, data_kw={"s": 2})
    left.set_title("two experts a row")
    options = dict(router=TopKRouter(1, weight="raw"), n_shared=1, capacity_factor=2.0)
    model, X = blend(8, 8, 2, **options)
    display = RoutingMapDisplay.from_estimator(
        model, X, ax=right, data_kw={"s": 2}, cross_kw={"s": 12}
    )
    display.ax_.set_title("one expert a row, capacity factor 2")
    figure.savefig(HERE.with_name("routing_map.png"), dpi=110)


if __name__ == "__main__":
    draw_loads()
    draw_map()
