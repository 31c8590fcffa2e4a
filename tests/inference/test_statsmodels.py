"""With one expert: statsmodels' estimates and standard errors."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from classic_moe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from classic_moe.experts import (
    GammaExpert,
    LinearExpert,
    LogisticExpert,
    NegativeBinomialExpert,
    PoissonExpert,
    SoftmaxExpert,
)
from classic_moe.inference import infer

TOLD = json.loads((Path(__file__).parent / "figures" / "statsmodels.json").read_text())
EXPERTS = {
    "ols": LinearExpert(alpha=0, variance_prior=0),
    "logit": LogisticExpert(alpha=0),
    "mnlogit": SoftmaxExpert(alpha=0),
    "poisson": PoissonExpert(alpha=0),
    "gamma": GammaExpert(alpha=0, variance_prior=0),
    "gamma inverse": GammaExpert("inverse", alpha=0, variance_prior=0),
    "negative binomial": NegativeBinomialExpert(alpha=0),
}


@pytest.mark.parametrize("name", EXPERTS)
def test_one_expert_is_the_model_of_statsmodels(name):
    expert = EXPERTS[name]
    kind = MixtureOfExpertsClassifier if "logit" in name else MixtureOfExpertsRegressor
    X, y = np.array(TOLD["X"]), np.array(TOLD["y"][name])
    model = kind(1, expert=expert, tol=1e-18).fit(X, y)
    found = infer(model, X, y)
    assert not found.reasons
    told = TOLD["found"][name]
    # both stop where a Newton step is below 1e-8 of a standard error
    assert_allclose(found.estimates, told["estimates"], rtol=1e-6, atol=1e-8)
    assert_allclose(found.standard_errors, told["errors"], rtol=1e-6)
