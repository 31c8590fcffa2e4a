"""Penalties that a fit finds by itself: climbs at numbers, and MacKay's updates between them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from sklearn.base import clone

from ..model.evidence import determined_means, evidence
from ..model.information import NoInformation
from ..model.objectives import MixtureLikelihood
from ..parts.penalties import AUTO, PseudoRows
from ..solvers import Result
from .race import climb

FIRST = {"gate": 0.1, "expert": 1.0}
"""The alphas under which the search for the best maximum takes place."""
LEAST, MOST = {"gate": 1e-3, "expert": 1e-6}, 1e6
"""Bounds of an alpha; the least are those that keep a fit finite."""
WEAK_START = 1e-3
"""Where the second climb through alphas begins."""
ROUNDS, SETTLED, STAYS = 60, 1e-3, 1e-2
"""Updates at most; the change of a logarithm below which a number has settled; and below which it
stays so in the last climb, which is to the estimator's tolerance."""
LARGEST_RATIO, LONGEST = 0.95, 2.0
"""Of the steps of a path that is extrapolated; and the change of a logarithm at most."""
ROUGH = 1e-6
"""The tolerance of the climbs between updates."""
FIRST_ROWS = PseudoRows(1.0)
"""The prior of the variances in the search, where it is to be found."""


@dataclass(frozen=True)
class Automatic:
    """Which penalties of a model are to be found, and the parts with words in place of numbers.

    Attributes
    ----------
    gate, expert : the parts as the caller gave them
    alphas : tuple of str, the parts whose alpha is to be found
    variance : bool, whether the pseudo-rows of the experts' variances are
    corrects : bool, whether variances divide by the rows without those that the slopes take
    """

    gate: object
    expert: object
    alphas: tuple
    variance: bool
    corrects: bool

    @classmethod
    def of(cls, gate, expert):
        """Return what is to be found of two parts; None where nothing is."""
        words = {"gate": gate.words(), "expert": expert.words()}
        alphas = tuple(part for part, own in words.items() if own.get("alpha") == AUTO)
        variance = words["expert"].get("variance_prior") == AUTO
        if not (alphas or variance):
            return None
        corrects = "expert" in alphas and "variance_prior" in expert.automatic
        return cls(gate, expert, alphas, variance, corrects)

    def check(self, model, solver, facts):
        """Raise a ValueError of one sentence where no evidence tells the penalties of a model.

        `facts` are the names of what is known of its rows.
        """
        lacking = model.lacks("rows") + model.lacks("second derivatives")
        reason = ""
        if type(model.objective) is not MixtureLikelihood or not solver.climbs_likelihood:
            reason = (
                f"{type(model.objective).__name__}, climbed by {type(solver).__name__}, is none"
            )
        elif lacking:
            reason = f"{lacking[0]} has no second derivatives"
        elif "groups" in facts:
            reason = "of rows in groups it is not worked out"
        if reason:
            self.refuse(reason)

    def refuse(self, reason):
        """Raise a ValueError about the penalties that are not to be found, for a reason."""
        names = [f"{part}__alpha" for part in self.alphas]
        names += ["expert__variance_prior"] * self.variance
        raise ValueError(
            f"{names[0]}='auto' needs the evidence of a likelihood, and {reason}; use a number, or"
            " 'weak'."
        )

    def first(self) -> dict:
        """Return gate and experts with the numbers under which the search takes place."""
        parts = self.parts(Numbers())
        if self.variance or self.corrects:
            parts["expert"] = clone(parts["expert"]).set_params(variance_prior=FIRST_ROWS)
        return parts

    def parts(self, numbers) -> dict:
        """Return gate and experts with these `Numbers` for words."""
        alphas, variance = numbers.alphas, numbers.variance
        gate = self.gate.with_numbers({"alpha": alphas.get("gate")})
        words = {"alpha": alphas.get("expert"), "variance_prior": variance}
        expert = self.expert.with_numbers(words)
        if self.corrects and not self.variance:
            prior = replace(PseudoRows.of(expert.variance_prior), spread=variance.spread)
            expert = expert.set_params(variance_prior=prior)
        return {"gate": gate, "expert": expert}


@dataclass(frozen=True)
class Numbers:
    """The numbers of the penalties that are found.

    Attributes
    ----------
    alphas : dict of str to float, by part
    variance : PseudoRows, of the experts' variances
    """

    alphas: dict = field(default_factory=lambda: dict(FIRST))
    variance: PseudoRows = FIRST_ROWS

    def change(self, other, automatic) -> float:
        """Return the largest change of a logarithm from these numbers to others."""
        pairs = [(self.alphas[part], other.alphas[part]) for part in automatic.alphas]
        if automatic.variance:
            pairs.append((1 + self.variance.rows, 1 + other.variance.rows))
            pairs.append((self.variance.variance, other.variance.variance))
        if automatic.corrects and self.variance.spread is not None:
            spreads = self.variance.spread, other.variance.spread
            pairs += zip(*(np.trace(s, axis1=1, axis2=2) for s in spreads), strict=True)
        elif automatic.corrects:
            return np.inf
        pairs = np.array(pairs) + 1e-300
        return float(np.abs(np.log(pairs[:, 0] / pairs[:, 1])).max(initial=0.0))


