"""
Successes out of trials
=======================

Where each row is a number of successes and one of failures, binomial experts model the share with
the right weight for the number of trials. Here seeds germinate at middling temperatures: one
expert's share rises with warmth, the other's falls, and the mean of the mixture has the peak that
no logistic regression can have.
"""

# %%
# The target has two columns, successes and failures.

import matplotlib.pyplot as plt
import numpy as np

from classic_moe import MixtureOfExpertsRegressor

rng = np.random.default_rng(0)
warmth = rng.uniform(5, 35, 120)
seeds = rng.integers(5, 60, 120)
share = 1 / (1 + np.exp(-(3 - 0.35 * abs(warmth - 20))))
sprouted = rng.binomial(seeds, share)
X, y = warmth[:, None], np.column_stack([sprouted, seeds - sprouted])

# %%
# One expert and two, compared by BIC.

fits = {
    K: MixtureOfExpertsRegressor(K, expert="binomial", random_state=0).fit(X, y) for K in (1, 2)
}
print({K: round(fit.bic(X, y)) for K, fit in fits.items()})

# %%
# `predict` gives shares, and so does every expert by itself.

grid = np.linspace(5, 35, 200)[:, None]
figure, ax = plt.subplots(figsize=(7, 4.2), layout="constrained")
ax.scatter(warmth, sprouted / seeds, s=seeds, color="0.7", edgecolors="white")
alone, gate = fits[2].predict_experts(grid), fits[2].gate_proba(grid)
for k, color in enumerate(("#0072B2", "#E69F00")):
    curve = np.where(gate[:, k] > 0.05, alone[:, k], np.nan)
    ax.plot(grid, curve, color=color, linewidth=4, label=f"expert {k}")
ax.plot(grid, fits[2].predict(grid), color="black", label="mixture")
ax.plot(grid, fits[1].predict(grid), color="black", linestyle="--", label="one expert")
ax.set(xlabel="temperature (°C)", ylabel="share that sprouted")
_ = ax.legend()
