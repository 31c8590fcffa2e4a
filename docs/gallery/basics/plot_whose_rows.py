"""
Whose rows are these?
=====================

Before y is seen, the gate says how probable each expert is. After it, Bayes' rule says which
expert made the row: its *responsibility*. The heat map has a column for every row of the data, in
the order of the expert that has most of it. A clean staircase says that the experts are told
apart; the entropy below says which rows are in doubt.
"""

# %%
# Irises: the width of the sepal from its length. Nothing is said of the species.

from sklearn.datasets import load_iris

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.inspection import ExpertUsageDisplay, ResponsibilityDisplay

table = load_iris(as_frame=True).frame
X, y = table[["sepal length (cm)"]], table["sepal width (cm)"]
model = MixtureOfExpertsRegressor(2, random_state=0).fit(X, y)

# %%
# Some rows belong to one expert for certain; others lie where two lines meet.

_ = ResponsibilityDisplay.from_estimator(model, X, y)

# %%
# Summed over the rows, responsibilities are shares. The marks are the shares by the gate alone,
# which after a fit of maximum likelihood are nearly the same.

_ = ExpertUsageDisplay.from_estimator(model, X, y)
