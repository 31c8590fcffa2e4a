"""The search for the best maximum: climbs from starts, and from what hops make of the best so far.

Trials come in rounds, each a start and some hops from the best maxima so far: two experts are
merged and another is split, or all rows go half to a random start. A round depends on those before
it alone, so that the search for `n_init` starts is the beginning of that for more of them, and more
are never worse (but where an expert has died: the hops that revive it come last). The trials of a
round do not depend on each other, so that threads may share them. Where one maximum is the best of
several starts the search ends: easy data cost three climbs.

References
----------
Ueda, N., Nakano, R., Ghahramani, Z. & Hinton, G. E. (2000). SMEM algorithm for mixture models.
Neural Computation 12, 2109-2128.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ..data.batches import whole
from ..data.threads import Threads
from ..model.passes import group_rows
from ..solvers import Result
from ..solvers.loop import Coarse, asks_to_stop
from .listening import teller

MET, MET_OF_GROUPS = 3, 8
"""Starts that reach the best maximum after which it is taken for the best there is. Groups are few,
their starts much alike and the climbs short."""
ALONE = 5
"""Starts before the first hop: on easy data most of them end at one maximum."""
HOPS, FEW_ROWS = 12, 500
"""Hops of a round; rows up to which there is one even where the starts agree."""
FEWEST = 60
"""Weight below which there are no hops: of so few rows rounding decides where they lead."""
AGAIN = 10
"""Rounds of hops alone, at most, that follow a round which found a better maximum."""
POOL, TURNS = 3, (0, 1, 0, 0, 0, 0)
"""Maxima that are kept, and from which of them the hops of a round begin."""
SAME = 2e-5
"""A unit of weight: climbs that end closer than this have met at one maximum."""
ALIKE = 1e-2
"""The same of the experts' shares of the rows."""
REACH, SHORT = 2.0, 12
"""How many times its gain of so many iterations a climb is trusted to gain still. This
halves the passes on Friedman's data, and loses one in six of the climbs that would have won."""
LOOSE = 1e-6
"""Tolerance of the climbs; those that are kept go on to the caller's."""
IN_DOUBT = 4.0
"""Standard errors of the difference of two maxima on a sample, up to which both are tried."""
LIVE = 1.0
"""Effective rows below which an expert is dead."""
REVIVALS = 6
"""Hops, at most, that look for a better place for a dead expert."""


class Ending(NamedTuple):
    """How a climb ended, for the record.

    Attributes
    ----------
    kind : {"start", "hop", "given"}
        What it began with; "given": parameters, those of another fit too.
    early, objective : float
        The objective after a short run, and at the end.
    resp : ndarray of shape (K,) or None
        Sums of the responsibilities; None of a climb that failed.
    outcome : {"chosen", "ended", "given up", "collapsed", "failed"}
        "chosen": it leads to the fit. "failed": the objective is no number there.
    """

    kind: str
    early: float
    objective: float
    resp: np.ndarray | None
    outcome: str

    @classmethod
    def of(cls, kind, result, short, outcome="chosen") -> Ending:
        """Return how a climb ended from its `Result`; a short run has `short` iterations."""
        history = result.history
        early = history[min(short, len(history) - 1)]
        resp = None if outcome == "failed" else result.stats["resp"]
        return cls(kind, early, history[-1], resp, outcome)


class Maximum(NamedTuple):
    """Where a climb ended.

    Attributes
    ----------
    result : Result
    start : Params
        Where it began.
    early : float
        Its objective after a short run.
    key : tuple of bool and float
        That sorts the better first: a collapsed fit loses to any that is not.
    ending : Ending
    """

    result: Result
    start: dict
    early: float
    key: tuple
    ending: Ending


class Trial(NamedTuple):
    """A climb to be made.

    Attributes
    ----------
    kind : {"start", "hop"}
    number, of : int
        Which of its kind it is, from 1, of how many.
    resp : callable () -> ndarray of shape (n, K)
        The responsibilities that it begins with.
    """

    kind: str
    number: int
    of: int
    resp: object


