"""What the worked examples share: models in the same folds, and differences with their errors."""

from __future__ import annotations

import sys
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn.base import clone

sys.path.append(str(Path(__file__).parents[1] / "reproductions"))
from _report import command, table

__all__ = ["ahead", "command", "compare", "show", "table"]


def compare(models, splits, X, y, scores):
    """Fit every model to every training part and score it on the rest.

    Parameters
    ----------
    models : dict of str to estimator
    splits : list of (train, test), arrays of row numbers
    X, y : arrays
    scores : callable (model, X, y) -> dict of str to float
        Lower is better.

    Returns
    -------
    results : dict of str to dict of str to ndarray (len(splits),)
        With "CPU s", the seconds of the fit, in addition.
    """
    results = {}
    for name, model in models.items():
        rows = []
        for train, test in splits:
            started = time.process_time()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                fitted = clone(model).fit(X[train], y[train])
            seconds = time.process_time() - started
            rows.append(scores(fitted, X[test], y[test]) | {"CPU s": seconds})
        results[name] = {key: np.array([row[key] for row in rows]) for key in rows[0]}
    return results


def ahead(ours, other, splits):
    """Mean of other - ours over repeated folds, and its standard error.

    Training parts overlap, so the variance of J differences says too little. It is multiplied by
    1/J + n_test / n_train in place of 1/J (Nadeau & Bengio 2003).
    """
    difference = np.asarray(other) - np.asarray(ours)
    train, test = splits[0]
    factor = 1 / len(difference) + len(test) / len(train)
    return difference.mean(), np.sqrt(factor * difference.var(ddof=1))


def show(title, results, splits, reference, digits=4):
    """Print a table: means of all scores, and by how much `reference` is ahead in the first."""
    keys = list(next(iter(results.values())))
    rows = []
    for name, found in results.items():
        mean, error = ahead(results[reference][keys[0]], found[keys[0]], splits)
        gain = "" if name == reference else f"{mean:+.{digits}f} ± {error:.{digits}f}"
        numbers = [f"{found[key].mean():.{digits}f}" for key in keys[:-1]]
        rows.append([name, *numbers, gain, f"{found['CPU s'].mean():.2g}"])
    table(title, ["model", *keys[:-1], f"more {keys[0]} than {reference}", "CPU s a fit"], rows)
