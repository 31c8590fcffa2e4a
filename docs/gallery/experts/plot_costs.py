"""
Costs: spread in proportion to the mean
=======================================

Costs and durations are positive, and large ones spread more. A gamma expert has a variance of μ²
/ s, so its band opens with the mean and never goes below zero. A linear expert has one spread,
whatever its mean, and so a band that is too wide where its costs are low.
"""

# %%
# Two tariffs, of which the second sets in at high use.

import matplotlib.pyplot as plt
import numpy as np

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.inspection import ExpertCurvesDisplay

rng = np.random.default_rng(1)
use = rng.uniform(0, 4, (400, 1))
dear = rng.random(400) < 1 / (1 + np.exp(-4 * (use[:, 0] - 2)))
mean = np.exp(np.where(dear, 3.2 - 0.2 * use[:, 0], 0.5 + 0.6 * use[:, 0]))
cost = rng.gamma(8, mean / 8)

# %%
# The same mixture with the two families. Both likelihoods are of the same data, so that BIC
# compares them.

figure, axes = plt.subplots(1, 2, figsize=(11, 4.5), sharey=True, layout="constrained")
for ax, expert in zip(axes, ("gamma", "linear")):
    model = MixtureOfExpertsRegressor(2, expert=expert, random_state=0).fit(use, cost)
    ExpertCurvesDisplay.from_estimator(
        model, use, cost, ax=ax, feature_name="use (MWh)", target_name="cost (thousand €)"
    )
    ax.set_title(f"{expert} experts, BIC {model.bic(use, cost):.0f}")
