"""Draws three_errors.png for docs/adaptive.md; run it from anywhere:
python docs/images/make_three_errors.py

One data set with two branches, two linear experts, and the three error functions of Jacobs, Jordan,
Nowlan and Hinton (1991): which expert learns from which rows.
"""

from pathlib import Path

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from classic_moe import AdaptiveLocalExpertsRegressor
from classic_moe.experts import LinearExpert
from classic_moe.inspection._palette import OKABE_ITO

COLORS = OKABE_ITO[0], OKABE_ITO[3]
"""Of expert A, whose line is the upper one at the left, and of expert B."""
MAP = LinearSegmentedColormap.from_list("experts", [COLORS[1], "white", COLORS[0]])
OBJECTIVES = {
    "blended_error": ("Cooperation (1.1)", r"$|\,y - \sum_k g_k\,\mu_k\,|^2$"),
    "expected_error": ("Expected error (1.2)", r"$\sum_k g_k\,|\,y - \mu_k\,|^2$"),
    "likelihood": ("Competition (1.3)", r"$-\log \sum_k g_k\,e^{-|y-\mu_k|^2/2\sigma^2}$"),
}
LOW, HIGH = -1.8, 3.2
"""The range of y that is drawn."""


def two_branches(n=300, seed=1):
    """Two parallel lines; the farther to the right, the more rows lie on the lower one."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, n)
    upper = rng.random(n) < np.clip(0.5 - x / 1.2, 0, 1)
    return x[:, None], np.where(upper, 0.9, -0.9) + 0.3 * x + 0.1 * rng.standard_normal(n)


def fitted(objective, X, y):
    """A fit, and the number of the expert with the higher line at the left."""
    expert = LinearExpert(variance=0.05)
    model = AdaptiveLocalExpertsRegressor(
        2, expert=expert, objective=objective, solver="lbfgs", max_iter=2000, random_state=0
    ).fit(X, y)
    return model, model.predict_experts([[-1.0]])[0].argmax()


def learning_share(model, first, grid, heights):
    """The share with which a row at (x, y) teaches expert A, (heights, grid)."""
    X = np.tile(grid, len(heights))[:, None]
    if model.objective == "likelihood":
        share = model.responsibilities(X, np.repeat(heights, len(grid)))
    else:  # the gate alone decides; under (1.1) all experts get the same error to mend
        share = model.gate_proba(X)
    return share[:, first].reshape(len(heights), len(grid))


def draw():
    X, y = two_branches()
    grid, heights = np.linspace(-1, 1, 401), np.linspace(LOW, HIGH, 301)
    figure = Figure(figsize=(11, 6.6), layout="constrained")
    axes = figure.subplots(2, 3, sharex=True, sharey="row", height_ratios=[3, 1.1])
    for (above, below), (objective, (name, formula)) in zip(
        axes.T, OBJECTIVES.items(), strict=True
    ):
        model, first = fitted(objective, X, y)
        share = learning_share(model, first, grid, heights)
        image = above.pcolormesh(
            grid, heights, share, cmap=MAP, vmin=0, vmax=1, alpha=0.55, rasterized=True
        )
        above.plot(X, y, "o", color="black", markersize=2.5, alpha=0.55)
        means = model.predict_experts(grid[:, None])
        for k, color in zip((first, 1 - first), COLORS, strict=True):
            above.plot(grid, means[:, k], color="white", lw=5)
            above.plot(grid, means[:, k], color=color, lw=3)
        above.plot(grid, model.predict(grid[:, None]), "--", color="black", lw=1.6)
        above.set_title(f"{name}\n{formula}")
        gate = model.gate_proba(grid[:, None])
        for k, color in zip((first, 1 - first), COLORS, strict=True):
            below.plot(grid, gate[:, k], color=color, lw=2.5)
        below.set_xlabel("x (no unit)")
    axes[0, 0].set(ylabel="y (no unit)", ylim=(LOW, HIGH), xlim=(-1, 1))
    axes[1, 0].set(ylabel="gate g(x)\n(probability)", ylim=(-0.05, 1.05))
    bar = figure.colorbar(image, ax=axes[0], ticks=[0, 0.5, 1], pad=0.01)
    bar.ax.set_yticklabels(["B alone", "both", "A alone"])
    bar.set_label("who learns from a row at (x, y)")
    handles = [
        Line2D([], [], color=COLORS[0], lw=3, label="expert A"),
        Line2D([], [], color=COLORS[1], lw=3, label="expert B"),
        Line2D([], [], color="black", lw=1.6, ls="--", label="mean of the mixture"),
        Line2D([], [], color="black", marker="o", ms=3, ls="none", label="300 rows"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False)
    figure.savefig(Path(__file__).with_name("three_errors.png"), dpi=110)


if __name__ == "__main__":
    draw()
