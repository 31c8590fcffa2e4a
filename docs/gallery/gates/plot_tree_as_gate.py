"""
A decision tree as the gate
===========================

Any classifier with `predict_proba` and sample weights can be the gate. A decision tree cuts the
plane into rectangles that can be read aloud, where a softmax gate needs oblique lines: here the
second expert is asked in one corner, *if this and if that*. Each iteration of EM refits the tree
to the responsibilities.
"""

# %%
# Machines behave differently when they are both hot and fast.

import numpy as np
from sklearn.tree import DecisionTreeClassifier, export_text

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.inspection import GateRegionDisplay

rng = np.random.default_rng(0)
X = np.column_stack([rng.uniform(20, 90, 400), rng.uniform(0, 50, 400)])
worn = (X[:, 0] > 60) & (X[:, 1] > 25)
y = np.where(worn, 8 - 0.1 * X[:, 1], 1 + 0.05 * X[:, 1]) + 0.2 * rng.standard_normal(400)
names = ["temperature (°C)", "speed (1/s)"]

# %%
# Leaves of at least 20 rows keep the tree from following single rows.

tree = DecisionTreeClassifier(max_depth=2, min_samples_leaf=20, random_state=0)
model = MixtureOfExpertsRegressor(2, gate=tree, n_init=3, random_state=0).fit(X, y)

# %%
# The fitted tree is scikit-learn's, with all that scikit-learn can do with it.

print(export_text(model.gate_.estimator_, feature_names=names))

# %%
# The corner it has found.

_ = GateRegionDisplay.from_estimator(model, X, y, feature_names=names)
