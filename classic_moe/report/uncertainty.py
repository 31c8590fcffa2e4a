"""What is said of the uncertainty of parameters: their table, and why a number is missing."""

from __future__ import annotations

from ..parts.names import printable
from .table import Table

TOLD = 8
"""Names that a note lists at most."""


def parameters_table(names, columns) -> Table:
    """Return a `Table` with a row for each name; `columns` are arrays (P,) by their heads."""
    rows = [[name, *numbers] for name, *numbers in zip(names, *columns.values(), strict=True)]
    return Table("Parameters", ["", *columns], rows)


def missing(reasons) -> list[str]:
    """Return why standard errors are missing, {name: reason}, as a sentence for each reason."""
    by_reason, found = {}, []
    for name, reason in reasons.items():
        by_reason.setdefault(reason, []).append(name)
    for reason, names in by_reason.items():
        more = f"; and {len(names) - TOLD} more" if len(names) > TOLD else ""
        found.append(printable(f"No standard error: {reason} ({'; '.join(names[:TOLD])}{more})."))
    return found
