"""
Small networks as experts
=========================

A linear expert is straight, so a curve takes several. An :class:`~classic_moe.experts.MLPExpert`
bends, and fewer of them suffice: here two networks of four hidden units follow the motorcycle
data, which two lines cannot. The price is that a network has no coefficient that one could
explain.
"""

# %%
# Networks have many optima, so in earnest more starts than these two are tried.

import matplotlib.pyplot as plt

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.datasets import load_motorcycle
from classic_moe.experts import MLPExpert
from classic_moe.inspection import ExpertCurvesDisplay

X, y = load_motorcycle(return_X_y=True)
network = MixtureOfExpertsRegressor(
    2, expert=MLPExpert((4,), alpha=0.01), n_init=2, tol=1e-4, random_state=0
).fit(X, y)
lines = MixtureOfExpertsRegressor(2, random_state=0).fit(X, y)

# %%
# Two networks beside two lines.

figure, axes = plt.subplots(1, 2, figsize=(12, 4.5), layout="constrained")
for ax, model, title in zip(axes, (network, lines), ("two networks", "two lines")):
    ExpertCurvesDisplay.from_estimator(
        model, X, y, ax=ax, feature_name="time (ms)", target_name="acceleration (g)"
    )
    ax.set_title(title)
