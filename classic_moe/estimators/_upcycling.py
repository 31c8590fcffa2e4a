"""Sparse upcycling: the experts of a blend begin as copies of one fitted network or line."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
from sklearn.base import is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from .._kernels import array
from ..experts import MLPExpert
from ..parts.black_box import is_frozen, shown
from ..parts.registry import is_estimator
from .base import fitted_mixture_in

GATE_SHARE = 0.2
"""What is left of the gate's random weights beside copies: 0.02, as of sparse upcycling."""
LOOK, CLOSE = 100, 1e-9
"""The rows on which a start is compared with what it was made from, and how close it has to be, in
standard deviations of y or as a probability."""
NETWORKS = {"MLPRegressor", "MLPClassifier"}
LINES = {"LinearRegression", "Ridge", "RidgeCV", "Lasso", "LassoCV", "ElasticNet", "ElasticNetCV"}
LINES |= {"BayesianRidge", "LogisticRegression", "LogisticRegressionCV"}
"""Estimators of scikit-learn that are one network, or one line."""


class Network(NamedTuple):
    """A fitted network, or a line, which has no hidden layer, in the caller's units.

    Attributes
    ----------
    coefs : list of ndarray of shape (in, out)
    intercepts : list of ndarray of shape (out,)
    activation : str
    columns : ndarray of int or None, those of X that it sees
    """

    coefs: list
    intercepts: list
    activation: str = "identity"
    columns: np.ndarray | None = None

    @property
    def widths(self):
        """Units of every layer, inputs and outputs included, a tuple."""
        return (*(len(coef) for coef in self.coefs), len(self.intercepts[-1]))

    @property
    def title(self):
        """What it is called in a message."""
        if len(self.coefs) == 1:
            return f"a line of {self.widths[0]} columns"
        return f"a network of {' -> '.join(map(str, self.widths))} units, {self.activation}"


def upcycled(start, draft, rows, raw, rng):
    """Return params of a blend that predicts as a fitted model does, and in which it is copied.

    All routed experts are the same network, so that weights that sum to 1 add up to it; shared
    experts say nothing, or where a soft gate stands between both, the same in equal parts. The
    gate is random and small: chosen by it, the copies go apart in training.

    Parameters
    ----------
    start : fitted estimator
    draft : Blended, without params
    rows, raw : the rows of the fit as `BlendRows`, and X in the caller's units
    rng : RandomState
    """
    blend, schema = draft.blend, draft.schema
    network = network_of(start)
    if not blend.router.sums_to_one:
        _refuse(
            f"the weights of {blend.router!r} do not sum to 1, so that copies do not add up to the"
            " fit; use renormalized weights of scale 1"
        )
    _check(start, network, draft)
    params = blend.init(rows.gate.shape[1], rows.expert.shape[1], rows.y, rows.weight, rng)
    params["gate"] = GATE_SHARE * params["gate"]
    params["expert"] = _bank(network, blend.n_experts, draft)
    last = f"weights_{len(blend.hidden)}"
    if blend.mixes:
        params["shared"] = _bank(network, blend.n_shared, draft)
        params["shared"][last] = params["shared"][last] / blend.n_shared
    elif blend.n_shared:
        params["shared"][last] = np.zeros_like(params["shared"][last])
    some = np.arange(min(LOOK, len(rows.weight)))
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # of names of columns, which are known to be the same
        classes = schema.target.task == "classification"
        mixture = fitted_mixture_in(start)
        asked = start if mixture is None else mixture._of_coded_rows()
        wanted = asked.predict_proba(raw[some]) if classes else asked.predict(raw[some])
    found = blend.outputs(params, {}, rows.take(some))
    if classes:
        found = np.exp(array.log_softmax(found))
    else:
        wanted = (np.reshape(wanted, found.shape) - schema.y.origin) / schema.y.unit
    if not np.allclose(found, wanted, rtol=CLOSE, atol=CLOSE):
        _refuse(f"{shown(start)} does not predict as {network.title} does; fit one that does")
    return params


