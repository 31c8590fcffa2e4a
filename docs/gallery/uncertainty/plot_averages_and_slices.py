"""
An average is no slice
======================

There are two honest ways to draw a model of four columns along one of them. A *slice* holds the
others at their medians: it is what the model says of one imagined patient, so the title says
where it lies and rows far from it are faint. An *average* gives every patient each value in turn:
it is what the model says of the table, and shows no single patient.
"""

# %%
# Diabetes again, and two experts.

from sklearn.datasets import load_diabetes

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.inspection import ConditionalDensityDisplay, MeanDependenceDisplay

X, y = load_diabetes(as_frame=True, scaled=False, return_X_y=True)
X, y = X[["age", "bmi", "bp", "s5"]], y.rename("progression after a year")
model = MixtureOfExpertsRegressor(2, random_state=0).fit(X, y)

# %%
# The slice: predictive bands for a patient who is the median in all but the body mass index.

_ = ConditionalDensityDisplay.from_estimator(
    model, X, y, feature="bmi", kind="slice", feature_name="body mass index (kg/m²)"
)

# %%
# The average over all patients. With ``reach=2`` only those count for whom a value is plausible.

_ = MeanDependenceDisplay.from_estimator(
    model,
    X,
    feature="bmi",
    reach=2,
    feature_name="body mass index (kg/m²)",
    target_name="progression after a year",
)
