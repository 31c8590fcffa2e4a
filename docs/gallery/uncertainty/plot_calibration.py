"""
Can the distributions be believed?
==================================

If predicted distributions are right, F(y) is uniform: a tenth of the rows lie below each tenth of
their distribution. The histograms are of rows that the fits have not seen. One expert has one
spread for quiet and noisy rows alike, so that too many of them lie in the middle; two experts
know where it is quiet. Bars within the dotted lines may differ by chance.
"""

# %%
# A machine: its response to the load is the same line everywhere, and noisy from 50 °C on.

import matplotlib.pyplot as plt
import numpy as np

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.inspection import CalibrationDisplay
from classic_moe.metrics import crps_score

rng = np.random.default_rng(0)
warmth = rng.uniform(20, 80, 1000)
y = 0.05 * warmth + np.where(warmth > 50, 1.5, 0.2) * rng.standard_normal(1000)
X, train, test = warmth[:, None], slice(0, 400), slice(400, None)

# %%
# The CRPS, an absolute error for distributions in units of y, is lower for the better ones.

figure, axes = plt.subplots(1, 2, figsize=(11, 4.2), sharey=True, layout="constrained")
for ax, K in zip(axes, (1, 2)):
    model = MixtureOfExpertsRegressor(K, random_state=0).fit(X[train], y[train])
    CalibrationDisplay.from_estimator(model, X[test], y[test], ax=ax)
    score = crps_score(y[test], model.predict_dist(X[test]))
    ax.set_title(f"{K} expert{'s' * (K > 1)}: CRPS {score:.3f} mm")
