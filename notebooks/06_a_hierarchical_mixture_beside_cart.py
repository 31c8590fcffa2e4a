# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # A hierarchical mixture beside CART
#
# A decision tree asks one yes-or-no question after another and predicts a constant at the leaf. The hierarchical mixture
# of experts of Jordan and Jacobs (1994) keeps the tree and makes everything soft: a question may weigh several features
# and be answered with a probability, and at the leaf stands a regression. This lecture puts the two side by side, on
# data that suit the one and on data that suit the other. You need the lecture *Why one line is not enough*, and to have met
# decision trees. About 35 minutes.

# %%
import matplotlib.pyplot as plt
import numpy as np
from lecture import check, interact, table
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV
from sklearn.tree import DecisionTreeRegressor

from classic_moe import HierarchicalMixtureOfExpertsRegressor, MixtureOfExpertsRegressor
from classic_moe.datasets import make_hme
from classic_moe.inspection import GateRegionDisplay, TreeDisplay

# %% [markdown]
# ## 1. The data
#
# Two features, a number to predict. Behind the data is a tree: a slanting line parts the square in two, another one parts
# each half, and in each of the four parts $y$ follows a plane of its own. The parts overlap a little.

# %%
X, y, truth = make_hme(2600, sharpness=12, noise=0.15, random_state=4, return_truth=True)
X, X_new, y, y_new = X[:600], X[600:], y[:600], y[600:]

fig, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
points = left.scatter(*X.T, c=y, s=16, cmap="cividis")
left.set(xlabel="x0", ylabel="x1", title="What we see")
fig.colorbar(points, ax=left, label="y")
GateRegionDisplay.from_estimator(truth, X, ax=right, data_kw={"s": 4})
right.set_title("What is behind it")
plt.show()

# %% [markdown]
# ## 2. The model
#
# At the root stands a gate with two branches, $g_i(x)$; on each branch another one, $g_{j \mid i}(x)$; at each leaf an
# expert. The probability of a leaf is the product along the path,
#
# $$
# p(y \mid x) = \sum_i g_i(x) \sum_j g_{j \mid i}(x)\; p_{ij}(y \mid x) .
# $$
#
# Multiply out, and it is a mixture of four experts with the gating probabilities $g_i g_{j \mid i}$. So EM needs nothing
# new. The E-step gives each leaf its responsibility $h_{ij}$; a gate is fitted to the responsibilities *summed over the
# leaves below its branches*, and a row counts there as much as all of them together. In the package it *is* an ordinary
# mixture, with `gate=TreeGate(...)`.

# %%
model = HierarchicalMixtureOfExpertsRegressor(branching=2, depth=2, random_state=0).fit(X, y)
display = TreeDisplay.from_estimator(model, X)
display.ax_.set_title("The fitted tree")
plt.show()

# %% [markdown]
# **How to read the tree.** At each node stands the log-odds of going left: above 0 the left branch is the more probable
# one, and the larger the coefficients, the sharper the turn. The percentages say how the rows that reach a node divide,
# and the thickness of an edge is its share of all rows. A leaf shows its expert's plane and standard deviation. All
# numbers are in the units of the data. (`model.export_text()` has the same as text.)
#
# Follow one row, close to a border. Before $y$ is seen the gates speak (`node_proba`), afterwards the responsibilities
# (`node_responsibilities`).

# %%
row = [np.sort(model.gate_proba(X), axis=1)[:, -2].argmax()]  # whose second leaf is most probable
before, after = model.node_proba(X[row]), model.node_responsibilities(X[row], y[row])
print(f"x = {X[row][0].round(2)}, y = {y[row][0]:.2f}, the leaves say", end=" ")
print(model.predict_experts(X[row])[0].round(2))
table(
    ["node", "left, before y", "right, before y", "left, after y", "right, after y"],
    [[node, *(f"{v:.3f}" for v in (*before[node][0], *after[node][0]))] for node in before],
)

# %% [markdown]
# Before, two leaves are in question, one on either side of the root. Then $y$ decides. (Where two leaves say the same of
# a row it decides nothing, and they share the row.) CART would have sent the row one way and never looked back.
#
# ## 3. Two predictions of the plane
#
# CART, with the size of its leaves chosen by cross-validation, on the same rows. It may only cut across an axis, so it
# climbs a slanting border in steps, and within a leaf it says the same number everywhere, so it needs many leaves for
# one plane.


# %%
def cart(X, y):
    "A tree with the best size of leaves."
    sizes = {"min_samples_leaf": [2, 5, 10, 20, 40]}
    search = GridSearchCV(DecisionTreeRegressor(random_state=0), sizes, cv=5)
    return search.fit(X, y).best_estimator_


def surfaces(models):
    "What models predict on the plane, side by side."
    fig, axes = plt.subplots(1, len(models), figsize=(4.2 * len(models), 3.9), sharey=True)
    fig.set_layout_engine("constrained")
    edges = np.linspace(-1, 1, 200)
    mesh = np.column_stack([part.ravel() for part in np.meshgrid(edges, edges)])
    shown = dict(cmap="cividis", vmin=y.min(), vmax=y.max(), rasterized=True)
    for ax, (title, m) in zip(axes, models.items()):
        image = ax.pcolormesh(edges, edges, m.predict(mesh).reshape(200, 200), **shown)
        ax.set(title=title, xlabel="x0", xticks=(-1, 0, 1))
    axes[0].set_ylabel("x1")
    fig.colorbar(image, ax=axes, label="predicted y")
    plt.show()


