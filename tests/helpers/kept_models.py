"""Estimators of every kind that a file keeps, and what two equal ones have in common."""

from __future__ import annotations

import warnings
from dataclasses import is_dataclass

import numpy as np
import pairs
from sklearn.base import BaseEstimator, clone
from sklearn.frozen import FrozenEstimator

from classic_moe import (
    AdaptiveLocalExpertsClassifier,
    AdaptiveLocalExpertsRegressor,
    DeepMixtureOfExpertsClassifier,
    DeepMixtureOfExpertsRegressor,
    HierarchicalMixtureOfExpertsClassifier,
    HierarchicalMixtureOfExpertsRegressor,
    MetaPiClassifier,
    MetaPiRegressor,
    MixtureOfExpertsClassifier,
    MixtureOfExpertsRegressor,
    MixtureOfSoftmaxesClassifier,
    SparseMixtureOfExpertsClassifier,
    SparseMixtureOfExpertsRegressor,
)
from classic_moe.experts import GammaExpert, LinearExpert, MLPExpert, SoftmaxExpert
from classic_moe.gates import SoftmaxGate, TreeGate
from classic_moe.solvers import EM, OnlineEM

QUICK = dict(n_init=1, max_iter=8, random_state=0)
EXPERTS = [n for n in pairs.EXPERTS if "estimator" not in n and n != "union classes"]
GATES = [n for n in pairs.GATES if "estimator" not in n]