class Search:
    """Looks for the best maximum of a model on some rows.

    Parameters
    ----------
    model : MixtureModel
    batches : ArrayBatches
        All rows, or a sample of them.
    begin : callable (resp) -> Params
        Starting values from responsibilities (n, K).
    hop : callable (resp, number) -> resp, or None
        The responsibilities (n, K) that a hop begins with; None: there are none.
    options : dict
        solver, max_iter, tol, verbose and reported, as of `race.best_of`.
    sampled : bool, default=False
        Whether there are more rows than these.
    n_threads : int, default=1
        Climbs made at a time, which changes nothing else.

    Attributes
    ----------
    pool : list of Maximum
        The best so far, the very best first.
    endings : list of Ending
        How all climbs ended, in the order of the trials.
    stopped : bool
        Whether whoever listens asked to stop.
    """

    def __init__(self, model, batches, begin, hop, options, sampled=False, n_threads=1):
        self.model, self.batches, self.begin, self.options = model, batches, begin, options
        solver = options["solver"]
        self.foretells = solver.foretells and model.extrapolates
        self.solver = solver.contender() if self.foretells else solver.scout()
        self.tol = max(options["tol"], LOOSE) if self.foretells else options["tol"]
        self.short = min(solver.short_run, model.expert.learning.short_run)
        self.hop = hop if self.foretells and batches.total_weight >= FEWEST else None
        self.sampled, self.n_threads = sampled, n_threads if self.foretells else 1
        self.enough = MET_OF_GROUPS if "groups" in whole(batches).facts else MET
        self.enough = self.enough if hop else np.inf  # the caller's own starts are all tried
        self.pool, self.endings, self.stopped = [], [], False
        self.met = self.hops = 0

    def run(self, starts):
        """Climb from starts, callables () -> resp, and hop as long as it is worth it."""
        n = len(starts)
        todo = [Trial("start", i + 1, n, start) for i, start in enumerate(starts)]
        while todo and not self.stopped and (self.met < self.enough or self._doubts()):
            n_now = 1 if self.pool else MET
            now, todo = todo[:n_now], todo[n_now:]
            hops = self.hop and self.pool and (now[-1].number > ALONE or self.met >= self.enough)
            hops = HOPS if hops else 0
            improved = self._round([*now, *self._hops(hops)])
            for _ in range(AGAIN):
                if not (hops and improved) or self.stopped:
                    break
                improved = self._round(self._hops(hops))
        for _ in range(REVIVALS):
            if self.stopped or not self.hop or not self._has_dead():
                break
            self._round(self._hops(1), certain=True)

    def _doubts(self):
        """Return whether few rows, on which hops cost little, have not seen one yet."""
        return bool(self.hop) and self.batches.n <= FEW_ROWS and not self.hops

    def kept(self):
        """Return the maxima that may be the best on all rows, the best of the search first.

        On a sample, those less than a few standard errors of the difference below the best.
        """
        if not self.sampled or len(self.pool) < 2:
            return self.pool[:1]
        best, weight = self._log_prob(self.pool[0]), whole(self.batches).weight
        losses = [weight * (best - self._log_prob(other)) for other in self.pool]
        in_doubt = (
            abs(loss.sum()) <= IN_DOUBT * np.sqrt(len(loss)) * loss.std() for loss in losses
        )
        return [one for one, doubt in zip(self.pool, in_doubt, strict=True) if doubt]

    def _log_prob(self, maximum):
        """Return what each row of the sample says of a maximum, log p (n,)."""
        X, y, _, _ = whole(self.batches)
        return self.model.log_prob(maximum.result.params, X, y)

    def _hops(self, count):
        """Return trials that hop from the best maxima."""
        if not count:
            return []
        each = [_responsibilities(self.model, one.result.params, self.batches) for one in self.pool]
        first, self.hops = self.hops + 1, self.hops + count

        def resp(number):
            return self.hop(each[TURNS[number % len(TURNS)] % len(each)], number)

        return [
            Trial("hop", number, self.hops, lambda number=number: resp(number))
            for number in range(first, self.hops + 1)
        ]

    def _round(self, trials, certain=False):
        """Climb from every trial, against the maxima before all; return whether the best is better.

        `certain`: a climb is not given up.
        """
        gives_up = self.pool and not certain and (self.hop or not self.foretells)
        # A start is to reach a maximum worth hopping from, a hop a better one.
        bars = {"start": self.pool[-1], "hop": self.pool[0]} if gives_up else {}
        reported = self.options["reported"]
        begun = (  # in this thread, which a listener is of, and while others climb
            (trial, self.begin(trial.resp()), teller(*trial[:3], reported)) for trial in trials
        )
        improved, first = False, not self.pool
        with Threads(min(self.n_threads, len(trials))) as threads:
            ends = threads.map(lambda one: self._climb(*one, bars.get(one[0].kind)), begun)
            for trial, (ending, found) in zip(trials, ends, strict=True):
                self.endings.append(ending)
                if found is not None:
                    improved = self._take(found, trial.kind == "start") or improved
                if self.stopped:
                    break
        return improved and not first

    def _climb(self, trial, start, tell, bar):
        """Return how a climb ended, an `Ending`, and the `Maximum` that it ended at.

        None for a maximum where it promises less than a bar.
        """
        options = self.options
        watch = _Watch(self, tell, bar)
        result = self.solver.run(
            self.model,
            start,
            self.batches,
            max_iter=options["max_iter"],
            tol=self.tol,
            callback=watch,
        )
        self.stopped = self.stopped or watch.asked
        if options["verbose"] > 1:
            value = options["reported"](result.objective)
            given_up = ", given up" if watch.gave_up else ""
            print(f"{trial.kind} {trial.number} of {trial.of}: objective {value:.6f}{given_up}")
        if not np.isfinite(result.objective):
            return Ending.of(trial.kind, result, self.short, "failed"), None
        if watch.gave_up:
            return Ending.of(trial.kind, result, self.short, "given up"), None
        if self._is_poor(result):
            return Ending.of(trial.kind, result, self.short, "ended"), None
        key = sort_key(self.model, result)
        ending = Ending.of(trial.kind, result, self.short, "collapsed" if key[0] else "ended")
        if self.foretells:  # to a looser tolerance, or by a plainer solver
            result = replace(result, converged=False)
        return ending, Maximum(replace(result, stopped=False), start, watch.early, key, ending)

    def _is_poor(self, result):
        """Return whether a climb has ended below all of a full pool of healthy maxima."""
        last = self.pool[-1] if len(self.pool) == POOL else None
        poorest = last is not None and not last.key[0]
        return poorest and rank(result) < rank(last.result) - SAME * self.batches.total_weight

    def _take(self, found, is_start):
        """Put the end of a climb in the pool, and count the starts that meet at its best.

        Returns whether it is a better maximum than those before, and not only one of them again.
        """
        twins = [one for one in self.pool if self._are_same(found, one)]
        others = [one for one in self.pool if not self._are_same(found, one)]
        # The first of them stands for its maximum: which is better is the rounding's to say.
        own = min([*twins[:1], found], key=_healthier)
        pool = sorted([own, *others], key=_key)[:POOL]
        again = any(one is self.pool[0] for one in twins)  # the maximum that was best before
        if pool[0] is own:
            self.met = is_start + (self.met if again else 0)
        self.pool = pool
        return pool[0] is own and not again

    def _are_same(self, found, other):
        """Return whether two climbs have ended at one maximum."""
        one, other = found.result, other.result
        shares = (np.sort(result.stats["resp"]) for result in (one, other))
        total = self.batches.total_weight
        return (
            abs(rank(one) - rank(other)) <= SAME * total
            and np.abs(np.subtract(*shares)).max() <= ALIKE * total
        )

    def _has_dead(self):
        """Return whether an expert of the best maximum has lost its rows."""
        return bool(self.pool) and self.pool[0].result.stats["resp"].min() < LIVE


