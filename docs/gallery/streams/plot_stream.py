"""
Learning from a stream
======================

Rows come in batches and are gone afterwards. ``partial_fit`` learns from each batch once, and
forgets old rows slowly. You see the mean log density of rows that were not seen, after every
batch, beside that of a fit to all rows at once: most is learnt from the first few hundred rows,
and from some 2,000 rows on the stream is about as good as the fit.
"""

# %%
# Four pieces of a line; the first batch also chooses the starting values, so give it some hundred
# rows.

import matplotlib.pyplot as plt
import numpy as np

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.datasets import make_piecewise_regression

X, y = make_piecewise_regression(4000, n_pieces=4, random_state=0)
(X, X_new), (y, y_new) = np.split(X, [3000]), np.split(y, [3000])
stream = MixtureOfExpertsRegressor(4, random_state=0)
scores = []
for rows in np.split(np.arange(3000), 20):
    stream.partial_fit(X[rows], y[rows])
    scores.append(stream.log_prob(X_new, y_new).mean())

# %%
# The dashed line has seen all rows, and as often as it liked.

whole = MixtureOfExpertsRegressor(4, random_state=0).fit(X, y)
figure, ax = plt.subplots(figsize=(6.5, 4), layout="constrained")
ax.plot(150 * np.arange(1, 21), scores, "o-", color="#0072B2", label="partial_fit")
ax.axhline(whole.log_prob(X_new, y_new).mean(), color="black", linestyle="--", label="fit")
ax.set(xlabel="rows seen", ylabel="log density of a new row")
_ = ax.legend()
