"""
The truth beside the fit
========================

Experts have no natural order: a fit numbers them by their weights. To lay a fit beside a truth,
or beside another fit, :func:`~classic_moe.inspection.match_experts` gives it the numbers of the
other. Then the same line has the same colour in both pictures, and one sees at once what was
found and what was not.
"""

# %%
# Three pieces of line, of which the generator also returns the true mixture. It is a fitted
# estimator like any other.

import matplotlib.pyplot as plt

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.datasets import make_piecewise_regression
from classic_moe.inspection import ExpertCurvesDisplay, match_experts

X, y, truth = make_piecewise_regression(200, random_state=0, return_truth=True)
fit = MixtureOfExpertsRegressor(3, random_state=0).fit(X, y)

# %%
# The experts are renumbered by what they predict on the rows of `X`; the mixture itself stays as
# it is. The points beside the truth are grey, for only a fit has responsibilities.

matched = match_experts(fit, truth, X)

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
for ax, model, title in ((left, truth, "the truth"), (right, matched, "the fit")):
    ExpertCurvesDisplay.from_estimator(model, X, y, ax=ax)
    ax.set_title(title)
