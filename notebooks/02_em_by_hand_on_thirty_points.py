# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # EM by hand on thirty points
#
# The EM algorithm fits a mixture by repeating two steps that are easy on their own. The one idea here is why that climbs:
# both steps raise the same function. We do them with nothing but sums, on thirty points, slowly enough to follow a
# single row; then the package does the same, and we look over its shoulder. You need least squares and Bayes' rule; the
# lecture *Why one line is not enough* tells what the model is for. About 40 minutes.

# %%
import matplotlib.pyplot as plt
import numpy as np
from lecture import check, interact, table
from matplotlib.colors import to_rgb
from scipy.stats import norm

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.datasets import make_crossing_lines

BLUE, ORANGE = "#0072B2", "#E69F00"  # told apart by colour-blind readers too

# %% [markdown]
# ## 1. Thirty points
#
# A machine has two settings, and somebody forgot to write down which one was on. Under one setting $y$ rises with $x$,
# under the other it falls. We centre and scale both columns, so that 0 is the mean and 1 the standard deviation.

# %%
X, y = make_crossing_lines(30, noise=0.15, random_state=7)
X, y = (X - X.mean()) / X.std(), (y - y.mean()) / y.std()
x = X[:, 0]
A = np.column_stack([np.ones(30), x])  # the design matrix: a column of ones, and x

fig, ax = plt.subplots(figsize=(5, 3.6), layout="constrained")
ax.scatter(x, y, s=28, color="0.4")
ax.set(xlabel="x", ylabel="y", title="Which points belong together?")
plt.show()

# %% [markdown]
# The model: a row comes from line 0 with probability $\pi_0$ and from line 1 with probability $\pi_1 = 1 - \pi_0$, and
# scatters normally about its line,
#
# $$
# p(y \mid x) = \sum_{k=0}^{1} \pi_k\, N(y;\; c_k + b_k x,\; \sigma_k^2) .
# $$
#
# That makes seven numbers. If we knew the setting of every row, each would be a mean or a least-squares fit. If we knew
# the seven numbers, Bayes' rule would give the setting. We know neither, so we guess the numbers and take turns.
#
# Our guess is a poor one: two level lines, one above the other.

# %%
lines = np.array([[0.8, 0.0], [-0.8, 0.0]])  # intercept and slope of each line
sd = np.array([0.7, 0.7])
share = np.array([0.5, 0.5])
start = lines, sd, share

# %% [markdown]
# ## 2. The E-step: whose row is it?
#
# For every row and line, multiply: how common is the line, times how well does it predict this $y$? The sum over the
# lines is $p(y \mid x)$; each product divided by the sum is the **responsibility** of the line for the row,
#
# $$
# h_k = \frac{\pi_k\, N(y;\; c_k + b_k x,\; \sigma_k^2)}{\sum_j \pi_j\, N(y;\; c_j + b_j x,\; \sigma_j^2)} .
# $$


# %%
def e_step(lines, sd, share):
    "Products of share and density (30, 2), and responsibilities (30, 2)."
    joint = share * norm.pdf(y[:, None], A @ lines.T, sd)
    return joint, joint / joint.sum(axis=1, keepdims=True)


joint, h = e_step(*start)
print(f"log-likelihood of the guess: {np.log(joint.sum(axis=1)).sum():.3f}")
rows = [
    [i, f"{x[i]:.2f}", f"{y[i]:.2f}", *(f"{v:.4f}" for v in joint[i]), *(f"{v:.3f}" for v in h[i])]
    for i in range(5)
]
table(["row", "x", "y", "product, line 0", "product, line 1", "h, line 0", "h, line 1"], rows)

# %% [markdown]
# Take row 0 and a calculator. $N(y; m, \sigma^2)$ is $\exp(-\tfrac12 ((y - m)/\sigma)^2) / (2.5066\, \sigma)$, the
# lines predict $m = 0.8$ and $m = -0.8$ whatever $x$ is, $\sigma = 0.7$, and the shares are one half. You should get the
# two products in the middle of the table, and their shares in the sum on the right.
#
# ## 3. The M-step: weighted least squares
#
# Now pretend that $h_k$ *is* the membership: row $i$ belongs to line $k$ to the extent $h_{ik}$. Then everything is a
# weighted sum.
#
# - The share is the mean responsibility, $\pi_k = \frac{1}{30} \sum_i h_{ik}$.
# - The line solves the weighted normal equations $\;(\sum_i h_{ik}\, a_i a_i^\top)\, (c_k, b_k)^\top = \sum_i h_{ik}\, y_i\, a_i$,
#   with $a_i = (1, x_i)^\top$.
# - The variance is the weighted mean of the squared residuals.


