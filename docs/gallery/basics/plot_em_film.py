"""
EM as a film
============

The EM algorithm takes turns: given the lines, it works out which line each point probably belongs
to; given these responsibilities, it fits the lines anew.
:func:`~classic_moe.inspection.animate_em` fits and films it. The start is random on purpose, so
that there is something to watch: four lines that run across all of the data find their pieces,
and the objective below rises with every step.
"""

# %%
# One start, plain EM, and random first responsibilities. The estimator's own starts would be too
# good for a film.

import matplotlib.pyplot as plt

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.datasets import load_motorcycle
from classic_moe.inspection import ConvergenceDisplay, animate_em

X, y = load_motorcycle(return_X_y=True)
start = MixtureOfExpertsRegressor(4, solver="em", init_params="random", n_init=1, random_state=3)

# %%
# The film is a matplotlib animation; in a notebook ``to_jshtml()`` makes a player of it, without
# ffmpeg.

figure = plt.figure(figsize=(8, 6), layout="constrained")
film = animate_em(
    start,
    X,
    y,
    figure=figure,
    max_frames=10,
    feature_name="time (ms)",
    target_name="acceleration (g)",
)

# %%
# The same climb in one picture: in the first half a level stretch, in which EM seems to have
# arrived and has not. That is why a fit should not be stopped early.

_ = ConvergenceDisplay.from_estimator(start.fit(X, y))
