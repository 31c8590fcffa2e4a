"""
Where every start ended
=======================

The likelihood of a mixture has many maxima, so a fit climbs from several starts. Each line is a
climb, from the end of its short first run to where it was left; the best is at the top. When
several climbs meet there it is a good sign. When one is there alone, more starts may find
something better.
"""

# %%
# Twelve starts each, of two experts and of six. To these the search adds hops: climbs from a
# maximum that was found, with some experts merged and split.

import matplotlib.pyplot as plt

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.datasets import load_motorcycle
from classic_moe.inspection import StartsDisplay

X, y = load_motorcycle(return_X_y=True)
few, many = (MixtureOfExpertsRegressor(K, n_init=12, random_state=0).fit(X, y) for K in (2, 6))

# %%
# The more experts, the more ways there are to arrange them, and the less often climbs end at the
# same place.

figure, axes = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
for ax, model in zip(axes, (few, many)):
    StartsDisplay.from_estimator(model, ax=ax)
    ax.set_title(f"{model.n_experts} experts")
