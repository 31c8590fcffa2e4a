"""What the commands print: at most 100 columns, warnings as plain sentences."""

from __future__ import annotations

import textwrap
import warnings
from contextlib import contextmanager

from ..parts.names import printable
from ..report.table import Table

WIDTH = 100
"""Columns of the screen."""
CONTINUED = len(" (continued)")


def print_line(text=""):
    """Print a line, of names only what a terminal does not obey."""
    print(printable(text), flush=True)


def print_paragraph(text="", indent=""):
    """Print a text, broken into lines; `indent` goes before each but the first."""
    options = dict(subsequent_indent=indent, break_on_hyphens=False)
    print(textwrap.fill(printable(text), WIDTH, **options), flush=True)


@contextmanager
def warnings_as_notes(label=""):
    """Collect the warnings of a block as sentences, a list of str that is filled at its end.

    Each once; the label stands behind the word "note".
    """
    collected = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield collected
    for text in dict.fromkeys(str(warning.message) for warning in caught):
        collected.append(f"note{label}: {' '.join(text.split())}")


def choose_by_bic(fit, bic, icl, numbers):
    """Fit every number of experts, print a line for each as it is done, return the best by BIC.

    Parameters
    ----------
    fit : callable (K) -> model
    bic, icl : callable (model) -> float
    numbers : iterable of int

    Returns
    -------
    model
    """
    print(f"{'K':>4}{'log-likelihood':>18}{'parameters':>14}{'BIC':>14}{'ICL':>14}", flush=True)
    fitted, all_notes = {}, []
    for K in numbers:
        with warnings_as_notes(f" (K = {K})") as notes:
            fitted[K] = model = fit(K)
        all_notes += notes
        print(
            f"{K:>4}{model.log_likelihood_:>18.2f}{model.n_parameters_:>14}"
            f"{bic(model):>14.2f}{icl(model):>14.2f}",
            flush=True,
        )
    for note in all_notes:
        print_paragraph(note, indent="  ")
    best = min(fitted, key=lambda K: bic(fitted[K]))
    if len(fitted) > 1:
        print_paragraph(f"BIC is lowest for K = {best}.")
        if best == max(fitted):
            print_paragraph("note: that is the end of the range; more experts may be better still.")
    return fitted[best]


def print_table(table):
    """Print a `Table`, in several parts below each other if it is wider than the screen."""
    rows = [[_shortened(row[0]), *row[1:]] for row in table.rows]
    head, title = [*map(_shortened, table.head)], _shortened(table.title, WIDTH - CONTINUED)
    stop = len(head)
    while stop > 2 and _width(Table("", head[:stop], [row[:stop] for row in rows])) > WIDTH:
        stop -= 1
    print(Table(title, head[:stop], [row[:stop] for row in rows]))
    if stop < len(head):
        rest = [[row[0], *row[stop:]] for row in rows]
        title = title.removesuffix(" (continued)") + " (continued)"
        print_table(Table(title, [head[0], *head[stop:]], rest))


def _width(table):
    """Return the length of a table's longest line, an int."""
    return max(map(len, str(table).splitlines()))


def _shortened(name, longest=40):
    """Return a name cut to so many letters, the last of them an ellipsis, a str."""
    name = printable(name)
    return name if len(name) <= longest else name[: longest - 1] + "…"
