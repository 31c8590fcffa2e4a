"""
A tree that grows
=================

How deep should the tree be? With a :class:`~classic_moe.gates.TreeGate` the search grows it: each
leaf in turn is split, everything is fitted from there, and the leaf that gains most stays split;
then leaves are merged again as long as BIC falls. The tree need not be balanced, and here it is
not.
"""

# %%
# From one leaf to at most five.

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.datasets import load_motorcycle
from classic_moe.gates import TreeGate
from classic_moe.inspection import ModelSelectionDisplay, TreeDisplay
from classic_moe.model_selection import ExpertCountSearch

X, y = load_motorcycle(return_X_y=True)
tree = MixtureOfExpertsRegressor(gate=TreeGate(), n_init=2, tol=1e-5, random_state=0)
grown = ExpertCountSearch(tree, range(1, 6)).fit(X, y)

# %%
# Nested pairs say how the tree has grown.

for structure in grown.results_["structure"]:
    print(structure)

# %%
# BIC along the way.

_ = ModelSelectionDisplay.from_estimator(grown)

# %%
# What was chosen.

# sphinx_gallery_thumbnail_number = 2
_ = TreeDisplay.from_estimator(grown)
