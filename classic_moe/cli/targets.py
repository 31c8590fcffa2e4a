"""What is to be predicted: numbers or classes, and whether that can be done."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .kinds import first_wrong, truth, what_is_wrong

CLASSES = 50
"""A target of text with more values than this is no set of classes."""


@dataclass(frozen=True)
class Target:
    """The target as the estimators take it.

    Parameters
    ----------
    names : list of str
    values : ndarray of shape (n,) or (n, q)
        Numbers, or labels such as pandas would read them; anything where a cell is missing.
    empty : ndarray of bool of shape (n,)
        Rows without a target.
    task, reason : str
    """

    names: list
    values: np.ndarray
    empty: np.ndarray
    task: str
    reason: str

    def of(self, frame, used):
        """Return y of the rows in use, a Series, or a DataFrame of several targets."""
        import pandas as pd

        values = self.values[used]
        if values.ndim == 2:
            return pd.DataFrame(values, columns=self.names, index=frame.index)
        if values.dtype == object and not isinstance(values[0], str):
            values = values.astype(type(values[0]))  # truth values or whole numbers
        return pd.Series(values, index=frame.index, name=self.names[0], dtype=values.dtype)

    def refusals(self, used):
        """Return what is wrong with the target in the rows in use, a list of str."""
        rows = int(used.sum())
        if not rows:
            return [f"no row has all that is needed: {_are_empty(self.names)}"]
        columns = self.values[used].reshape(rows, -1).T
        sentences = []
        for name, values in zip(self.names, columns, strict=True):
            different = set(values.tolist()) if self.task == "classification" else np.unique(values)
            if len(different) == 1:
                (value,) = different
                kind = "one class" if self.task == "classification" else "one value"
                shown = repr(value) if isinstance(value, str) else f"{value:g}"
                sentences.append(
                    f"the target {name!r} has {kind} ({shown}) in all {rows} rows: there is nothing"
                    " to predict"
                )
            elif self.task == "classification" and len(different) > min(CLASSES, max(rows / 2, 2)):
                sentences.append(
                    f"the target {name!r} has {len(different)} different values in {rows} rows, too"
                    " many for classes"
                )
        return sentences


def _are_empty(names):
    shown = " and ".join(map(repr, names))
    return f"the target {shown} is empty" if len(names) == 1 else f"the targets {shown} are empty"


def read_target(looks, names, task):
    """Return the `Target`; ValueError if it is none.

    Parameters
    ----------
    looks : dict of str to Look
    names : list of str
    task : "auto", "regression" or "classification"
    """
    empty = np.any([looks[name].empty for name in names], axis=0)
    for name in names:
        if looks[name].empty.all():
            raise ValueError(f"{_are_empty([name])}; name another column")
        if looks[name].column.kind == "date":
            raise ValueError(
                f"the target {name!r} holds dates; predict a number or classes, or turn it into a"
                " number first"
            )
    if len(names) > 1:
        if task == "classification":
            raise ValueError(f"--task classification takes one target, not {len(names)}")
        values = np.column_stack([_numbers(looks[name]) for name in names])
        return Target(names, values, empty, "regression", "several targets")
    look = looks[names[0]]
    task, reason = _task(look, task)
    values = _numbers(look) if task == "regression" else _labels(look)
    return Target(names, values, empty, task, reason)


def _task(look, task):
    """Return the task and its reason in words, two str."""
    if task != "auto":
        return task, "as asked"
    if look.column.kind == "category":
        return "classification", "true or false" if _is_truth(look) else "text"
    values = np.unique(look.values[~look.empty])
    if len(values) == 2 and np.array_equal(values, np.round(values)):
        return "classification", "two values"
    return "regression", "numeric"


def _numbers(look):
    """Return the target as numbers, (n,)."""
    name = look.column.name
    if look.column.kind == "category":
        text = str(look.texts[0])
        raise ValueError(
            f"the target {name!r} holds {text!r}, which is not a number; for classes use --task"
            " classification"
        )
    wrong = first_wrong(look.values, look.empty)
    if wrong is not None:
        value = look.values[wrong]
        raise ValueError(
            f"the target {name!r} holds {value:g} in row {wrong + 1}, which is"
            f" {what_is_wrong(value)}; correct it, or use a larger unit"
        )
    return look.values


def _is_truth(look):
    """Tell whether a column of text holds nothing but true and false."""
    return {truth(text) for text in look.texts} <= {"True", "False"}


def _labels(look):
    """Return the target as labels: text, truth values or whole numbers, (n,) of object."""
    if look.column.kind == "category":
        texts = [truth(text) for text in look.texts]
        labels = [text == "True" for text in texts] if _is_truth(look) else texts
        return look.found.each(np.array(labels, dtype=object), None)
    values = look.values[~look.empty]
    whole = (values == np.round(values)) & (np.abs(values) < 2**53)
    if not whole.all():
        raise ValueError(
            f"the target {look.column.name!r} holds {values[~whole][0]:g}: classes are text or"
            " whole numbers; use --task regression"
        )
    labels = np.full(len(look.values), None, dtype=object)
    labels[~look.empty] = [int(value) for value in values]
    return labels
