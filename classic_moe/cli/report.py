"""What the commands print: at most 100 columns, warnings as plain sentences."""

from __future__ import annotations

import textwrap
import warnings
from contextlib import contextmanager

from ..parts.names import printable
from ..report.table import Table, short_name

WIDTH = 100
"""Columns of the screen."""
CONTINUED = " (continued)"
"""Of a table, after its title."""


def print_line(text=""):
    """Print a line, of names only what a terminal does not obey."""
    print(printable(text), flush=True)


def print_paragraph(text="", indent=""):
    """Print a text, broken into lines; `indent` goes before each but the first."""
    options = dict(subsequent_indent=indent, break_on_hyphens=False)
    print(textwrap.fill(printable(text), WIDTH, **options), flush=True)


def print_notes(notes):
    """Print sentences, each marked as a note."""
    for note in notes:
        print_paragraph(f"note: {note}", indent="  ")


@contextmanager
def collected_warnings():
    """Collect the warnings of a block, each once, a list of str that is filled at its end."""
    collected = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield collected
    for text in dict.fromkeys(str(warning.message) for warning in caught):
        collected.append(" ".join(text.split()))


def print_table(table):
    """Print a `Table`, in several parts below each other if it is wider than the screen."""
    for i, part in enumerate(parts_of(table)):
        print("\n" * bool(i), end="")
        print_paragraph(part.title, indent="  ")
        print(str(part).split("\n", 1)[1], flush=True)


def parts_of(table, width=WIDTH):
    """Yield a `Table` with its names cut, in several parts if its text is wider than `width`."""
    head, rows = [*map(short_name, table.head)], [[short_name(r[0]), *r[1:]] for r in table.rows]
    start, more = 1, ""
    while start == 1 or start < len(head):
        stop = len(head)
        while stop > start + 1 and _width(_part(head, rows, start, stop)) > width:
            stop -= 1
        yield _part(head, rows, start, stop, table.title + more)
        start, more = stop, CONTINUED


def _part(head, rows, start, stop, title=""):
    """Return a `Table` of some columns of another, and its labels."""
    return Table(title, [head[0], *head[start:stop]], [[r[0], *r[start:stop]] for r in rows])


def _width(table):
    """Return the length of a table's longest line, an int."""
    return max(map(len, str(table).splitlines()))
