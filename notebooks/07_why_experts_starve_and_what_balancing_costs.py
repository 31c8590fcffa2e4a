# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Routing: why experts starve, and what balancing costs
#
# A mixture with many experts need not ask all of them. A **router** sends each row to the few that suit it, and the rest
# are not even computed. But who is sent no rows learns nothing, and who has learnt nothing is sent no rows. This lecture
# shows how experts starve, what can be done about it, and what that costs. You need the lecture *Why one line is not
# enough*. About 35 minutes.

# %%
import warnings

import matplotlib.pyplot as plt
import numpy as np
from lecture import check, interact, table

from classic_moe import (
    ExpertCollapseWarning,
    MixtureOfExpertsRegressor,
    SparseMixtureOfExpertsRegressor,
)
from classic_moe.datasets import make_voronoi_pieces
from classic_moe.inspection import BalanceCurveDisplay, ExpertLoadDisplay, RoutingMapDisplay
from classic_moe.routing import AuxiliaryLoss, BiasBalancing, ExpertChoiceRouter
from classic_moe.solvers import Adam

# %% [markdown]
# ## 1. Many planes, one of them anywhere
#
# The data are made for the purpose. The square is cut into 16 cells, the cells of Voronoi around 16 random points, and in
# each cell $y$ follows a plane of its own. So 16 linear experts are needed, but at any one point only one or two. The
# cells are of very different sizes.

# %%
X, y, truth = make_voronoi_pieces(4000, n_pieces=16, random_state=3, return_truth=True)
X, X_new, y, y_new = X[:2000], X[2000:], y[:2000], y[2000:]

fig, (left, right) = plt.subplots(1, 2, figsize=(11, 4.4), layout="constrained")
points = left.scatter(*X[::2].T, c=y[::2], s=8, cmap="cividis")
left.set(xlabel="x0", ylabel="x1", title="What we see")
fig.colorbar(points, ax=left, label="y")
RoutingMapDisplay.from_estimator(truth, X[::4], ax=right, data_kw={"s": 2})
right.set_title("What is behind it: 16 cells")
plt.show()

# %% [markdown]
# ## 2. A sparse blend
#
# The gate has a score $s_i(x) = a_i + v_i^\top x$ for each expert. The router keeps the set $S(x)$ of the $k$ experts with
# the highest scores and adds up what these say,
#
# $$
# f(x) = \sum_{i \in S(x)} w_i(x)\, f_i(x), \qquad
# w_i(x) = \frac{e^{s_i(x)}}{\sum_{j \in S(x)} e^{s_j(x)}} .
# $$
#
# This is the *sparsely gated* layer of Shazeer et al. (2017), here with planes for experts. It is trained as such layers
# are: from a random start, by gradients, on minibatches. In the package it is called a **blend**. `route` says where rows
# go: a sparse matrix of the weights.


# %%
def blend(n_experts=16, seed=0, **options):
    "A sparse blend of planes, two a row unless the options say otherwise, trained by Adam."
    common = dict(combine="blend", solver=Adam(0.03, batch_size=128), max_iter=60)
    model = SparseMixtureOfExpertsRegressor(n_experts, random_state=seed, **common | options)
    return model.fit(X, y)


free = blend()
print(f"relative error on new rows: {1 - free.score(X_new, y_new):.2f} (1: always the mean)")
print("where the first three rows go:")
for row in range(3):
    routes = free.route(X[[row]]).tocoo()
    print("  ", *(f"expert {i} × {w:.2f}" for i, w in zip(routes.col, routes.data)))

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(12, 3.8), layout="constrained")
BalanceCurveDisplay.from_estimator(free, kind="loads", ax=left)
ExpertLoadDisplay.from_estimator(free, X, ax=right)
left.set_title("Loads during the training")
right.set_title("Loads at the end")
plt.show()

# %% [markdown]
# The **load** of an expert is its share of all pairs of a row and an expert. On the left the loads are stacked, epoch by
# epoch. Already in the first epoch, sixteen minibatches long, a few experts have nearly all rows. Some change places later,
# but few of the others ever come back: on the right, every expert with a 0 **starves**.
#
# Why? The random start makes some experts a little better than the others. The gate raises their scores, so they get more
# rows, so they learn more. The gradient of an expert that is not kept is exactly zero. It stays as bad as it was, and the
# gate has no reason to come back. A competition with no second chance.
#
# What is lost is easy to see on a map. The colours only set neighbours apart; the number is that of the expert that
# counts most.

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4.4), layout="constrained")
RoutingMapDisplay.from_estimator(truth, X[::4], ax=left, data_kw={"s": 2}).legend_.remove()
RoutingMapDisplay.from_estimator(free, X[::4], k=1, ax=right, data_kw={"s": 2}).legend_.remove()
left.set_title("the truth")
right.set_title("sparse, no balancing")
plt.show()

