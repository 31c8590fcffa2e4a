# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Why one line is not enough
#
# A first lecture on mixtures of experts, in the classical sense of Jacobs, Jordan, Nowlan and Hinton (1991). Its one idea:
# where data come from several regimes, let several small regressions each describe one of them, and let a **gate** say
# where each holds. (The layers of the same name inside large language models are a later use of the idea, and not our
# subject.) You need linear regression, logistic regression and Bayes' rule. About 40 minutes.

# %%
import matplotlib.pyplot as plt
import numpy as np
from lecture import check, interact, table

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.datasets import make_piecewise_regression
from classic_moe.inspection import ConditionalDensityDisplay, ExpertCurvesDisplay

# %% [markdown]
# ## 1. Two regimes
#
# Think of $x$ as the load on a machine and of $y$ as its response. Under light load the machine runs in one mode: the
# response falls slowly and hardly scatters. Under heavy load it runs in another: the response rises, and scatters a
# lot. Between the two, both modes occur. The data are simulated, so we shall be able to compare with the truth.
#
# We fit one line by least squares, as everybody does first: a mixture of one expert.

# %%
X, y, truth = make_piecewise_regression(
    1240, n_pieces=2, noise=[0.12, 0.35], sharpness=6, random_state=6, return_truth=True
)
X, X_new, y, y_new = X[:240], X[240:], y[:240], y[240:]  # 1000 rows are kept for later

line = MixtureOfExpertsRegressor(1).fit(X, y)
display = ExpertCurvesDisplay.from_estimator(line, X, y)
display.ax_.set_title("One line through two regimes")
plt.show()

# %% [markdown]
# The line fails three times over.
#
# 1. **The trend is wrong.** It says that $y$ falls steeply with $x$. On the left $y$ falls slowly, and on the right it
#    *rises*. The steep fall is neither: it is the change from one regime to the other.
# 2. **The spread is wrong.** One standard deviation serves both sides. The band is far too wide on the left.
# 3. **The question is wrong.** Near $x = 0$ there are two answers, not one. No curve through the middle, however
#    flexible, describes them: where it runs there are no data.
#
# A bent curve (a spline, a tree, a network) cures the first fault. The other two need a model of the whole
# distribution of $y$ given $x$.

# %% [markdown]
# ## 2. The model
#
# Let $K$ **experts** each propose a distribution for $y$, and let a **gate** say how far each is to be believed at $x$:
#
# $$
# p(y \mid x) \;=\; \sum_{k=1}^{K} g_k(x)\, p_k(y \mid x), \qquad g_k(x) \ge 0, \quad \sum_k g_k(x) = 1 .
# $$
#
# In the default model the experts are straight lines with normal noise, and the gate is a multinomial logistic
# regression (a *softmax*):
#
# $$
# p_k(y \mid x) = N(y;\; b_k^\top x + c_k,\; \sigma_k^2), \qquad
# g_k(x) = \frac{\exp(v_k^\top x + a_k)}{\sum_j \exp(v_j^\top x + a_j)} .
# $$
#
# Read it as a story. Nature looks at $x$, draws a regime $k$ with probability $g_k(x)$, and then draws $y$ from that
# regime. We see $x$ and $y$, never $k$. The *EM algorithm* fills in $k$, softly, and fits; the next lecture does it by
# hand. In the package it is one line. In its tables `x0` is the first column of `X`.

# %%
model = MixtureOfExpertsRegressor(2, random_state=0).fit(X, y)
print(model.equations())

# %%
display = ExpertCurvesDisplay.from_estimator(model, X, y)
display.ax_.set_title("Two experts and a gate")
plt.show()

# %% [markdown]
# **How to read this picture.** Above: the data, coloured by the expert that is likely to have made them; one line per
# expert, as opaque as its gate probability, so that a line fades where its expert has nothing to say; the mean of the
# mixture in black; in grey the band that holds 90 % of new observations. Below, on the same axis: the gate.
#
# ## 3. Before and after $y$ is seen
#
# Look near $x = 0$. The gate is undecided, and says so: about one half each. The dots are *not* mixed there, because
# they also have a $y$, and $y$ gives the regime away. By Bayes' rule the **responsibility** of expert $k$ for a row is
#
# $$
# h_k(x, y) \;=\; \frac{g_k(x)\, p_k(y \mid x)}{\sum_j g_j(x)\, p_j(y \mid x)} .
# $$
#
# The gate speaks *before* $y$ is seen, the responsibility *after*. For the five rows nearest to 0:

# %%
rows = np.argsort(abs(X[:, 0]))[:5]
rows = rows[np.argsort(X[rows, 0])]
gate, after = model.gate_proba(X[rows]), model.responsibilities(X[rows], y[rows])
table(
    ["x", "y", "gate, expert 0", "responsibility, expert 0"],
    [[f"{X[i, 0]:.3f}", f"{y[i]:.2f}", f"{g:.2f}", f"{h:.3f}"]
     for i, g, h in zip(rows, gate[:, 0], after[:, 0])],
)  # fmt: skip

# %% [markdown]
# ## 4. Why not simply cut the data in two?
#
# The obvious alternative is a hard split: choose the best threshold on $x$ and fit one line on each side, as a
# regression tree with lines in its leaves does. Let us give it the best possible threshold.


# %%
def two_lines(cut):
    "Least squares on each side: slopes, standard deviations, and the sum of squares."
    sides = [X[:, 0] < cut, X[:, 0] >= cut]
    fits = [np.polyfit(X[side, 0], y[side], 1, full=True) for side in sides]
    squares = [fit[1][0] for fit in fits]
    sds = [np.sqrt(s / side.sum()) for s, side in zip(squares, sides)]
    return [fit[0][0] for fit in fits], sds, sum(squares)


