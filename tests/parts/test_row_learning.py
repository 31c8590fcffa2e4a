"""A family of which there is only the density learns from its rows."""

import numpy as np
import pytest
from scipy import special, stats
from scipy.optimize import minimize

from classic_moe import MixtureOfExpertsRegressor
from classic_moe._kernels import array
from classic_moe.data.units import Scaling, Units
from classic_moe.experts.base import RowwiseExpert
from classic_moe.parts.penalties import Ridge
from classic_moe.parts.predictors import Predictor, Terms
from classic_moe.parts.records import Target
from classic_moe.parts.views import RegressionView
from classic_moe.testing import check_expert


class WeibullExpert(RowwiseExpert):
    """y Weibull with log scale linear in x: no statistics, no M-step, no gradient of its own.

    log p = log s - log y + s g - exp(s g) with g = log y - η, and η and log s as predictors.
    """

    target = Target(outputs=1, positive=True)

    def __init__(self, alpha=1e-6):
        self.alpha = alpha

    def init(self, X, y, resp, random_state, classes=None):
        level = (resp.T @ np.log(y))[:, 0] / resp.sum(axis=0)
        coef = np.zeros((resp.shape[1], 1 + X.shape[1]))
        coef[:, 0] = level + 0.5
        return {"coef": coef, "shape": np.ones(len(coef))}

    def coordinates(self, params):
        return {"shape": "positive"}

    def predictors(self, params):
        return [Predictor("coef", penalty=Ridge(self.alpha)), Predictor("shape", design="1")]

    def rows(self, params, X, y, derivatives=2):
        shape = params["shape"]
        gap = shape * (np.log(y) - array.with_intercept(X) @ params["coef"].T)
        power = np.exp(np.minimum(gap, 500.0))
        log_prob = np.log(shape) - np.log(y) + gap - power
        slope = np.stack([shape * (power - 1), 1 + gap * (1 - power)], axis=2)
        mixed = shape * (1 - power * (1 + gap))
        own = gap * (power * (1 + gap) - 1)
        lines = [np.stack(line, axis=2) for line in ((shape**2 * power, mixed), (mixed, own))]
        return Terms(log_prob, slope, np.stack(lines, axis=2) if derivatives > 1 else None)

    def mean(self, params, X):
        scale = np.exp(array.with_intercept(X) @ params["coef"].T)
        return (scale * special.gamma(1 + 1 / params["shape"]))[:, :, None]

    def view(self, params, k, units, single_output=True, **shell):
        values = {f"{name}_": value[k] for name, value in self.to_caller(params, units).items()}
        return WeibullView(**shell, **values)

    def check_target(self, y):
        super().check_target(y)
        if np.ndim(y) > 1 or np.min(y) <= 0:
            raise ValueError("positive numbers, please")


class WeibullView(RegressionView):
    def predict(self, X):
        return np.exp(self._linear_predictor(X)) * special.gamma(1 + 1 / self.shape_)


def problem(n=300, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, (n, 2)) * [1.0, 100.0] + [0.0, 50.0]
    group = rng.integers(0, 2, n)
    eta = np.where(group, 1.0 + 1.5 * X[:, 0], -1.0 - 0.01 * X[:, 1])
    return X, np.exp(eta) * rng.weibull(np.where(group, 3.0, 1.5))


def test_a_density_alone_keeps_the_promises_of_an_expert():
    check_expert(WeibullExpert())
    check_expert(WeibullExpert(alpha=2.0))


def test_one_expert_is_at_the_maximum_that_scipy_finds():
    X, y = problem()
    model = MixtureOfExpertsRegressor(1, expert=WeibullExpert(alpha=0.0), tol=1e-12).fit(X, y)
    Z = np.column_stack([np.ones(len(X)), (X - X.mean(axis=0)) / X.std(axis=0)])

    def loss(theta):
        return -stats.weibull_min.logpdf(y, np.exp(theta[-1]), scale=np.exp(Z @ theta[:-1])).sum()

    peer = minimize(loss, np.zeros(4), method="BFGS", options={"gtol": 1e-6})
    assert model.log_likelihood_ == pytest.approx(-peer.fun, abs=1e-8)
    view = model.experts_[0]
    # gtol of 1e-6 with an information of some hundreds, and differences in place of a gradient
    assert view.shape_ == pytest.approx(np.exp(peer.x[-1]), rel=1e-5)
    np.testing.assert_allclose(view.coef_ * X.std(axis=0), peer.x[1:3], atol=1e-5)


def test_a_mixture_climbs_and_finds_the_two_groups():
    X, y = problem(400)
    options = dict(expert=WeibullExpert(), solver="em", n_init=3, random_state=0)
    model = MixtureOfExpertsRegressor(2, **options).fit(X, y)
    path = np.asarray(model.lower_bounds_)
    assert model.converged_ and (np.diff(path) >= -1e-10 * np.abs(path[1:])).all()  # rounding
    steep = max(model.experts_, key=lambda view: view.coef_[0])
    # a standard error of about 0.05
    assert steep.coef_[0] == pytest.approx(1.5, abs=0.2)
    one = MixtureOfExpertsRegressor(1, expert=WeibullExpert()).fit(X, y)
    assert model.log_likelihood_ > one.log_likelihood_ + 50
    for solver in ("lbfgs", "online"):  # by the gradient, and by `carry`
        other = MixtureOfExpertsRegressor(2, **options | {"solver": solver}).fit(X, y)
        assert other.log_likelihood_ > one.log_likelihood_ + 50


def test_the_callers_units_of_a_linear_predictor_are_those_of_x():
    expert, rng = WeibullExpert(), np.random.default_rng(0)
    units = Units(Scaling.fit(rng.uniform(1, 9, (30, 2)), np.ones(30)), Scaling.identity(1))
    params = {"coef": rng.standard_normal((3, 3)), "shape": np.array([1.0, 2.0, 3.0])}
    values = expert.to_caller(params, units)
    x = rng.uniform(1, 9, (5, 2))
    inside = array.with_intercept(units.x.apply(x)) @ params["coef"].T
    np.testing.assert_allclose(x @ values["coef"].T + values["intercept"], inside, rtol=1e-12)
    for name, leaf in expert.from_caller(values, units, 3).items():
        np.testing.assert_allclose(leaf, params[name], rtol=1e-12)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"shape": None}, "takes coef, shape; got coef"),
        ({"coef": np.zeros((3, 1))}, r"coef of the expert needs shape \(3, 2\)"),
        ({"shape": np.ones(2)}, r"shape of the expert has shape \(2,\); .* of the 3 experts"),
        ({"scale": np.ones(3)}, "takes coef, shape; got coef, shape, scale"),
        ([0.0, 1.0], "must be a dict"),
    ],
)
def test_starting_values_of_the_wrong_kind_are_named(change, message):
    units = Units(Scaling.identity(2), Scaling.identity(1))
    values = change
    if isinstance(change, dict):
        plain = {"coef": np.zeros((3, 2)), "intercept": np.zeros(3), "shape": np.ones(3)}
        values = {name: value for name, value in (plain | change).items() if value is not None}
    with pytest.raises(ValueError, match=message):
        WeibullExpert().from_caller(values, units, 3)


def test_the_default_target_is_every_finite_number():
    expert = WeibullExpert()
    super(WeibullExpert, expert).check_target(np.array([1.0, -2.0]))
    with pytest.raises(ValueError, match=r"WeibullExpert needs finite numbers; y\[1\] is nan"):
        super(WeibullExpert, expert).check_target(np.array([1.0, np.nan]))
