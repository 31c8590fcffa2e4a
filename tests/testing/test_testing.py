"""The conformance suite: every part passes it, and for every promise there is a part that fails."""

import inspect

import array_api_strict
import numpy as np
import pytest
from scipy.special import xlogy
from scipy.stats import norm, poisson

from classic_moe import experts, gates
from classic_moe._kernels import array
from classic_moe.experts import (
    BaseExpert,
    GaussianExpert,
    LinearExpert,
    MLPExpert,
    PoissonExpert,
    SoftmaxExpert,
)
from classic_moe.gates import ConstantGate, GaussianGate, SoftmaxGate
from classic_moe.parts.params import interpolate, map_leaves
from classic_moe.parts.part import carried
from classic_moe.parts.records import Inputs
from classic_moe.parts.statistics import Statistics
from classic_moe.parts.views import RegressionView
from classic_moe.testing import check_expert, check_gate

SETTINGS = {"alpha": (0.0, 0.3), "variance_prior": (0.0, 1.0)}


def variants(module):
    """Every public part, as shipped, with every penalty off, and with every penalty large.

    Parts made of other parts (of an estimator, of a list) are tried in their own tests.
    """
    parts = [getattr(module, name) for name in module.__all__ if not name.startswith("Base")]
    for part in parts:
        needs = [p for p in inspect.signature(part).parameters.values() if p.default is p.empty]
        if inspect.isabstract(part) or needs:
            continue
        names = [name for name in part().get_params() if name in SETTINGS]
        values = zip(*(SETTINGS[name] for name in names), strict=True)
        yield from (part(), *(part(**dict(zip(names, value, strict=True))) for value in values))


# -- what passes -------------------------------------------------------------------------------


@pytest.mark.parametrize("expert", [*variants(experts)], ids=repr)
def test_every_public_expert_passes(expert):
    check_expert(expert)


@pytest.mark.parametrize("gate", [*variants(gates)], ids=repr)
def test_every_public_gate_passes(gate):
    check_gate(gate)


def test_the_parts_that_take_rows_of_any_array_library_say_so_and_are_tried_there():
    """Without the promise, or array-api-strict, the check that tries it is left out."""
    assert array_api_strict.Device("device1")
    names = ("Linear", "Gaussian", "Softmax", "Logistic", "Poisson", "NegativeBinomial", "Gamma")
    names += ("Binomial", "StudentT", "Laplace")
    parts = [getattr(experts, f"{name}Expert")() for name in names]
    parts += [
        getattr(gates, f"{name}Gate")() for name in ("Constant", "Softmax", "Gaussian", "Tree")
    ]
    assert all(part.inputs.any_array for part in parts)


def test_other_random_data_pass_too():
    check_expert(LinearExpert(), random_state=1)
    check_gate(SoftmaxGate(), random_state=1)


class OneMean(BaseExpert):
    """A third party's expert: an exponential family of one output with nothing but a mean."""

    inputs = Inputs(uses_x=False)

    def init(self, X, y, resp, random_state, classes=None):
        if y.shape[1] > 1:
            raise ValueError(f"one output, not {y.shape[1]}")
        return self.maximize(None, self.statistics(None, X, y, resp))

    def log_prob(self, params, X, y):
        return self.log_density(params["mean"], y)

    def mean(self, params, X):
        return np.tile(params["mean"][:, None], (len(X), 1, 1))

    def statistics(self, params, X, y, resp, order=2):
        return Statistics(n=resp.sum(axis=0), total=resp.T @ y[:, 0])

    def maximize(self, params, stats, cautious=False):
        return {"mean": (stats["total"] + 1e-9) / (stats["n"] + 2e-9)}

    def log_prior(self, params):
        return 1e-9 * float(self.log_density(params["mean"], np.array([[0.0], [1.0]])).sum())

    def gradient(self, params, stats):
        m = params["mean"]
        return {"mean": (stats["total"] + 1e-9 - (stats["n"] + 2e-9) * m) / self.spread(m)}

    def coordinates(self, params):
        return {"mean": self.range}

    def to_caller(self, params, units):
        return dict(params)

    def from_caller(self, values, units, n_experts, classes=None):
        return dict(values)

    def view(self, params, k, units, single_output=True, **shell):
        coef = np.zeros(0)
        return RegressionView(**shell, coef_=coef, intercept_=params["mean"][k])

    def check_target(self, y):
        if not self.allowed(y).all():
            raise ValueError(f"{y[~self.allowed(y)][0]} is out of range")