def fit(model, X, y, **rows):
    """Fit a model; it may warn of what it likes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(X, y, **rows)


def pair(expert, gate="softmax"):
    """A fit of one of the pairs, with its rows."""
    kind, part = pairs.EXPERTS[expert]
    X, y = pairs.data(kind, np.random.default_rng(0))
    classes = kind in ("class", "binary")
    estimator = MixtureOfExpertsClassifier if classes else MixtureOfExpertsRegressor
    return fit(estimator(2, expert=part, gate=pairs.GATES[gate], **QUICK), X, y), X, y


def _numbers(kind="real", seed=0):
    return pairs.data(kind, np.random.default_rng(seed))


def _regressor(estimator=MixtureOfExpertsRegressor, X=None, kind="real", rows=None, **options):
    own, y = _numbers(kind)
    X = own if X is None else X(own)
    return fit(estimator(**(QUICK | options)), X, y, **(rows or {})), X, y


def _labelled(labels, estimator=MixtureOfExpertsClassifier, **options):
    X, codes = _numbers("class")
    y = labels[codes]
    return fit(estimator(**(QUICK | options)), X, y), X, y


def _frame(X):
    import pandas as pd

    return pd.DataFrame(X, columns=["age", "größe"])


def _with_text(X):
    import pandas as pd

    text = np.where(X[:, 1] > 0, "over", "under").astype(object)
    text[::7] = None
    kind = pd.Categorical(np.arange(len(X)) % 4, categories=[3, 1, 0, 2])
    return pd.DataFrame({"side": text, "x": X[:, 0], "kind": kind})


def _table():
    import pandas as pd

    X, codes = _numbers("class")
    y = pd.Series(pd.Categorical.from_codes(codes, ["low", "mid", "high"]), name="risk")
    X = _frame(X)
    options = QUICK | dict(gate_features=["age"], class_weight={"low": 2.0, "mid": 1, "high": 1.5})
    return fit(MixtureOfExpertsClassifier(2, **options), X, y), X, y


def _sparse(X):
    from scipy import sparse

    return sparse.csr_array(np.where(np.abs(X) < 0.3, 0, X))


def _stream():
    X, y = _numbers()
    model = MixtureOfExpertsRegressor(2, solver=OnlineEM(batch_size=7), random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.partial_fit(X[:70], y[:70]).partial_fit(X[70:], y[70:])
    return model, X, y


def _many_columns():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(150, 40))
    y = np.where(X[:, 0] > 0, X[:, 1], -X[:, 1]) + 0.1 * rng.normal(size=150)
    return fit(MixtureOfExpertsRegressor(2, **QUICK), X, y), X, y


def _more_columns_than_rows():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(40, 90))
    return fit(MixtureOfExpertsRegressor(2, **QUICK), X, X[:, 0]), X, X[:, 0]


def _goes_on():
    return _regressor(init_params=FrozenEstimator(_regressor()[0]))


def _other_params():
    model, X, y = _regressor()
    expert = model.params_["expert"]
    model.params_ = model.params_ | {"expert": expert | {"coef": expert["coef"] + 0.5}}
    return model, X, y


def _as_an_expert():
    """A mixture among the experts of another, fitted by itself, with what it warned of."""
    X, y = _numbers()
    inner = MixtureOfExpertsRegressor(2, max_iter=1, n_init=1, random_state=0)
    return fit(MetaPiRegressor([inner, inner], max_iter=20), X, y), X, y


def _constant():
    X, _ = _numbers()
    y = np.full(len(X), 3.0)
    return fit(MixtureOfExpertsRegressor(2, **QUICK), X, y), X, y


def _dict_of_values():
    model, X, y = _regressor(n_experts=2)
    start = {
        "gate": {"coef": model.gate_.coef_, "intercept": model.gate_.intercept_},
        "experts": [
            {"coef": e.coef_, "intercept": e.intercept_, "scale": e.scale_} for e in model.experts_
        ],
    }
    try:
        return _regressor(init_params=start)
    except ValueError:
        return model, X, y


def _meta_pi_classes():
    X, y = _numbers("class")
    y = np.array(["a", "b", "c"])[y]
    return fit(MetaPiClassifier("softmax", n_experts=2, per_class=True, max_iter=9), X, y), X, y


def _meta_pi_names():
    X, y = _numbers("two")
    experts = [("first", "linear"), ("second", LinearExpert(alpha=1e-3))]
    model = MetaPiRegressor(experts, per_output=True, max_iter=9, n_init=1, random_state=0)
    return fit(model, X, y), X, y


def _softmaxes():
    X, y = _numbers("class")
    model = MixtureOfSoftmaxesClassifier(2, rank=1, n_init=1, max_iter=5, random_state=0)
    return fit(model, X, y), X, y


def _deep(kind, what):
    X, y = _numbers(what)
    return fit(kind((2, 3), n_units=4, gate_units=3, max_iter=5, random_state=0), X, y), X, y


def _blend(router, **options):
    """A blend by the settings of a paper, of numbers or, with a list of labels, of classes."""
    options = dict(router=router, combine="blend", max_iter=3, random_state=0) | options
    labels = options.pop("labels", None)
    if labels is not None:
        X, y = _numbers("class")
        y = np.array(labels)[y]
        return fit(SparseMixtureOfExpertsClassifier(**options), X, y), X, y
    X, y = _numbers("two")
    X = np.column_stack([np.rint(X[:, 0]), X[:, 1]]) if router == "hash" else X  # ids
    return fit(SparseMixtureOfExpertsRegressor(**options), X, y), X, y


def _copies():
    X, y = _numbers()
    one = fit(SparseMixtureOfExpertsRegressor(1, combine="blend", max_iter=3, random_state=0), X, y)
    return _regressor(
        SparseMixtureOfExpertsRegressor, combine="blend", n_experts=3, init_params=one
    )


GROUPS = np.repeat(np.arange(30), 4)
LABELS = np.where(np.arange(120) % 5, -1, 0)

OTHERS = {
    "one expert": lambda: _regressor(n_experts=1),
    "table": _table,
    "categories": lambda: _regressor(X=_with_text, categorical_features="from_dtype"),
    "table of numbers": lambda: _regressor(X=_frame, expert_features=[1], n_experts=2),
    "sparse": lambda: _regressor(X=_sparse),
    "single precision": lambda: _regressor(X=lambda X: X.astype(np.float32)),
    "strings": lambda: _labelled(np.array(["yes", "no", "perhaps"])),
    "objects": lambda: _labelled(np.array(["yes", "no", "perhaps"], dtype=object)),
    "integers": lambda: _labelled(np.array([30, -1, 7], dtype=np.int16)),
    "truths": lambda: _labelled(np.array([True, False, False]), expert="logistic"),
    "long texts": lambda: _labelled(np.array(["a" * 200, "\ud800", "ü\n"], dtype=object)),
    "numbers for classes": lambda: _labelled(np.array([2, 1, 0]), expert="linear"),
    "offset": lambda: _regressor(kind="count", expert="poisson", offset_feature=1),
    "columns by a slice": lambda: _regressor(
        gate_features=slice(0, 1), expert_features=[True, False]
    ),
    "groups": lambda: _regressor(gate="constant", rows={"groups": GROUPS}),
    "known experts": lambda: _regressor(rows={"expert_labels": LABELS}),
    "weights": lambda: _regressor(
        normalize_weights=True, rows={"sample_weight": np.linspace(0, 3, 120)}
    ),
    "stream": _stream,
    "many columns": _many_columns,
    "more columns than rows": _more_columns_than_rows,
    "a solver": lambda: _regressor(solver=EM(), assignment="hard"),
    "cem": lambda: _regressor(solver="cem"),
    "random numbers": lambda: _regressor(random_state=np.random.RandomState(5)),
    "units of x": lambda: _regressor(gate="gaussian", expert=[LinearExpert(), LinearExpert()]),
    "named experts": lambda: _regressor(
        kind="positive", expert=[("line", "linear"), ("gamma", GammaExpert())]
    ),
    "tree": lambda: _regressor(
        n_experts=3, gate=TreeGate(structure=((0, 1), 2), prune=0.1), n_init=2
    ),
    "sparse mixture": lambda: _regressor(
        SparseMixtureOfExpertsRegressor, n_experts=4, router=TreeGate(), k=2
    ),
    "sparse mixture of classes": lambda: _labelled(
        np.array([2, 1, 0]), SparseMixtureOfExpertsClassifier, n_experts=3, router="gaussian", k=1
    ),
    "hierarchical": lambda: _regressor(HierarchicalMixtureOfExpertsRegressor, branching=(2, 3)),
    "hierarchical classes": lambda: _labelled(
        np.array([2, 1, 0]), HierarchicalMixtureOfExpertsClassifier, expert=SoftmaxExpert()
    ),
    "adaptive": lambda: _regressor(AdaptiveLocalExpertsRegressor),
    "expected error": lambda: _regressor(
        AdaptiveLocalExpertsRegressor, objective="expected_error", solver="lbfgs"
    ),
    "blended error": lambda: _labelled(
        np.array([2, 1, 0]), AdaptiveLocalExpertsClassifier, objective="blended_error"
    ),
    "meta-pi": _meta_pi_classes,
    "meta-pi of names": _meta_pi_names,
    "a mixture as an expert": _as_an_expert,
    "goes on from a fit": _goes_on,
    "responsibilities": lambda: _regressor(init_params=np.tile([0.6, 0.4], (120, 1))),
    "values": _dict_of_values,
    "other params": _other_params,
    "constant y": _constant,
    "softmaxes": _softmaxes,
    "deep": lambda: _deep(DeepMixtureOfExpertsRegressor, "two"),
    "deep classes": lambda: _deep(DeepMixtureOfExpertsClassifier, "class"),
    "blend": lambda: _blend("deepseek_v3", expert=MLPExpert((3,)), gate_features=[0]),
    "blend with noise": lambda: _blend("shazeer", n_experts=4, expert_features=[1]),
    "blend with a budget": lambda: _blend("nllb", n_experts=4, expert=MLPExpert((2, 2), "relu")),
    "blend of classes": lambda: _blend("st_moe", n_experts=3, labels=["a", "b", "c"]),
    "blend of numbers for classes": lambda: _blend("base", n_experts=3, labels=[2, 1, 0]),
    "blend by thresholds": lambda: _blend("expert_choice", n_experts=3),
    "blend by keys": lambda: _blend(
        "hash", n_experts=2, hash_features=slice(0, 1), normalize_weights=True
    ),
    "blend at random": lambda: _blend("random", n_experts=2),
    "blend of samples": lambda: _blend("sampled", n_experts=2),
    "blend of copies": _copies,
    "automatic penalties": lambda: _regressor(
        expert=LinearExpert("auto", "auto"), gate=SoftmaxGate("auto")
    ),
}
KEPT = {f"expert {name}": lambda name=name: pair(name) for name in EXPERTS}
KEPT |= {f"gate {name}": lambda name=name: pair("linear", name) for name in GATES}
KEPT |= OTHERS
"""Functions that return a fitted model, and X and y to ask it about."""

METHODS = ["predict", "predict_proba", "predict_experts", "gate_proba", "assign", "node_proba"]
METHODS_OF_Y = ["log_prob", "responsibilities", "score", "aic", "icl", "node_responsibilities"]


def answers(model, X, y):
    """All that a model says of rows, a dict by method."""
    said = {name: getattr(model, name)(X) for name in METHODS if hasattr(model, name)}
    said |= {name: getattr(model, name)(X, y) for name in METHODS_OF_Y if hasattr(model, name)}
    if hasattr(model, "sample"):
        said["sample"] = model.sample(X, random_state=3)
    if hasattr(model, "predict_dist") and hasattr(model, "log_prob"):
        dist = model.predict_dist(X)
        said["mean"], said["pdf"] = dist.mean(), dist.logpdf(y) if np.ndim(y) == 1 else 0
    if hasattr(model, "layers_"):
        said["layers"] = [(layer.gate_proba(X), repr(layer)) for layer in model.layers_]
        return said
    if hasattr(model, "router_"):
        said["route"] = model.route(X).toarray()
        said["shared"] = repr(model.shared_experts_), repr(model.experts_), repr(model.gate_)
        return said
    said["text"] = str(model.summary(X, y)), model.equations(), repr(model.experts_)
    said["text of the parts"] = repr(model.gate_), repr(model.describe())
    return said


def same(one, other):
    """Whether two things are equal to the last bit, whatever is in them."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, np.ndarray):
        alike = one.dtype == other.dtype and one.shape == other.shape
        if one.dtype == object:
            return alike and same(one.tolist(), other.tolist())
        return alike and one.tobytes() == other.tobytes()
    if isinstance(one, float):
        return one == other or (one != one and other != other)
    if isinstance(one, BaseEstimator):
        return same(one.get_params(), other.get_params())
    if is_dataclass(one):
        return same(vars(one), vars(other))
    return one is other or bool(one == other)


