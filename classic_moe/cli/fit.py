"""``python -m classic_moe fit``: a mixture of experts for the user's own table."""

from __future__ import annotations

from copy import copy

import joblib
import numpy as np

from ..estimators.classification import MixtureOfExpertsClassifier
from ..estimators.regression import MixtureOfExpertsRegressor
from ..inspection import ExpertCurvesDisplay
from ..inspection._pictures import two_panels
from .report import choose_by_bic, say, show
from .tables import is_number, raw_table_pipeline, read_csv

ESTIMATORS = {
    "regression": MixtureOfExpertsRegressor,
    "classification": MixtureOfExpertsClassifier,
}


def run_fit(args):
    """Read, choose K by BIC, report, save, draw."""
    if args.target in args.drop:
        raise ValueError(f"--drop {args.target!r} is the target; predict it or drop it")
    table = read_csv(args.data, skip=args.drop)
    columns = _features(table, args)
    text = [name for name in columns if table.is_text(name)]
    numeric = [name for name in columns if name not in text]
    feature = _feature_to_draw(args, numeric, text)
    X, values = table.cells(columns), table.columns[args.target]
    task, why = _task(args, values)
    y = _target(task, args.target, values)
    if args.n_experts[-1] > len(y):
        raise ValueError(
            f"--n-experts {args.n_experts[-1]} needs as many rows; {args.data} has {len(y)}"
        )
    say(f"{args.data}: {len(y)} rows; {len(numeric)} numeric and {len(text)} text columns.")
    say(f"Target: {args.target} ({why}: {task}).")

    def fit(K):
        model = ESTIMATORS[task](
            K,
            expert=args.expert or {"regression": "linear", "classification": "softmax"}[task],
            gate=args.gate,
            random_state=args.seed,
        )
        pipelines[K] = raw_table_pipeline(model, columns, text).fit(X, y)
        return pipelines[K][-1]

    def coded(model):
        return pipelines[model.n_experts_][:-1].transform(X)

    pipelines = {}
    print()
    model = choose_by_bic(
        fit,
        lambda model: model.bic(coded(model), y),
        lambda model: model.icl(coded(model), y),
        args.n_experts,
    )
    pipeline = pipelines[model.n_experts_]
    _report(pipeline, X, y, args.target, text)
    if args.out:
        joblib.dump(pipeline, args.out)
        print(f"\nPipeline saved to {args.out}; it takes the raw table:")
        separator = "" if table.delimiter == "," else f", sep={table.delimiter!r}"
        print("    import joblib, pandas as pd")
        print(f"    table = pd.read_csv({str(args.data)!r}{separator})")
        print(f"    joblib.load({str(args.out)!r}).predict(table)")
    if args.plot:
        _draw(pipeline, X, y, columns, feature, args)
        print(f"\nPicture written to {args.plot}")


# -- what is to be done --------------------------------------------------------------------------


