"""Compiled passes that scale X on the way have the bits of those of rows scaled before."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from classic_moe.data.batches import ArrayBatches
from classic_moe.data.units import Scaled, Scaling, as_array, as_given
from classic_moe.experts import GammaExpert, LinearExpert, SoftmaxExpert, StudentTExpert
from classic_moe.gates import GaussianGate, LeastSquaresGate, SoftmaxGate
from classic_moe.model import fused_pass
from classic_moe.model.information import information, layout_of
from classic_moe.model.mixture import MixtureModel
from classic_moe.parts.params import leaves
from classic_moe.parts.storage import writable

N, P, K = 1203, 5, 3
"""Rows: blocks of 512 and one that is no multiple of eight."""


@pytest.fixture(scope="module", params=[np.float64, np.float32], ids=["double", "single"])
def rows(request):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((N, P)) * [1, 1e3, 1e-3, 1, 1] + [0, 1e5, 7, 0, 3]
    X[:, 3] = 2.5  # a column without spread
    X = X.astype(request.param)
    weight = rng.uniform(0.5, 2, N)
    scaling = Scaling.fit(X, weight)
    z = scaling.apply(X).astype(np.float64)
    y = np.where(z[:, 0] > 0, z[:, 1], 1 - z[:, 2]) + 0.3 * rng.standard_normal(N)
    return X, y, weight, scaling, rng.dirichlet(np.ones(K), N)


def parts():
    slope = dict(alpha=1e-3)
    for gate in (SoftmaxGate(**slope), LeastSquaresGate()):
        yield gate, LinearExpert(**slope), "y"
        yield gate, StudentTExpert(**slope), "y"
    yield SoftmaxGate(**slope), SoftmaxExpert(**slope), "classes"
    yield SoftmaxGate(**slope), GammaExpert(**slope), "positive"
    yield GaussianGate(), LinearExpert(**slope), "y"
    yield GaussianGate(), StudentTExpert(**slope), "y"


CASES = list(parts())


@pytest.mark.parametrize(
    "gate, expert, target",
    CASES,
    ids=[f"{type(g).__name__}-{type(e).__name__}" for g, e, _ in CASES],
)
@pytest.mark.parametrize("order", [1, 2])
def test_a_pass_of_scaled_rows_has_the_same_bits(rows, gate, expert, target, order):
    X, y, weight, scaling, resp = rows
    y = {"y": y[:, None], "positive": np.exp(y)[:, None], "classes": (y > 0) + 0}[target]
    model = MixtureModel(gate.with_numbers({}), expert.with_numbers({}), compiled=True)
    inside = scaling.apply(X)
    classes = np.arange(2) if target == "classes" else None
    start = resp * weight[:, None]
    params = model.init(inside, y, start, np.random.RandomState(0), classes)
    scaled = Scaled(X, scaling, scaling.for_kernels(X.dtype))
    assert fused_pass.lookup(model, X, y) is not None
    found = model.statistics(params, scaled, y, weight, order)
    expected = model.statistics(params, inside, y, weight, order)
    assert leaves_of(found), "statistics hold something"
    for ours, theirs in zip(leaves_of(found), leaves_of(expected), strict=True):
        assert_array_equal(ours, theirs)


def leaves_of(stats):
    """All arrays of statistics in one order."""
    return [np.asarray(leaf) for leaf in leaves(stats)]


def test_the_information_of_scaled_rows_has_the_same_bits(rows):
    X, y, weight, scaling, resp = rows
    model = MixtureModel(SoftmaxGate(alpha=1e-3), LinearExpert(alpha=1e-3), compiled=True)
    inside = ArrayBatches(scaling.apply(X), y[:, None], weight)
    params = model.init(
        scaling.apply(X), y[:, None], resp * weight[:, None], np.random.RandomState(0)
    )
    on_the_way = ArrayBatches(X, y[:, None], weight, scaling=scaling, keep_bytes=0)
    assert layout_of(model, params, on_the_way).is_compiled
    one, other = (information(model, params, b).matrix for b in (inside, on_the_way))
    assert_array_equal(one, other)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_numbers_far_out_are_cut_off_on_the_way_too(rows):
    X, y, weight, scaling, resp = rows
    model = MixtureModel(SoftmaxGate(alpha=1e-3), LinearExpert(alpha=1e-3), compiled=True)
    inside, start = scaling.apply(X), resp * weight[:, None]
    params = model.init(inside, y[:, None], start, np.random.RandomState(0))
    far = X.copy()
    far[5, 0] = np.finfo(X.dtype).max
    scaled = Scaled(far, scaling, scaling.for_kernels(X.dtype))
    assert np.abs(scaled[5:6]).max() in (np.float32(1e37), 1e140)
    ours, theirs = (
        leaves_of(model.statistics(params, own, y[:, None], weight))
        for own in (scaled, scaling.apply(far))
    )
    for one, other in zip(ours, theirs, strict=True):
        assert_array_equal(one, other)


def test_units_that_no_kernel_takes_say_so():
    plain = Scaling.identity(2)
    assert plain.for_kernels(np.dtype(float)).shape == (3, 2)
    far = Scaling(np.array([600, 0]), np.zeros(2), np.ones(2))
    chosen = Scaling(np.zeros(2, int), np.zeros(2), np.ones(2), source=np.array([0, 0]))
    turned = Scaling(np.zeros(2, int), np.zeros(2), np.ones(2), rotation=np.eye(2))
    assert all(own.for_kernels(np.dtype(float)) is None for own in (far, chosen, turned))
    rows = Scaled(np.ones((3, 2)), plain)
    assert as_given(rows) is rows.X and as_array(rows).shape == rows.shape == (3, 2)


def test_a_read_only_array_is_the_same_memory():
    X = np.arange(6.0).reshape(2, 3)
    X.flags.writeable = False
    alias = writable(X)
    assert alias.flags.writeable and np.shares_memory(alias, X) and writable(alias) is alias
    assert_array_equal(alias, X)