class Settled(NamedTuple):
    """Penalties that have settled, and where the climb has led.

    Attributes
    ----------
    numbers : Numbers
    result : Result
    value : float
        The log evidence.
    """

    numbers: Numbers
    result: Result
    value: float


def settle(problem, result, **options):
    """Return the problem at the penalties that the evidence asks for, its result, and `Settled`.

    Two climbs through the penalties, one from where the search took place and one from weak ones,
    since there may be several fixed points; the one with more evidence goes on to convergence.

    Parameters
    ----------
    problem : Problem
        At the penalties of the search.
    result : Result
        Of the search.
    options : max_iter, tol, callback and verbose, as of `race`
    """
    automatic, starts = problem.automatic, [Numbers()]
    if automatic.alphas and problem.n_experts > 1:
        starts.append(Numbers(dict.fromkeys(FIRST, WEAK_START)))
    quiet = options | dict(callback=None, tol=max(options["tol"], ROUGH))
    each = [_settled(problem, result.params, numbers, quiet) for numbers in starts]
    best = max(each, key=lambda one: one.value)
    for last in (False, True):
        problem = replace(problem, model=_model(problem, best.numbers))
        result = _climb(problem, best.result.params, problem.solver, options)
        value, following = _looked(problem, best.numbers, result)
        if last or result.stopped or best.numbers.change(following, automatic) < STAYS:
            return problem, result, Settled(best.numbers, result, value)
        best = _settled(problem, result.params, following, quiet)  # the climb led elsewhere


def _model(problem, numbers):
    return replace(problem.model, **problem.automatic.parts(numbers))


def _climb(problem, params, solver, options):
    """Return where a climb leads at the penalties of the problem."""
    model, batches, reported = problem.model, problem.batches, problem.units.objective
    return climb(model, params, batches, solver=solver, reported=reported, **options)


def _looked(problem, numbers, result):
    """Return the log evidence of a fit and the numbers that it asks for."""
    try:
        found = evidence(problem.model, result.params, problem.batches, result.stats)
    except NoInformation as error:
        problem.automatic.refuse(f"there is none: {error}")
    return found.value, updated(problem, numbers, result, found)


def _settled(problem, params, numbers, options) -> Settled:
    """Return where climbs lead from params and numbers, with updates between them."""
    solver, path = problem.solver.scout(), []
    for _ in range(ROUNDS):
        problem = replace(problem, model=_model(problem, numbers))
        result = _climb(problem, params, solver, options)
        params = result.params
        value, following = _looked(problem, numbers, result)
        if numbers.change(following, problem.automatic) < SETTLED:
            break
        path.append(numbers)
        numbers = following
        if len(path) == 3:
            numbers, path = _ahead(path, following), []
    return Settled(numbers, result, value)


def _ahead(path, last) -> Numbers:
    """Return where the alphas of a path of updates lead, by Aitken's rule, from the last ones on.

    Their logarithms approach the fixed point by a constant share a step.
    """
    alphas = dict(last.alphas)
    for part, end in last.alphas.items():
        logs = np.log([*(numbers.alphas[part] for numbers in path[1:]), end])
        first, second = np.diff(logs)
        ratio = second / first if first else 0.0
        if 0 < ratio < LARGEST_RATIO:
            ahead = np.exp(np.clip(second * ratio / (1 - ratio), -LONGEST, LONGEST))
            alphas[part] = float(np.clip(end * ahead, LEAST[part], MOST))
    return replace(last, alphas=alphas)


def updated(problem, numbers, result, found) -> Numbers:
    """Return the numbers that the evidence of a fit asks for."""
    automatic, expert = problem.automatic, problem.model.expert
    alphas = dict(numbers.alphas)
    for part in automatic.alphas:
        determined, squares = found.slopes[part]
        factor = determined / max(squares, 1e-300)
        alphas[part] = float(np.clip(alphas[part] * factor, LEAST[part], MOST))
    if not (automatic.variance or automatic.corrects):
        return Numbers(alphas)
    own, rows = result.params["expert"], result.stats["resp"]
    taken = np.zeros(len(rows))
    if automatic.corrects:
        taken = determined_means(found, own["coef"].shape[1])
    variance = expert.pseudo_rows(own, rows, taken, automatic.variance)
    return Numbers(alphas, variance)
