# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Reading a fitted mixture
#
# The fit is done; what does it say, and how sure is it? The one idea of this lecture: **a mixture
# has three kinds of numbers, those of the experts, those of the gate, and effects that both make
# together, and only the last answer "what does $x$ do to $y$?"** You need the first lecture and
# standard errors of a regression. About 45 minutes.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from lecture import check, interact

from classic_moe import (
    HierarchicalMixtureOfExpertsRegressor,
    MixtureOfExpertsRegressor,
    diagnose,
)
from classic_moe.datasets import load_motorcycle
from classic_moe.inference import infer, marginal_effects, odds_ratios
from classic_moe.inspection import CoefficientDisplay, MeanDependenceDisplay, TreeDisplay

# %% [markdown]
# ## 1. Wages of a simulated country
#
# In *careers* a year of age is worth .3, in *jobs* the union is worth 2. The older people are, the
# rarer careers become. Nobody tells the model who has which.


# %%
def country(n=500, seed=0):
    "Ages, union membership and wages of n people."
    rng = np.random.default_rng(seed)
    X = pd.DataFrame({"age": rng.uniform(20, 65, n), "union": rng.integers(0, 2, n)})
    career = rng.random(n) < 1 / (1 + np.exp(0.1 * (X["age"] - 40)))
    mean = np.where(career, 8 + 0.3 * X["age"], 16 + 2 * X["union"])
    return X, pd.Series(mean + 1.5 * rng.normal(size=n), name="wage")


X, wage = country()
model = MixtureOfExpertsRegressor(2, random_state=0).fit(X, wage)
MeanDependenceDisplay.from_estimator(model, X, feature="age")
plt.show()

# %% [markdown]
# Averages over the rows: two experts, as opaque as the gate trusts them, and the mean of the
# mixture.
#
# ## 2. The equations
#
# *Weight* is the share of the rows that an expert has; *sd* the noise around its line.

# %%
print(model.equations())

# %% [markdown]
# Expert 0 is the jobs: age is worth nothing, the union nearly 2. Expert 1 is the careers. (Experts
# are numbered by their weights. The numbers have no other meaning.)
#
# ## 3. The whole summary, with standard errors

# %%
print(model.summary(X, wage))

# %% [markdown]
# A **standard error** says how far the estimate would move, typically, with other rows of the same
# kind. Here it knows that nobody knows who has a career: gate and experts are in one information
# matrix. *Log-odds* of the gate are against the last expert, here expert 1.

# %%
CoefficientDisplay.from_estimator(model, X, wage)
plt.show()

# %%
CoefficientDisplay.from_estimator(model, X, wage, part="gate")
plt.show()

# %% [markdown]
# Is the effect of the union in both kinds the same? A Wald test of one equation:

# %%
found = infer(model, X, wage)
print(found.wald({"expert 0: union": 1, "expert 1: union": -1}))

# %% [markdown]
# (That one *expert* too many is there is no such hypothesis. See the lecture on the number of
# experts.)
#
# ## 4. The gate: odds ratios
#
# A slope of log-odds, exponentiated, is the factor of the odds for one unit more.

# %%
odds_ratios(model, X, wage).to_frame()[["estimate", "lower", "upper"]].round(2)

# %% [markdown]
# A year multiplies the odds of a job against a career by 1.12. Of the union the interval holds 1:
# nothing is known.
#
# ## 5. And what does a year do to the wage?
#
# Neither .002 nor .29, nor their average, because the year also changes who is a career. The
# **average marginal effect** is the mean of the derivative of the prediction,
#
# $$
# \mathrm{AME}_j = \frac1n \sum_i \frac{\partial}{\partial x_{ij}} \sum_k g_k(x_i)\, \mu_k(x_i)
# = \frac1n \sum_i \Bigl( \sum_k g_k b_{kj} + \sum_k \frac{\partial g_k}{\partial x_{ij}} \mu_k
# \Bigr),
# $$
#
# and of a column of zeros and ones the difference. Its first part is the slopes, its second the
# people who move.

# %%
print(marginal_effects(model, X, wage))

# %%
slopes = np.array([expert.coef_[0] for expert in model.experts_])
through_slopes = (model.gate_proba(X) @ slopes).mean()
total = marginal_effects(model, X, wage).estimates[0]
print(f"slopes {through_slopes:.3f}, moves {total - through_slopes:.3f}, together {total:.3f}")

# %% [markdown]
# ## 6. Can it be believed?
#
# `diagnose` looks from all sides: `!!` is to be mended, `!` to be looked at, `ok` in order.

# %%
print(diagnose(model, X, wage))

# %% [markdown]
# And with fewer people? Watch the intervals grow, and remarks appear.


# %%
def with_people(n=60):
    "The same country, n people."
    data = country(n)
    fit = MixtureOfExpertsRegressor(2, random_state=0).fit(*data)
    CoefficientDisplay.from_estimator(fit, *data)
    plt.show()


with_people()

# %%
interact(with_people, n=(60, 1000, 20))

# %% [markdown]
# ## 7. A tree
#
# In a hierarchical mixture gates ask one after the other. At a node are the log-odds, at an edge
# the share of the rows, at a leaf the equation.

# %%
times, accel = load_motorcycle(return_X_y=True)
tree = HierarchicalMixtureOfExpertsRegressor(n_init=3, random_state=0).fit(times, accel)
TreeDisplay.from_estimator(tree)
plt.show()

# %% [markdown]
# ## What to remember
#
# - Experts: coefficients within a kind. Gate: log-odds between kinds. Effects: what happens to $y$.
# - Standard errors condition on the number of experts and on the maximum that was found.
# - Run `diagnose` before you tell anybody.
#
# ## Exercises
#
# **Exercise 1.** A gate's log-odds have the slope 0.05 a year. By which factor do ten years
# multiply the odds?

# %%
answer = ...

# %%
check("13.1", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# answer = np.exp(0.05 * 10)
# ```
#
# </details>

# %% [markdown]
# **Exercise 2.** What is the average marginal effect of the union on the wage, according to
# `model`?

# %%
answer = ...

# %%
check("13.2", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# answer = marginal_effects(model, X, wage).to_frame().loc["union", "estimate"]
# ```
#
# </details>

# %% [markdown]
# **Exercise 3.** What is the standard error of the slope of age in expert 1?

# %%
answer = ...

# %%
check("13.3", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# answer = found.to_frame().loc["expert 1: age", "standard_error"]
# ```
#
# </details>

# %% [markdown]
# ## References
#
# - T. A. Louis (1982). Finding the observed information matrix when using the EM algorithm.
#   *Journal of the Royal Statistical Society* B 44, 226–233.
