"""
Penalties that the fit finds
============================

A hundred rows and ten columns, of which two matter: with weak penalties the fit believes every
slope that it finds in the noise, above all those of the gate. With ``alpha="auto"`` the evidence
of the data says how large slopes are, and the needless ones shrink. You see the slopes of both
fits beside the true ones, and what that is worth on new rows.
"""

# %%
# The first column decides which expert is asked, the second what it says.

import matplotlib.pyplot as plt
import numpy as np

from classic_moe import MixtureOfExpertsRegressor

rng = np.random.default_rng(0)


def draw(n):
    X = rng.standard_normal((n, 10))
    rises = rng.random(n) < 1 / (1 + np.exp(-3 * X[:, 0]))
    return X, np.where(rises, 1 + X[:, 1], -X[:, 1]) + 0.5 * rng.standard_normal(n)


(X, y), (X_new, y_new) = draw(100), draw(2000)

# %%
# One number for the gate and one for all experts, found together with the fit.

weak = MixtureOfExpertsRegressor(2, random_state=0).fit(X, y)
auto = MixtureOfExpertsRegressor(2, random_state=0)
auto.set_params(expert__alpha="auto", gate__alpha="auto").fit(X, y)
for part in ("expert__alpha", "gate__alpha"):
    print(f"{part}: {auto.penalties_[part]:.2f}")

# %%
# The gate at the left, the rising expert at the right.

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
for name, model, marker in (("weak", weak, "o"), ("alpha='auto'", auto, "^")):
    rising = int(np.argmax([view.coef_[1] for view in model.experts_]))
    log_odds = model.gate_.coef_[rising] - model.gate_.coef_[1 - rising]
    score = model.log_prob(X_new, y_new).mean()
    left.plot(log_odds, marker, label=name)
    right.plot(model.experts_[rising].coef_, marker, label=f"{name}: {score:.2f} a new row")
for ax, truth in ((left, 3 * np.eye(10)[0]), (right, np.eye(10)[1])):
    ax.plot(truth, "k_", markersize=14, label="truth")
    ax.set(xlabel="column", xticks=range(10))
    ax.legend()
left.set_ylabel("log-odds of the rising expert")
_ = right.set_ylabel("slope of the rising expert")
