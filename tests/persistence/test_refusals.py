"""What a file without code does not keep is named in one sentence, with what to do instead."""

import io
import re

import kept_models
import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_selector
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from classic_moe import MetaPiRegressor, MixtureOfExpertsRegressor, save
from classic_moe.experts import EstimatorExpert, LinearExpert
from classic_moe.gates import EstimatorGate, TreeGate

OWN = "a file keeps objects of this package's own classes only; use skops.io.dump, or joblib.dump"
CODE = "and a file keeps no code; give the parameter another value"


class Mine(LinearExpert):
    """A class of the caller's."""


class Mixture(MixtureOfExpertsRegressor):
    """Another."""


def made(**parameters):
    return MixtureOfExpertsRegressor(2, **parameters)


def fitted(**parameters):
    X, y = kept_models._numbers()
    return kept_models.fit(made(max_iter=3, n_init=1, random_state=0, **parameters), X, y)


def with_attribute():
    model = fitted()
    model.note = "mine"
    return model


def with_request():
    model = made()
    model._metadata_request = {"fit": "sample_weight"}
    return model


def with_other_params():
    model = fitted()
    model.params_ = {"gate": model.params_["gate"]}
    return model


def with_one_generator():
    rng = np.random.RandomState(0)
    return made(random_state=rng, init_params=made(random_state=rng))


def nested(depth):
    structure = (0, 1)
    for _ in range(depth):
        structure = (structure, 1)
    return made(gate=TreeGate(structure=structure))


REFUSED = {
    "an estimator": (
        lambda: made(expert=Ridge()),
        f"expert of M.* is a Ridge of sklearn, and {OWN}",
    ),
    "a fit": (
        lambda: fitted(expert=LinearRegression()),
        f"expert of MixtureOfExpertsRegressor is a LinearRegression of sklearn, and {OWN}",
    ),
    "an estimator in an expert": (
        lambda: made(expert=EstimatorExpert(Ridge())),
        r"expert\.estimator of MixtureOfExpertsRegressor is a Ridge of sklearn",
    ),
    "one in a gate": (
        lambda: made(gate=EstimatorGate(LogisticRegression())),
        r"gate\.estimator of M.* is a LogisticRegression of sklearn",
    ),
    "one in a list": (
        lambda: MetaPiRegressor(["linear", ("b", FrozenEstimator(Ridge()))]),
        r"experts\[1\]\[1\]\.estimator of MetaPiRegressor is a Ridge of sklearn",
    ),
    "a function": (lambda: made(init_params=len), f"init_params of M.* is a function, {CODE}"),
    "a selector": (
        lambda: made(gate_features=make_column_selector("a")),
        f"gate_features of M.* is a function, {CODE}",
    ),
    "a module": (lambda: made(random_state=np.random), r"random_state of M.* is a module of"),
    "an index": (lambda: made(gate_features=pd.Index(["a"])), "is an Index of pandas"),
    "a class of the caller's": (lambda: made(expert=Mine()), "expert of M.* is a Mine of "),
    "a class": (
        lambda: made(expert=LinearExpert),
        "expert of M.* is the class LinearExpert of classic_moe, and a file",
    ),
    "a mixture of the caller's": (Mixture, "save keeps estimators of classic_moe, and no Mixture"),
    "a pipeline": (
        lambda: make_pipeline(StandardScaler(), made()),
        "save keeps estimators of classic_moe, and no Pipeline of sklearn; save the mixture in it",
    ),
    "an expert": (LinearExpert, "save keeps estimators of classic_moe, and no LinearExpert of cl"),
    "complex numbers": (lambda: made(tol=1j), "tol of M.* is a complex of builtins"),
    "an array of them": (lambda: made(tol=np.ones(2) * 1j), "tol of M.* is an array of complex128"),
    "long numbers": (lambda: made(tol=np.longdouble(1)), "tol of M.* is an array of .*float"),
    "masked numbers": (lambda: made(init_params=np.ma.ones(3)), "is a MaskedArray of numpy"),
    "other random numbers": (
        lambda: made(random_state=np.random.RandomState(np.random.PCG64(1))),
        "random_state of M.* draws from PCG64, and a file keeps MT19937 alone; use an integer",
    ),
    "a generator twice": (
        with_one_generator,
        "is a RandomState that stands in the estimator twice",
    ),
    "an attribute": (with_attribute, "the M.* has the attribute 'note', which is neither"),
    "a request of metadata": (with_request, "has the attribute '_metadata_request'"),
    "parameters of no fit": (with_other_params, "has attributes that are not of its fit"),
    "what has no end": (lambda: nested(200), "is nested more than 100 deep"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_kept_is_named(name):
    make, sentence = REFUSED[name]
    file = io.BytesIO()
    with pytest.raises(TypeError, match=sentence) as raised:
        save(make(), file)
    text = str(raised.value)
    assert text.startswith("save") and text.endswith(".") and "\n" not in text
    assert len(re.findall(r"[.!?] [A-Z]", text)) == 0 and len(text) < 400
    assert not file.getvalue()


def test_what_the_fit_needs_no_more_can_be_replaced():
    X, y = kept_models._numbers()
    model = kept_models.fit(made(gate_features=lambda X: [0], max_iter=3, random_state=0), X, y)
    before = model.predict(X)
    save(model.set_params(gate_features=None), io.BytesIO())
    assert (model.predict(X) == before).all()
