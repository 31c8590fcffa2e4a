"""What rows on a device cannot do is refused in one sentence, which says what to do."""

import re
import sys
import warnings

import numpy as np
import pytest
import sklearn
from elsewhere import inputs, library_of, target
from sklearn.linear_model import Ridge

from classic_moe import (
    DeepMixtureOfExpertsRegressor,
    MixtureOfExpertsClassifier,
    MixtureOfExpertsRegressor,
    SparseMixtureOfExpertsRegressor,
)
from classic_moe._kernels import array
from classic_moe.data import devices
from classic_moe.data.device_batches import DeviceBatches
from classic_moe.experts import NoiseExpert
from classic_moe.inference import infer
from classic_moe.inspection import (
    CalibrationDisplay,
    ExpertUsageDisplay,
    GateDependenceDisplay,
    GateRegionDisplay,
)
from classic_moe.solvers import LBFGS, SEM, SGD, Adam, OnlineEM

HOST = re.escape("pass X as an array of numpy.")


@pytest.fixture
def rows(device1):
    """Give X on device1, X and y."""
    rng, X, f = inputs(120)
    return device1(X), X, target("linear", f, rng)


def refused(error, match, call, *args, **kwargs):
    with pytest.raises(error, match=match):
        call(*args, **kwargs)


def test_a_device_without_dispatch(rows, monkeypatch):
    moved, X, y = rows
    model = MixtureOfExpertsRegressor(2, n_init=1, random_state=0).fit(X, y)
    sentence = re.escape(
        "X lies on array_api_strict.Device('device1') of array_api_strict; set"
        " sklearn.set_config(array_api_dispatch=True) (with SCIPY_ARRAY_API=1 in the environment)"
        " to compute there, or pass X as an array of numpy."
    )
    with sklearn.config_context(array_api_dispatch=False):
        refused(TypeError, sentence, MixtureOfExpertsRegressor(2).fit, moved, y)
        refused(TypeError, sentence, model.predict, moved)
        refused(TypeError, sentence.replace("X", "y"), model.score, X, rows[0][:, 0])


def test_the_copy_to_the_host_has_the_words_of_its_library():
    for library, text in (("cupy", "cupy.asnumpy(X)"), ("torch", "X.cpu()")):
        kind = type("Array", (), {"__module__": f"{library}.core"})
        assert array.copied(kind()) == text
    assert devices.place(type("ndarray", (), {"__module__": "cupy"})()) == "cupy"


def test_estimators_that_learn_from_all_rows_at_once(rows):
    moved, _, y = rows
    sentence = re.escape(
        "EstimatorExpert(estimator=Ridge()) learns from all rows at once, on the host; pass numpy"
        " arrays (X as an array of numpy), or parts such as 'linear' and 'softmax'."
    )
    refused(TypeError, sentence, MixtureOfExpertsRegressor(2, expert=Ridge()).fit, moved, y)


@pytest.mark.parametrize("expert", ["mlp", NoiseExpert()], ids=str)
def test_parts_of_the_host(rows, expert):
    moved, X, y = rows
    model = MixtureOfExpertsRegressor(2, expert=expert, n_init=1, max_iter=2, random_state=0)
    sentence = (
        r"on the host; pass numpy arrays \(X as an array of numpy\), or parts such as 'linear'"
    )
    refused(TypeError, sentence, model.fit, moved, y)
    assert not hasattr(model, "params_")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X, y)
    refused(TypeError, sentence, model.predict, moved)


def test_sparse_gates(rows):
    moved, X, y = rows
    model = SparseMixtureOfExpertsRegressor(3, k=1, n_init=1, random_state=0)
    sentence = r"computes on the host; pass (numpy arrays \()?X as an array of numpy"
    refused(TypeError, sentence, model.fit, moved, y)
    refused(TypeError, sentence, model.fit(X, y).predict, moved)


def test_other_estimators(rows):
    moved, _, y = rows
    sentence = f"DeepMixtureOfExpertsRegressor computes on the host; {HOST}"
    refused(TypeError, sentence, DeepMixtureOfExpertsRegressor().fit, moved, y)


