"""Constant Gaussian experts: weighted means and covariances, whatever x."""

import numpy as np
import pytest
from row_derivatives import check_rows

from classic_moe.data.units import Scaling, Units
from classic_moe.experts import GaussianExpert
from classic_moe.testing import check_expert


@pytest.mark.parametrize("q", [1, 2])
def test_the_m_step_is_the_weighted_mean_and_covariance(q):
    rng = np.random.default_rng(0)
    y, resp = rng.standard_normal((40, q)), rng.dirichlet(np.ones(2), size=40)
    params = GaussianExpert(variance_prior=0).init(np.empty((40, 0)), y, resp, None)
    for k in range(2):
        mean = resp[:, k] @ y / resp[:, k].sum()
        np.testing.assert_allclose(params["coef"][k, :, 0], mean, atol=1e-12)
        covariance = np.cov(y.T, aweights=resp[:, k], ddof=0).reshape(q, q)
        np.testing.assert_allclose(params["covariance"][k], covariance, atol=1e-12)


@pytest.mark.parametrize("kind", ["full", "diag", "spherical", "tied"])
def test_every_type_keeps_the_promises_of_an_expert(kind):
    check_expert(GaussianExpert(variance_prior=0.5, covariance_type=kind))


def test_the_tied_covariance_is_that_within_the_groups():
    rng = np.random.default_rng(0)
    y, resp = rng.standard_normal((40, 2)), np.repeat(np.eye(2), 20, axis=0)
    y[20:] += 5
    params = GaussianExpert(0, "tied").init(np.empty((40, 0)), y, resp, None)
    within = np.cov(y[:20].T, ddof=0) / 2 + np.cov(y[20:].T, ddof=0) / 2
    np.testing.assert_allclose(params["covariance"], [within], atol=1e-12)
    assert GaussianExpert(0, "tied").n_parameters(params) == 2 * 2 + 3


@pytest.mark.parametrize("q", [1, 2, 3])
@pytest.mark.parametrize("kind", ["full", "diag", "spherical", "tied"])
def test_rows_are_the_derivatives_in_the_predictors(kind, q):
    rng = np.random.default_rng(0)
    y, resp = rng.standard_normal((8, q)), rng.dirichlet(np.ones(2), size=8)
    expert, nothing = GaussianExpert(covariance_type=kind), np.empty((8, 0))
    check_rows(expert, expert.init(nothing, y, resp, None), nothing, y)


def test_it_looks_at_no_column_and_has_nothing_to_penalise():
    expert = GaussianExpert()
    assert not expert.inputs.uses_x
    assert list(expert.get_params()) == ["covariance_type", "variance", "variance_prior"]
    assert "ignores x" in GaussianExpert.__doc__.splitlines()[0]


def test_starting_values_are_means_and_scales():
    units = Units(Scaling.identity(0), Scaling.identity(1))
    values = {"intercept": [0.0, 5.0], "scale": [1.0, 2.0]}
    params = GaussianExpert().from_caller(values, units, 2)
    assert np.array_equal(params["coef"].ravel(), [0.0, 5.0])
    assert np.array_equal(params["covariance"].ravel(), [1.0, 4.0])
    assert GaussianExpert().n_parameters(params) == 4
