"""
Why experts starve
==================

Trained by gradients, an expert that is chosen learns, and is chosen more. Of sixteen lines for
sixteen cells most end without rows. A balance term costs experts that have too many rows, and the
loads stay level. Above, the loads epoch by epoch; below, those at the end beside an equal share.
"""

# %%
# Blends of lines, two for a row, without a balance term and with one.

import matplotlib.pyplot as plt

from classic_moe import SparseMixtureOfExpertsRegressor
from classic_moe.datasets import make_voronoi_pieces
from classic_moe.inspection import BalanceCurveDisplay, ExpertLoadDisplay
from classic_moe.routing import AuxiliaryLoss
from classic_moe.solvers import Adam

X, y = make_voronoi_pieces(1500, n_pieces=16, random_state=3)
options = dict(combine="blend", solver=Adam(0.03, batch_size=128), max_iter=30, random_state=0)

# %%
# Equal loads are no virtue in themselves; unused experts are a fault of training.

figure, axes = plt.subplots(2, 2, figsize=(11, 6.5), layout="constrained")
terms = {"no balance": None, "auxiliary loss": AuxiliaryLoss(0.3)}
for (above, below), (name, term) in zip(axes.T, terms.items()):
    model = SparseMixtureOfExpertsRegressor(16, balance=term, **options).fit(X, y)
    BalanceCurveDisplay.from_estimator(model, kind="loads", ax=above)
    ExpertLoadDisplay.from_estimator(model, X, ax=below)
    above.set_title(f"{name}: {model.n_active_experts_} experts are used")
    below.set_ylim(0, 0.5)