class Exponential(OneMean):
    range = "positive"

    def log_density(self, m, y):
        return -np.log(m) - y / m

    def spread(self, m):
        return m**2

    def allowed(self, y):
        return y >= 0


class Poisson(OneMean):
    range = "positive"

    def log_density(self, m, y):
        return poisson.logpmf(y, m)

    def spread(self, m):
        return m

    def allowed(self, y):
        return (y >= 0) & (y == np.round(y))

    def components(self, params, X, units, single_output=True):
        return poisson(mu=np.tile(params["mean"], (len(X), 1)))


class Bernoulli(OneMean):
    range = (0.0, 1.0)

    def log_density(self, m, y):
        return xlogy(y, m) + xlogy(1 - y, 1 - m)

    def spread(self, m):
        return m * (1 - m)

    def allowed(self, y):
        return (y == 0) | (y == 1)


@pytest.mark.parametrize("kind", [Exponential, Poisson, Bernoulli])
def test_targets_that_are_positive_counts_or_binary_are_found(kind):
    check_expert(kind())


class NoClasses(SoftmaxExpert):
    def check_target(self, y):
        raise ValueError("not today")


class NoTarget(Poisson):
    def allowed(self, y):
        return y != y


def test_an_expert_that_refuses_every_target_is_told_so():
    with pytest.raises(
        AssertionError, match=r"NoTarget\(\) takes no target at all: real numbers: "
    ):
        check_expert(NoTarget())
    with pytest.raises(AssertionError, match=r"NoClasses\(\) takes no target at all: not today"):
        check_expert(NoClasses())


@pytest.mark.parametrize("thing", [LinearExpert, SoftmaxGate(), "linear"], ids=repr)
def test_what_is_no_expert_is_told_so(thing):
    with pytest.raises(AssertionError, match="is not an object of a class derived from BaseExpert"):
        check_expert(thing)


# -- what fails: one broken expert a promise ---------------------------------------------------


class ChangesItsArguments(LinearExpert):
    def statistics(self, params, X, y, resp, order=2):
        np.minimum(resp, 1.0, out=resp)
        return super().statistics(params, X, y, resp)


class ChangesStatistics(LinearExpert):
    def maximize(self, params, stats, cautious=False):
        stats["gram"] += 1.0
        return super().maximize(params, stats)


class KeepsAState(LinearExpert):
    def log_prob(self, params, X, y):
        self.last_ = len(X)
        return super().log_prob(params, X, y)


class WrongShape(LinearExpert):
    def mean(self, params, X):
        return super().mean(params, X)[:, :, 0]


class NotANumber(LinearExpert):
    def log_prob(self, params, X, y):
        return super().log_prob(params, X, y) * np.nan


class NotNormalised(LinearExpert):
    def log_prob(self, params, X, y):
        return super().log_prob(params, X, y) + 0.1


class WrongMean(LinearExpert):
    def mean(self, params, X):
        return super().mean(params, X) + 0.01


class TakesOthers(LinearExpert):
    def take(self, params, ids):
        return super().take(params, np.asarray(ids)[::-1])


class WrongProbabilities(SoftmaxExpert):
    def mean(self, params, X):
        return super().mean(params, X)[..., ::-1]


class WrongComponents(LinearExpert):
    def components(self, params, X, units, single_output=True):
        wider = params | {"covariance": 1.01 * params["covariance"]}
        return super().components(wider, X, units, single_output)


class Shifted(type(norm)):
    def _rvs(self, size=None, random_state=None):
        return 0.3 + super()._rvs(size, random_state)


class WrongSamples(LinearExpert):
    def components(self, params, X, units, single_output=True):
        right = super().components(params, X, units, single_output)
        return Shifted(name="shifted")(**right.kwds) if single_output else right


class WrongView(LinearExpert):
    def view(self, params, k, units, **shell):
        return super().view(params, 0, units, **shell)


class MeansForSums(LinearExpert):
    def statistics(self, params, X, y, resp, order=2):
        return super().statistics(params, X, y, resp) * (1 / len(X))


class SquaresResponsibilities(LinearExpert):
    def statistics(self, params, X, y, resp, order=2):
        return super().statistics(params, X, y, resp**2)


