"""The number of experts: a fit for each, and what chooses among them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from ..report.table import Table
from .report import collected_warnings, print_notes, print_paragraph, print_table


@dataclass(frozen=True)
class Measure:
    """A number by which fits are compared: its name, how to work it out, which is better."""

    name: str
    of: Callable
    lowest: bool = True

    def rank(self, candidate):
        """Return a float, lower for the better; what is no number comes last."""
        value = candidate.values[self.name]
        if math.isnan(value):
            return math.inf
        return value if self.lowest else -value


@dataclass
class Candidate:
    """A fitted model with its measures, by name, and what was said during the fit."""

    K: int
    model: object
    values: dict = field(default_factory=dict)
    warnings: list = field(default_factory=list)
    complete: bool = True


@dataclass(frozen=True)
class Choice:
    """What was fitted, and what came out best.

    Attributes
    ----------
    candidates : list of Candidate
    best : Candidate
    table : Table
        Of all fits.
    said : list of str
        What chose, where there was a choice.
    notes : list of str
        What else there is to say of the fits.
    measures : list of Measure
        The first chose.
    """

    candidates: list
    best: Candidate
    table: Table
    said: list
    notes: list
    measures: list

    @property
    def model(self):
        """The best fit."""
        return self.best.model


def choose(numbers, fit, measures, progress, *, full=False):
    """Fit every number of experts, print a table of them, return the best by the first measure.

    Parameters
    ----------
    numbers : range
    fit : callable (K) -> model
    measures : list of Measure
    progress : Progress
        Told which K is fitted; where Ctrl-C is to keep the best so far, it says so.
    full : bool, default=False
        Whether to print the warnings of all fits, or those of the chosen one.

    Returns
    -------
    Choice

    Raises
    ------
    ValueError
        Where no number of experts can be fitted.
    """
    candidates, failures = [], {}
    with progress:
        for K in numbers:
            if progress.interrupted and candidates:
                break
            progress.begin(f"K = {K}" + (f" of {_span(numbers)}" if len(numbers) > 1 else ""))
            try:
                candidates.append(_candidate(K, fit, measures, progress))
            except ValueError as error:
                failures[K] = error
    if not candidates:
        raise failures[numbers[0]]
    best = min(candidates, key=measures[0].rank)
    table, said, notes = _table(candidates, best, measures), [], []
    print_table(table)
    if len(candidates) > 1:
        better = "lowest" if measures[0].lowest else "highest"
        said.append(f"{measures[0].name} is {better} for K = {best.K}.")
        print_paragraph(said[0])
    notes += [f"K = {K} could not be fitted: {error}" for K, error in failures.items()]
    notes += _warnings(candidates, best, full)
    if progress.interrupted:
        notes.append(_interruption(candidates))
    print_notes(notes)
    return Choice(candidates, best, table, said, notes, measures)


def _candidate(K, fit, measures, progress):
    """Return the `Candidate` of K experts."""
    with collected_warnings() as warnings:
        candidate = Candidate(K, fit(K), warnings=warnings)
    candidate.complete = not progress.interrupted
    candidate.values = {measure.name: measure.of(candidate.model) for measure in measures}
    return candidate


def _span(numbers):
    """Return a range as the user writes it, a str."""
    return f"{numbers[0]}-{numbers[-1]}" if len(numbers) > 1 else f"{numbers[0]}"


def _table(candidates, best, measures):
    """Return the `Table` of all fits, in which the best is marked."""
    marked = len(candidates) > 1
    head = ["K", "log-likelihood", "parameters", *(measure.name for measure in measures)]
    rows = []
    for candidate in candidates:
        model = candidate.model
        cells = [f"{model.log_likelihood_:.2f}", str(model.n_parameters_)]
        cells += [_number(candidate.values[measure.name]) for measure in measures]
        mark = ["<- chosen" if candidate is best else ""] * marked
        rows.append([str(candidate.K), *cells, *mark])
    return Table("Numbers of experts", head + [""] * marked, rows)


def _number(value):
    """Return a measure as text, a str."""
    return "-" if math.isnan(value) else f"{value:.4f}" if abs(value) < 10 else f"{value:.2f}"


def _warnings(candidates, best, full):
    """Return what was said of the best fit, and whether there was more, a list of str."""
    found = list(best.warnings)
    others = [c for c in candidates if c is not best and set(c.warnings) - set(best.warnings)]
    if full:
        found += [f"with K = {other.K}: {text}" for other in others for text in other.warnings]
    elif others:
        numbers = ", ".join(str(other.K) for other in others)
        found.append(f"the fits with K = {numbers} gave warnings too; --verbose shows them")
    return found


def _interruption(candidates):
    """Return how far an interrupted search has come, a sentence."""
    last = candidates[-1]
    told = "is the last that was fitted" if last.complete else "was interrupted on the way"
    return f"K = {last.K} {told}; this is the best so far"