cut = min(np.sort(X[:, 0])[10:-10], key=lambda at: two_lines(at)[2])
slopes, sds, _ = two_lines(cut)

# %%
heavy, light = model.experts_  # sorted by weight
true_lines = truth.params["expert"]
estimates = {
    "truth": [*true_lines["coef"][:, 0], *true_lines["scale"]],
    f"hard split at x = {cut:.2f}": [*slopes, *sds],
    "mixture": [light.coef_[0], heavy.coef_[0], light.scale_, heavy.scale_],
}
table(
    ["", "slope, light", "slope, heavy", "sd, light", "sd, heavy"],
    [[name, *(f"{value:.2f}" for value in values)] for name, values in estimates.items()],
)

# %% [markdown]
# Rows of the other regime end up on the wrong side of the cut. They pull the lines and blow up the standard
# deviations, and more data would not help: the bias stays. The mixture leaves open what the data leave open, and gets
# the slopes and the noise of both regimes right. A hard split is the limit of an infinitely steep gate: if the truth is
# a sharp threshold, the fitted gate will be steep; the mixture does not have to be told.
#
# ## 5. The whole distribution, not just a line
#
# `predict_dist` returns the distribution of $y$ at every $x$, with `mean`, `std`, `pdf`, `cdf`, `ppf`, `interval` and
# `rvs`. The picture draws the *smallest* regions that hold a given share of it; on the right, the densities at three
# loads.

# %%
display = ConditionalDensityDisplay.from_estimator(model, X, y, slices=[-0.6, 0, 0.6])
plt.show()

# %% [markdown]
# In the middle the regions have two parts: this *or* that, and nothing between. An interval cannot say so. When there are
# two answers, look at the density.
#
# A model that predicts distributions should be judged as such: by the mean of $\log p(y \mid x)$ on rows that the fit has
# not seen. It is high when much probability is where the data fall, in the right place *and* with the right spread.

# %%
table(
    ["1000 new rows", "log-likelihood a row", "R²", "inside the 90 % band, x < −0.5"],
    [[name, f"{m.log_prob(X_new, y_new).mean():.3f}", f"{m.score(X_new, y_new):.3f}",
      f"{np.mean(np.abs(m.predict_dist(X_new).cdf(y_new) - 0.5)[X_new[:, 0] < -0.5] < 0.45):.0%}"]
     for name, m in (("one line", line), ("mixture", model))],
)  # fmt: skip

# %% [markdown]
# ## 6. Your turn: how soft is the border?
#
# The same, for another steepness of the true gate and another number of rows.


# %%
def refit(sharpness=6, rows=240):
    data = make_piecewise_regression(
        rows, n_pieces=2, noise=[0.12, 0.35], sharpness=sharpness, random_state=6
    )
    fit = MixtureOfExpertsRegressor(2, random_state=0).fit(*data)
    ExpertCurvesDisplay.from_estimator(fit, *data)
    plt.show()


interact(refit, sharpness=(2, 50, 4), rows=(60, 600, 60))

# %% [markdown]
# ## What to remember
#
# - $p(y \mid x) = \sum_k g_k(x)\, p_k(y \mid x)$: experts say *what* happens, the gate says *where*.
# - Gate probabilities come before $y$, responsibilities after it.
# - Soft beats hard: a hard split biases slopes and spreads wherever the regimes overlap.
# - Judge by held-out log-likelihood, and look at the picture.
#
# ## Exercises
#
# **Exercise 1.** At some $x$ the gate says $(0.9, 0.1)$. A row there has density $0.2$ under expert 0 and $1.5$ under
# expert 1. What is the responsibility of expert 1?

# %%
answer = ...

# %%
check("01.1", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# By Bayes' rule: what the gate said before, times what the expert says of this $y$, as a share of the sum.
#
# ```python
# answer = 0.1 * 1.5 / (0.9 * 0.2 + 0.1 * 1.5)
# ```
#
# </details>

# %% [markdown]
# **Exercise 2.** At which $x$ does the fitted gate of `model` believe both experts equally? (`model.gate_` has `coef_` of
# shape (K, p) and `intercept_`.)

# %%
answer = ...

# %%
check("01.2", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# Where the two scores are equal.
#
# ```python
# slopes, heights = model.gate_.coef_[:, 0], model.gate_.intercept_
# answer = (heights[1] - heights[0]) / (slopes[0] - slopes[1])
# ```
#
# </details>

# %% [markdown]
# **Exercise 3.** What is the gate worth? Fit two experts to `X, y` with `gate="constant"`, which does not look at $x$. By
# how much is its BIC (`model.bic(X, y)`, lower is better) higher?

# %%
answer = ...

# %%
check("01.3", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# blind = MixtureOfExpertsRegressor(2, gate="constant", random_state=0).fit(X, y)
# answer = blind.bic(X, y) - model.bic(X, y)
# ```
#
# Without the gate the two lines have to be shared out by $y$ alone, at the same proportions everywhere. One parameter
# saved, and very much likelihood lost.
#
# </details>

# %% [markdown]
# ## References
#
# - R. A. Jacobs, M. I. Jordan, S. J. Nowlan, G. E. Hinton (1991). Adaptive mixtures of local experts. *Neural
#   Computation* 3, 79–87.
# - M. I. Jordan, R. A. Jacobs (1994). Hierarchical mixtures of experts and the EM algorithm. *Neural Computation* 6,
#   181–214.
