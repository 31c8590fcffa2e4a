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
    model

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
    print_table(_table(candidates, best, measures))
    if len(candidates) > 1:
        better = "lowest" if measures[0].lowest else "highest"
        print_paragraph(f"{measures[0].name} is {better} for K = {best.K}.")
    for K, error in failures.items():
        print_notes([f"K = {K} could not be fitted: {error}"])
    _print_warnings(candidates, best, full)
    if progress.interrupted:
        _print_interruption(candidates)
    return best.model


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


def _print_warnings(candidates, best, full):
    """Print what was said of the best fit, and whether there was more."""
    print_notes(best.warnings)
    others = [c for c in candidates if c is not best and set(c.warnings) - set(best.warnings)]
    if full:
        for other in others:
            print_notes([f"with K = {other.K}: {text}" for text in other.warnings])
    elif others:
        numbers = ", ".join(str(other.K) for other in others)
        print_notes([f"the fits with K = {numbers} gave warnings too; --verbose shows them"])


def _print_interruption(candidates):
    """Print how far an interrupted search has come."""
    last = candidates[-1]
    told = "is the last that was fitted" if last.complete else "was interrupted on the way"
    print_notes([f"K = {last.K} {told}; this is the best so far"])
