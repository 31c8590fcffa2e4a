"""
A tree of gates
===============

A hierarchical mixture asks a first gate which half of the experts is to be believed, then a
second one which quarter. It is the soft relative of a decision tree, with regressions at the
leaves. The tree is read from above: the root parts the time, the nodes below part again, and
every leaf has its line; edges are labelled with their share of the rows.
"""

# %%
# Two children a node and two levels make four experts.

from classic_moe import HierarchicalMixtureOfExpertsRegressor
from classic_moe.datasets import load_motorcycle
from classic_moe.inspection import ExpertCurvesDisplay, TreeDisplay

X, y = load_motorcycle(return_X_y=True)
model = HierarchicalMixtureOfExpertsRegressor(branching=2, depth=2, n_init=3, random_state=0)
_ = model.fit(X, y)

# %%
# The same as text.

print(model.export_text())

# %%
# And as a picture.

_ = TreeDisplay.from_estimator(model)

# %%
# Over its leaves it is a mixture like any other, with the same pictures.

_ = ExpertCurvesDisplay.from_estimator(
    model, X, y, feature_name="time (ms)", target_name="acceleration (g)"
)
