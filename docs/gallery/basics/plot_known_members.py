"""
A few known members
===================

Two lines cross, and the fit may call either of them expert 0. Where it is known which expert made
some of the rows, say so: `expert_labels` holds the number of the expert, or -1 where it is
unknown. Six labelled rows, ringed in black, are enough here to fix the names, and the experts
keep them.
"""

# %%
# The truth knows who made which row. The fit is told of six rows and no more, and that the rising
# line is called expert 1.

import numpy as np

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.datasets import make_crossing_lines
from classic_moe.inspection import ExpertCurvesDisplay

X, y, truth = make_crossing_lines(150, random_state=0, return_truth=True)
names = 1 - truth.labels
labels = np.full(len(y), -1)
labels[:6] = names[:6]
model = MixtureOfExpertsRegressor(2, gate="constant", random_state=0)
_ = model.fit(X, y, expert_labels=labels)

# %%
# All other rows are assigned by the fit. Near the crossing nobody can know.

agreement = (model.assign(X, y) == names)[6:].mean()
print(f"{agreement:.0%} of the other rows are given to the line that made them")

# %%
# The mean of the mixture, between the two lines, is where hardly any row is.

display = ExpertCurvesDisplay.from_estimator(model, X, y)
known = labels >= 0
_ = display.ax_.scatter(X[known, 0], y[known], s=90, facecolors="none", edgecolors="black")