def test_groups(rows):
    moved, _, y = rows
    sentence = (
        "groups need rows that stand together, which blocks do not promise; pass arrays in memory."
    )
    model = MixtureOfExpertsRegressor(2)
    refused(ValueError, sentence, model.fit, moved, y, groups=np.arange(len(y)) // 2)


SOLVERS = ["adam", "sgd", "sem", "online", Adam(batch_size=8), SGD(), SEM(), OnlineEM()]
SOLVERS += [LBFGS(early_stopping=True)]


@pytest.mark.parametrize("solver", SOLVERS, ids=str)
def test_rows_at_random(rows, solver):
    moved, _, y = rows
    sentence = re.escape(
        f"solver={solver!r} draws rows at random, which blocks do not allow; use solver='em' or"
        " 'lbfgs', or partial_fit block by block."
    )
    refused(ValueError, sentence, MixtureOfExpertsRegressor(2, solver=solver).fit, moved, y)


def test_starts_that_need_all_rows(rows):
    moved, _, y = rows
    for start, name in ((np.ones((len(y), 2)), "an array"), (lambda *a: None, "a callable")):
        sentence = (
            f"init_params as {name} needs all rows at once; give a fitted estimator, a dict or"
            " 'quantile'."
        )
        model = MixtureOfExpertsRegressor(2, init_params=start)
        refused(ValueError, sentence, model.fit, moved, y)


def test_what_scipy_makes(rows):
    moved, _, y = rows
    model = MixtureOfExpertsRegressor(2, n_init=1, random_state=0).fit(moved, y)
    for name in ("predict_dist", "sample", "summary"):
        sentence = rf"{name} computes on the host \(scipy.stats\); {HOST}"
        refused(TypeError, sentence, getattr(model, name), moved)
    sentence = rf"predict_dist computes on the host \(scipy.stats\); {HOST}"
    refused(TypeError, sentence, model.predict, moved, return_std=True)
    classes = MixtureOfExpertsClassifier(2, n_init=1, random_state=0).fit(moved, y > 0)
    sentence = rf"sample computes on the host \(scipy.stats\); {HOST}"
    refused(TypeError, sentence, classes.sample, moved)


def test_inference_and_evidence(rows):
    moved, _, y = rows
    model = MixtureOfExpertsRegressor(2, n_init=1, random_state=0).fit(moved, y)
    for call in (lambda: infer(model, moved, y), lambda: model.log_evidence(moved, y)):
        refused(TypeError, f"computes on the host; {HOST}", call)


@pytest.mark.parametrize(
    "display", [ExpertUsageDisplay, GateDependenceDisplay, CalibrationDisplay, GateRegionDisplay]
)
def test_pictures(rows, display):
    moved, _, y = rows
    model = MixtureOfExpertsRegressor(2, n_init=1, random_state=0).fit(moved, y)
    others = (y,) if display is CalibrationDisplay else ()
    sentence = f"A picture needs all rows of X on the host; {HOST}"
    refused(TypeError, sentence, display.from_estimator, model, moved, *others)


def test_values_that_nobody_takes(rows, device1):
    moved, X, y = rows
    for bad in (np.nan, np.inf):
        X = X.copy()
        X[7, 1] = bad
        refused(ValueError, "Input X contains", MixtureOfExpertsRegressor(2).fit, device1(X), y)
    refused(ValueError, "Input y contains", MixtureOfExpertsRegressor(2).fit, moved, y * np.nan)
    refused(ValueError, "inconsistent numbers", MixtureOfExpertsRegressor(2).fit, moved, y[:-1])
    refused(ValueError, "Expected 2D array", MixtureOfExpertsRegressor(2).fit, moved[:, 0], y)
    model = MixtureOfExpertsRegressor(2, n_init=1, random_state=0).fit(moved, y)
    refused(ValueError, "expecting 3 features", model.predict, moved[:, :2])


def test_a_device_without_float64(monkeypatch):
    class Info:
        def dtypes(self, device):
            return {"float32": object()}

    class Single:
        device = "mps"

        def __array_namespace__(self):
            return type("xp", (), {"__array_namespace_info__": staticmethod(Info)})

    known = array.Library(lambda a: False, None, None)
    monkeypatch.setitem(array.LIBRARIES, Single.__module__.partition(".")[0], known)
    sentence = "device 'mps' has no float64, which the sums need; use 'cpu' or 'cuda'."
    refused(TypeError, sentence, devices.received, Single())


def test_no_array_api_compat(monkeypatch):
    monkeypatch.setitem(sys.modules, "array_api_compat", None)
    tensor = type("Tensor", (), {"__module__": "torch"})()
    sentence = re.escape("arrays of torch need array-api-compat: pip install 'classic-moe[array]'.")
    refused(ImportError, sentence, array.namespace, tensor)


class OutOfMemoryError(RuntimeError):
    """As CuPy's and torch's."""


def test_a_device_that_is_full():
    """Blocks are made half as large, once; then there is a sentence."""
    X = library_of("strict")(np.ones((64, 2)))
    batches = DeviceBatches(X, np.ones(64), np.ones(64), prepare=lambda X: X)
    sizes = []

    def needs(rows):
        def function(params, X, y, weight):
            sizes.append(X.shape[0])
            if X.shape[0] > rows:
                raise OutOfMemoryError("out of memory")
            return X.shape[0]

        return function

    assert batches.map_sum(needs(32), {}) == 64 and sizes == [64, 32, 32]
    assert batches.map_sum(needs(32), {}) == 64 and batches.rows == 32
    refused(
        MemoryError,
        "64 rows of 2 columns do not fit the device; pass float32, or",
        batches.map_sum,
        needs(1),
        {},
    )


def test_batches_on_a_device_are_read_in_order():
    X = library_of("strict")(np.ones((6, 2)))
    batches = DeviceBatches(X, np.ones(6), np.ones(6), prepare=lambda X: X)
    sentence = "needs rows at random, which arrays on a device do not allow; use solver='em'"
    rng = np.random.RandomState(0)
    refused(TypeError, sentence, batches.split, 0.5, rng)
    refused(TypeError, sentence, batches.minibatches, 2, rng)
    refused(TypeError, sentence, batches.with_facts, draws=np.ones(6))
    refused(TypeError, sentence, lambda: next(batches.blocks(2, np.arange(6))))
