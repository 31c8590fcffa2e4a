"""Starting responsibilities that give an expert no rows at all."""

import warnings

import numpy as np
import pytest

from classic_moe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor

pytestmark = pytest.mark.weak_penalties

EXPERTS = {
    "real": ["linear", "gaussian", "student_t", "laplace", "mlp"],
    "count": ["poisson", "negative_binomial"],
    "positive": ["gamma"],
    "classes": ["softmax", "logistic", "linear", "mlp"],
}


@pytest.mark.parametrize("gate", ["softmax", "constant", "gaussian", "exponential_family"])
@pytest.mark.parametrize("kind, expert", [(kind, e) for kind, es in EXPERTS.items() for e in es])
def test_an_expert_that_starts_without_rows_is_fitted_like_any_other(kind, expert, gate):
    rng = np.random.RandomState(0)
    X = rng.normal(size=(60, 2))
    y = {
        "real": X[:, 0] + rng.normal(size=60),
        "count": rng.poisson(2, 60),
        "positive": rng.gamma(2, 1, 60),
        "classes": X[:, 0] + rng.normal(size=60) > 0,
    }[kind]
    resp = np.c_[rng.dirichlet(np.ones(2), size=60), np.zeros(60)]
    estimator = MixtureOfExpertsClassifier if kind == "classes" else MixtureOfExpertsRegressor
    model = estimator(3, expert=expert, gate=gate, init_params=resp, max_iter=10)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it has not converged, or that an expert is idle
        model.fit(X, y)
    assert np.isfinite(model.log_likelihood_)
    assert np.isfinite(model.predict_experts(X)).all()
