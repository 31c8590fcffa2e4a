"""The gradient of the whole penalised objective, in free coordinates, by finite differences."""

import functools

import numpy as np
import pytest
from pairs import EXPERTS, GATES, data

from classic_moe.data.batches import ArrayBatches
from classic_moe.data.units import Scaling
from classic_moe.experts import (
    GammaExpert,
    GaussianExpert,
    LinearExpert,
    MLPExpert,
    NegativeBinomialExpert,
    NoiseExpert,
    StudentTExpert,
)
from classic_moe.gates import SoftmaxGate, TreeGate
from classic_moe.gates._per_output import PerOutputGate
from classic_moe.model.mixture import MixtureModel
from classic_moe.model.objectives import BlendedError, ExpectedError, MixtureLikelihood
from classic_moe.parts.covariance import STRUCTURES
from classic_moe.parts.params import ravel, unravel
from classic_moe.parts.registry import coerce

ROWS = 40
STEP = 1e-5
"""Of the central differences: their error is about STEP² plus 1e-16 / STEP, 1e-10 and 1e-11."""

GATES = GATES | {"tree": TreeGate(branching=2, depth=2)}
EACH_OUTPUT = {"of each output": PerOutputGate(SoftmaxGate())}
VARIANTS = {  # as EXPERTS, with one gate
    "gaussian of fixed variance": ("real", GaussianExpert(variance=0.5)),
    "linear of fixed variance": ("two", LinearExpert(variance=0.5)),
    "mlp of fixed variance": ("real", MLPExpert(2, variance=0.5)),
    "linear spherical": ("two", LinearExpert(covariance_type="spherical")),
    "linear full": ("two", LinearExpert(alpha=0.3, variance_prior=1.0)),
    "student t tied": ("two", StudentTExpert(df="tied", covariance_type="tied")),
    "noise, normal": ("real", NoiseExpert("normal")),
    "gamma of fixed shape": ("positive", GammaExpert(shape=2.0)),
    "negative binomial of fixed dispersion": ("count", NegativeBinomialExpert(dispersion=0.5)),
}


def problem(gate, expert, objective, offset=False, **facts):
    """A model, params that are no optimum, batches with weights: in internal units."""
    kind, part = (EXPERTS | VARIANTS)[expert]
    rng = np.random.default_rng(0)
    X, y = data(kind, rng)
    X, y = X[:ROWS], y[:ROWS]
    parts = coerce("gate", (GATES | EACH_OUTPUT)[gate]), coerce("expert", part)
    columns = (np.array([0]), np.array([0]), 1) if offset else ()
    model = MixtureModel(*parts, *columns, objective=objective)
    classes = kind in ("class", "binary")
    labels = np.arange(int(y.max()) + 1) if classes else None
    target = y if classes else model.expert.target.encode(y)
    weight = rng.uniform(0.5, 2.0, ROWS)
    if model.expert.target.standardise and not classes:
        target = Scaling.fit(target, weight).apply(target)
    K = model.gate.n_experts or 2
    resp = rng.dirichlet(np.full(K, 2.0), size=ROWS) * weight[:, None]
    params = model.init(X, target, resp, np.random.RandomState(0), labels)
    return model, params, ArrayBatches(X, target, weight, **facts)


def differentiable(gate, expert):
    parts = coerce("gate", GATES[gate]), coerce("expert", EXPERTS[expert][1])
    return all(hasattr(part, "gradient") for part in parts)


def pairs_of(gates, experts):
    found = [(gate, expert) for gate in gates for expert in experts if differentiable(gate, expert)]
    return [pair for pair in found if pair[0] != "tree" or "union" not in pair[1]]


PAIRS = pairs_of(GATES, EXPERTS)
OBJECTIVES = (MixtureLikelihood, ExpectedError, BlendedError)
CASES = [(objective, *pair) for objective in OBJECTIVES for pair in PAIRS]
CASES += [(objective, "softmax", expert) for objective in OBJECTIVES for expert in VARIANTS]


def test_the_pairs_are_all_but_those_with_a_black_box():
    boxes = {expert for expert in EXPERTS if "estimator" in expert or expert == "union classes"}
    unions = {expert for expert in EXPERTS if "union" in expert} - boxes  # of two: no tree of four
    gates = {gate for gate in GATES if "estimator" in gate}
    assert len(PAIRS) == (len(GATES) - len(gates)) * (len(EXPERTS) - len(boxes)) - len(unions)