class Descends(LinearExpert):
    def maximize(self, params, stats, cautious=False):
        return interpolate(params, super().maximize(params, stats), -0.01)


class CautiousInNameOnly(SoftmaxExpert):
    def maximize(self, params, stats, cautious=False):
        step = super().maximize(params, stats, cautious)
        return interpolate(params, step, 9.0) if cautious else step


class StandsStill(LinearExpert):
    def init(self, X, y, resp, random_state, classes=None):
        return LinearExpert().init(X, y, resp, random_state)

    def maximize(self, params, stats, cautious=False):
        return params


class WrongGradient(LinearExpert):
    def gradient(self, params, stats):
        return map_leaves(lambda leaf: 1.001 * leaf, super().gradient(params, stats))


class ForgetsThePriorsGradient(LinearExpert):
    def gradient(self, params, stats):
        return LinearExpert(0.0, self.variance_prior).gradient(params, stats)


class ForgetsItsCoordinates(LinearExpert):
    def coordinates(self, params):
        return {}


class ForgetsThatAVarianceIsPositive(MLPExpert):
    def coordinates(self, params):
        return {}


class CentresItsCoefficients(LinearExpert):
    def coordinates(self, params):
        return super().coordinates(params) | {"coef": "centred"}


class NamesNoLeaf(LinearExpert):
    def coordinates(self, params):
        return {"sigma": "positive"}


class GradientOfTheLogarithm(Exponential):
    """Right in the coordinates that it thinks of, but not in its parameters."""

    def gradient(self, params, stats):
        return {"mean": params["mean"] * super().gradient(params, stats)["mean"]}


class WrongMeanGradient(LinearExpert):
    def mean_gradient(self, params, X, slope):
        return 1.001 * super().mean_gradient(params, X, slope)


class MeanGradientOfTheLink(PoissonExpert):
    def mean_gradient(self, params, X, slope, offset=None):
        return super().mean_gradient(params, X, slope / self.mean(params, X, offset), offset)


class MeanOfTheMeanGradient(SoftmaxExpert):
    def mean_gradient(self, params, X, slope):
        return super().mean_gradient(params, X, slope) * (1 / len(X))


class MeanGradientWithoutOffset(PoissonExpert):
    def mean_gradient(self, params, X, slope, offset=None):
        return super().mean_gradient(params, X, slope)


class CarriesGradientsOn(SoftmaxExpert):
    def carry(self, params, stats, factor):
        return factor * stats


class ForgetsNothing(LinearExpert):
    def carry(self, params, stats, factor):
        return stats


class CarriesTooLittle(SoftmaxExpert):
    def carry(self, params, stats, factor):
        found = super().carry(params, stats, factor)
        return Statistics({name: v for name, v in found.items() if name != "gradient"})


class ForgetsThePrior(SoftmaxExpert):
    def carry(self, params, stats, factor):
        return carried(stats, factor, {"gradient": np.zeros_like(params["coef"])})


class NoRowsNoNumbers(LinearExpert):
    def maximize(self, params, stats, cautious=False):
        empty = stats["gram"][:, :1, :1] <= 0
        return map_leaves(lambda a: np.where(empty, np.nan, a), super().maximize(params, stats))


class FirstAmongEquals(LinearExpert):
    def log_prior(self, params):
        return super().log_prior(params) - float(params["coef"][0, 0, 0] ** 2)

    gradient = property()  # none


class NeverMovesTheFirst(LinearExpert):
    def maximize(self, params, stats, cautious=False):
        K = len(stats["gram"])
        first = (np.arange(K)[:, None, None] == 0) & (K > 1)
        new = super().maximize(params, stats)
        return map_leaves(lambda a, b: np.where(first, a, b), params, new)


class LosesTheOrigin(LinearExpert):
    def from_caller(self, values, units, n_experts, classes=None):
        values = values | {"intercept": values["intercept"] - units.y.origin}
        return super().from_caller(values, units, n_experts)


class HalfAParameter(LinearExpert):
    def n_parameters(self, params):
        return super().n_parameters(params) - 0.5


class MoreParametersThanNumbers(LinearExpert):
    def n_parameters(self, params):
        return 1000


class RoundsFloat32(LinearExpert):
    def log_prob(self, params, X, y):
        return super().log_prob(params, X.round(2) if X.dtype == np.float32 else X, y)


