"""
How many experts does a row need?
=================================

Given a dense fit, :func:`~classic_moe.routing.top_k_report` leaves out all but the k best experts
of a row and says what is lost on rows that were not seen. With two experts the mean is as good as
with all, and the density far worse: where the gate hesitates and the right expert is left out, y
is far out in the tail of another. With three nothing is lost here.
"""

# %%
# Eight lines in eight cells with soft borders.

import matplotlib.pyplot as plt

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.datasets import make_voronoi_pieces
from classic_moe.routing import top_k_report

X, y = make_voronoi_pieces(3000, n_pieces=8, sharpness=50.0, random_state=1)
dense = MixtureOfExpertsRegressor(8, n_init=2, random_state=0).fit(X[:1500], y[:1500])
report = top_k_report(dense, X[1500:], y[1500:], ks=range(1, 9))

# %%
# The error of the mean at the left, that of the density at the right.

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
left.plot(report.k, report.error, "o-", color="#0072B2")
left.set(xlabel="experts kept", ylabel="relative squared error of the mean", ylim=(0, None))
right.plot(report.k, report.nll, "o-", color="#0072B2")
right.set(xlabel="experts kept", ylabel="-log p(y | x) a row, on a symmetric log scale")
_ = right.set_yscale("symlog", linthresh=1.0)