@pytest.mark.parametrize("objective, gate, expert", CASES)
def test_the_gradient_is_the_slope_of_the_objective(objective, gate, expert):
    check(*problem(gate, expert, objective()))


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("expert", ["poisson", "gamma", "negative binomial"])
def test_an_offset_is_in_the_gradient(objective, expert):
    check(*problem("softmax", expert, objective(), offset=True))


@pytest.mark.parametrize("gate", ["constant", "gaussian"])
@pytest.mark.parametrize("fact", ["groups", "labels"])
def test_what_is_known_of_rows_is_in_the_gradient(gate, fact):
    known = {"groups": np.arange(ROWS) // 3, "labels": np.arange(ROWS) % 3 - 1}[fact]
    check(*problem(gate, "linear", MixtureLikelihood(), **{fact: known}))


@pytest.mark.parametrize("expert", ["linear, two outputs", "softmax"])
def test_gates_of_each_output_have_a_gradient(expert):
    check(*problem("of each output", expert, BlendedError()))


@pytest.mark.parametrize("low", [-3, -1, 1])
@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize(
    "gate, expert",
    [
        ("gaussian", "linear full"),
        ("gaussian", "softmax"),
        ("gaussian tied", "student t, two outputs"),
        ("exponential family", "linear full"),
        ("softmax", "linear full"),
        ("softmax", "student t tied"),
        ("tree", "linear full"),
        ("tree", "student t, two outputs"),
    ],
)
def test_covariances_may_be_as_slanted_as_they_like(objective, gate, expert, low):
    """Below the diagonal a Cholesky factor has any number: one below -1 was NaN once."""
    model, params, batches = problem(gate, expert, objective())
    coordinates = model.coordinates(params)
    vector, slanted = coordinates.free(params), 0
    rng = np.random.default_rng(0)
    draws = unravel(rng.uniform(low, low + 2, len(vector)), coordinates.like)
    draws = ravel(draws | {"expert": of_the_type(model.expert, draws["expert"])})
    for path, place in coordinates.paths.items():
        if path.endswith(("covariance", "scale_matrix", "covariances")):
            below = place[..., np.tri(place.shape[-1], k=-1) > 0]
            vector[below] = draws[below]
            slanted += np.count_nonzero(draws[below])
    assert slanted
    check(model, coordinates.params(vector), batches, vector)


def check(model, params, batches, start=None):
    """Slopes along random directions against central differences."""
    coordinates = model.coordinates(params)
    start = coordinates.free(params) if start is None else start

    def value(vector):
        params = coordinates.params(vector)
        stats = batches.map_sum(functools.partial(model.statistics, order=1), params)
        return stats["objective"] + model.log_prior(params)

    params = coordinates.params(start)
    stats = batches.map_sum(functools.partial(model.statistics, order=1), params)
    gradient = coordinates.slope_in_free(start, params, model.gradient(params, stats))
    low, high = coordinates.bounds
    inside = (start > low + STEP) & (start < high - STEP)
    for direction in directions(model, coordinates, len(start)):
        step = STEP * direction * inside
        slope = (value(start + step) - value(start - step)) / 2
        # of the largest slope along a direction of this length; 5e-7 seen, with the inverse link
        allowed = 1e-5 * STEP * max(1.0, np.linalg.norm(gradient)) * np.linalg.norm(direction)
        assert abs(slope - gradient @ step) <= allowed


def directions(model, coordinates, size):
    """Random changes of all free numbers that keep what is tied by type."""
    rng = np.random.default_rng(1)
    for vector in rng.standard_normal((8, size)):
        nested = unravel(vector, coordinates.like)
        yield ravel(nested | {"expert": of_the_type(model.expert, nested["expert"])})


def of_the_type(expert, direction):
    """A change of the Cholesky factors that keeps Σ of its `covariance_type`."""
    structure = STRUCTURES.get(expert.get_params(deep=False).get("covariance_type"))
    names = ("covariance", "scale_matrix") if structure else ()
    return direction | {
        name: structure.project(direction[name])
        for name in names
        if np.size(direction.get(name, ()))
    }