def attributes(model):
    """What is seen of a fitted estimator without asking, a dict."""
    seen = {n: v for n, v in vars(model).items() if n.endswith("_") and n not in ("gate_",)}
    seen.pop("experts_", None)
    seen.pop("shared_experts_", None)
    seen.pop("layers_", None)
    return seen


def goes_on(model, X, y):
    """A copy of a model after two more calls of partial_fit; None where it has none."""
    if not hasattr(model, "partial_fit"):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for rows in (slice(0, 20), slice(20, None)):
            part = y.iloc[rows] if hasattr(y, "iloc") else y[rows]
            model.partial_fit(X.iloc[rows] if hasattr(X, "iloc") else X[rows], part)
    return model


def unfitted():
    """Estimators that were not fitted."""
    X, y = _numbers()
    start = fit(MixtureOfExpertsRegressor(2, **QUICK), X, y)
    return [
        MixtureOfExpertsRegressor(),
        clone(MetaPiClassifier(["softmax", "softmax"])),
        HierarchicalMixtureOfExpertsRegressor((2, 3), expert=[LinearExpert(), "noise"]),
        MixtureOfExpertsRegressor(n_experts="many", tol=float("nan"), init_params=start),
        MixtureOfExpertsRegressor(n_experts=np.int64(2), tol=-0.0, max_iter=10**30),
    ]