def _features(table, args):
    """The columns that explain the target."""
    if args.target not in table.columns:
        raise ValueError(
            f"--target {args.target!r}: {args.data} has no such column; it has"
            f" {', '.join(table.columns)}"
        )
    columns = [name for name in table.columns if name != args.target]
    if not columns:
        raise ValueError(f"{args.data} has no column beside the target {args.target!r}")
    for name in filter(table.is_text, columns):
        n, different = len(table.columns[name]), len(set(table.columns[name]))
        if different > max(20, n // 10):
            raise ValueError(
                f"the text column {name!r} has {different} different values in {n} rows, too many"
                f" to code; leave it out with --drop {name}"
            )
    return columns


def _feature_to_draw(args, numeric, text):
    if args.feature is None:
        if args.plot and not numeric:
            raise ValueError(f"--plot {args.plot}: there is no numeric column to draw along")
        return numeric[0] if numeric else None
    if not args.plot:
        raise ValueError(f"--feature {args.feature!r} is for the picture; give --plot FILE too")
    if args.feature not in numeric:
        kind = "is text" if args.feature in text else "is not among the columns used"
        raise ValueError(f"--feature {args.feature!r} {kind}; use one of {', '.join(numeric)}")
    return args.feature


def _task(args, values):
    """The task, and the reason in words."""
    if args.task != "auto":
        return args.task, "as asked"
    if values.dtype.kind != "f":
        return "classification", "text"
    if len(np.unique(values)) == 2:
        return "classification", "two values"
    return "regression", "numeric"


def _target(task, name, values):
    """y as numbers, or as labels such as pandas would read them."""
    number = values.dtype.kind == "f"
    if task == "regression":
        if not number:
            text = str(next(value for value in values if not is_number(value)))
            raise ValueError(
                f"the target {name!r} holds {text!r}, which is not a number; for classes use --task"
                " classification"
            )
        return values
    if not number:
        return values.astype(object)
    if (values != np.round(values)).any():
        value = values[values != np.round(values)][0]
        raise ValueError(
            f"the target {name!r} holds {value:g}: classes are text or whole numbers; use --task"
            " regression"
        )
    return values.astype(int)


# -- the answer ----------------------------------------------------------------------------------


def _report(pipeline, X, y, target, text):
    model = _in_units_of_the_table(pipeline)
    codes = pipeline[:-1].transform(X)
    tables = model.summary(codes, y).tables
    print(f"\nThe model of {target}, in the units of the table:")
    for name in ("experts", "gate", "nodes"):
        if name in tables:
            print()
            show(tables[name])
    if text:
        say(f"Text columns are coded against their first value ({_first_values(pipeline)}).")
    print()
    kind = "R²" if hasattr(model, "predict_dist") else "accuracy"
    say(f"{kind} on these rows: {pipeline.score(X, y):.3f}")


def _first_values(pipeline):
    encoder = pipeline["columns"].named_transformers_["text"]
    names = [pipeline["table"].columns[j] for j in pipeline["columns"].transformers_[1][2]]
    pairs = zip(names, encoder.categories_, strict=True)
    return ", ".join(f"{name} = {values[0]}" for name, values in pairs)


def _in_units_of_the_table(pipeline):
    """The model, its coefficients for unscaled columns, for reading only."""
    coded = pipeline["columns"]
    names = coded.get_feature_names_out(pipeline["table"].get_feature_names_out())
    center, scale = np.zeros(len(names)), np.ones(len(names))
    scaler = coded.named_transformers_["numeric"]
    if hasattr(scaler, "mean_"):
        center[: len(scaler.mean_)], scale[: len(scaler.mean_)] = scaler.mean_, scaler.scale_

    def unscaled(view):
        view = copy(view)
        if hasattr(view, "nodes_"):
            view.nodes_ = {name: unscaled(node) for name, node in view.nodes_.items()}
        elif hasattr(view, "means_"):
            view.means_, view.feature_names_in_ = center + scale * view.means_, names
        elif np.shape(getattr(view, "coef_", ()))[-1:] > (0,):  # parts that ignore x have none
            view.coef_ = view.coef_ / scale
            view.intercept_ = view.intercept_ - view.coef_ @ center
            view.feature_names_in_ = names
        return view

    model = copy(pipeline["model"])
    model.experts_ = [unscaled(view) for view in model.experts_]
    model.gate_ = unscaled(model.gate_)
    return model


def _draw(pipeline, X, y, columns, feature, args):
    target, name = None, args.target
    if hasattr(pipeline[-1], "classes_"):
        target = pipeline.classes_[-1]
        name = f"P({name} = {target})"
    figure, axes = two_panels()
    ExpertCurvesDisplay.from_estimator(
        pipeline,
        X,
        y,
        feature=columns.index(feature),
        target=target,
        feature_name=feature,
        target_name=name,
        ax=axes,
    )
    figure.savefig(args.plot, dpi=150)
