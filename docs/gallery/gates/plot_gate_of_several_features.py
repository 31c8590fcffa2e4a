"""
What the gate makes of one feature
==================================

With several features the gate cannot be drawn whole. Two pictures help. Its *dependence* on one
feature is averaged over the rows, which keep their other values; the thin curves are single rows
and show what the average hides. And its *coefficients* are log-odds, with intervals: positive
ones favour that expert over the last.
"""

# %%
# Diabetes: the progression of the disease after a year, from four measurements.

from sklearn.datasets import load_diabetes

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.inspection import CoefficientDisplay, GateDependenceDisplay

X, y = load_diabetes(as_frame=True, scaled=False, return_X_y=True)
X = X[["age", "bmi", "bp", "s5"]]
model = MixtureOfExpertsRegressor(2, random_state=0).fit(X, y.rename("progression"))

# %%
# Thick lines are averages. Between single patients there are great differences at the same value
# of s5.

_ = GateDependenceDisplay.from_estimator(model, X, feature="s5", kind="both")

# %%
# Every column has its own scale, since coefficients are per unit of their column.

_ = CoefficientDisplay.from_estimator(model, X, y, part="gate")
