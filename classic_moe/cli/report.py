"""What the commands print: at most 100 columns, no Python warnings."""

from __future__ import annotations

import textwrap
import warnings
from contextlib import contextmanager

from ..report.table import Table

WIDTH = 100


def say(text="", indent=""):
    """Print a paragraph."""
    print(textwrap.fill(text, WIDTH, subsequent_indent=indent, break_on_hyphens=False), flush=True)


@contextmanager
def notes(label=""):
    """Collect the warnings of a block as plain sentences."""
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
    fitted, remarks = {}, []
    for K in numbers:
        with notes(f" (K = {K})") as collected:
            model = fit(K)
        fitted[K] = model
        remarks += collected
        print(
            f"{K:>4}{model.log_likelihood_:>18.2f}{model.n_parameters_:>14}"
            f"{bic(model):>14.2f}{icl(model):>14.2f}",
            flush=True,
        )
    for remark in remarks:
        say(remark, indent="  ")
    best = min(fitted, key=lambda K: bic(fitted[K]))
    if len(fitted) > 1:
        say(f"BIC is lowest for K = {best}.")
        if best == max(fitted):
            say("note: that is the end of the range; more experts may be better still.")
    return fitted[best]


def show(table):
    """Print a `Table`, in several parts if it is wider than the screen."""
    rows = [[_shortened(row[0]), *row[1:]] for row in table.rows]
    head = [*map(_shortened, table.head)]
    stop = len(head)
    while stop > 2 and _width(Table("", head[:stop], [row[:stop] for row in rows])) > WIDTH:
        stop -= 1
    print(Table(table.title, head[:stop], [row[:stop] for row in rows]))
    if stop < len(head):
        rest = [[row[0], *row[stop:]] for row in rows]
        show(Table(f"{table.title} (continued)", [head[0], *head[stop:]], rest))


def _width(table):
    return max(map(len, str(table).splitlines()))


def _shortened(name, longest=40):
    return name if len(name) <= longest else name[: longest - 1] + "…"
