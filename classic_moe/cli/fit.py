"""``python -m classic_moe fit``: a mixture of experts for the user's own table."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass

import joblib
import numpy as np

from ..estimators.classification import MixtureOfExpertsClassifier
from ..estimators.regression import MixtureOfExpertsRegressor
from ..inspection import ExpertCurvesDisplay
from ..inspection._columns import drawn_text
from ..inspection._pictures import two_panels
from .files import check_outputs, replacing
from .report import choose_by_bic, print_line, print_paragraph, print_table
from .tables import (
    Column,
    drop_option,
    listed,
    raw_table_pipeline,
    read_csv,
    reads_as_number,
)

ESTIMATORS = {
    "regression": MixtureOfExpertsRegressor,
    "classification": MixtureOfExpertsClassifier,
}
DEFAULT_EXPERTS = {"regression": "linear", "classification": "softmax"}


@dataclass(frozen=True)
class _Data:
    """What is to be fitted: X (n, p) as it stands in the file, y (n,), and what the columns are."""

    X: np.ndarray
    y: np.ndarray
    task: str
    reason: str
    columns: list
    text: list
    numeric: list
    feature: str | None
    delimiter: str


def run_fit(args):
    """Read, choose K by BIC, report, save, draw."""
    outputs = {"--out": args.out, "--plot": args.plot}
    check_outputs(outputs, force=args.force, data=args.data)
    data = _read(args)
    print_paragraph(
        f"{args.data}: {len(data.y)} rows; {len(data.numeric)} numeric and {len(data.text)} text"
        " columns."
    )
    print_paragraph(f"Target: {args.target} ({data.reason}: {data.task}).")
    print()
    pipeline = _choose(args, data)
    _report(pipeline, data, args.target)
    if args.out:
        _save(pipeline, data, args)
    if args.plot:
        _draw(pipeline, data, args)
        print()
        print_line(f"Picture written to {args.plot}")


# -- what is to be done --------------------------------------------------------------------------


def _read(args):
    """Return the `_Data` of the file; ValueError if the arguments or the cells cannot be used."""
    if args.target in args.drop:
        raise ValueError(f"--drop {args.target!r} is the target; predict it or drop it")
    table = read_csv(args.data, skip=args.drop)
    columns = _features(table, args)
    text = [name for name in columns if table.is_text(name)]
    numeric = [name for name in columns if name not in text]
    feature = _feature_to_draw(args, numeric, text)
    values = table.columns[args.target]
    task, reason = _task(args, values)
    y = _target(task, args.target, values)
    if args.n_experts[-1] > len(y):
        raise ValueError(
            f"--n-experts {args.n_experts[-1]} needs as many rows; {args.data} has {len(y)}"
        )
    X = table.cells(columns)
    return _Data(X, y, task, reason, columns, text, numeric, feature, table.delimiter)


def _features(table, args):
    """Return the columns that explain the target, a list of str."""
    if args.target not in table.columns:
        raise ValueError(
            f"--target {args.target!r}: {args.data} has no such column; it has"
            f" {listed(table.columns)}"
        )
    columns = [name for name in table.columns if name != args.target]
    if not columns:
        raise ValueError(f"{args.data} has no column beside the target {args.target!r}")
    for name in filter(table.is_text, columns):
        n, different = len(table.columns[name]), len(set(table.columns[name]))
        if different > max(20, n // 10):
            raise ValueError(
                f"the text column {name!r} has {different} different values in {n} rows, too many"
                f" to code; leave it out with {drop_option(name)}"
            )
    return columns


def _feature_to_draw(args, numeric, text):
    """Return the column to draw along, a str, or None where nothing is drawn and none numeric."""
    if args.feature is None:
        if args.plot and not numeric:
            raise ValueError(f"--plot {args.plot}: there is no numeric column to draw along")
        return numeric[0] if numeric else None
    if not args.plot:
        raise ValueError(f"--feature {args.feature!r} is for the picture; give --plot FILE too")
    if args.feature not in numeric:
        kind = "is text" if args.feature in text else "is not among the columns used"
        raise ValueError(f"--feature {args.feature!r} {kind}; use one of {listed(numeric)}")
    return args.feature


def _task(args, values):
    """Return the task and its reason in words, two str."""
    if args.task != "auto":
        return args.task, "as asked"
    if values.dtype.kind != "f":
        return "classification", "text"
    if len(np.unique(values)) == 2:
        return "classification", "two values"
    return "regression", "numeric"


def _target(task, name, values):
    """Return y as numbers, or as labels such as pandas would read them, (n,)."""
    number = values.dtype.kind == "f"
    if task == "regression":
        if not number:
            text = str(next(value for value in values if not reads_as_number(value)))
            raise ValueError(
                f"the target {name!r} holds {text!r}, which is not a number; for classes use --task"
                " classification"
            )
        return Column(values, name)
    if not number:
        return Column(values.astype(object), name)
    whole = (values == np.round(values)) & (np.abs(values) < 2**53)
    if not whole.all():
        value = values[~whole][0]
        raise ValueError(
            f"the target {name!r} holds {value:g}: classes are text or whole numbers; use --task"
            " regression"
        )
    return Column(values.astype(int), name)


# -- the fit -------------------------------------------------------------------------------------


def _choose(args, data):
    """Return the fitted Pipeline whose number of experts BIC prefers."""
    pipelines = {}

    def fit(K):
        model = ESTIMATORS[data.task](
            K,
            expert=args.expert or DEFAULT_EXPERTS[data.task],
            gate=args.gate,
            random_state=args.seed,
        )
        pipelines[K] = raw_table_pipeline(model, data.columns, data.text).fit(data.X, data.y)
        return pipelines[K][-1]

    def coded(model):
        return pipelines[model.n_experts_][:-1].transform(data.X)

    model = choose_by_bic(
        fit,
        lambda model: model.bic(coded(model), data.y),
        lambda model: model.icl(coded(model), data.y),
        args.n_experts,
    )
    return pipelines[model.n_experts_]


# -- the answer ----------------------------------------------------------------------------------


def _report(pipeline, data, target):
    """Print the model in the units of the table, and how well it fits."""
    model = _with_names_of_the_table(pipeline)
    codes = pipeline[:-1].transform(data.X)
    tables = model.summary(codes, data.y).tables
    print()
    print_line(f"The model of {target}, in the units of the table:")
    for name in ("experts", "gate", "nodes"):
        if name in tables:
            print()
            print_table(tables[name])
    if data.text:
        first = _first_values(pipeline)
        print_paragraph(f"Text columns are coded against their first value ({first}).")
    print()
    kind = "R²" if data.task == "regression" else "accuracy"
    print_paragraph(f"{kind} on these rows: {pipeline.score(data.X, data.y):.3f}")


def _save(pipeline, data, args):
    """Write the Pipeline to a file, and print how to read it."""
    with replacing(args.out, force=args.force) as path:
        joblib.dump(pipeline, path)
    separator = "" if data.delimiter == "," else f", sep={data.delimiter!r}"
    print()
    print_line(f"Pipeline saved to {args.out}; it takes the raw table:")
    print_line("    import joblib, pandas as pd")
    print_line(f"    table = pd.read_csv({str(args.data)!r}{separator})")
    print_line(f"    joblib.load({str(args.out)!r}).predict(table)")


def _first_values(pipeline):
    """Return the values that text columns are coded against, in words, a str."""
    encoder = pipeline["columns"].named_transformers_["text"]
    names = [pipeline["table"].columns[j] for j in pipeline["columns"].transformers_[1][2]]
    pairs = zip(names, encoder.categories_, strict=True)
    return ", ".join(f"{name} = {values[0]}" for name, values in pairs)


def _with_names_of_the_table(pipeline):
    """Return a copy of the model whose parts know the names of the columns, for reading only."""
    coded = pipeline["columns"]
    names = coded.get_feature_names_out(pipeline["table"].get_feature_names_out())

    def named(view):
        view = copy(view)
        if view.kind == "tree":
            view.nodes_ = {name: named(node) for name, node in view.nodes_.items()}
        if view.uses_x:
            view.feature_names_in_ = names
        return view

    model = copy(pipeline["model"])
    model.experts_ = [named(view) for view in model.experts_]
    model.gate_ = named(model.gate_)
    return model


def _draw(pipeline, data, args):
    """Draw the experts along one column into a file; of a classifier for the last class."""
    target = pipeline.classes_[-1] if data.task == "classification" else None
    figure, axes = two_panels()
    ExpertCurvesDisplay.from_estimator(
        pipeline,
        data.X,
        data.y,
        feature=data.columns.index(data.feature),
        target=target,
        feature_name=drawn_text(data.feature),
        ax=axes,
    )
    with replacing(args.plot, force=args.force) as path:
        figure.savefig(path, dpi=150)
