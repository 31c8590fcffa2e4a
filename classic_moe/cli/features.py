"""Which columns explain the target, how each is coded, and why the others are left out."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from ..parts.names import natural
from .cells import is_counter
from .kinds import (
    MISSING,
    OTHER,
    UNITS,
    Look,
    first_wrong,
    level_name,
    missing_name,
    truth,
    what_is_wrong,
)

LEAST = 5
"""Rows that a level or an indicator must have: what fewer say cannot be told from chance."""
MOST = 12
"""Levels of a category that are chosen unasked: each costs every expert and the gate a number."""
TELLING = 0.01
"""Share of missing cells above which the model is told of them; of fewer the median says enough."""
IDENTIFIER = re.compile(r"(.*[\s_.-])?(id|uuid|key|index|rownames?|row name)", re.IGNORECASE)
COUNTS = re.compile(
    r"(.*[\s_.-])?(t|x|time|period|second|minute|hour|day|week|month|quarter|year|age|date)s?",
    re.IGNORECASE,
)
"""Names of columns that may count 1, 2, 3 … and still say something."""
COMPARABLE = 30
"""Rows that the level should have that others are compared with; a tenth of those of the most
frequent one will do."""
KEPT = "; --keep uses it"
COUNTER = f"it only counts the rows{KEPT}"


class Choice:
    """The columns chosen as features, and the rows in use.

    Parameters
    ----------
    looks : dict of str to Look
        The columns to choose from.
    used : ndarray of bool of shape (n,)
        The rows to use; fewer afterwards where missing cells cost theirs.
    keep : list of str
        Columns that are used although they look like identifiers.
    policy : "impute", "drop" or "error"
        What becomes of missing cells.

    Attributes
    ----------
    columns : dict of str to Column
    left_out : dict of str to str
        Why, by the name of the column.
    notes, refusals : list of str
    """

    def __init__(self, looks, used, keep, policy):
        self.looks, self.used, self.keep = looks, used, set(keep)
        self.columns, self.left_out, self.notes, self.refusals = {}, {}, [], []
        if not used.any():
            return
        self._look_through(list(looks))
        counters = [name for name, why in self.left_out.items() if why == COUNTER]
        if counters and not self.columns:  # a table of x = 1, 2, 3 … and y
            self.keep |= set(counters)
            self._look_through(counters)
        self._fill(policy)
        self._check_names()

    def _look_through(self, names):
        """Choose among the columns named, and code them by the rows in use."""
        for name in names:
            self.columns.pop(name, None)
            self.left_out.pop(name, None)
            coded, why = _coded(self.looks[name], self.used, name in self.keep)
            if coded is not None:
                self.columns[name] = coded
            else:
                self.left_out[name] = why

    def _fill(self, policy):
        """Do with missing cells what is asked for: "impute", "drop" or "error"."""
        counts = {name: int(self._empty(name).sum()) for name in self.columns}
        counts = {name: count for name, count in counts.items() if count}
        if not counts:
            return
        if policy == "impute":
            self._impute(counts)
            return
        shown = ", ".join(f"{name!r} ({count})" for name, count in counts.items())
        if policy == "error":
            self.refusals.append(
                f"cells are missing in {shown}; --missing impute fills them in, --missing drop"
                " leaves their rows out"
            )
            return
        complete = self.used & ~np.any([self.looks[name].empty for name in counts], axis=0)
        lost, rows = int(self.used.sum() - complete.sum()), int(self.used.sum())
        if complete.sum() < 2:
            self.refusals.append(
                f"--missing drop leaves {complete.sum()} of {rows} rows: cells are missing in"
                f" {shown}; use --missing impute, or --drop those columns"
            )
            return
        self.notes.append(f"{lost} of {rows} rows left out, with missing cells in {shown}.")
        self.used = complete
        self._look_through(list(self.columns))

    def _check_names(self):
        """Refuse a table of which two columns would have one name once they are coded."""
        owners = {}
        for name, column in self.columns.items():
            for coded in column.coded_names:
                owners.setdefault(coded, []).append(name)
        for coded, names in owners.items():
            if len(names) > 1:
                self.refusals.append(
                    f"the columns {' and '.join(map(repr, names))} would both give the model"
                    f" {coded!r}; rename one, or leave it out with --drop"
                )

    def _empty(self, name):
        return self.looks[name].empty[self.used]

    def _impute(self, counts):
        """Say how missing cells are filled in, and whether the model is told of them.

        It is where both kinds of rows are enough to learn from, and where no other column tells
        the same already.
        """
        told, alike = {}, {}
        for name, count in counts.items():
            column, empty = self.columns[name], self._empty(name)
            rows, rest = len(empty), len(empty) - count
            text = column.kind == "category"
            enough = min(count, rest) >= LEAST and (text or count > TELLING * rows)
            first = told.setdefault(empty.tobytes(), name) if enough else name
            indicator = enough and first == name
            levels = column.levels
            if indicator and text:
                levels = tuple(dict.fromkeys([*levels, MISSING]))
            self.columns[name] = replace(column, gaps=True, indicator=indicator, levels=levels)
            how = _how_filled(self.columns[name])
            if enough and not indicator:
                how += f"; they are in the same rows as those of {first!r}"
            cells = f"{count} of {rows} cells ({100 * count / rows:.2g} %)"
            alike.setdefault((cells, how), []).append(name)
        for (cells, how), names in alike.items():
            self.notes.append(f"{_columns(names)}: {cells} missing, {how}.")

    def describe(self):
        """Return the notes on all columns, a list of str."""
        alike = {}
        for name, why in self.left_out.items():
            alike.setdefault(why, []).append(name)
        notes = [f"{_columns(names)} left out: {why}." for why, names in alike.items()]
        for name, column in self.columns.items():
            if column.kind == "date":
                notes.append(f"Column {name!r}: dates, counted in {_since(column)}.")
            if column.merged:
                notes.append(
                    f"Column {name!r}: {len(column.merged)} values with few rows are put together"
                    f" as {OTHER!r}."
                )
        first = [
            level_name(name, column.levels[0])
            for name, column in self.columns.items()
            if column.kind == "category"
        ]
        if first:
            notes.append(f"Categories are compared with the first of each: {', '.join(first)}.")
        return [*self.notes, *notes]


def _columns(names):
    """Return "Column 'a'" or "Columns 'a', 'b'", a str."""
    return f"Column{'s' * (len(names) > 1)} {', '.join(map(repr, names))}"


def _how_filled(column):
    """Return what becomes of missing cells at the fit, in words."""
    if column.kind == "category":
        level = f"which are the category {MISSING!r}"
        return level if column.indicator else "filled in with the most frequent value"
    told = f"; the model is told by {missing_name(column.coded_name)!r}" if column.indicator else ""
    return f"filled in with the median{told}"


def _since(column):
    """Return "days since 2001-01-01", a str."""
    return column.coded_name.removeprefix(f"{column.name} (").removesuffix(")")


def _coded(look: Look, used, keep):
    """Return the `Column` of a feature, or None and why it is left out, in words.

    Parameters
    ----------
    look : Look
    used : ndarray of bool of shape (n,)
    keep : bool
        Whether it is used although it looks like an identifier, or has too many values.
    """
    rows = int(used.sum())
    there = used & ~look.empty
    count = int(there.sum())
    if count == 0:
        return None, "it is empty"
    if look.column.kind == "category":
        return _coded_category(look, used, keep)
    values = look.values[there]
    if values.min() == values.max():
        return None, f"it has the same value in all {count} rows"
    if count < LEAST <= rows:
        return None, f"it is nearly empty ({count} of {rows} cells)"
    name = look.column.name
    if look.column.kind == "date":
        return _coded_date(look.column, values), ""
    if not keep and not COUNTS.fullmatch(name) and is_counter(look.values):
        return None, COUNTER
    whole = len(np.unique(values)) == count and np.array_equal(values, np.round(values))
    if not keep and IDENTIFIER.fullmatch(name) and whole:
        return None, f"its {count} numbers are all different, an identifier by its name{KEPT}"
    return look.column, ""


def _coded_date(column, values):
    """Return the `Column` of dates, in a unit that suits their range (seconds, (m,))."""
    span = float(values.max() - values.min())
    days = not (values % UNITS["days"]).any()
    unit = next((unit for unit, length in UNITS.items() if span >= 3 * length), "seconds")
    unit = "days" if days else unit
    origin = float(np.floor(values.min() / UNITS[unit]) * UNITS[unit])
    return replace(column, origin=origin, unit=unit)


def _coded_category(look, used, keep):
    """Return the `Column` of a category with its levels, or None and why it is left out."""
    found = look.found.rows(used)
    texts = np.array([truth(text) for text in found.texts], dtype=object)
    names, positions = np.unique(texts.astype(str), return_inverse=True)
    counts = np.bincount(positions, weights=found.counts).astype(int)
    rows, gaps = int(counts.sum()), int((found.codes < 0).sum())
    if len(names) == 1 and not min(gaps, rows) >= LEAST:
        return None, f"it has the same value in all {rows} rows"
    different = f"{len(names)} different texts in {rows} rows"
    kept = KEPT if counts.max() > 1 else ""
    if not keep and 2 * len(names) > rows:
        return None, f"{different}, as identifiers have{kept}"
    chosen = np.ones(len(names), dtype=bool)
    if keep:
        chosen = counts >= 2
    elif len(names) > MOST:
        chosen[np.argsort(-counts, kind="stable")[MOST:]] = False
        chosen &= counts >= LEAST
    elif (counts < LEAST).sum() >= 2 and rows >= 10 * LEAST:
        chosen = counts >= LEAST
    if keep and not chosen.any():
        return None, f"each of its {rows} texts is there once"
    if 2 * counts[chosen].sum() < rows and not keep:
        return None, f"{different}, too many to code{kept}"
    order = sorted(np.flatnonzero(chosen), key=lambda i: natural(names[i]))
    levels, merged = list(map(str, names[order])), tuple(map(str, names[~chosen]))
    # The others are compared with one that has rows enough to be compared with.
    enough = min(COMPARABLE, counts[order].max() / 10)
    first = int(np.argmax(counts[order] >= enough))
    levels.insert(0, levels.pop(first))
    if merged:
        levels = [*(level for level in levels if level != OTHER), OTHER]
    return replace(look.column, levels=tuple(levels), merged=merged), ""


def wrong_cells(looks, used):
    """Return a sentence for every column with a cell that is no finite number, a list of str.

    Parameters
    ----------
    looks : dict of str to Look
    used : ndarray of bool of shape (n,)
    """
    sentences = []
    for name, look in looks.items():
        if look.column.kind == "category":
            continue
        wrong = first_wrong(look.values, look.empty | ~used)
        if wrong is not None:
            what = what_is_wrong(look.values[wrong], look.column.kind)
            sentences.append(
                f"column {name!r}, row {wrong + 1}: {look.values[wrong]:g} is {what}; correct it,"
                " use a larger unit, or leave the column out with --drop"
            )
    return sentences
