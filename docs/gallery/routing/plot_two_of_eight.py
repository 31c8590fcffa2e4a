"""
Two of eight
============

A sparse mixture has many experts and shows every row to a few. Here each row of a plane goes to
the two of eight lines that the gate prefers: the colour is that of the first, the stripes that of
the second. Each prediction is made of two lines, which is a sentence; a blend of eight is none.
"""

# %%
# A line in every one of eight cells.

from classic_moe import SparseMixtureOfExpertsRegressor
from classic_moe.datasets import make_voronoi_pieces
from classic_moe.inspection import RoutingMapDisplay

X, y = make_voronoi_pieces(1500, n_pieces=8, sharpness=50.0, random_state=1)
model = SparseMixtureOfExpertsRegressor(8, k=2, n_init=2, random_state=0).fit(X, y)

# %%
# `route` returns the weights of the experts kept, a sparse matrix.

routes = model.route(X)
print(f"{routes.nnz} weights for {len(X)} rows")
print(f"share of the dense gate that is kept: {model.kept_mass_:.3f}")

# %%
# Where the rows go.

_ = RoutingMapDisplay.from_estimator(model, X, feature_names=["first column", "second column"])
