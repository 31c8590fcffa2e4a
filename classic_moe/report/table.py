"""`Table`: a small table of numbers, as plain text and as HTML; how numbers are written."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape

import numpy as np

from ..parts.names import printable

PLAIN = 1e10
"""Numbers below this are written without an exponent, unless they are below 1e-4."""
NUMBER = re.compile(r"[-+]?(\d+)(\.\d*)?(e[-+]\d+)?( %)?")
"""What a cell holds that is aligned with the numbers above and below it."""


@dataclass(frozen=True)
class Table:
    """A small table: a title, column heads, and rows that start with their label.

    As text, numbers stand with their decimal points below each other, and words start so.
    """

    title: str
    head: list[str]
    rows: list[list]

    def _cells(self):
        return [[cell_text(cell) for cell in row] for row in (self.head, *self.rows)]

    def __str__(self):
        columns = [_aligned(column) for column in zip(*self._cells(), strict=True)]
        lines = ["  ".join(cells).rstrip() for cells in zip(*columns, strict=True)]
        return "\n".join([printable(self.title), *lines])

    def _repr_html_(self):
        head, *body = self._cells()
        top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
        rows = "".join(
            "<tr><th>"
            + escape(row[0])
            + "</th>"
            + "".join(f"<td>{escape(c)}</td>" for c in row[1:])
            + "</tr>"
            for row in body
        )
        return (
            f"<table><caption>{escape(printable(self.title))}</caption><thead><tr>{top}</tr></thead>"
            f"<tbody>{rows}</tbody></table>"
        )


def _aligned(column):
    """Return the cells of a column, its head first, in one width; a list of str."""
    head, *body = column
    numbers = [match for cell in body if (match := NUMBER.fullmatch(cell))]
    if not numbers:
        width = max(map(len, column))
        return [cell.ljust(width) for cell in column]
    after = max(_after_point(match[0]) for match in numbers)
    body = [
        cell + " " * (after - _after_point(cell)) if NUMBER.fullmatch(cell) else cell
        for cell in body
    ]
    width = max(map(len, (head, *body)))
    return [cell.rjust(width) for cell in (head, *body)]


def _after_point(text):
    """Return the number of letters of a number from its decimal point on, an int."""
    return len(text) - len(re.match(r"[-+]?\d+", text)[0])


def short_name(name, longest=40):
    """Return a name for a terminal, cut to so many letters: an ellipsis stands for its middle."""
    name = printable(str(name))
    if len(name) <= longest:
        return name
    end = longest // 3  # names that begin alike often differ at their end
    return f"{name[: longest - 1 - end]}…{name[-end:]}"


def cell_text(cell, digits=4):
    """Return a cell as text, a number with so many significant digits or more; str."""
    if not isinstance(cell, (float, np.floating)):
        return printable(str(cell))
    if 1e4 <= abs(cell) < PLAIN:
        before_point = len(f"{abs(cell):.0f}")
        return f"{cell:.{max(2, digits - before_point)}f}"
    return f"{cell:.{digits}g}"  # with an exponent where it is very large or very small


def number_text(value, digits=4):
    """Return a number as it stands in a sentence: rounded, no zeros at its end; str."""
    text, e, exponent = alike([value], digits)[0].partition("e")
    return (text.rstrip("0").rstrip(".") if "." in text else text) + e + exponent


def alike(values, digits=4):
    """Return numbers of one unit as text, with so many decimals each that they can be compared.

    The largest has `digits` significant digits, or all those before its decimal point, and the
    smallest two where that takes no more than two further decimals; a list of str.
    """
    sizes = [_size(value) for value in values if 1e-4 <= abs(value) < PLAIN]
    decimals = 0
    if sizes:
        decimals = digits - 1 - max(sizes)
        decimals = max(0, decimals, min(1 - min(sizes), decimals + 2))
    return [_fixed(float(value), decimals, digits) for value in values]


def _size(value):
    """Return the exponent of a number other than 0, an int."""
    return int(np.floor(np.log10(abs(value))))


def _fixed(value, decimals, digits):
    """Return a number with so many decimals, or with an exponent where these do not show it."""
    if value == 0:
        return "0"
    if 1e-4 <= abs(value) < PLAIN:
        text = f"{value:.{decimals}f}"
        if float(text) != 0:
            return text
    return f"{value:.{digits - 2}e}"
