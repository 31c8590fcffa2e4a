"""Draws robust.png for docs/robust.md; run it from anywhere: python docs/images/make_robust.py

The tone data with two experts under a constant gate: fitted as they are (dashed), and with ten
copies of the outlier (0, 4) added (coloured). All fits but the last start from the two ways of
hearing.
"""

import warnings
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from classic_moe import ExpertCollapseWarning, MixtureOfExpertsRegressor
from classic_moe.datasets import load_tone
from classic_moe.experts import ExpertUnion, LinearExpert, NoiseExpert
from classic_moe.inspection._palette import OKABE_ITO

COLORS = {"octave": OKABE_ITO[3], "overtone": OKABE_ITO[0]}  # by increasing slope
OUTLIERS = np.zeros((10, 1)), np.full(10, 4.0)
WITH_NOISE = ExpertUnion([LinearExpert(), LinearExpert(), NoiseExpert()])
PANELS = {
    "Gaussian experts": "linear",
    "Student-t experts": "student_t",
    "Laplace experts": "laplace",
    "Gaussian experts and a noise expert": WITH_NOISE,
}


def by_hearing(X, y, n_experts, random_state):
    """Responsibilities: is the answer nearer to the overtone, y = x, or to the octave, y = 2?"""
    overtone = abs(y - X[:, 0]) < abs(y - 2)
    return np.column_stack([overtone, ~overtone]).astype(float)


def lines(expert, X, y):
    """Intercept and slope of the two lines, the steeper one last."""
    noise = isinstance(expert, ExpertUnion)
    model = MixtureOfExpertsRegressor(
        3 if noise else 2,
        expert=expert,
        gate="constant",
        init_params="quantile" if noise else by_hearing,
        random_state=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExpertCollapseWarning)  # df at its bound
        model.fit(X, y)
    return sorted(
        ((v.intercept_, v.coef_[0]) for v in model.experts_[:2]), key=lambda line: line[1]
    )


def draw():
    X, y = load_tone(return_X_y=True)
    spoilt = np.vstack([X, OUTLIERS[0]]), np.append(y, OUTLIERS[1])
    figure = Figure(figsize=(9, 6.5), layout="constrained")
    grid = np.array([-0.1, 3.1])
    for i, (ax, (title, expert)) in enumerate(
        zip(figure.subplots(2, 2, sharex=True, sharey=True).flat, PANELS.items(), strict=True)
    ):
        ax.plot(X, y, "o", color="0.55", markersize=3.5, alpha=0.6, label="150 answers")
        ax.plot(
            *(part[:1] for part in OUTLIERS),
            "X",
            color="black",
            markersize=9,
            linestyle="none",
            label="10 outliers, all at (0, 4)",
        )
        for (intercept, slope), (name, color) in zip(
            lines(expert, *spoilt), COLORS.items(), strict=True
        ):
            ax.plot(grid, intercept + slope * grid, color=color, lw=3, label=f"expert “{name}”")
        for j, (intercept, slope) in enumerate(lines(expert, X, y)):
            label = "the same, fitted without the outliers" if j == 0 else None
            ax.plot(grid, intercept + slope * grid, "--", color="black", lw=1.2, label=label)
        ax.set_title(title)
        if i >= 2:
            ax.set_xlabel("stretching ratio of the overtones")
        if i % 2 == 0:
            ax.set_ylabel("ratio tuned")
    ax.set(xlim=grid, ylim=(0.8, 4.25))
    handles, labels = ax.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    figure.savefig(Path(__file__).with_name("robust.png"), dpi=110)


if __name__ == "__main__":
    draw()
