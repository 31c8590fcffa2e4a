# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # The three error functions of 1991
#
# Jacobs, Jordan, Nowlan and Hinton began their paper with an objection. Take several networks and a gate, let the gate
# mix their outputs, train everything on the squared error: the experts do *not* divide the work between them. A different
# error function, with almost the same look, makes them specialists. The one idea: **cooperation** or **competition** is in
# the derivative. You need the lecture *Why one line is not enough*. About 35 minutes.

# %%
import warnings

import matplotlib.pyplot as plt
import numpy as np
from lecture import check, interact, table
from sklearn.metrics import r2_score

from classic_moe import AdaptiveLocalExpertsRegressor
from classic_moe.datasets import make_crossing_lines
from classic_moe.experts import LinearExpert
from classic_moe.inspection import GateRegionDisplay
from classic_moe.solvers import Adam

warnings.filterwarnings("ignore", message=".*did not converge")  # we stop on purpose
ERRORS = {
    "blended_error": "(1.1) blended error",
    "expected_error": "(1.2) expected error",
    "likelihood": "(1.3) likelihood",
}
COLORS = ["#D55E00", "#E69F00", "#0072B2"]  # told apart by colour-blind readers too

# %% [markdown]
# ## 1. Three errors
#
# One row has the target $d$; expert $i$ says $o_i$, the gate believes it with $p_i$. The numbers are those of the paper.
#
# $$
# \begin{aligned}
# E &= \Bigl| d - \sum_i p_i o_i \Bigr|^2 & (1.1)\\
# E &= \sum_i p_i\, | d - o_i |^2 & (1.2)\\
# E &= -\log \sum_i p_i\, e^{-\frac12 | d - o_i |^2} & (1.3)
# \end{aligned}
# $$
#
# (1.1) compares the target with the **blend** of the experts. (1.2) lets the gate draw *one* expert, and takes the error
# to be **expected**. (1.3) is minus the log-likelihood of the mixture: the expert is drawn, too, but the data may tell
# afterwards which one it was.
#
# How an expert learns is in the derivative with respect to what it says:
#
# $$
# \begin{aligned}
# -\tfrac12\, \partial E / \partial o_i &= p_i\, \Bigl( d - \sum_j p_j o_j \Bigr) & (1.1)\\
# -\tfrac12\, \partial E / \partial o_i &= p_i\, ( d - o_i ) & (1.2)\\
# -\phantom{\tfrac12}\, \partial E / \partial o_i &= h_i\, ( d - o_i ), \qquad
# h_i = \frac{p_i\, e^{-\frac12 |d - o_i|^2}}{\sum_j p_j\, e^{-\frac12 |d - o_j|^2}} & (1.3)
# \end{aligned}
# $$
#
# Take two experts that the gate believes equally. One says $o_B = -1$, the target is $d = 0$. How hard is the *other* one
# pulled towards the target, if it says $o_A$?


# %%
def pulls(o_b=-1.0, p_a=0.5):
    "How hard expert A is pulled towards the target 0."
    o_a = np.linspace(0, 6, 300)
    h_a = p_a / (p_a + (1 - p_a) * np.exp((o_a**2 - o_b**2) / 2))
    _, ax = plt.subplots(figsize=(7, 3.8), layout="constrained")
    for pull, label, color in zip(
        (p_a * (p_a * o_a + (1 - p_a) * o_b), p_a * o_a, h_a * o_a), ERRORS.values(), COLORS
    ):
        ax.plot(o_a, pull, color=color, linewidth=2.5, label=label)
    ax.axhline(0, color="0.6", linewidth=1)
    ax.axvline(-o_b, color="0.6", linewidth=1, linestyle=":", label="as good as B")
    ax.set(xlabel=f"what A says (the target is 0, B says {o_b:g})", ylabel="pull towards 0")
    ax.legend(frameon=False)
    plt.show()


pulls()

# %% [markdown]
# - Under **(1.1)** the pull depends on the *other* expert. Where A says less than 1 it is even negative: A is right, or
#   nearly so, and is driven *away* from the target, to make up for B's error. Experts become a team whose members make no
#   sense alone.
# - Under **(1.2)** each minds its own error, but the worst one is pulled hardest. As long as the gate is
#   undecided, everybody learns everything.
# - Under **(1.3)** the pull is greatest on an expert that is about as good as the others, and vanishes on one that is
#   hopeless: that row is left to somebody else. A small lead grows: **competition**.
#
# Move B, and the belief in A:

# %%
interact(pulls, o_b=(-4.0, 0.0, 0.5), p_a=(0.1, 0.9, 0.1))

# %% [markdown]
# ## 2. Four planes
#
# Now a task with four parts. In each quadrant of the square $y$ follows a plane of its own. Four linear experts could do
# it perfectly, if each took one quadrant.


# %%
def four_planes(n, seed):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, (n, 2))
    quadrant = 2 * (X[:, 0] > 0) + (X[:, 1] > 0)
    slopes = np.array([[1.5, 0.0], [0.0, -1.5], [0.0, 1.5], [-1.5, 0.0]])
    heights = np.array([0.5, -0.5, -0.5, 0.5])
    return X, (X * slopes[quadrant]).sum(axis=1) + heights[quadrant] + 0.1 * rng.normal(size=n)


X, y = four_planes(400, 0)
X_new, y_new = four_planes(2000, 1)

# %% [markdown]
# Small random planes, a gate that believes all of them about equally, and Adam on all rows, a modern gradient ascent. (The
# variance of the experts is 1 in the paper; a smaller one competes harder.)


# %%
def fit(objective, seed, variance=0.1):
    rng = np.random.default_rng(seed)
    planes = {"coef": rng.normal(0, 0.5, (4, 2)), "intercept": rng.normal(0, 0.5, 4)}
    gate = {"coef": rng.normal(0, 0.1, (4, 2)), "intercept": np.zeros(4)}
    model = AdaptiveLocalExpertsRegressor(
        4, expert=LinearExpert(variance=variance), objective=objective, max_iter=400
    )
    model.set_params(solver=Adam(0.05, batch_size=len(X), warm_up=0))
    scale = np.full(4, np.sqrt(variance))
    model.set_params(init_params={"gate": gate, "expert": planes | {"scale": scale}})
    return model.fit(X, y)


fits = {name: [fit(name, seed) for seed in range(5)] for name in ERRORS}

# %%
fig, axes = plt.subplots(1, 3, figsize=(12, 4), sharex=True, sharey=True, layout="constrained")
for ax, (name, runs) in zip(axes, fits.items()):
    display = GateRegionDisplay.from_estimator(runs[1], X, ax=ax, data_kw={"s": 6})
    display.legend_.remove()
    ax.set(title=ERRORS[name], aspect="equal")
fig.suptitle("Who speaks where (stronger: more alone)")
plt.show()

# %% [markdown]
# Same data, same start, same climber, three divisions of labour. Only under
# the likelihood has each expert found its quadrant. How well do they predict: all together, and the one alone whom the
# gate trusts most? Here are the medians of five starts, on 2000 new rows.


# %%
def scores(model):
    "R² of all together and of the most trusted one alone, and the largest and smallest share."
    gate, experts = model.gate_proba(X_new), model.predict_experts(X_new)
    chosen = experts[np.arange(len(gate)), gate.argmax(axis=1)]
    shares = gate.mean(axis=0)
    return model.score(X_new, y_new), r2_score(y_new, chosen), shares.max(), shares.min()


rows = [
    [ERRORS[name], *(f"{v:.2f}" for v in np.median([scores(m) for m in runs], axis=0))]
    for name, runs in fits.items()
]
table(["", "R², all", "R², the most trusted alone", "largest share", "smallest share"], rows)

# %% [markdown]
# - The **blend** predicts well, but its members are meaningless one by one: an R² below zero is worse than the mean of
#   $y$. They cancel each other's errors.
# - Under the **expected error** an expert means what it says; but the work is divided badly, and the prediction is the
#   worst. The gate alone decides who learns: an expert that it has given up learns no more, so it cannot get better, so
#   the gate has no reason to come back.
# - The **likelihood** gives specialists *and* a good prediction. The weight of a row is the responsibility $h_i$, and
#   $h_i / p_i$ is large wherever the expert is better than its reputation: the row *calls* for it.
#
# (Medians hide that each error has its unlucky starts. For a fit that counts, take several starts, and for the likelihood
# EM.)
#
# ## 3. Two answers to one question
#
# The difference is greatest where one $x$ has two answers. Two lines cross, and $x$ says nothing about which of them
# holds, so the gate is constant.

