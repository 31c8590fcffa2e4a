"""
Four lines through a crash
==========================

The head of a motorcycle rider in a simulated crash: at rest at first, thrown back, thrown
forward, and at rest again. No line fits that, and no single spread either. A mixture of experts
has a line with its own noise for each phase, and a gate that says which line is to be believed at
which time. You see the lines, the mean of the mixture, a 90 % band, and below them the gate.
"""

# %%
# The data are 133 readings of acceleration against time. Four experts are asked for.

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.datasets import load_motorcycle
from classic_moe.inspection import ExpertCurvesDisplay

X, y = load_motorcycle(return_X_y=True)
model = MixtureOfExpertsRegressor(4, random_state=0).fit(X, y)

# %%
# The fit can be read as text: a weight, a line and a standard deviation for every expert.

print(model.equations())

# %%
# Points have the colour of the expert that most probably made them. A line is the more opaque the
# more the gate trusts it, and the band is narrow where the head is at rest.

_ = ExpertCurvesDisplay.from_estimator(
    model, X, y, feature_name="time (ms)", target_name="acceleration (g)"
)
