"""
Coefficients and their intervals
================================

Which slopes differ from zero, and which differ between experts? Standard errors come from the
exact information of the mixture, which knows that nobody knows who made which row. A panel is a
column of the table in its own units, a dot an estimate, a line its 95 % interval. The two experts
differ most where the intervals of a panel are apart.
"""

# %%
# Diabetes: the progression of the disease after a year, from four measurements.

from sklearn.datasets import load_diabetes

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.inference import infer
from classic_moe.inspection import CoefficientDisplay

X, y = load_diabetes(as_frame=True, scaled=False, return_X_y=True)
X, y = X[["age", "bmi", "bp", "s5"]], y.rename("progression")
model = MixtureOfExpertsRegressor(2, random_state=0).fit(X, y)
found = infer(model, X, y)

# %%
# The table is a pandas table.

print(found.to_frame().filter(like="bmi", axis=0)[["estimate", "lower", "upper"]].round(2))

# %%
# The picture takes what was inferred; without it would work it out by itself.

_ = CoefficientDisplay.from_estimator(model, X, y, inference=found)

# %%
# Have both experts the same slope in bmi? Wald's test.

print(found.wald({"expert 0: bmi": 1, "expert 1: bmi": -1}))
