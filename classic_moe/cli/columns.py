"""What is fitted to what: the rows and columns of a table in use, how, and why not the others."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import rankdata

from ..parts.names import printable
from .features import Choice, wrong_cells
from .kinds import NUMBERS, look_at, without_codes
from .reading import INDEX_NAMES
from .targets import read_target

if TYPE_CHECKING:
    import pandas as pd

POLICIES = ("impute", "drop", "error")
LISTED = 20
"""Names that a message shows."""


@dataclass(frozen=True)
class Plan:
    """What is fitted to what.

    Parameters
    ----------
    frame : DataFrame of shape (n, p)
        The rows in use and the columns that the pipeline takes, as they stand in the file.
    y : Series of shape (n,), or DataFrame of shape (n, q)
        Named after the target: numbers, or labels of classes.
    task : "regression" or "classification"
    reason : str
        Why, in words.
    columns : dict of str to Column
        How each column of `frame` is read; `columns[name].kind` is "number", "date", "category" or
        "offset".
    weights, groups : Series of shape (n,) or None
    offset : str or None
        Its name, in the table and in the model.
    notes : list of str
        A sentence for each row or column left out, coded, imputed.
    """

    frame: pd.DataFrame
    y: pd.Series
    task: str
    reason: str
    columns: dict
    weights: pd.Series | None = None
    groups: pd.Series | None = None
    offset: str | None = None
    notes: list = field(default_factory=list)


def plan_columns(
    file,
    *,
    target,
    task="auto",
    drop=(),
    keep=(),
    missing="impute",
    offset=None,
    weights=None,
    groups=None,
):
    """Tell what is fitted to what, or refuse the table.

    Parameters
    ----------
    file : TableFile
    target : list of str
        The columns to predict.
    task : "auto", "regression" or "classification", default="auto"
        "auto": classification if the target is text or has two values, else regression.
    drop : list of str, default=()
        Columns to leave out.
    keep : list of str, default=()
        Columns not to leave out, though they look like identifiers or have many values.
    missing : "impute", "drop" or "error", default="impute"
        What becomes of missing cells: they are filled in; their rows are left out; they are
        refused. A row without a target is left out unless that is refused.
    offset, weights, groups : str, default=None
        Columns of numbers, of numbers of at least 0, and of anything; they are no features.

    Returns
    -------
    Plan

    Raises
    ------
    ValueError
        With all that is wrong, in one line.

    Examples
    --------
    >>> import pandas as pd
    >>> from classic_moe.cli.columns import plan_columns
    >>> from classic_moe.cli.reading import TableFile
    >>> frame = pd.DataFrame({"age": ["31", "28", "45"] * 9, "sex": list("mff") * 9})
    >>> plan = plan_columns(TableFile(frame.assign(dose=range(5, 32))), target=["dose"])
    >>> plan.task, {name: column.kind for name, column in plan.columns.items()}
    ('regression', {'age': 'number', 'sex': 'category'})
    """
    target = list(target)
    others = {"--offset": offset, "--weights": weights, "--groups": groups}
    others = {option: name for option, name in others.items() if name is not None}
    if missing not in POLICIES:
        raise ValueError(f"--missing {missing!r} is none of {', '.join(POLICIES)}")
    refuse(_wrong_names(file, target, drop, keep, others))
    looks = _look_at_all(file, [name for name in file.frame if name not in drop])
    wanted, rows = _rows(looks, target, task, others, missing)
    named = [*target, *others.values()]
    features = {name: look for name, look in looks.items() if name not in named}
    choice = Choice(features, rows.used, keep, missing)
    refusals = [*rows.refusals, *wrong_cells(features, rows.used), *choice.refusals]
    if not refusals:
        refusals += wanted.refusals(choice.used) + _without_features(choice, target)
    refuse(refusals)

    columns = dict(choice.columns)
    if offset is not None:
        columns[offset] = replace(looks[offset].column, kind="offset")
    frame = file.frame.loc[choice.used, [name for name in file.frame if name in columns]]
    taken = [note for name in (*named, *choice.columns) for note in looks[name].notes]
    return Plan(
        frame=frame,
        y=wanted.of(frame, choice.used),
        task=wanted.task,
        reason=wanted.reason,
        columns={name: columns[name] for name in frame},
        weights=_series(looks, weights, choice.used, frame),
        groups=_series(looks, groups, choice.used, frame),
        offset=offset,
        notes=[*taken, *rows.notes, *choice.describe(), *_copies(choice, wanted)],
    )


def target_of(file, plan, weights=None, offset=None):
    """Return which rows of more of a table are in use, bool (n,), their y and their weights.

    Parameters
    ----------
    file : TableFile
    plan : Plan
        Of rows that told what the columns are.
    weights, offset : str, default=None
        Columns, as of `plan_columns`.
    """
    names = [plan.y.name] if plan.y.ndim == 1 else list(plan.y.columns)
    others = {"--offset": offset, "--weights": weights}
    others = {option: name for option, name in others.items() if name is not None}
    decimal, codes = file.options.get("decimal", "."), file.options.get("na_values", ())
    looks = {
        name: look_at(name, file.frame[name], decimal, codes) for name in (*names, *others.values())
    }
    wanted, rows = _rows(looks, names, plan.task, others, "impute")
    refuse(rows.refusals)
    frame = file.frame.loc[rows.used]
    y = wanted.of(frame, rows.used) if len(frame) else None
    return rows.used, y, None if weights is None else looks[weights].values[rows.used]


def refuse(refusals):
    """Raise a ValueError with all refusals in one line, if there are any."""
    if len(refusals) == 1:
        raise ValueError(refusals[0])
    if refusals:
        raise ValueError("; ".join(f"({i}) {text}" for i, text in enumerate(refusals, start=1)))


def listed(names):
    """Return names in a row, for a message, a str; not more than some twenty of them."""
    names = list(map(printable, names))
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more


# -- names -----------------------------------------------------------------------------------------


def _wrong_names(file, target, drop, keep, others):
    """Return what is wrong with the columns that options name, a list of str."""
    options = [("--target", target), ("--drop", drop), ("--keep", keep)]
    options += [(option, [name]) for option, name in others.items()]
    wrong, uses = [], {}
    for option, names in options:
        for name in names:
            if name in file.frame:
                uses.setdefault(name, []).append(option)
            elif not (option == "--drop" and name in INDEX_NAMES and "index_col" in file.options):
                near = difflib.get_close_matches(name, map(str, file.frame), 1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                wrong.append(
                    f"{option} {name!r}: the table has no such column; it has"
                    f" {listed(file.frame)}{hint}"
                )
    for name, given in uses.items():
        if len(set(given)) > 1:
            wrong.append(f"{' and '.join(dict.fromkeys(given))} both name {name!r}; name it once")
        elif len(given) > 1 and given[0] == "--target":
            wrong.append(f"--target names {name!r} twice; name it once")
    return wrong


def _look_at_all(file, names):
    """Return what each column is, a dict of `Look` by name."""
    codes = file.options.get("na_values", ())
    decimal = file.options.get("decimal", ".")
    looks = {name: look_at(name, file.frame[name], decimal, codes) for name in names}
    return looks if codes else without_codes(looks)


# -- rows ------------------------------------------------------------------------------------------


class _Rows:
    """The rows in use; what was said of the others; what is wrong."""

    def __init__(self, n):
        self.used = np.ones(n, dtype=bool)
        self.notes, self.refusals = [], []

    def leave_out(self, empty, what, policy):
        """Leave rows out in which something is missing, or refuse them where that is the policy."""
        count = int((self.used & empty).sum())
        if not count:
            return
        if policy == "error":
            self.refusals.append(
                f"{what} is missing in {count} rows; --missing drop leaves them out"
            )
        shown = "1 row" if count == 1 else f"{count} rows"
        self.notes.append(f"{shown} of {len(empty)} left out: {what} is missing.")
        self.used = self.used & ~empty


def _rows(looks, target, task, others, policy):
    """Return the `Target`, and the `_Rows` that have a target, an offset, a weight and a group."""
    rows = _Rows(len(next(iter(looks.values())).empty))
    wanted = None
    try:
        wanted = read_target(looks, target, task)
        rows.leave_out(wanted.empty, f"the target {' or '.join(map(repr, target))}", policy)
    except ValueError as error:
        rows.refusals.append(str(error))
    for option, name in others.items():
        look = looks[name]
        rows.leave_out(look.empty, f"{option} {name!r}", policy)
        if option != "--groups":
            rows.refusals += _wrong_numbers(look, option)
    return wanted, rows


def _wrong_numbers(look, option):
    """Return what is wrong with a column of numbers, a list of str."""
    what = f"{option} {look.column.name!r}"
    if look.column.kind != "number":
        kind = f"text, such as {look.texts[0]!r}" if len(look.texts) else f"{look.column.kind}s"
        return [f"{what} holds {kind}; it must hold numbers"]
    wrong = wrong_cells({look.column.name: look}, ~look.empty)
    there = look.values[~look.empty]
    if option == "--weights" and not wrong:
        if (there < 0).any():
            return [f"{what} holds {there.min():g}; weights are at least 0"]
        if not there.any():
            return [f"{what} holds nothing but zeros; some weight must be above 0"]
    return wrong


def _series(looks, name, used, frame):
    """Return the values of a column in the rows in use, a Series, or None."""
    import pandas as pd

    if name is None:
        return None
    look = looks[name]
    values = look.values
    if look.column.kind == "category":
        values = look.found.each(look.texts, None)
    return pd.Series(values[used], index=frame.index, name=name)


def _without_features(choice, target):
    """Return a refusal if no column is left to predict from, a list."""
    if choice.columns:
        return []
    why = [f"{name!r}: {why}" for name, why in choice.left_out.items()]
    beside = " and ".join(map(repr, target))
    return [
        f"there is no column beside the target {beside} to predict it from"
        + (f" ({listed(why)})" if why else "")
    ]


def _copies(choice, wanted):
    """Return a note for every column in the very order of the target, a list of str.

    It is either the target in another unit or computed from it, and explains nothing.
    """
    if wanted.task != "regression" or wanted.values.ndim > 1:
        return []
    notes = []
    for name, column in choice.columns.items():
        there = choice.used & ~choice.looks[name].empty
        if column.kind == "category" or len(np.unique(choice.looks[name].values[there])) <= NUMBERS:
            continue
        ranks = [rankdata(v[there]) for v in (choice.looks[name].values, wanted.values)]
        if np.ptp(ranks[1]) and abs(np.corrcoef(ranks)[0, 1]) > 1 - 1e-9:
            notes.append(
                f"Column {name!r} has the very order of the target: if it was computed from it,"
                " leave it out with --drop."
            )
    return notes
