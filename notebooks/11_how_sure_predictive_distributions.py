# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # How sure? Predictive distributions
#
# A mixture of experts predicts a distribution, not a number. The one idea of this lecture: **look
# at that distribution, ask rows that it has not seen whether it is right, and repair it if it is
# not.** You need the first lecture, and quantiles. About 40 minutes.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from lecture import check, interact
from scipy import stats

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.datasets import make_crossing_lines
from classic_moe.distribution import MixtureDistribution
from classic_moe.inspection import CalibrationDisplay, ConditionalDensityDisplay
from classic_moe.metrics import crps_score, interval_coverage

# %% [markdown]
# ## 1. Two answers, and nothing between
#
# Half of the rows follow a rising line, half a falling one, and $x$ does not say which. We fit 200
# rows and keep 200. The *fan chart* at the left draws for every $x$ the **smallest** regions that
# hold 25, 50, ... 95 % of the probability; at the right are the densities at three values.

# %%
X, y = make_crossing_lines(400, random_state=0)
X, X_new, y, y_new = X[:200], X[200:], y[:200], y[200:]
one = MixtureOfExpertsRegressor(1, random_state=0).fit(X, y)
two = MixtureOfExpertsRegressor(2, gate="constant", random_state=0).fit(X, y)
ConditionalDensityDisplay.from_estimator(two, X, y, slices=[-0.9, 0, 0.9])
plt.show()

# %%
dist = two.predict_dist([[0.9]])
low, high = dist.interval(0.9)
parts = dist.hdr(0.9)
print("mean    ", dist.mean().round(2))
print("modes   ", dist.modes().ravel().round(2))
print("interval", low.round(2), "to", high.round(2))
print("hdr     ", *[f"[{a:.2f}, {b:.2f}]" for a, b in zip(*map(np.ravel, parts))])

# %% [markdown]
# The mean is where hardly any $y$ is. A *mode* is a maximum of the density: there are two. The
# central *interval* holds the gap as well; the *highest-density region* (`hdr`), the smallest set
# with 90 % of the probability, leaves it out.
#
# ## 2. Is it right? Scores and coverage
#
# Score rows that the fit has not seen. The **log-likelihood** $\log p(y \mid x)$ (higher is better)
# and the **CRPS**, an absolute error for distributions in units of $y$ (lower is better), are
# *proper*: on average the true distribution wins. **Coverage** is the share of rows inside the
# interval: it should be what the interval says.

# %%
rows = {}
for name, model in {"one line": one, "two experts": two}.items():
    new = model.predict_dist(X_new)
    low, high = new.interval(0.9)
    score = model.log_prob(X_new, y_new).mean(), crps_score(y_new, new)
    rows[name] = *score, interval_coverage(y_new, new), (high - low).mean()
pd.DataFrame(rows, index=["log p", "CRPS", "coverage of 90 %", "mean width"]).T.round(3)

# %% [markdown]
# Both cover about nine in ten, the line even more closely. **Coverage does not say that a model is
# good**: an honest but vague one covers, too. The proper scores tell them apart.
#
# ## 3. Calibration
#
# If $F(y \mid x)$ is the right distribution function, $u = F(y \mid x)$ is uniform on $[0, 1]$,
# whatever $x$. That number is the *probability integral transform*, PIT. A hump in its histogram:
# too wide; a U: too narrow; a slope: shifted.


# %%
def spread(factor=1.0):
    "PIT of the held-out rows if every expert's spread is multiplied by `factor`."
    sds = factor * np.array([expert.scale_ for expert in two.experts_])
    dist = MixtureDistribution(two.gate_proba(X_new), stats.norm(two.predict_experts(X_new), sds))
    CalibrationDisplay.from_predictions(y_new, dist)
    plt.show()


spread(1.0)

# %%
spread(0.4)

# %%
interact(spread, factor=(0.2, 3.0, 0.2))

