"""
Cooperation and competition, 1991
=================================

Why do networks that are trained together not divide the work? Jacobs, Jordan, Nowlan and Hinton
answered: because of the error function. Under the *blended* error the experts only have to be
right together, and each by itself means nothing; under the *expected* error the gate cuts x in
two; under the *likelihood* experts compete for rows, and each finds one of the two lines.
"""

# %%
# Two parallel lines; the farther to the right, the more rows on the lower one.

import matplotlib.pyplot as plt
import numpy as np

from classic_moe import AdaptiveLocalExpertsRegressor
from classic_moe.experts import LinearExpert

rng = np.random.default_rng(1)
x = rng.uniform(-1, 1, 300)
upper = rng.random(300) < np.clip(0.5 - x / 1.2, 0, 1)
X, y = x[:, None], np.where(upper, 0.9, -0.9) + 0.3 * x + 0.1 * rng.standard_normal(300)

# %%
# One model with three error functions, everything else being equal.

options = dict(expert=LinearExpert(variance=0.05), solver="lbfgs", max_iter=2000, random_state=0)
grid = np.linspace(-1, 1, 100)[:, None]
figure, axes = plt.subplots(1, 3, figsize=(12, 4), sharey=True, layout="constrained")
for ax, objective in zip(axes, ("blended_error", "expected_error", "likelihood")):
    model = AdaptiveLocalExpertsRegressor(2, objective=objective, **options).fit(X, y)
    ax.scatter(x, y, s=8, color="0.7")
    for k, color in enumerate(("#0072B2", "#E69F00")):
        ax.plot(grid, model.predict_experts(grid)[:, k], color=color, lw=4, label=f"expert {k}")
    ax.plot(grid, model.predict(grid), color="black", label="mixture mean")
    ax.set(title=f"{objective}, R² {model.score(X, y):.2f}", xlabel="x")
axes[0].set_ylabel("y")
_ = axes[1].legend()