tree = cart(X, y)
name = f"CART: {tree.get_n_leaves()} leaves"
surfaces({"the truth: 4 leaves": truth, "the mixture: 4 leaves": model, name: tree})

# %% [markdown]
# In numbers, on 2000 rows that no model has seen. The last column is the mean log-likelihood of a row, for the models that
# have one.

# %%
flat = MixtureOfExpertsRegressor(4, random_state=0).fit(X, y)
boosting = HistGradientBoostingRegressor(random_state=0).fit(X, y)
fitted = {"CART": tree, "boosting": boosting, "flat mixture": flat, "hierarchical mixture": model}
rows = [["the truth", f"{r2_score(y_new, truth.predict(X_new)):.3f}", ""]]
for name, m in fitted.items():
    density = f"{m.log_prob(X_new, y_new).mean():.3f}" if hasattr(m, "log_prob") else ""
    rows.append([name, f"{m.score(X_new, y_new):.3f}", density])
table(["", "R² on new rows", "log-likelihood a row"], rows)

# %% [markdown]
# The two mixtures come close to the truth. That is no surprise, as the data are of their kind. Note that the *flat* mixture
# does about as well: with so few leaves a softmax over four experts can cut the plane much like the tree. The tree pays
# when there are many leaves, when its upper levels mean something, and when only a few paths need be followed.
#
# How soft should the borders be? And how many rows does it take?


# %%
def again(sharpness, rows):
    data = make_hme(rows, sharpness=sharpness, noise=0.15, random_state=4)
    hme = HierarchicalMixtureOfExpertsRegressor(random_state=0).fit(*data)
    surfaces({"the mixture": hme, "CART": cart(*data)})


interact(again, sharpness=(2, 50, 4), rows=(200, 1000, 200))

# %% [markdown]
# ## 4. The tables turned
#
# Now data of CART's kind: rectangular steps, sharp, and five of eight features have nothing to do with $y$.


# %%
def steps(n, seed):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, (n, 8))
    right = np.where(X[:, 1] > -0.3, 2.0, 0.0)
    left = np.where(X[:, 1] > 0.4, -1.0, 1.0)
    level = np.where(X[:, 0] > 0.2, right, left) + np.where(X[:, 2] > 0, 0.5, -0.5)
    return X, level + 0.15 * rng.normal(size=n)


X_steps, y_steps = steps(600, 0)
X_more, y_more = steps(2000, 1)
models = {
    "CART": cart(X_steps, y_steps),
    "boosting": HistGradientBoostingRegressor(random_state=0).fit(X_steps, y_steps),
    "mixture, 4 leaves": HierarchicalMixtureOfExpertsRegressor(random_state=0),
}
models["mixture, 4 leaves"].fit(X_steps, y_steps)
table(
    ["steps, 8 features", "R² on new rows"],
    [[name, f"{m.score(X_more, y_more):.3f}"] for name, m in models.items()],
)

# %% [markdown]
# CART wins. It chooses *which* feature to ask about, and a step is what it draws best. The mixture has a coefficient for
# every feature in every gate and every leaf, and must find all the borders at once.
#
# ## What to take when
#
# | | CART | hierarchical mixture |
# |---|---|---|
# | borders | across the axes, sharp | slanting, as soft as the data say |
# | at the leaf | a constant | a regression (or any expert) with a spread of its own |
# | found by | greedy search, one split at a time | EM, all parameters at once, several starts |
# | irrelevant features | mostly left alone | each costs coefficients |
# | result | a number | a distribution of $y$; standard deviations, quantiles, BIC |
# | a row near a border | one side, for good | both sides, in proportion |
#
# For accuracy alone on a large table, gradient boosting is the first thing to try, before either.
#
# ## Exercises
#
# **Exercise 1.** At the root the left branch has probability 0.8, at the node on the left its left branch has 0.25. What
# are the gating probabilities of the first two leaves?

# %%
answer = ...

# %%
check("06.1", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# Products along the paths.
#
# ```python
# answer = [0.8 * 0.25, 0.8 * 0.75]
# ```
#
# </details>

# %% [markdown]
# **Exercise 2.** Set `assignment="hard"` on `model` (no refit is needed: `model.set_params`), so that a prediction is that
# of one leaf alone. What is R² on the new rows now? Set it back to `"soft"` afterwards.

# %%
answer = ...

# %%
check("06.2", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# answer = model.set_params(assignment="hard").score(X_new, y_new)
# model.set_params(assignment="soft")
# ```
#
# Much worse: where the parts overlap, the mean of two leaves is the best single number.
#
# </details>

# %% [markdown]
# **Exercise 3.** Help for the mixture. In section 4 give the gates only the features that matter, `gate_features=[0, 1, 2]`,
# and the experts none, `expert_features=[]`, with `depth=3`, for there are eight levels. What is R² on `X_more, y_more`?

# %%
answer = ...

# %%
check("06.3", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# helped = HierarchicalMixtureOfExpertsRegressor(
#     depth=3, gate_features=[0, 1, 2], expert_features=[], random_state=0
# ).fit(X_steps, y_steps)
# answer = helped.score(X_more, y_more)
# ```
#
# As good as CART: what CART was better at was to leave features alone.
#
# </details>

# %% [markdown]
# ## References
#
# - M. I. Jordan, R. A. Jacobs (1994). Hierarchical mixtures of experts and the EM algorithm. *Neural Computation* 6,
#   181–214.
# - L. Breiman, J. H. Friedman, R. A. Olshen, C. J. Stone (1984). *Classification and Regression Trees*. Wadsworth.
