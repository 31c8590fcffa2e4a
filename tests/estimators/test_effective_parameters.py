"""The information criteria with the parameters that the rows determine."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.experts import LaplaceExpert, LinearExpert
from classic_moe.gates import SoftmaxGate
from classic_moe.inference import infer


def rows(n=200, p=6):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, p))
    return X, X[:, 0] + 0.5 * rng.standard_normal(n)


def test_of_one_line_they_are_those_of_ridge_regression():
    X, y = rows()
    alpha = 30.0
    model = MixtureOfExpertsRegressor(1, expert=LinearExpert(alpha, variance_prior=0)).fit(X, y)
    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    sigma2 = (model.experts_[0].scale_ / y.std()) ** 2
    values = np.linalg.eigvalsh(Z.T @ Z)
    # an intercept, a scale, and tr Z (ZᵀZ + λ I)⁻¹ Zᵀ
    expected = 2 + (values / (values + alpha * sigma2)).sum()
    ridge = Ridge(alpha * sigma2).fit(Z, y)
    np.testing.assert_allclose(model.predict(X), ridge.predict(Z), rtol=1e-6)
    free = model.bic(X, y) - model.n_parameters_ * np.log(len(X))
    found = (model.bic(X, y, parameters="effective") - free) / np.log(len(X))
    # slopes and scale are not quite apart in the observed information
    assert found == pytest.approx(expected, abs=0.03)
    assert found < model.n_parameters_ - 0.1


@pytest.mark.parametrize(
    ("name", "each"), [("aic", 2.0), ("bic", np.log(200)), ("icl", np.log(200))]
)
def test_they_are_those_of_infer(name, each):
    X, y = rows()
    y = np.where(X[:, 1] > 0, y, 2 - y)
    parts = dict(expert=LinearExpert("auto"), gate=SoftmaxGate("auto"))
    model = MixtureOfExpertsRegressor(2, **parts, random_state=0).fit(X, y)
    effective = infer(model, X, y).effective_parameters
    difference = getattr(model, name)(X, y) - getattr(model, name)(X, y, parameters="effective")
    assert difference == pytest.approx(each * (model.n_parameters_ - effective), rel=1e-6)
    assert difference > 1


def test_without_second_derivatives_there_are_none():
    X, y = rows(60, 2)
    model = MixtureOfExpertsRegressor(2, expert=LaplaceExpert(), n_init=1, random_state=0)
    model = model.fit(X, y)
    with pytest.raises(ValueError, match=r"parameters='effective': .*LaplaceExpert, has no"):
        model.bic(X, y, parameters="effective")
    with pytest.raises(ValueError, match="parameters='all'"):
        model.bic(X, y, parameters="all")
