"""
Any estimator as an expert: splines
===================================

A regressor of scikit-learn that takes sample weights can be every expert, a Pipeline too. Here
each expert is a ridge regression on splines: two smooth curves that cross, which neither lines
nor one curve can describe. In every iteration each expert is refitted to all rows, weighted by
its responsibilities.
"""

# %%
# Two waves in antiphase; nothing in x says which one a row comes from.

import numpy as np
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import SplineTransformer

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.inspection import ExpertCurvesDisplay

rng = np.random.default_rng(0)
phase = rng.uniform(0, 2 * np.pi, (300, 1))
sign = rng.choice([-1, 1], 300)
height = sign * np.sin(phase[:, 0]) + 0.5 * sign + 0.15 * rng.standard_normal(300)

# %%
# Put the estimator where the name of a family would be.

curve = make_pipeline(SplineTransformer(n_knots=6), Ridge(0.1))
model = MixtureOfExpertsRegressor(2, expert=curve, gate="constant", n_init=4, random_state=0).fit(
    phase, height
)
found = model.assign(phase, height) == (sign < 0)
print(f"{max(found.mean(), 1 - found.mean()):.0%} of the rows are given to the wave they come from")

# %%
# The mean of the mixture is no use here; the two experts are.

_ = ExpertCurvesDisplay.from_estimator(
    model, phase, height, feature_name="phase (rad)", target_name="height (m)"
)
