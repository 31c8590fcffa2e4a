"""How X, y and what comes with them lie in memory changes no bit of a fit or a prediction."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sklearn.linear_model import Ridge

from classic_moe import (
    HierarchicalMixtureOfExpertsClassifier,
    MetaPiRegressor,
    MixtureOfExpertsClassifier,
    MixtureOfExpertsRegressor,
)
from classic_moe.data.units import Scaling
from classic_moe.estimators._prepare import prepare
from classic_moe.parts.params import leaves

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

QUICK = dict(n_init=2, max_iter=5, random_state=0)
R, C = MixtureOfExpertsRegressor, MixtureOfExpertsClassifier


def read_only(A):
    A = A.copy()
    A.setflags(write=False)
    return A


def strided(A):
    """Every second row and column of a larger array."""
    larger = np.full([2 * m for m in A.shape], np.nan)
    view = larger[tuple(slice(None, None, 2) for _ in A.shape)]
    view[...] = A
    return view


def backwards(A):
    """The same rows and columns, at negative strides."""
    turn = tuple(slice(None, None, -1) for _ in A.shape)
    return A[turn].copy()[turn]


def unaligned(A):
    """The same numbers one byte past where the machine likes them."""
    memory = np.zeros(A.nbytes + 1, dtype=np.uint8)
    view = memory[1:].view(A.dtype).reshape(A.shape)
    view[...] = A
    return view


LAYOUTS = {
    "Fortran": np.asfortranarray,
    "strided": strided,
    "backwards": backwards,
    "unaligned": unaligned,
    "read-only": read_only,
    "big-endian": lambda A: A.astype(">f8"),
    "memory map": lambda A: A.view(np.memmap),
    "list": lambda A: A.tolist(),
}


def data(n=150, p=4, seed=3):
    """Nearly separable classes, where a last digit of the units is seen in the probabilities."""
    rng = np.random.RandomState(seed)
    X = rng.normal(size=(n, p)) * [1.0, 30.0, 1e-3, 7.0][:p] + [0.0, 100.0, 1.0, -3.0][:p]
    other = X[:, 0] if p == 1 else (X[:, 1] - 100) / 30 * (X[:, 3] > 0)
    score = X[:, 0] + other + 0.1 * rng.normal(size=n)
    return X, score, np.digitize(score, [-0.5, 0.5])


def bits(model, X, y):
    """What a fitted model is and says, a list of arrays."""
    numbers = [leaf for leaf in leaves(model.params_) if np.asarray(leaf).dtype.kind == "f"]
    found = [*numbers, model.lower_bounds_, model.predict(X), model.gate_proba(X)]
    for name in ("predict_experts", "predict_log_proba"):
        found += [getattr(model, name)(X)] if hasattr(model, name) else []
    for name in ("log_prob", "responsibilities"):
        found += [getattr(model, name)(X, y)] if hasattr(model, name) else []
    if hasattr(model, "predict_dist"):
        found += [model.predict_dist(X).std()]
    return [*found, model.experts_[0].predict(X)]


def assert_same(one, other):
    assert len(one) == len(other)
    for ours, theirs in zip(one, other, strict=True):
        assert_array_equal(ours, theirs)


MODELS = {
    "regressor": R(2, **QUICK),
    "raw columns": R(2, gate="exponential_family", expert_features=[2, 0], **QUICK),
    "offset": R(2, expert="poisson", offset_feature=0, **QUICK),
    "classifier": C(2, **QUICK),
    "tree": HierarchicalMixtureOfExpertsClassifier(2, 2, **QUICK),
    "codes": C(2, expert="linear", **QUICK),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", MODELS)
def test_x_in_another_layout_has_the_same_bits(name, layout):
    X, score, labels = data()
    y = labels if name in ("classifier", "tree", "codes") else np.abs(np.floor(score * 3))
    model, change = MODELS[name], LAYOUTS[layout]
    one = bits(model.fit(X, y), X, y)
    other = change(X)
    assert_same(one, bits(model.fit(other, y), other, y))


@pytest.mark.parametrize("n", [150, 700], ids=["numpy", "compiled"])
def test_a_long_fit_of_nearly_separable_classes(n):
    """Another order of the sums in the units once gave other probabilities after a whole fit."""
    X, _, y = data(n)
    one, other = (
        C(2, random_state=0, n_init=2, max_iter=100).fit(Z, y) for Z in (X, np.asfortranarray(X))
    )
    assert_array_equal(one.predict_proba(X), other.predict_proba(np.asfortranarray(X)))


FAMILIES = ["linear", "student_t", "binomial", "poisson"]


@pytest.mark.parametrize("layout", ["Fortran", "strided", "backwards", "big-endian"])
def test_y_weights_and_starts_in_another_layout_have_the_same_bits(layout):
    X, score, _ = data()
    rng, change = np.random.RandomState(0), LAYOUTS[layout]
    Y = np.column_stack([score, score**2, rng.normal(size=150)])
    weight, resp = rng.uniform(0, 2, 150), rng.dirichlet([1, 1], 150)
    counts = np.column_stack([np.floor(np.abs(score)), np.full(150, 2.0)])
    one_count = counts[:, 0].copy()
    for expert, y in zip(FAMILIES, (Y, score, counts, one_count), strict=True):
        model = R(2, expert=expert, init_params=resp, max_iter=5)
        one = bits(model.fit(X, y, sample_weight=weight), X, y)
        model = R(2, expert=expert, init_params=change(resp), max_iter=5)
        model.fit(X, change(y), sample_weight=change(weight))
        assert_same(one, bits(model, X, change(y)))


@pytest.mark.parametrize("p", [1, 4])
def test_a_single_column_or_row_has_no_layout_of_its_own(p):
    X, y, _ = data(p=p)
    model = R(2, **QUICK)
    one = bits(model.fit(X, y), X, y)
    wide = np.full((150, 9), np.nan)
    wide[:, 1 : 1 + p] = X
    view = wide[:, 1 : 1 + p]  # rows far apart
    assert_same(one, bits(model.fit(view, y), view, y))
    assert_array_equal(model.predict(view[:1]), model.predict(X[:1]))


def test_tables_of_mixed_columns():
    X, y, _ = data()
    X[:, 1] = np.round(X[:, 1])
    X[:, 3] = X[:, 3] > 0
    names = ["a", "b", "c", "d"]
    table = pd.DataFrame(X, columns=names)
    mixed = table.astype({"a": "float64", "b": "int32", "c": "Float64", "d": bool})
    model = R(2, **QUICK)
    one = bits(model.fit(table, y), table, y)
    assert_same(one, bits(model.fit(mixed, y), mixed, y))
    assert_array_equal(R(2, **QUICK).fit(X, y).predict(X), model.predict(mixed))


def test_single_precision_stays_so_in_every_layout():
    X, y, _ = data()
    X = X.astype(np.float32)
    model = R(2, **QUICK)
    one = bits(model.fit(X, y), X, y)
    for other in (np.asfortranarray(X), X[::-1].copy()[::-1], X.astype(">f4"), pd.DataFrame(X)):
        assert_same(one, bits(model.fit(np.asarray(other), y), np.asarray(other), y))
        given = prepare(model, other, y).given.X
        assert given.dtype == np.float32 and given.dtype.isnative and given.flags.c_contiguous


def test_x_in_order_is_not_copied():
    X, y, _ = data()
    for given in (X, X.astype(np.float32)):
        assert np.shares_memory(prepare(R(2), given, y).given.X, given)


def test_learning_row_by_row_and_going_on():
    X, y, _ = data(300)
    F = np.asfortranarray(X)
    found = []
    for Z in (X, F):
        model = R(2, **QUICK).partial_fit(Z[:200], y[:200])
        found.append(bits(model.partial_fit(Z[200:], y[200:]), Z, y))
    assert_same(*found)


def test_more_columns_than_rows():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 100)), rng.normal(size=60)
    F = np.asfortranarray(X)
    model = R(2, **QUICK)
    assert_same(bits(model.fit(X, y), X, y), bits(model.fit(F, y), F, y))


def test_experts_fitted_alone():
    X, y, _ = data()
    F = np.asfortranarray(X)
    model = MetaPiRegressor(
        [Ridge(), Ridge(10.0)], expert_features=[2, 1], max_iter=5, random_state=0
    )
    assert_same(bits(model.fit(X, y), X, y), bits(model.fit(F, y), F, y))


def test_units_do_not_depend_on_the_layout():
    X, _, _ = data()
    weight = np.random.default_rng(0).uniform(0, 2, 150)
    one = Scaling.fit(X, weight)
    for change in (np.asfortranarray, strided, backwards):
        other = Scaling.fit(change(X), weight)
        assert_array_equal(one.center, other.center)
        assert_array_equal(one.factor, other.factor)
