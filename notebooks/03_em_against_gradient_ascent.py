# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # EM against gradient ascent
#
# The paper of 1991 trained mixtures of experts by gradient ascent; EM came three years later. Both climb the same
# log-likelihood with the same responsibilities. The one idea here: how long a step is decides how soon one arrives, and the
# *first* steps decide where. You need the lecture *EM by hand on thirty points*. About 35 minutes.

# %%
import warnings

import matplotlib.pyplot as plt
import numpy as np
from lecture import check, interact, table

from classic_moe import ExpertCollapseWarning, MixtureOfExpertsRegressor
from classic_moe.datasets import make_piecewise_regression
from classic_moe.inspection import (
    ConvergenceDisplay,
    ExpertCurvesDisplay,
    StartsDisplay,
    match_experts,
)
from classic_moe.solvers import LBFGS, GradientAscent

warnings.filterwarnings("ignore", message=".*did not converge")  # we shall count iterations
warnings.filterwarnings("ignore", category=ExpertCollapseWarning)  # and experts without rows

# %% [markdown]
# ## 1. One mountain
#
# Four lines, one after the other, with noise: the data come from a mixture of four linear experts and a softmax gate.

# %%
K = 4
X, y, truth = make_piecewise_regression(
    200, n_pieces=K, noise=0.15, random_state=2, return_truth=True
)
ExpertCurvesDisplay.from_estimator(truth, X, y).ax_.set_title("The truth")
plt.show()

# %% [markdown]
# For one row, with responsibilities $h_k$ and gating probabilities $g_k$, the derivatives of the log-likelihood are
#
# $$
# \frac{\partial \ell}{\partial b_k} = h_k\, \frac{y - b_k^\top x}{\sigma_k^2}\, x, \qquad
# \frac{\partial \ell}{\partial v_k} = (h_k - g_k)\, x .
# $$
#
# The gate is pulled from what it believed *before* it saw $y$ towards what it believes *after*; each line is pulled
# towards the rows it is responsible for. **Gradient ascent** takes a step of fixed length along these. **EM** goes, with
# the same responsibilities, to the best line at once, whatever the scale of $x$ and $y$. So an EM step is a gradient
# step too, one that is multiplied by a positive definite matrix chosen afresh each time (Xu and Jordan 1996), and
# nobody has to choose its length.
#
# All climbers start at the same point: four lines, each through two rows drawn at random, a wide spread, and an undecided
# gate.


# %%
def random_start(seed):
    "Lines through pairs of rows, as `init_params` takes them."
    rng = np.random.default_rng(seed)
    i, j = np.array([rng.choice(len(X), 2, replace=False) for _ in range(K)]).T
    slopes = (y[j] - y[i]) / (X[j, 0] - X[i, 0])
    heights = y[i] - slopes * X[i, 0]
    lines = {"coef": slopes[:, None], "intercept": heights, "scale": np.full(K, y.std())}
    return {"gate": {"coef": np.zeros((K, 1)), "intercept": np.zeros(K)}, "expert": lines}


def climb(solver, seed=10, max_iter=300):
    "A fit from a random start."
    start = random_start(seed)
    model = MixtureOfExpertsRegressor(K, solver=solver, init_params=start, max_iter=max_iter)
    return model.fit(X, y)


# %%
climbers = {
    "EM": "em",
    "EM, accelerated": "auto",
    "gradient, step 0.1": GradientAscent(0.1),
    "the same, momentum 0.9": GradientAscent(0.1, momentum=0.9),
    "L-BFGS": LBFGS(warm_up=0),
}
fits = {name: climb(solver) for name, solver in climbers.items()}
display = ConvergenceDisplay.from_estimator(
    list(fits.values()), labels=list(fits), against="best", line_kw={"marker": ""}
)
display.ax_.set(title="What is left to gain, from one start", xscale="symlog", xlim=(0, 700))
display.ax_.set_xlabel("iteration (logarithmic)")
plt.show()

# %%
table(
    ["", "iterations", "converged", "log-likelihood"],
    [
        [name, m.n_iter_, "yes" if m.converged_ else "no", f"{m.log_likelihood_:.3f}"]
        for name, m in fits.items()
    ],
)

# %% [markdown]
# An iteration costs each of them about one pass over the rows (L-BFGS sometimes a few). EM needs some dozens; plain
# gradient ascent has not arrived after three hundred, and momentum only helps it along. L-BFGS learns the curvature on its
# way and catches up at the end: near a summit it is a good climber.
#
# ## 2. The length of the step
#
# Why not simply take longer steps?


# %%
def steps(*rates):
    "Gradient ascent with steps of these lengths, beside EM."
    models = [climb(GradientAscent(rate, n_iter_no_change=50), max_iter=120) for rate in rates]
    labels = [f"step {rate:g}" for rate in rates]
    display = ConvergenceDisplay.from_estimator([*models, fits["EM"]], labels=[*labels, "EM"])
    low = models[0].lower_bounds_[0]
    display.ax_.set(title="Gradient ascent and EM", xlim=(-3, 123), ylim=(low - 60, 90))
    display.ax_.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    plt.show()


steps(0.1, 0.3, 1.0, 3.0)

# %% [markdown]
# Thick: the best value so far. Thin: what each iteration was really worth. Short steps crawl. Long ones overshoot: once a
# line fits its rows, $\sigma_k$ is small, the mountain is steep in that direction ($1/\sigma_k^2$ stands in the
# gradient), and the same step that was fine in the foothills now leaps over the ridge and back. There is no step that
# suits the whole way. EM's step adapts by itself: the $\sigma_k^2$ cancels in weighted least squares. Find your own:

# %%
interact(lambda rate: steps(rate), rate=(0.05, 3, 0.05))