# %%
X_cross, y_cross = make_crossing_lines(200, noise=0.12, random_state=0)
ends = np.array([[X_cross.min()], [X_cross.max()]])
fig, axes = plt.subplots(1, 3, figsize=(12, 3.8), sharex=True, sharey=True, layout="constrained")
for ax, name in zip(axes, ERRORS):
    model = AdaptiveLocalExpertsRegressor(
        2, expert=LinearExpert(variance=0.1), objective=name, gate="constant", solver="lbfgs"
    )
    model.set_params(random_state=0).fit(X_cross, y_cross)
    ax.scatter(X_cross[:, 0], y_cross, s=10, color="0.6")
    ax.plot(ends, model.predict_experts(ends)[:, 0], COLORS[2], linewidth=3, label="expert 0")
    ax.plot(ends, model.predict_experts(ends)[:, 1], COLORS[1], linewidth=3, label="expert 1")
    ax.plot(ends, model.predict(ends), color="black", linestyle="--", label="blend")
    ax.set(title=ERRORS[name], xlabel="x", ylabel="y", ylim=(-1.6, 1.6))
    ax.label_outer()
axes[2].legend(frameon=False, loc="upper center", ncols=3, fontsize="small")
plt.show()

# %% [markdown]
# The blended and the expected error are content with the mean of the two answers, which is an answer nobody gave: for
# the first, any two lines with the right blend will do; for the second, each expert's best line is the same. Only the
# likelihood may decide row by row, *after* seeing $y$, who was meant.
#
# ## Which one, then?
#
# - You want to **read** the experts, or a whole predictive distribution: the likelihood, (1.3). It is what the rest of
#   this package climbs, as a rule by EM.
# - You want a good **blend** of experts that exist already and stay as they are: (1.1). The next lecture does that.
# - (1.2) has its place where one expert alone will act, drawn by the gate: its error is exactly what is then to be
#   expected.
#
# ## What to remember
#
# - (1.1) compares with the blend: experts cooperate, and one expert's error is another's task.
# - (1.2) and (1.3) compare expert by expert: they divide the work. In (1.2) the gate alone says who learns; in (1.3)
#   Bayes' rule does, with the gate as prior.
# - Competition means that the pull on an expert *falls* once it is worse than the others.
#
# ## Exercises
#
# **Exercise 1.** The target is $d = 0$; A says 2, B says −1, and the gate believes both equally. Give the three pulls on A
# of section 1, in the order (1.1), (1.2), (1.3), the sign of towards the target being plus.

# %%
answer = ...

# %%
check("04.1", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# blend = 0.5 * 2 + 0.5 * -1
# h = np.exp(-2) / (np.exp(-2) + np.exp(-0.5))
# answer = [0.5 * blend, 0.5 * 2, h * 2]
# ```
#
# </details>

# %% [markdown]
# **Exercise 2.** The derivative of (1.3) with respect to the gate's score $s_i$, where $p = \mathrm{softmax}(s)$, is
# $-\partial E / \partial s_i = h_i - p_i$. Find the corresponding one for $-\partial E / \partial s_i$ under (1.2), and give
# its two values for the row of exercise 1 (A first).

# %%
answer = ...

# %%
check("04.2", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# $-\partial E / \partial s_i = p_i\, (E - | d - o_i |^2)$: the gate goes over to those whose error is below the expected one.
#
# ```python
# errors, p = np.array([4.0, 1.0]), np.array([0.5, 0.5])
# answer = p * (p @ errors - errors)
# ```
#
# </details>

# %% [markdown]
# **Exercise 3.** Softer competition. Fit the likelihood to section 2 with `fit("likelihood", seed=1, variance=1.0)`, the
# variance of the paper. What is R² of the most trusted expert alone now? (Two digits. For `variance=0.1` it is
# `scores(fits["likelihood"][1])[1]`.)

# %%
answer = ...

# %%
check("04.3", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# answer = scores(fit("likelihood", seed=1, variance=1.0))[1]
# ```
#
# With a variance as large as that of $y$ all experts explain all rows about equally well, $h$ is close to $p$, and nobody
# becomes a specialist; one expert is even left without rows, and the package says so. `MixtureOfExpertsRegressor` estimates
# the variances.
#
# </details>

# %% [markdown]
# ## References
#
# - R. A. Jacobs, M. I. Jordan, S. J. Nowlan, G. E. Hinton (1991). Adaptive mixtures of local experts. *Neural
#   Computation* 3, 79–87.
# - J. B. Hampshire, A. H. Waibel (1992). The Meta-Pi network: building distributed knowledge representations for robust
#   multisource pattern recognition. *IEEE Transactions on Pattern Analysis and Machine Intelligence* 14, 751–769.