# %% [markdown]
# ## 3. Four ways to share out the rows
#
# - **Auxiliary loss** (GShard, Switch). Add $\lambda K \sum_i f_i \bar P_i$ to the loss, $f_i$ being the load of an expert
#   and $\bar P_i$ its mean probability. It is smallest where loads are equal, and pulls down the scores of the popular.
# - **Bias** (DeepSeek-V3). No loss. A number is added to each score *when the best are chosen*, and it rises a little as
#   long as the expert has too few rows. The weights do not see it.
# - **Expert choice**. The other way round: each *expert* takes the rows that suit it best, as many as its fair share. A
#   row may have several experts or none.
# - **Random**, for comparison: each row of the training goes to experts drawn by lot.

# %%
RULES = {
    "none": {},
    "auxiliary loss": dict(balance=AuxiliaryLoss(0.3)),
    "bias": dict(balance=BiasBalancing()),
    "expert choice": dict(router=ExpertChoiceRouter(2.0)),
    "random": dict(router="random"),
}
fits = {name: [blend(seed=seed, **rule) for seed in range(3)] for name, rule in RULES.items()}

fig, axes = plt.subplots(1, 4, figsize=(13, 3.2), sharey="row", layout="constrained")
for ax, name in zip(axes, ("none", "auxiliary loss", "bias", "expert choice")):
    BalanceCurveDisplay.from_estimator(fits[name][0], kind="loads", ax=ax)
    ax.set_title(name)
    ax.label_outer()
plt.show()

# %% [markdown]
# Balanced, the bands are nearly level. And is it good for anything? We look at 2,000 new rows, at the median of three
# random starts. For comparison EM fits the *dense* mixture of sixteen planes, as in the first lecture.


# %%
def told(models):
    "Medians over the starts: error, largest load over the mean, experts without rows."
    numbers = [
        (1 - m.score(X_new, y_new), 1 + m.load_imbalance_, np.sum(m.expert_usage_ == 0))
        for m in models
    ]
    return [f"{v:.2g}" for v in np.median(numbers, axis=0)]


with warnings.catch_warnings():
    warnings.simplefilter("ignore", ExpertCollapseWarning)  # one of the 16 ends with few rows
    dense = MixtureOfExpertsRegressor(16, n_init=2, random_state=0).fit(X, y)
rows = [[name, *told(models)] for name, models in fits.items()]
rows.append(["dense mixture, by EM", f"{1 - dense.score(X_new, y_new):.2g}", "", ""])
table(["rule", "relative error", "largest load / mean", "experts without rows"], rows)

# %% [markdown]
# - All three remedies feed all experts, and beat no balancing. **Unused experts are the loss.**
# - `random` balances to perfection and is by far the worst. Its experts all learn the same. **Balance is not the goal.**
# - EM from the package's starts is far better than all of them. It asks every expert about every row, so nobody is shut
#   out. Sparse training saves time, not error. Where EM can be had, take EM.
#
# ## 4. What balancing costs
#
# How hard should one push? The weight $\lambda$ of the auxiliary loss, from nothing to far too much.

# %%
weights = [0.003, 0.03, 0.1, 0.3, 1, 3]
sweep = [[blend(seed=s, balance=AuxiliaryLoss(w)) for s in (0, 1)] for w in weights]
measures = {
    "experts without rows": lambda m: np.sum(m.expert_usage_ == 0),
    "largest load / mean": lambda m: 1 + m.load_imbalance_,
    "relative error on new rows": lambda m: 1 - m.score(X_new, y_new),
}
fig, axes = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
for ax, (name, measure) in zip(axes, measures.items()):
    values = np.array([[measure(m) for m in models] for models in sweep])
    ax.plot(weights, values, "o", color="#0072B2", markersize=5)
    ax.plot(weights, values.mean(axis=1), color="#0072B2", linewidth=2)
    ax.set(xscale="log", xlabel="weight of the auxiliary loss", ylabel=name)
plt.show()

# %% [markdown]
# Dots are two random starts, the line is their mean. With more weight nobody starves any more, and the error falls. With
# too much it rises again: the gate now works for the loss and not for $y$.
#
# Equal loads are a need of machines, where each expert sits on a processor of its own. They are no statistical virtue: where
# groups are of unequal size, as our cells are, loads should be unequal, too. So `balance` is `None` unless you say otherwise.
# Try other weights, and other numbers of experts:


