"""``python -m classic_moe predict``: the rows of another table by a saved model."""

from __future__ import annotations

import numpy as np
from sklearn.pipeline import Pipeline

from ..estimators.base import BaseMixtureOfExperts
from ..estimators.classification import MixtureOfExpertsClassifier
from ..parts.names import printable
from .cells import distinct, read_numbers
from .files import replacing
from .kinds import first_wrong, truth, what_is_wrong
from .reading import ROW_NAME, import_pandas, read_table
from .report import collected_warnings, print_line, print_notes, print_paragraph

STEPS = ["table", "columns", "model"]
"""Of the Pipeline that the command ``fit`` saves."""


def run_predict(args):
    """Load the model, read the table, predict, write."""
    with collected_warnings() as warnings:
        pipeline = _load(args.model)
        _check(args, pipeline)
        file = read_table(
            args.data,
            separator=args.separator,
            decimal=args.decimal,
            encoding=args.encoding,
            missing=args.missing_code,
        )
        predicted = _predictions(args, pipeline, file)
    with replacing(args.out, force=args.force) as path:
        predicted.to_csv(path, index=False)
    if not args.quiet:
        print_paragraph(f"{args.data}: {len(predicted)} rows.")
        print_notes([*file.notes, *warnings])
        print_line(f"Predictions written to {args.out}")


def _load(path):
    """Return the Pipeline that the command ``fit`` has saved; ValueError for any other file."""
    import joblib

    where = printable(str(path))
    refused = f"{where} is no model that fit --out has saved"
    with open(path, "rb") as file:
        try:
            pipeline = joblib.load(file)
        except ModuleNotFoundError as error:
            raise ValueError(
                f"{where} needs the module {error.name!r}, which is not installed here"
            ) from None
        except Exception as error:  # a pickle may raise whatever it likes
            raise ValueError(f"{refused} ({type(error).__name__})") from None
    known = isinstance(pipeline, Pipeline) and [name for name, _ in pipeline.steps] == STEPS
    if not (known and isinstance(pipeline[-1], BaseMixtureOfExperts)):
        raise ValueError(f"{refused}: it holds {type(pipeline).__name__}")
    return pipeline


def _check(args, pipeline):
    """ValueError for what this model cannot tell."""
    model = pipeline[-1]
    if args.quantiles is None:
        return
    if isinstance(model, MixtureOfExpertsClassifier):
        raise ValueError(
            f"--quantiles are of numbers, and {str(args.model)!r} predicts classes; leave it out"
        )
    outputs = model.describe().target_names
    if len(outputs) > 1:
        raise ValueError(
            f"--quantiles are of one target, and {str(args.model)!r} has {len(outputs)}; leave it"
            " out"
        )


def _predictions(args, pipeline, file):
    """Return what is predicted of every row, a DataFrame (n, ...)."""
    pd, model = import_pandas(), pipeline[-1]
    X = pipeline[:-1].transform(file.frame)
    columns = {}
    if ROW_NAME in file.frame:
        columns[ROW_NAME] = file.frame[ROW_NAME].to_numpy()
    else:
        columns["row"] = np.arange(1, len(X) + 1)
    columns |= _means(model, X)
    if args.quantiles is not None:
        values = model.predict_dist(X).ppf(np.array(args.quantiles)[:, None])
        columns |= {f"quantile {q:g}": v for q, v in zip(args.quantiles, values, strict=True)}
    names = model.describe().expert_names
    if args.gate_probabilities:
        columns |= _of_experts("gate", names, model.gate_proba(X))
    if args.responsibilities:
        y, there = _target(args, pipeline, file)
        shares = np.full((len(X), len(names)), np.nan)
        if there.any():
            shares[there] = model.responsibilities(X[there], y[there])
        columns |= _of_experts("responsibility", names, shares)
    return pd.DataFrame(columns)


def _means(model, X):
    """Return the predictions by name; of a classifier the labels and their probabilities."""
    predicted = model.predict(X)
    if isinstance(model, MixtureOfExpertsClassifier):
        shares = zip(model.classes_, model.predict_proba(X).T, strict=True)
        return {"prediction": predicted} | {f"P({label})": share for label, share in shares}
    if predicted.ndim == 1:
        return {"prediction": predicted}
    outputs = zip(model.describe().target_names, predicted.T, strict=True)
    return {f"prediction of {name}": values for name, values in outputs}


def _of_experts(what, names, values):
    """Return columns of numbers, one an expert, by name."""
    return {f"{what} of {name}": column for name, column in zip(names, values.T, strict=True)}


def _target(args, pipeline, file):
    """Return y of the rows, (n,) or (n, q), and where it is there, (n,) of bool."""
    model = pipeline[-1]
    names = model._fitted.schema.target.names  # of successes and failures both columns
    names = model.describe().target_names if names is None else list(names)
    absent = [name for name in names if name not in file.frame]
    if absent:
        raise ValueError(
            f"--responsibilities needs the target, and {args.data} has no column {absent[0]!r}"
        )
    if isinstance(model, MixtureOfExpertsClassifier):
        return _labels(args, model.classes_, names[0], file)
    y, empty = zip(*(_numbers(args, name, file) for name in names), strict=True)
    y = np.column_stack(y)
    return (y[:, 0] if len(names) == 1 else y), ~np.any(empty, axis=0)


def _numbers(args, name, file):
    """Return a column of targets as numbers, (n,), and where there is none, (n,) of bool."""
    decimal = file.options.get("decimal", ".")
    values, empty = read_numbers(file.frame[name], decimal, args.missing_code)
    row = first_wrong(values, empty)
    if row is not None:
        raise ValueError(
            f"--responsibilities: column {name!r}, row {row + 1}: {file.frame[name].iloc[row]!r} is"
            f" {what_is_wrong(values[row])}"
        )
    return values, empty


def _labels(args, classes, name, file):
    """Return the classes of the rows, (n,), and where there is one, (n,) of bool."""
    if classes.dtype.kind in "iuf":
        values, empty = _numbers(args, name, file)
        codes = np.where(empty, -1, np.searchsorted(classes, values).clip(max=len(classes) - 1))
        unknown = values[~empty & (classes[codes] != values)]
    else:
        found = distinct(file.frame[name], args.missing_code)
        known = {str(label): k for k, label in enumerate(classes)}
        texts = [truth(text) for text in found.texts]
        codes = found.each([known.get(text, -1) for text in texts], -1).astype(int)
        unknown = [text for text in texts if text not in known]
    if len(unknown):
        raise ValueError(
            f"--responsibilities: the class {unknown[0]} in column {name!r} was not there at the"
            f" fit; it had {', '.join(map(str, classes))}"
        )
    return classes[codes], codes >= 0
