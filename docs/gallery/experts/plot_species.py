"""
Softmax experts for three classes
=================================

Softmax experts are multinomial logistic regressions, for any number of classes. Two of them tell
the three irises apart by the sepal alone. The curves are the probability of one species along one
measurement, by both experts and by the mixture, and the points are observed shares in bins; the
note says at which value the other measurement is held.
"""

# %%
# The sepal alone, for the petal makes it too easy.

from sklearn.datasets import load_iris

from classic_moe import MixtureOfExpertsClassifier
from classic_moe.inspection import CalibrationDisplay, ExpertCurvesDisplay

iris = load_iris(as_frame=True)
X = iris.data[["sepal length (cm)", "sepal width (cm)"]]
y = iris.target_names[iris.target]
model = MixtureOfExpertsClassifier(2, expert="softmax", random_state=0)
_ = model.set_params(expert__alpha=0.1, gate__alpha=0.1).fit(X, y)

# %%
# The probability of versicolor rises and falls again, where virginica takes over.

_ = ExpertCurvesDisplay.from_estimator(model, X, y, target="versicolor")

# %%
# Are the probabilities of versicolor what they say they are? On the rows of the fit, at least.

_ = CalibrationDisplay.from_estimator(model, X, y, target="versicolor", n_bins=5)