# %%
def other(log10_weight, n_experts):
    fit = blend(n_experts, balance=AuxiliaryLoss(10**log10_weight))
    _, (left, right) = plt.subplots(1, 2, figsize=(12, 3.8), layout="constrained")
    BalanceCurveDisplay.from_estimator(fit, kind="loads", ax=left)
    RoutingMapDisplay.from_estimator(fit, X[::4], k=1, ax=right, data_kw={"s": 2}).legend_.remove()
    left.set_title(f"relative error {1 - fit.score(X_new, y_new):.2f}")
    plt.show()


interact(other, log10_weight=(-3.0, 0.5, 0.5), n_experts=(4, 24, 4))

# %% [markdown]
# ## What to remember
#
# - A router keeps $k$ of $K$ experts. Who is not kept learns nothing, and starves.
# - Loads tell *that* experts starve, and the error tells whether it matters. Look at both.
# - An auxiliary loss, a bias, or expert choice feed all experts. Too much of it costs error again.
# - EM has no such trouble. `balance` is for training by gradients.
#
# ## Exercises
#
# **Exercise 1.** Four experts have the loads .7, .1, .1, .1, and mean probabilities that are the same. What is the
# auxiliary loss without its weight, $K \sum_i f_i \bar P_i$?

# %%
answer = ...

# %%
check("07.1", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# answer = 4 * (0.7**2 + 3 * 0.1**2)
# ```
#
# For equal loads it is 1, the least there is when loads and probabilities agree; for one that has all it is 4, that is $K$.
#
# </details>

# %% [markdown]
# **Exercise 2.** Machines have another rule: of a batch of $n$ rows an expert takes at most $C = \lceil c\,k\,n/K \rceil$, and
# whoever comes later is **dropped**. Fit `blend(8, router=TopKRouter(1, weight="raw"), n_shared=1, capacity_factor=1.0)`, with
# `TopKRouter` of `classic_moe.routing`: eight experts, one for a row, and a *shared* one that every row has.
# `dropped(X).any(axis=1)` of the fit says which rows would be dropped if all 2,000 came as one batch: which share of them?

# %%
answer = ...

# %%
check("07.2", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# from classic_moe.routing import TopKRouter
#
# capped = blend(8, router=TopKRouter(1, weight="raw"), n_shared=1, capacity_factor=1.0)
# answer = capped.dropped(X).any(axis=1).mean()
# RoutingMapDisplay.from_estimator(capped, X, data_kw={"s": 2}, cross_kw={"s": 12})
# plt.show()
# ```
#
# The crosses, those dropped, sit in the popular regions, and there alone. A capacity discards rows, and moves no gate. Use
# it together with a balance term, or not at all. (In predictions nobody is dropped: a row's prediction must not hang on who
# is asked beside it.)
#
# </details>

# %% [markdown]
# **Exercise 3.** How many experts does a row need? `top_k_report(dense, X_new, y_new, ks=(1, 2, 3, 4, 6, 8))` of
# `classic_moe.routing` says what is lost if only the `k` best experts of each row of the dense fit are kept, without a new
# fit. What is the smallest `k` of these whose `nll` (the mean of $-\log p$) is within 0.01 of that of `k=8`?

# %%
answer = ...

# %%
check("07.3", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# from classic_moe.routing import top_k_report
#
# report = top_k_report(dense, X_new, y_new, ks=(1, 2, 3, 4, 6, 8))
# answer = next(k for k, nll in zip(report.k, report.nll) if nll < report.nll[-1] + 0.01)
# ```
#
# For the *mean* two are enough. For the density one is far too few: where two cells meet the kept expert may be the wrong
# one, and then $y$ lies far out in its tail.
#
# </details>

# %% [markdown]
# ## References
#
# - N. Shazeer et al. (2017). Outrageously large neural networks: the sparsely-gated mixture-of-experts layer. *ICLR*.
#   arXiv:1701.06538.
# - W. Fedus, B. Zoph, N. Shazeer (2021). Switch transformers: scaling to trillion parameter models with simple and
#   efficient sparsity. arXiv:2101.03961.
# - Y. Zhou et al. (2022). Mixture-of-experts with expert choice routing. arXiv:2202.09368.
# - L. Wang et al. (2024). Auxiliary-loss-free load balancing strategy for mixture-of-experts. arXiv:2408.15664.