# %%
def m_step(h):
    "Lines, standard deviations and shares, from weighted sums."
    lines = np.array([np.linalg.solve(A.T @ (w[:, None] * A), A.T @ (w * y)) for w in h.T])
    squares = (y[:, None] - A @ lines.T) ** 2
    return lines, np.sqrt(np.sum(h * squares, axis=0) / h.sum(axis=0)), h.mean(axis=0)


lines, sd, share = m_step(h)
table(
    ["after one M-step", "intercept", "slope", "sd", "share"],
    [[f"line {k}", *(f"{v:.3f}" for v in (*lines[k], sd[k], share[k]))] for k in (0, 1)],
)

# %% [markdown]
# The lines are level no more. Both rise, because most of the points do: this is least squares, and neither line knows
# its own rows yet.
#
# ## 4. Again, and again
#
# Six frames of the film. A dot's colour mixes those of the lines in proportion to their responsibilities, the shaded
# strips are one standard deviation wide on either side.


# %%
def run(state, n_iter):
    "The states of EM, and the responsibilities and log-likelihood of each."
    film = []
    for _ in range(n_iter + 1):
        joint, h = e_step(*state)
        film.append((state, h, np.log(joint.sum(axis=1)).sum()))
        state = m_step(h)
    return film


def frame(i, ax):
    "The lines and the rows after i iterations."
    (lines, sd, _), h, value = film[i]
    ends = np.array([-1.9, 1.9])
    for (intercept, slope), s, color in zip(lines, sd, (BLUE, ORANGE)):
        level = intercept + slope * ends
        ax.plot(ends, level, color=color, linewidth=2.5)
        ax.fill_between(ends, level - s, level + s, color=color, alpha=0.15, linewidth=0)
    colors = np.clip(h @ [to_rgb(BLUE), to_rgb(ORANGE)], 0, 1)
    ax.scatter(x, y, s=26, c=colors, edgecolors="white", linewidths=0.5, zorder=3)
    ax.set(title=f"iteration {i}, log-likelihood {value:.2f}", ylim=(-2.6, 2.6))
    ax.set(xlabel="x", ylabel="y")


film = run(start, 25)
fig, axes = plt.subplots(2, 3, figsize=(10, 6), sharex=True, sharey=True, layout="constrained")
for ax, i in zip(axes.flat, (0, 3, 8, 12, 15, 25)):
    frame(i, ax)
    ax.label_outer()
plt.show()

# %% [markdown]
# For a while hardly anything happens: two parallel lines share the points between them. Then one of them turns, the
# dots take sides, the strips narrow, and in a few more iterations it is over. Look at each:


# %%
def one(iteration):
    _, ax = plt.subplots(figsize=(5, 3.6), layout="constrained")
    frame(iteration, ax)
    plt.show()


interact(one, iteration=(0, 25, 1))

# %% [markdown]
# ## 5. The staircase: why it never falls
#
# For *any* responsibilities $h$ (positive, each row summing to 1) and parameters $\theta$ look at
#
# $$
# F(h, \theta) = \sum_i \sum_k h_{ik} \log \frac{\pi_k\, N(y_i;\; c_k + b_k x_i,\; \sigma_k^2)}{h_{ik}}
# \;\le\; \sum_i \log p(y_i \mid x_i) .
# $$
#
# The inequality is Jensen's, and it is an equality exactly when $h$ are the responsibilities under $\theta$. So
#
# - the **E-step** raises $F$ in $h$ as far as it goes: to the log-likelihood;
# - the **M-step** raises $F$ in $\theta$, with $h$ held.
#
# Both steps climb the same function in turns. After every E-step we stand on the log-likelihood, and higher than before.


# %%
def bound(h, state):
    "F(h, parameters)."
    joint, _ = e_step(*state)
    return np.sum(h * np.log(joint / h))


likelihood = np.array([value for _, _, value in film])
after_m = np.array([bound(film[i][1], film[i + 1][0]) for i in range(25)])

fig, ax = plt.subplots(figsize=(8, 4), layout="constrained")
for i in range(6, 15):
    ax.plot(2 * [i + 0.5], [likelihood[i], after_m[i]], color=ORANGE, linewidth=3)
    ax.plot(2 * [i + 1], [after_m[i], likelihood[i + 1]], color=BLUE, linewidth=3)
    ax.plot([i, i + 0.5], 2 * [likelihood[i]], color="0.6", linewidth=1)
    ax.plot([i + 0.5, i + 1], 2 * [after_m[i]], color="0.6", linewidth=1)
