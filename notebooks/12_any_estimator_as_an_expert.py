# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Any estimator as an expert
#
# Experts were lines, gates were softmaxes. The one idea of this lecture: **whatever scikit-learn
# can fit to weighted rows can be an expert, and whatever gives class probabilities can be the
# gate.** On a measured table with categories we take splines and boosted trees as experts, and a
# decision tree as a gate that can be read. You need scikit-learn's pipelines. About 40 minutes.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from lecture import check, interact
from sklearn.compose import make_column_transformer
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.linear_model import Ridge
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, SplineTransformer
from sklearn.tree import DecisionTreeClassifier

from classic_moe import MixtureOfExpertsRegressor, log_likelihood_scorer

# %% [markdown]
# ## 1. Grass in the cold
#
# Potvin, Lechowicz and Tardif (1990) measured how much carbon dioxide twelve plants of a grass take
# up, at seven concentrations in the air. Six plants are from Quebec, six from Mississippi; half of
# each were chilled overnight. (The data frame `CO2` of R. $y$ is in µmol per m² and second, the
# concentration in mL per L, as R's page has it.)

# %%
CONCENTRATIONS = [95, 175, 250, 350, 500, 675, 1000]
TABLE = """
Qn1 Quebec nonchilled 16 30.4 34.8 37.2 35.3 39.2 39.7
Qn2 Quebec nonchilled 13.6 27.3 37.1 41.8 40.6 41.4 44.3
Qn3 Quebec nonchilled 16.2 32.4 40.3 42.1 42.9 43.9 45.5
Qc1 Quebec chilled 14.2 24.1 30.3 34.6 32.5 35.4 38.7
Qc2 Quebec chilled 9.3 27.3 35 38.8 38.6 37.5 42.4
Qc3 Quebec chilled 15.1 21 38.1 34 38.9 39.6 41.4
Mn1 Mississippi nonchilled 10.6 19.2 26.2 30 30.9 32.4 35.5
Mn2 Mississippi nonchilled 12 22 30.6 31.8 32.4 31.1 31.5
Mn3 Mississippi nonchilled 11.3 19.4 25.8 27.9 28.5 28.1 27.8
Mc1 Mississippi chilled 10.5 14.9 18.1 18.9 19.5 22.2 21.9
Mc2 Mississippi chilled 7.7 11.4 12.3 13 12.5 13.7 14.4
Mc3 Mississippi chilled 10.6 18 17.9 17.9 17.9 18.9 19.9
"""
plants = [line.split() for line in TABLE.strip().splitlines()]
table = pd.DataFrame(
    [(*p[:3], c, float(u)) for p in plants for c, u in zip(CONCENTRATIONS, p[3:])],
    columns=["plant", "origin", "treatment", "conc", "uptake"],
)
table.sample(4, random_state=0)

# %%
_, ax = plt.subplots(figsize=(7.5, 4), layout="constrained")
for (origin, treatment), part in table.groupby(["origin", "treatment"]):
    color = "C0" if origin == "Quebec" else "C1"
    dash = "-" if treatment == "nonchilled" else ":"
    curves = part.pivot(index="conc", columns="plant", values="uptake")
    ax.plot(curves, dash, marker=".", color=color, label=[f"{origin}, {treatment}", *["_"] * 2])
ax.set(xlabel="concentration (mL/L)", ylabel="uptake (µmol/m²s)")
ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
plt.show()

# %% [markdown]
# Two things are not linear here: the curves level off, and *chilling* matters much more for plants
# from Mississippi. In a regression one would write an interaction. A mixture can find it.
#
# ## 2. Words into numbers
#
# A mixture can code words by itself, by `categorical_features="from_dtype"`. Here a Pipeline does it,
# as it would for any coding of scikit-learn. `set_output` keeps the names of
# the columns, so that gate and experts can be told apart by name: **the gate sees what the plant
# is, the experts see the concentration.**

# %%
WORDS = ["origin", "treatment"]
coder = make_column_transformer(
    (OneHotEncoder(drop="if_binary", sparse_output=False), WORDS),
    remainder="passthrough",
    verbose_feature_names_out=False,
).set_output(transform="pandas")
X, y = table[[*WORDS, "conc"]], table["uptake"]
coder.fit_transform(X).head(2)


# %% [markdown]
# ## 3. A Pipeline as expert, a tree as gate
#
# An expert is a Pipeline: a spline in the concentration, then ridge regression. The gate is a
# `DecisionTreeClassifier`. Each round of EM refits both: every expert to rows weighted by its
# responsibilities $h_{ik}$ (the probability that expert $k$ made row $i$), the gate to "row $i$
# belongs to $k$" with weight $h_{ik}$. A refit that does not help is not taken, so the objective
# rises here, too.


# %%
def mixture(expert, gate, n_experts=2):
    "The coder, and a mixture whose gate sees the words and whose experts see the concentration."
    names = coder.get_feature_names_out().tolist()
    model = MixtureOfExpertsRegressor(
        n_experts, expert=expert, gate=gate, n_init=2, random_state=0,
        gate_features=names[:2], expert_features=names[2:],
    )  # fmt: skip
    return make_pipeline(coder, model)


