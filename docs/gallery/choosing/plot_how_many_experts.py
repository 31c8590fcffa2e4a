"""
How many experts?
=================

More experts never fit worse, so the likelihood alone cannot say how many there should be.
Criteria charge for parameters. :class:`~classic_moe.model_selection.ExpertCountSearch` fits
mixtures of 1, 2, 3, ... experts that help each other to better maxima, and then *is* the best of
them. You see three criteria, lower is better, with a ring around the choice: AIC charges least,
ICL also for rows that are in doubt.
"""

# %%
# The search is an estimator: it predicts as its best model does.

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.datasets import load_motorcycle
from classic_moe.inspection import ExpertCurvesDisplay, ModelSelectionDisplay
from classic_moe.model_selection import ExpertCountSearch

X, y = load_motorcycle(return_X_y=True)
search = ExpertCountSearch(MixtureOfExpertsRegressor(n_init=4, random_state=0), range(1, 7))
search.fit(X, y)
print(search.best_n_experts_, "experts")

# %%
# BIC, the default, falls steeply up to the choice and then slowly rises.

_ = ModelSelectionDisplay.from_estimator(search)

# %%
# What was chosen. Displays take the search as they take a fit.

_ = ExpertCurvesDisplay.from_estimator(
    search, X, y, feature_name="time (ms)", target_name="acceleration (g)"
)
