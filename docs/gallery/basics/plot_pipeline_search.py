"""
A pipeline and a grid search
============================

The estimators are scikit-learn's, so a mixture can stand at the end of a Pipeline and inside a
GridSearchCV. Here a table with a text column goes in, the search tries numbers of experts and
penalties, and the score is the mean held-out log density, which also judges the predicted spread.
You see the score of every combination, and then the best model in the units of the raw table.
"""

# %%
# A table with a number and a text: the response turns round at a load of zero, and in the south
# it is higher.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

from classic_moe import MixtureOfExpertsRegressor, log_likelihood_scorer
from classic_moe.inspection import MeanDependenceDisplay

rng = np.random.default_rng(0)
load, site = rng.uniform(-1, 1, 200), rng.choice(["north", "south"], 200)
table = pd.DataFrame({"load": load, "site": site})
response = abs(load) + 0.5 * (site == "south") + 0.1 * rng.standard_normal(200)

# %%
# Parameters of the parts are reached with two underscores.

columns = make_column_transformer(
    (OneHotEncoder(drop="if_binary"), ["site"]), remainder="passthrough"
)
moe = MixtureOfExpertsRegressor(n_init=2, random_state=0)
pipeline = Pipeline([("columns", columns), ("moe", moe)])
grid = {"moe__n_experts": [1, 2], "moe__expert__alpha": [1e-4, 0.1, 1, 10, 100]}
search = GridSearchCV(pipeline, grid, scoring=log_likelihood_scorer, cv=3)
search.fit(table, response)
print(search.best_params_)

# %%
# One expert is too few whatever the penalty, and a strong penalty makes the lines of two experts
# flat.

results = pd.DataFrame(search.cv_results_)
figure, ax = plt.subplots(figsize=(6.5, 4), layout="constrained")
for K, rows in results.groupby("param_moe__n_experts"):
    x, score = rows["param_moe__expert__alpha"].astype(float), rows["mean_test_score"]
    ax.semilogx(x, score, "o-", label=f"{K} expert{'s' * (K > 1)}")
ax.set(xlabel="expert__alpha", ylabel="held-out log density per row")
_ = ax.legend()

# %%
# The picture of the winner takes the search and the raw table, text and all.

_ = MeanDependenceDisplay.from_estimator(search, table, feature="load", target_name="response")
