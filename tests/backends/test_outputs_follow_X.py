"""What is said of rows lies where they do; what is said of a fit is numpy's."""

import numpy as np
import pytest
import sklearn
from elsewhere import host, inputs, library_of, target

from classic_moe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from classic_moe.data.devices import received

CALLS = ["predict", "predict_experts", "gate_proba", "assign"]
CLASSES = ["predict_proba", "predict_log_proba"]


def regression(y_of="linear"):
    rng, X, f = inputs(300)
    y = target(y_of, f, rng)
    return MixtureOfExpertsRegressor(2, n_init=1, random_state=0).fit(X, y), X, y


def classes():
    rng, X, f = inputs(300)
    y = target("softmax", f, rng)
    return MixtureOfExpertsClassifier(2, n_init=1, random_state=0).fit(X, y), X, y


def assert_follows(values, X, expected, atol=1e-12):
    assert type(values) is type(X) and values.device == X.device
    np.testing.assert_allclose(host(values), expected, atol=atol, rtol=1e-9)


@pytest.mark.parametrize("make", [regression, classes])
def test_on_a_device(there, make):
    model, X, y = make()
    moved = there(X)
    for name in CALLS + (CLASSES if make is classes else []):
        assert_follows(getattr(model, name)(moved), moved, getattr(model, name)(X))
    for name in ("log_prob", "responsibilities", "assign"):
        assert_follows(getattr(model, name)(moved, there(y)), moved, getattr(model, name)(X, y))
    for name in ("score", "bic", "aic", "icl"):
        value = getattr(model, name)(moved, there(y))
        assert isinstance(value, float), name
        assert abs(value / getattr(model, name)(X, y) - 1) < 1e-6  # torch scores in float32


def arrays(value):
    """Yield the arrays in nested dicts, lists, tuples and records."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for each in value:
            yield from arrays(each)
    elif hasattr(value, "dtype"):
        yield value
    elif type(value).__module__.startswith("classic_moe") and hasattr(value, "__dict__"):
        yield from arrays(vars(value))


def test_what_is_said_of_a_fit_is_numpys(there):
    _, X, y = regression()
    model = MixtureOfExpertsRegressor(2, n_init=1, random_state=0).fit(there(X), there(y))
    found = list(arrays(vars(model)))
    assert len(found) > 30
    assert all(isinstance(each, (np.ndarray, np.generic)) for each in found)


def test_text_labels_are_numpys_and_numbers_follow(there):
    model, X, y = classes()
    names = np.array(["low", "middle", "high"])[y]
    named = MixtureOfExpertsClassifier(2, n_init=1, random_state=0).fit(there(X), names)
    said = named.predict(there(X))
    assert isinstance(said, np.ndarray) and set(said) <= set(names)
    assert_follows(model.predict(there(X)), there(X), model.predict(X))


@pytest.mark.parametrize("name", ["strict", "torch"])
def test_arrays_in_the_hosts_memory_are_read_without_a_copy(name):
    """numba computes for them, and the answer goes back to their library."""
    model, X, y = regression()
    if name == "strict":
        strict = pytest.importorskip("array_api_strict")
        here = strict.asarray(X)
    else:
        here = library_of("torch")(X)
    assert np.shares_memory(received(here), host(here))
    twin = MixtureOfExpertsRegressor(2, n_init=1, random_state=0).fit(here, y)
    assert twin.log_likelihood_ == model.log_likelihood_  # the same bits: the same code
    for call in CALLS:
        said = getattr(twin, call)(here)
        assert type(said) is type(here)
        np.testing.assert_array_equal(host(said), getattr(model, call)(X))
    with sklearn.config_context(array_api_dispatch=False):
        assert isinstance(model.predict(here), np.ndarray)  # as scikit-learn does


def test_the_tag_says_that_fitted_attributes_do_not_follow():
    assert not MixtureOfExpertsRegressor().__sklearn_tags__().array_api_support
