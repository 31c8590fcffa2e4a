"""
Two likely values
=================

Where two experts disagree the mean lies where no row is, and a band between quantiles covers the
gap as well. A fan chart of *highest-density* regions, the smallest that hold 50 % or 90 %, shows
two ridges there. At the right are the densities at three places, made up of the experts', with a
triangle at each mode.
"""

# %%
# Two lines that cross; nothing in x says which one a row follows.

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.datasets import make_crossing_lines
from classic_moe.inspection import ConditionalDensityDisplay

X, y = make_crossing_lines(300, random_state=0)
model = MixtureOfExpertsRegressor(2, gate="constant", random_state=0).fit(X, y)

# %%
# At both ends there are two modes, in the middle one.

display = ConditionalDensityDisplay.from_estimator(model, X, y, slices=[-0.9, 0, 0.9])
print([len(modes) for modes in display.modes_], "modes")

# %%
# The same in numbers: the central interval is one, the highest-density region has two parts.

at = model.predict_dist([[0.9]])
print("central 90 %:", *(end.round(2) for end in at.interval(0.9)))
low, high = at.hdr(0.9)
print("highest density 90 %:", *zip(low.ravel().round(2).tolist(), high.ravel().round(2).tolist()))