def network_of(start) -> Network:
    """Return the network or line that a fitted estimator is; a ValueError for others."""
    mixture = fitted_mixture_in(start)
    if mixture is not None:
        if mixture.n_experts_ != 1:
            _refuse(
                f"the fit to start from has {mixture.n_experts_} experts, and a blend begins with"
                " copies of one; give a fit with n_experts=1"
            )
        view = mixture.experts_[0]
        own = vars(view)
        if view.kind == "network":
            return Network(view.coefs_, view.intercepts_, own["_activation"], own["_columns"])
        if view.linear:
            return _line(view.coef_, view.intercept_, own["_columns"])
    inner = start
    while is_frozen(inner):
        inner = inner.estimator
    kinds = {k.__name__ for k in type(inner).__mro__ if k.__module__.startswith("sklearn.")}
    if not (is_estimator(inner) and kinds & (NETWORKS | LINES)):
        _refuse(
            f"{shown(start)} is no single network or line; give a fit with n_experts=1 of 'mlp',"
            " 'linear' or 'softmax' experts, or scikit-learn's MLPRegressor, LinearRegression,"
            " LogisticRegression and the like"
        )
    try:
        check_is_fitted(inner)
    except NotFittedError:
        raise NotFittedError(
            f"init_params={shown(start)} is not fitted; fit it first. Where it was, scikit-learn"
            " has cloned it: then put it into a sklearn.frozen.FrozenEstimator."
        ) from None
    if kinds & NETWORKS:
        return Network(inner.coefs_, inner.intercepts_, inner.activation)
    return _line(inner.coef_, inner.intercept_)


def _line(coef, intercept, columns=None):
    """Return a line as a network without a hidden layer."""
    coef = np.atleast_2d(coef).T
    intercept = np.broadcast_to(np.ravel(intercept), coef.shape[1:])
    return Network([coef], [intercept], columns=columns)


def _check(start, network, draft):
    """ValueError for a network that is none of the blend's: by task, columns, shape, classes."""
    blend, schema = draft.blend, draft.schema
    task = "classification" if is_classifier(start) else "regression"
    if task != schema.target.task:
        _refuse(f"the fit to start from is one of {task}, this is {schema.target.task}")
    mixture = fitted_mixture_in(start)
    seen = start.n_features_in_ if mixture is None else mixture._fitted.schema.n_features
    if seen != schema.n_features:
        _refuse(
            f"the fit to start from saw {seen} columns of X, and now there are"
            f" {schema.n_features}; give X the same columns"
        )
    both, every = (network.columns, schema.columns.expert), np.arange(schema.n_features)
    seen, seeing = (every if columns is None else columns for columns in both)
    if not np.array_equal(seen, seeing):
        _refuse(
            f"the fit to start from sees the columns {seen.tolist()}, and expert_features are"
            f" {seeing.tolist()}; choose the same columns"
        )
    alike = not blend.hidden or network.activation == blend.activation
    if network.widths[1:-1] != blend.hidden or not alike:
        hidden = f"the hidden units {blend.hidden} of {blend.activation}"
        experts = hidden if blend.hidden else "no hidden units"
        _refuse(
            f"the fit to start from is {network.title}, and the experts have {experts}; give both"
            " the same"
        )
    if task == "classification":
        known, classes = start.classes_, schema.target.classes
        if not np.array_equal(known, classes):
            names = (", ".join(map(repr, each.tolist())) for each in (known, classes))
            _refuse("the fit to start from knows the classes {}, and y holds {}".format(*names))
    elif network.widths[-1] != blend.n_outputs:
        _refuse(
            f"the fit to start from has {network.widths[-1]} outputs, and y has"
            f" {blend.n_outputs} columns"
        )


def _bank(network, n_networks, draft):
    """Return as many copies of a network as params, in internal units."""
    blend, schema = draft.blend, draft.schema
    expert = MLPExpert(hidden_layer_sizes=blend.hidden, activation=blend.activation)
    values = {
        "coefs": [np.repeat(coef[None], n_networks, axis=0) for coef in network.coefs],
        "intercepts": [np.repeat(each[None], n_networks, axis=0) for each in network.intercepts],
    }
    classes = schema.target.classes if blend.classes else None
    if classes is None:
        values["scale"] = np.ones((n_networks, blend.n_outputs))
    bank = expert.from_caller(values, draft.units_of_experts(), n_networks, classes)
    return {name: leaf for name, leaf in bank.items() if name != "variance"}


def _refuse(reason):
    raise ValueError(f"init_params: {reason}.")
