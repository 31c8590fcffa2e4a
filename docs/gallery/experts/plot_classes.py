"""
Straight borders, put together
==============================

A logistic regression has one straight border. In a mixture the gate cuts the plane into regions,
and every region has a logistic regression of its own, so that the border between the classes
bends. You see which expert is asked where, and then what comes of it: the probability of a class.
"""

# %%
# Two half-moons that no line parts. A penalty keeps the logistic regressions from becoming
# certain.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_moons
from sklearn.inspection import DecisionBoundaryDisplay

from classic_moe import MixtureOfExpertsClassifier
from classic_moe.inspection import GateRegionDisplay

X, y = make_moons(300, noise=0.2, random_state=0)
model = MixtureOfExpertsClassifier(3, expert="logistic", n_init=2, random_state=0)
_ = model.set_params(expert__alpha=0.1).fit(X, y)

# %%
# The gate: three regions with straight borders.

names = ["first coordinate", "second coordinate"]
_ = GateRegionDisplay.from_estimator(model, X, y, feature_names=names)

# %%
# The mixture is a classifier of scikit-learn, whose own displays take it. The border between the
# classes is made of three straight pieces.

figure, ax = plt.subplots(figsize=(6, 4.2), layout="constrained")
display = DecisionBoundaryDisplay.from_estimator(
    model, X, plot_method="pcolormesh", cmap="cividis", vmin=0, vmax=1, ax=ax, grid_resolution=250
)
figure.colorbar(display.surface_, ax=ax, label="probability of class 1")
for label, marker in ((0, "o"), (1, "^")):
    rows = y == label
    ax.scatter(
        *X[rows].T, c="white", edgecolors="black", s=22, marker=marker, label=f"class {label}"
    )
ax.set(xlabel=names[0], ylabel=names[1])
ax.legend(loc="lower left")
print(f"accuracy on the rows of the fit: {np.mean(model.predict(X) == y):.2f}")