# %% [markdown]
# With the fitted spreads all bars but the last are within the dotted limits of chance, and that one
# is hardly outside. With spreads of 40 % of that, too many rows lie in the tails, and in the
# middle: those are the tails of the two lines on the side of the gap.
#
# ## 4. Few rows, and a wrong family
#
# Now 60 rows, whose noise has heavy tails and is larger on the right. Normal experts are the wrong
# family. How much do their intervals cover?

# %%
rng = np.random.default_rng(0)
x = rng.uniform(-1, 1, (1500, 1))
noise = 0.1 * (1 + 3 * (x[:, 0] > 0)) * rng.standard_t(2, size=1500)
z = np.abs(x[:, 0]) + noise
few = MixtureOfExpertsRegressor(2, random_state=0).fit(x[:60], z[:60])
later = x[500:], z[500:]
covers = {}
for name, uncertain in {"plug-in": False, "with uncertain parameters": True}.items():
    new = few.predict_dist(later[0], parameter_uncertainty=uncertain)
    covers[name] = [interval_coverage(later[1], new, confidence=c) for c in (0.5, 0.8, 0.9)]
pd.DataFrame(covers, index=["50 %", "80 %", "90 %"]).T.round(3)

# %% [markdown]
# *Plug-in* intervals take the estimates for the truth. `parameter_uncertainty=True` averages over
# parameters that the data leave possible, which widens them, and helps a little. It cannot know
# that the family is wrong.
#
# ## 5. Repair: ask rows that were held back
#
# *Split-conformal prediction*: take $m$ rows that were not fitted. For each, $|2u - 1|$ is the
# confidence at which its own interval just reaches it. Find the level $q$ that covers the smallest
# $\lceil (m + 1) \cdot 0.9 \rceil$ of them, and use $q$ in place of 0.9. If old and new rows are
# exchangeable, a new one is inside with probability at least 0.9, *whatever the model*.

# %%
held_back = few.predict_dist(x[100:500])
off_centre = np.sort(np.abs(2 * held_back.pit(z[100:500]) - 1))
level = off_centre[int(np.ceil(401 * 0.9)) - 1]
new = few.predict_dist(later[0])
print(f"level {level:.3f}, coverage {interval_coverage(later[1], new, confidence=level):.3f}")

# %% [markdown]
# The nominal level has to be that high to cover nine in ten. The price is width. And the promise is
# one on average over $x$, not for each $x$. Here is the share inside on either side:

# %%
low, high = new.interval(level)
inside = (low <= later[1]) & (later[1] <= high)
right = later[0][:, 0] > 0
pd.Series({"left": inside[~right].mean(), "right": inside[right].mean()}).round(3)

# %% [markdown]
# Too many on the left, where the noise is small, too few on the right. Held-back rows repair the
# average; to repair the two sides the *model* has to be better.
#
# ## What to remember
#
# - Draw the density before you trust a mean or an interval.
# - Proper scores compare; coverage and PIT check.
# - Uncertain parameters: `parameter_uncertainty=True`. A wrong family: another expert, or held-back
#   rows.
#
# ## Exercises
#
# **Exercise 1.** 99 rows are held back. Which rank of the sorted $|2u - 1|$ gives the level for 90
# %?

# %%
answer = ...

# %%
check("11.1", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# answer = int(np.ceil((99 + 1) * 0.9))
# ```
#
# </details>

# %% [markdown]
# **Exercise 2.** What is the probability, according to `two`, that $y$ is positive at $x = 0.9$?

# %%
answer = ...

# %%
check("11.2", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# The distribution function tells. It is the weight of the rising line.
#
# ```python
# answer = 1 - two.predict_dist([[0.9]]).cdf([0.0])[0]
# ```
#
# </details>

# %% [markdown]
# ## References
#
# - T. Gneiting, A. E. Raftery (2007). Strictly proper scoring rules, prediction, and estimation.
#   *Journal of the American Statistical Association* 102, 359–378.
# - V. Chernozhukov, K. Wüthrich, Y. Zhu (2021). Distributional conformal prediction. *PNAS* 118.
