"""
Outliers: a line that swings and one that stays
===============================================

A musician tuned a tone: some answers follow the first overtone, y = x, the others the octave, y =
2. To these 150 answers the literature adds ten copies of (0, 4). Experts with normal noise must
explain them, and the octave's line swings towards them. A Student-t expert gives a row the less
weight the farther it is from the line, and stays.
"""

# %%
# Both fits start from what is known about hearing, so that the difference is the family's alone.

import matplotlib.pyplot as plt
import numpy as np

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.datasets import load_tone
from classic_moe.experts import StudentTExpert
from classic_moe.inspection import ExpertCurvesDisplay

X, y = load_tone(return_X_y=True)
X, y = np.vstack([X, np.zeros((10, 1))]), np.append(y, np.full(10, 4.0))


def by_hearing(X, y, n_experts, random_state):
    overtone = abs(y - X[:, 0]) < abs(y - 2)
    return np.column_stack([overtone, ~overtone]).astype(float)


# %%
# Nothing in x tells which way was heard, so the gate is constant.

figure, axes = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
experts = {"normal noise": "linear", "Student-t noise, 2 degrees of freedom": StudentTExpert(df=2)}
for ax, (name, expert) in zip(axes, experts.items()):
    model = MixtureOfExpertsRegressor(
        2, expert=expert, gate="constant", init_params=by_hearing
    ).fit(X, y)
    ExpertCurvesDisplay.from_estimator(
        model, X, y, ax=ax, feature_name="stretch of the overtones", target_name="tuned"
    )
    ax.set_title(name)
    print(f"{name}:\n{model.equations()}\n")
