"""
An expert for the rest
======================

Instead of surviving outliers one can name them. In a list every expert has a family of its own,
and a :class:`~classic_moe.experts.NoiseExpert` is uniform over the range of y, without any
parameter: it takes what the line does not explain. Its weight is the share of outliers, and its
responsibilities, in orange, say which rows they are.
"""

# %%
# A line, and every eighth row of it replaced by anything.

import numpy as np

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.experts import NoiseExpert
from classic_moe.inspection import ExpertCurvesDisplay, ExpertUsageDisplay

rng = np.random.default_rng(0)
x = rng.uniform(0, 10, (240, 1))
y = 2 + 0.5 * x[:, 0] + 0.3 * rng.standard_normal(240)
y[::8] = rng.uniform(-6, 14, 30)

# %%
# Names in the list become the names of the experts, in pictures as in tables. Any row may be
# spoilt, so the gate is constant.

experts = [("line", "linear"), ("noise", NoiseExpert())]
model = MixtureOfExpertsRegressor(2, expert=experts, gate="constant", random_state=0).fit(x, y)
noise = model.assign(x, y) == 1
spoilt = np.arange(240) % 8 == 0
print(
    f"the noise has {noise.sum()} rows, {(noise & spoilt).sum()} of the 30 spoilt ones among them"
)
print(model.equations())

# %%
# The mean of the mixture is drawn towards the middle of the noise; the line itself is not.

_ = ExpertCurvesDisplay.from_estimator(model, x, y)

# %%
# The shares say how much of the data is noise.

_ = ExpertUsageDisplay.from_estimator(model, x, y)