spline = make_pipeline(SplineTransformer(n_knots=4, knots="quantile"), Ridge(0.1))
tree = DecisionTreeClassifier(max_depth=2, min_samples_leaf=10)
model = mixture(spline, tree, 3).fit(X, y)

# %% [markdown]
# In a Pipeline, what a mixture alone can do is asked of its last step, `model[-1]`, with rows that
# the steps before have coded, `model[:-1].transform(X)`.

# %%
coded = model[:-1].transform(X)
gate = model[-1].gate_proba(coded)
table.assign(**{f"expert {k}": gate[:, k] for k in range(3)}).groupby(WORDS)[
    ["expert 0", "expert 1", "expert 2"]
].mean().round(2)

# %% [markdown]
# The gate asks one question after another and needs no $y$: chilled plants from Mississippi have an
# expert of their own, the other plants from Mississippi another, and those from Quebec share the
# third, nearly; a sixth of the trust in chilled ones from Quebec goes to the second. That is the
# interaction of origin and treatment, and nobody wrote it down.
#
# ## 4. The curves


# %%
def curves(model):
    "What the experts say, as a function of the concentration, and the rows by their gate."
    grid = pd.DataFrame({"conc": np.linspace(95, 1000, 200)}).assign(**X.iloc[0][WORDS])
    means = model[-1].predict_experts(model[:-1].transform(grid[X.columns]))
    share = model[-1].gate_proba(model[:-1].transform(X))
    _, ax = plt.subplots(figsize=(7, 4), layout="constrained")
    for k in range(means.shape[1]):
        ax.plot(grid["conc"], means[:, k], color=f"C{k}", label=f"expert {k}")
        ax.scatter(X["conc"], y, c=f"C{k}", alpha=share[:, k], s=18)
    ax.set(xlabel="concentration (mL/L)", ylabel="uptake (µmol/m²s)")
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    plt.show()


curves(model)

# %% [markdown]
# Each curve is one expert. Dots have the colour of the expert that the gate believes in.
#
# ## 5. Boosted trees as experts, and what decides
#
# Nobody knows how many free parameters a tree has, so AIC and BIC mean nothing here. Rows that were
# held back decide, by their log-density, and **whole plants** are held back: the rows of one plant
# resemble each other.

# %%
boosted = GradientBoostingRegressor(n_estimators=30, max_depth=2, random_state=0)
candidates = {
    "one spline": mixture(spline, "softmax", 1),
    "two splines, tree": mixture(spline, tree),
    "three splines, tree": mixture(spline, tree, 3),
    "three splines, softmax": mixture(spline, "softmax", 3),
    "three boosted, tree": mixture(boosted, tree, 3),
}
folds = {"cv": GroupKFold(4), "groups": table["plant"], "scoring": log_likelihood_scorer}
scores = {name: cross_val_score(m, X, y, **folds).mean() for name, m in candidates.items()}
pd.Series(scores, name="log p of held-out plants").round(2).to_frame()

# %% [markdown]
# Two splines behind a tree predict new plants best. Three draw the better picture of *these*
# plants, and predict new ones worse than a single spline: with three plants of a kind, one or two
# of which are fitted, the spread between plants is taken for too small. Boosting is no better. The
# picture of the fit could not say so; held-out plants can.
#
# ## 6. Vary it


# %%
def try_it(n_experts=2, n_knots=4, max_depth=2):
    "Other splines, other trees."
    spline = make_pipeline(SplineTransformer(n_knots=n_knots, knots="quantile"), Ridge(0.1))
    tree = DecisionTreeClassifier(max_depth=max_depth, min_samples_leaf=10)
    curves(mixture(spline, tree, n_experts).fit(X, y))


interact(try_it, n_experts=(1, 4, 1), n_knots=(2, 6, 1), max_depth=(1, 2, 1))

# %% [markdown]
# ## What to remember
#
# - Experts: anything whose `fit` takes `sample_weight`. Gates: anything with `predict_proba`.
# - Give gate and experts the columns that are theirs.
# - Held-out log-density chooses; hold back what belongs together.
#
# ## Exercises
#
# **Exercise 1.** Which of these cannot be an expert: `"Ridge"`, `"KNeighborsRegressor"`,
# `"RandomForestRegressor"`? (Look for `sample_weight` in the signature of `fit`.)

# %%
answer = ...

# %%
check("12.1", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# Neighbours have no weights.
#
# ```python
# answer = "KNeighborsRegressor"
# ```
#
# </details>

# %% [markdown]
# **Exercise 2.** Which uptake does `model` predict for a chilled plant from Mississippi at a
# concentration of 500?

# %%
answer = ...

# %%
check("12.2", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# The Pipeline takes the words as they are.
#
# ```python
# plant = pd.DataFrame({"origin": ["Mississippi"], "treatment": ["chilled"], "conc": [500]})
# answer = model.predict(plant)[0]
# ```
#
# </details>

# %% [markdown]
# ## References
#
# - C. Potvin, M. J. Lechowicz, S. Tardif (1990). The statistical analysis of ecophysiological
#   response curves obtained from experiments involving repeated measures. *Ecology* 71, 1389–1400.