class _Watch(Coarse):
    """Ends a climb that promises less than a maximum, or where whoever listens asks to."""

    def __init__(self, search, tell, maximum):
        self.search, self.tell, self.maximum = search, tell, maximum
        self.asked = self.gave_up = False
        self.last, self.early = None, None
        if maximum is not None and search.foretells:
            self.bar = maximum.result.objective, REACH, SHORT

    def __call__(self, iteration, params, value):
        if self.tell is not None:
            self.asked = asks_to_stop(self.tell(iteration, params, value))
        if iteration <= self.search.short or self.early is None:
            self.early = value
        if self.maximum is not None:
            if self.search.foretells:
                self.gave_up = self._promises_too_little(iteration, value)
            else:  # the climbs of black boxes take long: the best after short runs go on
                best = self.search.pool[0]
                self.gave_up = iteration == self.search.short and not value > best.early
        return self.asked or self.gave_up

    def _promises_too_little(self, iteration, value):
        """Return whether the gain since the last look, several times over, is too little."""
        bar, reach, short = self.bar
        if iteration < short or (self.last is not None and iteration - self.last[0] < short):
            return False
        before, self.last = self.last, (iteration, value)
        return before is not None and value + reach * (value - before[1]) < bar


def rank(result):
    """Return by what to tell the better of two results, a float."""
    return result.objective if result.rank is None else result.rank


def is_collapsed(model, result):
    """Return whether a part finds something severe about a fit."""
    return any(finding.severe for finding in model.diagnose(result.params, result.stats))


def sort_key(model, result):
    """Return a key that sorts the better first: a collapsed fit loses to any that is not."""
    return is_collapsed(model, result), -rank(result)


def _key(maximum):
    return maximum.key


def _healthier(maximum):
    return maximum.key[0]


def _responsibilities(model, params, batches):
    """Return the responsibilities of the rows, those of a group for each of its rows, (n, K)."""
    X, y, weight, facts = whole(batches)
    groups = facts.get("groups")
    if groups is None:
        return model.responsibilities(params, X, y)
    return model.grouped(params, X, y, weight, groups)[1][group_rows(groups)[1]]
