"""`Table`: a small table of numbers, as plain text and as HTML."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

import numpy as np

from ..parts.names import printable

PLAIN = 1e10
"""Numbers below this are written without an exponent, unless they are below 1e-4."""


@dataclass(frozen=True)
class Table:
    """A small table: a title, column heads, and rows that start with their label."""

    title: str
    head: list[str]
    rows: list[list]

    def _cells(self):
        return [[cell_text(cell) for cell in row] for row in (self.head, *self.rows)]

    def __str__(self):
        cells = self._cells()
        widths = [max(len(row[j]) for row in cells) for j in range(len(self.head))]
        lines = [
            "  ".join(
                [
                    row[0].ljust(widths[0]),
                    *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True)),
                ]
            )
            for row in cells
        ]
        return "\n".join([printable(self.title), *(line.rstrip() for line in lines)])

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


def cell_text(cell, digits=4):
    """Return a cell as text, a number with so many significant digits or more; str."""
    if not isinstance(cell, (float, np.floating)):
        return printable(str(cell))
    if 1e4 <= abs(cell) < PLAIN:
        before_point = len(f"{abs(cell):.0f}")
        return f"{cell:.{max(2, digits - before_point)}f}"
    return f"{cell:.{digits}g}"  # with an exponent where it is very large or very small
