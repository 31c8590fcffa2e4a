"""
Gates with curved borders
=========================

A softmax gate draws straight borders. A Gaussian gate gives every expert a region, a normal
density of x, and borders where two such densities are equal: circles, ellipses, hyperbolas. Where
one regime sits in the middle of another it does with two experts what straight borders cannot do.
"""

# %%
# Inside a disc the response rises with the first column, outside it falls.

import matplotlib.pyplot as plt
import numpy as np

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.inspection import GateRegionDisplay

rng = np.random.default_rng(0)
X = rng.normal(scale=1.5, size=(500, 2))
inside = (X**2).sum(axis=1) < 1.7
y = np.where(inside, 3 + X[:, 0], -2 * X[:, 0]) + 0.2 * rng.standard_normal(500)

# %%
# The log-likelihood is that of y given x for both gates, so that the two numbers compare.

figure, axes = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
for ax, gate in zip(axes, ("softmax", "gaussian")):
    model = MixtureOfExpertsRegressor(2, gate=gate, random_state=0).fit(X, y)
    GateRegionDisplay.from_estimator(
        model, X, y, ax=ax, feature_names=["first column", "second column"]
    )
    ax.set_title(f"{gate} gate, log-likelihood {model.log_likelihood_:.0f}")