# %% [markdown]
# ## 3. Twelve starts
#
# Now the summit. The log-likelihood of a mixture has many local maxima: two experts may share one piece while a third
# has to cover two. Twelve random starts, three climbers. An expert with less than a thousandth of the rows counts as
# **starved**.

# %%
teams = {
    "EM, accelerated": "auto",
    "L-BFGS": LBFGS(warm_up=0),
    "L-BFGS after 10 passes of EM": LBFGS(warm_up=10),
}
ends = {name: [climb(solver, seed, 150) for seed in range(12)] for name, solver in teams.items()}
reached = {name: np.array([m.log_likelihood_ for m in team]) for name, team in ends.items()}
summit = max(values.max() for values in reached.values())
rows = []
for name, team in ends.items():
    there = sum(m.log_likelihood_ > summit - 1 for m in team)
    starved = sum(m.weights_.min() < 0.001 for m in team)
    worst = min(m.log_likelihood_ for m in team)
    rows.append([name, f"{there} of 12", f"{worst:.1f}", f"{starved} of 12"])
table(["", "within 1 of the summit", "worst", "with a starved expert"], rows)

# %% [markdown]
# L-BFGS, so fast at the end, stands on some side peak far more often than EM. It takes long steps from the very beginning,
# when the responsibilities still mean little, and one such step can push an expert out of the gate: an expert that has no
# rows gets no gradient either, and never comes back.
#
# After ten passes of EM the same L-BFGS arrives more often: the *first* steps decide where one ends, the last ones only
# how soon. That is why the gradient solvers of the package (`"lbfgs"`, `"adam"`, `"sgd"`) begin with a few passes of
# EM. What does a side peak look like?

# %%
team = ends["EM, accelerated"]
order = np.argsort(reached["EM, accelerated"])
print("log-likelihoods of the three that missed:", reached["EM, accelerated"][order[:3]].round(1))
side_peak = match_experts(team[order[2]], truth, X)  # the numbers and colours of the truth
ExpertCurvesDisplay.from_estimator(side_peak, X, y).ax_.set_title("A side peak")
plt.show()

# %% [markdown]
# Nothing small would help there: every line fits the rows it has, and to exchange them the fit would have to go down
# first. So **start many times, briefly, and go on with the best**. This is what the package does by default: `n_init=10`
# starts run for some passes each, the best of them go on. Its first start, too, is better than a random one: it cuts the
# data into slices.

# %%
default = MixtureOfExpertsRegressor(K, random_state=0).fit(X, y)
print(f"default fit: {default.log_likelihood_:.1f}, the summit above: {summit:.1f}")
StartsDisplay.from_estimator(default)
plt.show()

# %% [markdown]
# ## What to remember
#
# - Gradient ascent and EM use the same responsibilities. EM's step fits itself to the scale of the problem; a fixed step
#   cannot.
# - Near a summit, L-BFGS is fast. Far from it EM is *safer*: so a few passes of EM first.
# - There are many side peaks: several short starts, go on with the best.
#
# ## Exercises
#
# **Exercise 1.** Write $y$ in millimetres in place of metres: $y$, $b_k$ and $\sigma_k$ are 1000 times what they were. By
# which factor must the step of gradient ascent in $b_k$ be multiplied so that it makes the same step, in the new units?
# (Look at the derivative in section 1.)

# %%
answer = ...

# %%
check("03.1", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# The derivative has $y$ above and $\sigma_k^2$ below, so it is 1000 times *smaller*, and the change of $b_k$ should be 1000
# times larger. EM does not care.
#
# ```python
# answer = 1000**2
# ```
#
# </details>

# %% [markdown]
# **Exercise 2.** From the table of section 3, take the share of starts from which L-BFGS (without passes of EM) came
# within 1 of the summit. What is the chance that five random starts *all* miss it?

# %%
answer = ...

# %%
check("03.2", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# answer = np.mean(reached["L-BFGS"] <= summit - 1) ** 5
# ```
#
# </details>

# %% [markdown]
# **Exercise 3.** A trap in the mountain itself. Add a fifth expert to the good fit of 200 rows: the line through *two*
# of them, which the gate believes everywhere with probability 0.02. On its two rows the density is at least
# $0.02 / (\sqrt{2\pi}\,\sigma)$, without end as $\sigma \to 0$. Say the two rows have density 1 under the other four
# experts, and the other 198 none under the fifth. At which $\sigma$ is the log-likelihood of five as good as that of
# four?

# %%
answer = ...

# %%
check("03.3", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# All 200 rows get the factor 0.98 on what the four experts say, the two rows have the term of the fifth besides:
# $2 \log\bigl(0.98 + 0.02 / (\sqrt{2\pi}\,\sigma)\bigr) + 198 \log 0.98 = 0$.
#
# ```python
# density = 0.98**-99 - 0.98
# answer = 0.02 / (np.sqrt(2 * np.pi) * density)
# ```
#
# Below that it is better, and without end. Maximum likelihood is an ill-posed problem, and no criterion built on it can
# help. The package adds a very weak prior on each variance (`variance_prior`), as if it had seen a hundredth of a row
# with the variance of $y$: on a sound fit that changes almost nothing; here it shuts the pit.
#
# </details>

# %% [markdown]
# ## References
#
# - R. A. Jacobs, M. I. Jordan, S. J. Nowlan, G. E. Hinton (1991). Adaptive mixtures of local experts. *Neural
#   Computation* 3, 79–87.
# - M. I. Jordan, R. A. Jacobs (1994). Hierarchical mixtures of experts and the EM algorithm. *Neural Computation* 6,
#   181–214.
# - L. Xu, M. I. Jordan (1996). On convergence properties of the EM algorithm for Gaussian mixtures. *Neural Computation*
#   8, 129–151.
