"""What skl2onnx writes: the steps of a Pipeline, and estimators of scikit-learn as parts."""

from __future__ import annotations

import numpy as np

from ..parts import black_box
from ..parts.checks import fitted_fact
from ._recipe import check_written

ML = "ai.onnx.ml"
"""The domain of the operators of scikit-learn's models."""
ML_OPSET = 3


def pipeline_to_onnx(made_of, pipeline, X, dtype):
    """Return the graph of a fitted Pipeline that ends in a mixture, a ModelProto.

    Parameters
    ----------
    made_of : callable (model, name of the input, its ONNX type or None) -> ModelProto
        Writes the last step.
    pipeline : Pipeline
    X : array-like or DataFrame of shape (n, p)
    dtype : numpy dtype of the graph's numbers
    """
    from ._onnx import imported

    onnx = imported("onnx")
    model, before = pipeline[-1], pipeline[:-1]
    check_written(model)
    if not len(before):
        return made_of(model, None)
    if X is None:
        raise ValueError(
            "a Pipeline needs X, some rows of the table that it takes, which tell the types of the"
            " graph's inputs: to_onnx(pipe, X[:1])."
        )
    last = made_of(model, None)
    opset = {own.domain: own.version for own in last.opset_import}[""]
    first = _written(before, _sample(X, dtype), opset, "the steps before the mixture")
    kind = first.graph.output[0].type.tensor_type.elem_type
    last = made_of(model, kind)
    first.ir_version = last.ir_version = max(first.ir_version, last.ir_version)
    _same_opsets(onnx, first, last)
    first = _apart(onnx, first)
    (result,) = [own.name for own in first.graph.output]
    return onnx.compose.merge_models(first, last, io_map=[(result, "X")])


def _apart(onnx, model):
    """Return a graph whose names, but for those of its inputs, are no other graph's."""
    prefix = "before_"
    model = onnx.compose.add_prefix(model, prefix)
    given = {own.name: own.name.removeprefix(prefix) for own in model.graph.input}
    for own in model.graph.input:
        own.name = given[own.name]
    for node in model.graph.node:
        for i, name in enumerate(node.input):
            node.input[i] = given.get(name, name)
    return model


def _sample(X, dtype):
    """Return a row of X, its numbers of the type of the graph's."""
    if fitted_fact(X, "columns") is None:
        X = np.asarray(X)
        return X[:1].astype(dtype) if X.dtype.kind in "fiub" else X[:1]
    import pandas as pd

    rows = pd.DataFrame({name: list(X[name][:1]) for name in X.columns})
    kinds = {name: rows[name].dtype.kind for name in rows}
    return rows.astype({name: dtype for name, kind in kinds.items() if kind == "f"})


def _same_opsets(onnx, *models):
    """Let graphs import the same versions of operators: the newest of each domain."""
    versions = {}
    for model in models:
        for own in model.opset_import:
            versions[own.domain] = max(own.version, versions.get(own.domain, 0))
    for model in models:
        del model.opset_import[:]
        model.opset_import.extend(onnx.helper.make_opsetid(*each) for each in versions.items())


def _written(estimator, X, opset, what):
    """Return what skl2onnx makes of an estimator; a ValueError where it cannot."""
    from ._onnx import imported

    skl2onnx = imported("skl2onnx")
    classifies = fitted_fact(estimator, "predict_proba") is not None
    options = {"zipmap": False} if classifies else None
    try:
        return skl2onnx.to_onnx(
            estimator,
            X,
            options=options,
            target_opset={"": opset, ML: ML_OPSET},
        )
    except Exception as error:  # any: skl2onnx has many
        raise ValueError(f"skl2onnx cannot write {what}: {error}") from error


def written_estimator(w, view, ids, classifies, hint):
    """Write the estimator of a view into a graph; return its mean (n, q) or probabilities (n, C).

    Parameters
    ----------
    w : OnnxWriter
    view : View, of kind "estimator"
    ids : list of int, the columns that it sees
    classifies : bool
    hint : str
    """
    estimator = view.estimator_
    inner = estimator.estimator if black_box.is_frozen(estimator) else estimator
    what = f"{type(inner).__name__}, a part of the mixture"
    n_columns = max(len(ids), 1)
    X = np.zeros((1, n_columns), dtype=w.dtype)
    model = _written(inner, X, w.opset, what)
    prefix = w.prefix_of(hint)
    model = w.onnx.compose.add_prefix(model, prefix)
    graph = model.graph
    own = w.pick(w.x, ids, f"columns_of_{hint}") if ids else w.nothing()
    (into,) = [own.name for own in graph.input]
    w.alias(own, into, graph.input[0].type.tensor_type.elem_type)
    w.adopt(model)
    name = f"{prefix}{'probabilities' if classifies else 'variable'}"
    outputs = {own.name for own in graph.output}
    if name not in outputs:
        raise ValueError(
            f"skl2onnx gives {sorted(outputs)} for {what}, and no"
            f" {'probabilities' if classifies else 'variable'}."
        )
    value = w.cast(name, hint)
    return _in_order(w, view, value, hint) if classifies else value


def _in_order(w, view, proba, hint):
    """Return probabilities in the order of the model's classes or experts, none below the floor."""
    order = fitted_fact(view, "order_")
    labels = np.arange(len(order)) if order is not None else view.classes_
    where = black_box.columns(view.estimator_, labels)
    floor = w.row([black_box.FLOOR], "floor")
    nothing = w.binary("*", w.pick(proba, [0]), w.row([0.0], "zero"), "none")
    rare = w.binary("+", nothing, floor, "rare")
    columns = []
    for c in range(len(labels)):
        (at,) = np.nonzero(where == c) if (where == c).any() else ([],)
        known = w.clip(w.pick(proba, [int(at[0])]), black_box.FLOOR, None) if len(at) else rare
        columns.append(known)
    found = w.concat(columns, hint)
    found = w.binary("/", found, w.row_sum(found), hint)
    return found if order is None else w.pick(found, [int(j) for j in order], hint)
