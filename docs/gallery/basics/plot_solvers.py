"""
EM and its faster relatives
===========================

EM never steps down, but where experts overlap its steps become small. The default solver
accelerates it. On a log scale one sees what each of them has left to gain: EM's way is straight,
as for any method that converges linearly, and the accelerated one is at the same place after
fewer passes over the data.
"""

# %%
# The same model and the same starts, and two solvers.

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.datasets import load_motorcycle
from classic_moe.inspection import ConvergenceDisplay

X, y = load_motorcycle(return_X_y=True)
fits = [
    MixtureOfExpertsRegressor(4, solver=solver, tol=1e-12, max_iter=2000, random_state=0).fit(X, y)
    for solver in ("em", "auto")
]

# %%
# ``against="best"`` draws the distance to the best end of all.

_ = ConvergenceDisplay.from_estimator(fits, labels=["EM", "accelerated"], against="best")
