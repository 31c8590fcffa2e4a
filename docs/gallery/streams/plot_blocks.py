"""
Rows that are never all in memory
=================================

A pass of EM adds up sums over rows, so the rows may come in blocks, from files or from a
generator, as often as the fit asks. It is the same fit as of all rows in memory, not an
approximation. The picture is drawn from one block, coloured by the fit to all of them.
"""

# %%
# ``blocks`` stands for twenty files; each call begins afresh.

import numpy as np

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.inspection import ExpertCurvesDisplay


def blocks():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        X = rng.uniform(-1, 1, (10_000, 1))
        yield X, abs(X[:, 0]) + 0.1 * rng.standard_normal(10_000)


# %%
# 200,000 rows, of which the fit holds one block at a time.

model = MixtureOfExpertsRegressor(2, random_state=0).fit_blocks(blocks)
X, y = (np.concatenate(parts) for parts in zip(*blocks()))
memory = MixtureOfExpertsRegressor(2, random_state=0).fit(X, y)
print("the same log-likelihood as in memory:", model.log_likelihood_ == memory.log_likelihood_)

# %%
# Many rows are drawn faint and without edges, so that one sees where they lie densely.

_ = ExpertCurvesDisplay.from_estimator(model, *next(blocks()))