ax.plot(range(6, 16), likelihood[6:16], "o", color="black", markersize=4, zorder=3)
ax.set(xlabel="iteration", ylabel="F, the lower bound", title="Where it climbs fastest")
dot = plt.Line2D([], [], color="black", marker="o", linestyle="none", markersize=4)
ax.legend([*ax.lines[:2], dot], ["M-step raises F", "E-step raises F", "log-likelihood"])
plt.show()
by_m, by_e = (after_m - likelihood[:-1])[:18], (likelihood[1:] - after_m)[:18]
print(f"smallest gain in 18 iterations, of an M-step {by_m.min():.1e}, an E-step {by_e.min():.1e}")

# %% [markdown]
# No step down, anywhere; the smallest steps are the last. Nothing in the argument used straight lines or
# normal noise: it holds for every expert and every gate, and also when the M-step only *raises* $F$ instead of
# maximising it. That weaker M-step is called **generalised EM**. The package uses it for softmax gates, whose best
# parameters have no formula.
#
# ## 6. The same in one call
#
# The package starts exactly where we did (`init_params` as a dictionary), runs plain EM (`solver="em"`) without its weak
# priors (the two zeros), and calls our function after every iteration with the parameters and the objective. The
# parameters arrive as the solver holds them, in *standardised* units; as our columns have mean 0 and standard deviation
# 1, these are our units.

# %%
lines, sd, share = start
ours = {
    "gate": {"weights": share},
    "expert": {"coef": lines[:, 1:], "intercept": lines[:, 0], "scale": sd},
}
model = MixtureOfExpertsRegressor(2, gate="constant", solver="em", init_params=ours, tol=1e-12)
model.set_params(expert__alpha=0, expert__variance_prior=0)
seen = []
model.fit(X, y, callback=lambda iteration, params, objective: seen.append(params))

slopes = np.array([np.squeeze(params["expert"]["coef"])[:, 1] for params in seen[:25]])
worst = max(abs(slopes[i] - film[i + 1][0][0][:, 1]).max() for i in range(25))
print(f"largest difference of a slope from ours in 25 iterations: {worst:.1e}")
gap = np.abs(model.lower_bounds_[:26] - likelihood).max()
print(f"largest difference of a log-likelihood: {gap:.1e}")
print(model.equations())

# %% [markdown]
# Those are our numbers, to the last digits a computer has.
#
# ## What to remember
#
# - E-step: Bayes' rule for every row. M-step: means and least squares, weighted by the responsibilities.
# - Both climb one function $F$ in turns, and after each E-step $F$ is the log-likelihood. So it never falls.
# - It need not reach the *highest* maximum: that depends on the start. The next lecture is about that.
# - `callback` shows a fit from the inside, `lower_bounds_` and `ConvergenceDisplay` show how it went.
#
# ## Exercises
#
# **Exercise 1.** With the calculator: a row has $y = 0.5$. What is the responsibility of line 0 under our guess (lines at
# 0.8 and −0.8, equal shares), if both standard deviations are 0.6 in place of 0.7? Two digits will do.

# %%
answer = ...

# %%
check("02.1", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# Shares and constants cancel, as both lines have the same.
#
# ```python
# line_0, line_1 = np.exp(-0.5 * ((0.5 - np.array([0.8, -0.8])) / 0.6) ** 2)
# answer = line_0 / (line_0 + line_1)
# ```
#
# </details>

# %% [markdown]
# **Exercise 2.** Start both lines from the same values: both at 0.8, slope 0. At which log-likelihood does EM stay for
# ever, and whose is that?

# %%
answer = ...

# %%
check("02.2", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# Every responsibility is one half and stays so. Both lines become the least-squares line of all rows after one step, and
# the log-likelihood is that of *one* line. EM cannot break a perfect tie: no row asks it to.
#
# ```python
# tied = np.array([[0.8, 0.0], [0.8, 0.0]]), np.array([0.7, 0.7]), np.array([0.5, 0.5])
# answer = run(tied, 25)[-1][2]
# ```
#
# </details>

# %% [markdown]
# **Exercise 3.** A callback that returns True stops the fit. Stop `model` as soon as the two slopes have different signs:
# what is `model.n_iter_`?

# %%
answer = ...

# %%
check("02.3", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def crossed(iteration, params, objective):
#     return bool(np.prod(np.squeeze(params["expert"]["coef"])[:, 1]) < 0)
#
#
# model.fit(X, y, callback=crossed)
# answer = model.n_iter_
# ```
#
# More than half of the iterations are over before the picture shows two crossing lines.
#
# </details>

# %% [markdown]
# ## References
#
# - A. P. Dempster, N. M. Laird, D. B. Rubin (1977). Maximum likelihood from incomplete data via the EM algorithm. *JRSS
#   B* 39, 1–38.
# - R. M. Neal, G. E. Hinton (1998). A view of the EM algorithm that justifies incremental, sparse, and other variants.
#   In *Learning in Graphical Models*, 355–368. (The function $F$.)
