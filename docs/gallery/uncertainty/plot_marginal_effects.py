"""
What a year is worth
====================

No coefficient of a mixture says what a year of age does to the wage: each expert has a slope of
its own, and the gate moves people from one expert to another as they grow older. The *average
marginal effect* counts both. You see it beside the two slopes, and the average wage along the
age, which bends although both experts are straight.
"""

# %%
# Careers, in which a year is worth something, and jobs, in which the union is. Careers become
# rarer with age.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.inference import infer, marginal_effects
from classic_moe.inspection import MeanDependenceDisplay

rng = np.random.default_rng(0)
X = pd.DataFrame({"age": rng.uniform(20, 65, 500), "union": rng.integers(0, 2, 500)})
career = rng.random(500) < 1 / (1 + np.exp(0.1 * (X["age"] - 40)))
mean = np.where(career, 8 + 0.3 * X["age"], 16 + 2 * X["union"])
wage = pd.Series(mean + 1.5 * rng.normal(size=500), name="wage")
model = MixtureOfExpertsRegressor(2, random_state=0).fit(X, wage)

# %%
# The effect of a year, with its standard error by the delta method.

effects = marginal_effects(model, X, wage)
print(effects)

# %%
# The average is not the average of the slopes.

slopes = infer(model, X, wage).to_frame().loc[["expert 0: age", "expert 1: age"]]
rows = pd.concat([slopes, effects.to_frame().loc[["age"]]])[::-1]
figure, ax = plt.subplots(figsize=(6.5, 2.4), layout="constrained")
names = ["average marginal effect", "slope of expert 1", "slope of expert 0"]
reach = rows[["lower", "upper"]].sub(rows["estimate"], axis=0).abs().T
ax.errorbar(rows["estimate"], names, xerr=reach, fmt="o", color="black")
_ = ax.set(xlabel="wage per year of age, with 95 % intervals", ylabel="", ylim=(-0.5, 2.5))

# %%
# Averaged over the people of the table: the mean of the mixture goes over from one line to the
# other.

_ = MeanDependenceDisplay.from_estimator(
    model, X, feature="age", feature_name="age (years)", target_name="wage (per hour)"
)