class LosesItselfInAPickle(LinearExpert):
    def __setstate__(self, state):
        super().__setstate__(state | {"alpha": 0.0})


class EditsItsParameters(LinearExpert):
    def __init__(self, alpha=1, variance_prior=1e-2):
        super().__init__(alpha + 1.0, variance_prior)


def _wrong_whitening(expert, params):
    whitening, log_norm = LinearExpert.kernel.params(expert, params)
    return whitening, log_norm + 1e-9


class WrongKernel(LinearExpert):
    kernel = LinearExpert.kernel._replace(params=_wrong_whitening)


class WrongKernelStatistics(LinearExpert):
    kernel = LinearExpert.kernel._replace(
        statistics=lambda expert, params, sums, order: LinearExpert.kernel.statistics(
            expert, params, sums * (1 + 1e-9), order
        )
    )


@pytest.mark.parametrize(
    "expert, message",
    [
        (ChangesItsArguments(), "init changes its arguments in place"),
        (ChangesStatistics(), "maximize changes its arguments in place"),
        (KeepsAState(), "attributes of the object are changed"),
        (WrongShape(), r"mean has shape \(60, 1\), not \(60, 1, 1\)"),
        (NotANumber(), "log_prob holds NaN"),
        (NotNormalised(), "density of expert 0 integrates to 1.105, not 1"),
        (WrongMean(), "mean is not that of the density"),
        (TakesOthers(), "log_prob of some experts, by take, is not that of the bank"),
        (WrongProbabilities(), "mean is not that of the density"),
        (WrongComponents(), "components do not hold the density of expert 0"),
        (WrongSamples(), "samples of expert 0 are .* standard errors from its mean"),
        (WrongView(), "the view of expert 1 does not predict its mean"),
        (MeansForSums(), "statistics of two parts do not add"),
        (SquaresResponsibilities(), "a responsibility of 0, 2 or 3 is not the row absent"),
        (Descends(), r"maximize\(cautious=True\) lowers Σ resp·log p \+ log_prior by"),
        (CautiousInNameOnly(), r"maximize\(cautious=True\) lowers Σ resp·log p \+ log_prior by"),
        (StandsStill(), "maximize gains nothing where a slope is"),
        (WrongGradient(), "gradient is not the derivative"),
        (ForgetsThePriorsGradient(alpha=1.0), "gradient is not the derivative"),
        (ForgetsItsCoordinates(), "a step in the free coordinates leads to .* no model"),
        (
            ForgetsThatAVarianceIsPositive((2,)),
            "a step in the free coordinates leads to .* no model",
        ),
        (CentresItsCoefficients(), "coordinates do not lead back to the parameters"),
        (NamesNoLeaf(), r"coordinates are free\? ValueError: coordinates name \['sigma'\]"),
        (GradientOfTheLogarithm(), "gradient is not the derivative of"),
        (WrongMeanGradient(), "mean_gradient is not the derivative of Σ slope·mean"),
        (MeanGradientOfTheLink(), "mean_gradient is not the derivative of Σ slope·mean"),
        (MeanOfTheMeanGradient(), "mean_gradient of two parts does not add"),
        (MeanGradientWithoutOffset(), "mean_gradient with an offset linear in x is not that"),
        (CarriesGradientsOn(), "with the statistics of carry the gradient in 'coef' is not 0"),
        (ForgetsNothing(), "makes 'gram' not 0.5 times itself"),
        (ForgetsThePrior(), "with the statistics of carry the gradient in 'coef' is not 0"),
        (CarriesTooLittle(), r"carry gives \['gram', 'hessian'\] of \['gradient', "),
        (NoRowsNoNumbers(), "an expert without rows gets NaN"),
        (FirstAmongEquals(), "log_prior depends on the order of the experts"),
        (NeverMovesTheFirst(), "maximize depends on the order of the experts"),
        (LosesTheOrigin(), "from_caller does not bring back"),
        (HalfAParameter(), "n_parameters is 3.5, not an integer from 1 to 4"),
        (MoreParametersThanNumbers(), "n_parameters is 1000, not an integer from 1 to 4"),
        (RoundsFloat32(), "log_prob of float32 is not that of float64"),
        (LosesItselfInAPickle(), "pickle does not give an equal object"),
        (EditsItsParameters(), "clones and pickles are equal. RuntimeError: Cannot clone"),
        (WrongKernel(), "the compiled pass is not the generic one"),
        (WrongKernelStatistics(), "the compiled pass is not the generic one"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseExpert) else "",
)
def test_an_expert_that_breaks_a_promise_is_told_which(expert, message):
    with pytest.raises(AssertionError, match=message) as caught:
        check_expert(expert)
    assert str(caught.value).startswith(f"{expert!r} with K=")
    assert "\n" not in str(caught.value)


# -- what fails: broken gates ------------------------------------------------------------------


class GateNotNormalised(SoftmaxGate):
    def log_prob(self, params, X):
        return super().log_prob(params, X) + 0.1


class GateWrongGradient(SoftmaxGate):
    def gradient(self, params, stats):
        return {"coef": -super().gradient(params, stats)["coef"]}


class GateWrongConstantGradient(ConstantGate):
    def gradient(self, params, stats):
        return {"log_weights": 2 * super().gradient(params, stats)["log_weights"]}


class GateForgetsItsCoordinates(GaussianGate):
    def coordinates(self, params):
        return {}


class GateCarriesGradientsOn(SoftmaxGate):
    def carry(self, params, stats, factor):
        return factor * stats


class GateOvershoots(SoftmaxGate):
    def maximize(self, params, stats, cautious=False):
        return {"coef": params["coef"] + 3 * stats["gradient"]}


class GatePrefersTheLast(SoftmaxGate):
    inputs = Inputs()

    def log_prob(self, params, X):
        log_prob = super().log_prob(params, X)
        return array.log_softmax(log_prob + np.arange(log_prob.shape[1]))


class GateTakesTheSame(SoftmaxGate):
    def take(self, params, ids):
        return params


class GateDropsExperts(ConstantGate):
    def maximize(self, params, stats, cautious=False):
        with np.errstate(divide="ignore"):
            return {"log_weights": np.log(stats["n"] / stats["n"].sum())}


class GateLosesTheIntercept(SoftmaxGate):
    def to_caller(self, params, units):
        return super().to_caller(params, units) | {"intercept": 0 * params["coef"][:, 0]}


class GateOfNoParameters(ConstantGate):
    def n_parameters(self, params):
        return 0


class GateWrongKernel(ConstantGate):
    kernel = ConstantGate.kernel._replace(
        statistics=lambda gate, params, sums: Statistics(n=sums[0].gradient[:, 0])
    )


class GateNeedsFloat64(SoftmaxGate):
    def log_prob(self, params, X):
        if X.dtype != np.float64:
            raise TypeError("float64 only")
        return super().log_prob(params, X)


@pytest.mark.parametrize(
    "gate, message",
    [
        (GateNotNormalised(), "the probabilities of a row sum to 1.105, not 1"),
        (GateWrongGradient(), "gradient is not the derivative"),
        (GateWrongConstantGradient(), "gradient is not the derivative"),
        (GateForgetsItsCoordinates(), "a step in the free coordinates leads to .* no model"),
        (GateCarriesGradientsOn(), "with the statistics of carry the gradient in 'coef' is not 0"),
        (GateOvershoots(), r"maximize\(cautious=True\) lowers"),
        (GatePrefersTheLast(), "permuting the experts does not permute log_prob"),
        (GateTakesTheSame(), "permuting the experts does not permute log_prob"),
        (GateDropsExperts(), "an expert without rows gets NaN or infinity"),
        (GateLosesTheIntercept(), "from_caller does not bring back"),
        (GateOfNoParameters(), "n_parameters is 0, not an integer from 1 to 3"),
        (GateWrongKernel(), "the compiled pass is not the generic one"),
        (GateNeedsFloat64(), "float32 is accepted. TypeError: float64 only"),
    ],
    ids=lambda value: "" if isinstance(value, str) else type(value).__name__,
)
def test_a_gate_that_breaks_a_promise_is_told_which(gate, message):
    with pytest.raises(AssertionError, match=message) as caught:
        check_gate(gate)
    assert str(caught.value).startswith(f"{gate!r} with K=")


# -- the suite itself --------------------------------------------------------------------------


def test_optional_methods_may_be_absent():
    class Bare(GaussianExpert):
        kernel = None
        gradient = mean_gradient = components = predictors = rows = property()  # not there

    # A local class cannot be pickled: the last promise but one, so all the others were kept.
    with pytest.raises(AssertionError, match=r"clones and pickles are equal\? .*local object"):
        check_expert(Bare())
