"""
Rare classes and their probabilities
====================================

One customer in thirty does not pay the credit card back, for one of two reasons. Of such classes
accuracy says nothing; what counts is whether a predicted 10 % is 10 %. Each point holds as many
customers; a mixture of two logistic experts follows the diagonal, a single logistic regression
does not.
"""

# %%
# Half of the customers train the models, the others judge them.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from classic_moe import MixtureOfExpertsClassifier
from classic_moe.datasets import make_card_default
from classic_moe.inspection import CalibrationDisplay

X, default = make_card_default(8000, random_state=1)
train, test = slice(0, 4000), slice(4000, None)

# %%
# Whoever's probabilities they are, ``from_predictions`` draws them.

models = {
    "one logistic regression": make_pipeline(StandardScaler(), LogisticRegression()),
    "two logistic experts": MixtureOfExpertsClassifier(
        2, expert="logistic", n_init=3, random_state=0
    ),
}
figure, axes = plt.subplots(1, 2, figsize=(11, 4.2), sharex=True, sharey=True, layout="constrained")
for ax, (name, model) in zip(axes, models.items()):
    proba = model.fit(X[train], default[train]).predict_proba(X[test])
    CalibrationDisplay.from_predictions(
        default[test], proba, strategy="quantile", target_name="default", ax=ax
    )
    loss = -np.log(proba[np.arange(4000), default[test].astype(int)]).mean()
    ax.set_title(f"{name}: log loss {loss:.4f}", y=1.06)
