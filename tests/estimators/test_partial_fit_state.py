"""What a fitted estimator holds: what predictions need, a little to go on from, and no rows."""

import copy
import io
import pickle

import joblib
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from classic_moe import (
    AdaptiveLocalExpertsRegressor,
    HierarchicalMixtureOfExpertsRegressor,
    MetaPiRegressor,
    MixtureOfExpertsClassifier,
    MixtureOfExpertsRegressor,
)
from classic_moe.parts.packing import unpack
from classic_moe.parts.params import leaves

ROWS, COLUMNS = 211, 100  # the rows: a number that nothing else has
QUICK = dict(max_iter=2, n_init=1, random_state=0)


def regressor(**options):
    return MixtureOfExpertsRegressor(5, **QUICK, **options)


def kinds():
    """Return estimators of every kind by name, with what becomes of y > 0."""

    def real(y):
        return y

    def count(y):
        return np.floor(3 * y)

    def yes(y):
        return (y > 0.6).astype(int)

    found = {f"gate {gate}": (regressor(gate=gate), real) for gate in GATES}
    found |= {f"expert {expert}": (regressor(expert=expert), real) for expert in REAL}
    found |= {f"expert {expert}": (regressor(expert=expert), count) for expert in COUNTS}
    return found | {
        "expert binomial": (regressor(expert="binomial"), yes),
        "experts listed": (regressor(expert=["linear"] * 4 + ["laplace"]), real),
        "outputs": (regressor(), lambda y: np.column_stack([y, y[::-1]])),
        "on-line": (regressor(solver="online"), real),
        "classes": (MixtureOfExpertsClassifier(5, **QUICK), count),
        "two classes": (MixtureOfExpertsClassifier(5, expert="logistic", **QUICK), yes),
        "tree": (HierarchicalMixtureOfExpertsRegressor(**QUICK), real),
        "1991": (AdaptiveLocalExpertsRegressor(3, **QUICK), real),
    }


GATES = ["softmax", "constant", "least_squares", "gaussian", "exponential_family"]
REAL = ["gaussian", "student_t", "laplace", "gamma", "mlp"]
COUNTS = ["poisson", "negative_binomial"]
KINDS = kinds()


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((ROWS, COLUMNS))
    return X, np.abs(X[:, 0]) + 0.3 + 0.1 * rng.uniform(-1, 1, ROWS)


def fitted(kind, X, y):
    """Return a fit of two iterations, which is enough to have everything that a fit keeps."""
    model, encode = kind
    return copy.deepcopy(model).fit(X, encode(y)), encode


def numbers(model):
    """Return how many numbers a fitted model has."""
    return sum(leaf.size for leaf in leaves(model.params_))


class Spy(pickle.Pickler):
    """Notes the shape of every array that goes into a pickle."""

    def __init__(self):
        self.file = io.BytesIO()
        super().__init__(self.file)
        self.shapes = set()

    def reducer_override(self, thing):
        if isinstance(thing, np.ndarray):
            self.shapes.add(thing.shape)
        return NotImplemented

    def of(self, thing):
        """Pickle a thing; return the size and the shapes."""
        self.dump(thing)
        return self.file.tell(), self.shapes


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", KINDS)
def test_a_pickle_is_of_the_size_of_the_parameters_and_holds_no_rows(name, rows):
    """A mixture of 5 experts on 100 columns has 1,015 numbers, and had a pickle of 2.5 MB.

    Half of a Gram matrix in single precision is a quarter of 101 numbers a coefficient, and
    Laplace experts have two; the views hold every number once more.
    """
    model, encode = fitted(KINDS[name], *rows)
    size, shapes = Spy().of(model)
    assert size < 8 * (32 * numbers(model) + 3000)
    assert shapes and not [shape for shape in shapes if ROWS in shape]
    if hasattr(model, "partial_fit"):
        X, y = rows
        model.partial_fit(X[:-1], encode(y)[:-1])
        # training goes on from the curvature of all parameters together: a triangle of it
        memory = model._fitted.memory.stats
        plain, (size, shapes) = len(pickle.dumps(unpack(memory))), Spy().of(model)
        assert size < 0.3 * plain + 8 * (4 * numbers(model) + 3000)
        assert not [shape for shape in shapes if {ROWS, ROWS - 1} & set(shape)]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_default_on_a_hundred_columns():
    X = np.random.default_rng(0).normal(size=(3000, 100))
    model = MixtureOfExpertsRegressor(5, random_state=0, max_iter=2, n_init=1)
    assert len(pickle.dumps(model.fit(X, np.abs(X[:, 0])))) < 200_000


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", ["gate softmax", "gate least_squares", "classes", "tree"])
@pytest.mark.parametrize("streams", [False, True])
def test_copies_go_on_as_the_original(name, streams, rows):
    X, y = rows
    model, encode = fitted(KINDS[name], X, y)
    y = encode(y)
    if streams:
        model.partial_fit(X[:60], y[:60])
    with io.BytesIO() as file:
        joblib.dump(model, file)
        file.seek(0)
        stored = joblib.load(file)
    copies = [copy.deepcopy(model), pickle.loads(pickle.dumps(model)), stored]
    model.partial_fit(X[60:100], y[60:100])
    for other in copies:
        other.partial_fit(X[60:100], y[60:100])
        for one, another in zip(leaves(model.params_), leaves(other.params_), strict=True):
            assert_array_equal(one, another)


def test_meta_pi_holds_no_rows(rows):
    X, y = rows[0][:, :3], rows[1]
    experts = [MixtureOfExpertsRegressor(1).fit(X[:100], y[:100]) for _ in range(2)]
    _, shapes = Spy().of(MetaPiRegressor(experts, random_state=0).fit(X, y))
    assert not [shape for shape in shapes if ROWS in shape]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("task", ["regression", "classification"])
def test_a_few_rows_after_a_large_fit_do_not_undo_it(task, rows):
    """The gate's curvature is not kept; its bound keeps a row from moving it far."""
    X, y = rows[0][:, :20], rows[1]
    if task == "regression":
        model = MixtureOfExpertsRegressor(2, n_init=2, random_state=0).fit(X, y)
    else:
        y = (y > 0.9).astype(int)
        model = MixtureOfExpertsClassifier(2, n_init=2, max_iter=20, random_state=0).fit(X, y)
    assert "hessian" not in model._sums[0]["gate"]  # of 42 columns: not kept
    before = model.log_prob(X, y).mean()
    model.partial_fit(X[:1], y[:1])
    assert "hessian" in model._fitted.memory.stats["gate"]
    assert model.log_prob(X, y).mean() > before - 0.05
