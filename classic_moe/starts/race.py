"""From starting values to a fit: the best maximum of a search, on all rows."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np

from ..data.batches import whole
from ..model import fused_climb
from ..parts.params import map_leaves
from ..solvers import Result
from ..solvers.loop import Coarse, asks_to_stop
from .listening import teller
from .search import Ending, Search, sort_key

SHORT_ROWS = 20_000
"""Rows that a search looks at, at most."""
LEAST_ROWS, ROWS_A_NUMBER = 5_000, 50
"""Rows that it looks at, at least, and for each coefficient of the model."""


def race(problem, starts, **options) -> Result:
    """Return the best fit of a problem from `starting_points`; options as of `climb`."""
    model, batches = problem.model, problem.batches
    options |= dict(solver=problem.solver, reported=problem.units.objective)
    if isinstance(starts, dict):
        return _alone("given", model, starts, batches, options)
    return best_of(model, batches, starts, problem.labels, problem.rng, **options)


def best_of(model, batches, starts, classes, rng, **options) -> Result:
    """Return the best fit from several starts.

    Parameters
    ----------
    model : MixtureModel
    batches : ArrayBatches
    starts : Starts
    classes : ndarray of shape (C,) or None, the labels behind the codes
    rng : RandomState
    options : solver, max_iter, tol, callback, verbose, and `reported`, the function that turns the
        objective into what the caller is told
    """
    small = batches.sample(_rows_of_a_search(model, batches, starts), rng)

    def begin(resp):
        X, y, weight, facts = whole(small)
        fused = fused_climb.lookup(model, small)
        found = None if fused is None else fused.start(resp * weight[:, None])
        if found is not None:
            return found
        return model.init(X, y, resp * weight[:, None], rng, classes, facts.get("groups"))

    each = [functools.partial(start, small) for start in starts.each]
    if len(each) == 1:
        return _alone("start", model, begin(each[0]()), batches, options)
    hop = None if starts.hop is None else functools.partial(starts.hop, small)
    sampled = small.n < batches.n  # of rows on a device even all are a copy
    search = Search(model, small, begin, hop, options, sampled, batches.n_threads)
    with small:
        search.run(each)
    return _finish(search, batches, len(each), options)


def _alone(kind, model, start, batches, options):
    """Return the result of the only climb there is, with its ending."""
    result = climb(model, start, batches, **options)
    ending = Ending.of(kind, result, options["solver"].short_run)
    return replace(result, endings=[ending], start=start)


def _rows_of_a_search(model, batches, starts):
    """Return how many rows tell the better of two maxima, an int: more for larger models."""
    if starts.needs_all_rows:
        return batches.n
    if not model.extrapolates:  # black boxes, whose numbers nobody knows
        return SHORT_ROWS
    X, y, _, _ = batches.first()
    inputs = [model.gate_input(X).shape[1], model.expert_input(X).shape[1]]
    outputs = y.shape[1] if y.ndim > 1 else starts.n_classes
    numbers = starts.n_experts * (1 + inputs[0] + outputs * (2 + inputs[1]))
    return min(SHORT_ROWS, max(LEAST_ROWS, ROWS_A_NUMBER * numbers))


def _finish(search, batches, n_starts, options):
    """Return the fit on all rows that the maxima of a search lead to.

    Those that are kept, and others as long as none of them is a healthy fit of all rows.
    """
    model, kept, best = search.model, search.kept(), None
    solver = options["solver"]
    others = [one for one in search.pool if all(one is not each for each in kept)]
    for i, maximum in enumerate([*kept, *others]):
        if i >= len(kept) and best is not None and not best[0][0]:
            break
        place = i + 1, max(i + 1, len(kept))
        if len(kept) == 1:
            result = _go_on(search, maximum, batches, place, options)
        else:
            contending = options | dict(solver=solver.contender())
            result = _go_on(search, maximum, batches, place, contending)
        if not np.isfinite(result.objective):  # on all rows, of which the search saw some
            continue
        key = sort_key(model, result)
        if best is None or key < best[0]:
            best, chosen = (key, result), maximum
        if result.stopped:
            break
    if best is None:
        raise ValueError(_all_failed(n_starts))
    result = best[1]
    if len(kept) > 1 and result.converged and not result.stopped:
        if solver.goes_on(model, result, batches):
            result = _run(model, result.params, batches, before=result, place=place, **options)
    start = None if search.sampled else chosen.start
    return replace(result, endings=_endings(search, chosen, batches), start=start)


def _endings(search, chosen, batches):
    """Return how the climbs of a search ended, with sums over a sample scaled to all rows."""
    scale = 1.0
    if search.sampled:
        scale = batches.total_weight / search.batches.total_weight
    found = []
    for one in search.endings:
        outcome = "chosen" if one is chosen.ending else one.outcome
        found.append(
            one._replace(early=scale * one.early, objective=scale * one.objective, outcome=outcome)
        )
    return found


def _go_on(search, maximum, batches, place, options):
    """Return where the climb to a maximum leads, on all rows; a callback hears all of it."""
    model, result = search.model, maximum.result
    if search.sampled:
        return _run(model, result.params, batches, place=place, **options)
    if options["callback"] is not None:  # the same climb again
        again = options | dict(solver=search.solver, tol=search.tol)
        result = _run(model, maximum.start, batches, place=place, **again)
        if result.stopped:
            return result
        result = replace(result, converged=maximum.result.converged)
    return _run(model, result.params, batches, before=result, place=place, **options)


def climb(model, params, batches, **options) -> Result:
    """Run the solver to convergence; a ValueError where no model is found. Options as of `_run`."""
    result = _run(model, params, batches, **options)
    if not np.isfinite(result.objective):
        raise ValueError(
            "The objective is not finite at the starting values; look for extreme values in X, y or"
            " init_params."
        )
    return result


def _run(
    model,
    params,
    batches,
    *,
    solver,
    max_iter,
    tol,
    callback,
    verbose,
    reported,
    before=None,
    place=(1, 1),
) -> Result:
    """Run the solver to convergence, going on from the run `before` if there is one.

    `place`: which run it is, of how many.
    """
    done = 0 if before is None else len(before.history) - 1
    tell = teller("run", *place, reported)
    kind = _CoarseProgress if callback is None and verbose < 2 else _Progress
    watch = kind(callback, tell, verbose, reported, batches.total_weight, done)
    if before is not None and (
        done >= max_iter or (before.converged and not solver.goes_on(model, before, batches))
    ):
        stopped = asks_to_stop(watch(0, before.params, before.objective))
        watch.finish(before)
        return replace(before, stopped=stopped)
    solver = solver if before is None else solver.resumed()
    result = solver.run(
        model,
        params,
        batches,
        max_iter=max_iter - done,
        tol=tol,
        callback=watch,
    )
    if before is not None:
        result = result.after(before)
    watch.finish(result)
    return result


def _all_failed(n_starts):
    """Return what to say where no start leads to a model."""
    return (
        f"None of {n_starts} starts has a finite objective; look for extreme values in X or y,"
        " or give init_params."
    )


class _Progress:
    """Callback of a solver: passes on to the user's and to a listener, and prints at verbose=2."""

    def __init__(self, callback, tell, verbose, reported, total_weight, done):
        self.callback, self.tell = callback, tell
        self.verbose, self.reported = verbose, reported
        self.total, self.done = total_weight, done
        self.value = None

    def __call__(self, iteration, params, objective):
        told = self.reported(objective)
        if self.verbose > 1:
            gain = (
                "" if self.value is None else f", gain {(objective - self.value) / self.total:.2e}"
            )
            print(f"iteration {self.done + iteration}: objective {told:.6f}{gain} a row")
        self.value = objective
        stop = False
        if self.tell is not None:
            stop = asks_to_stop(self.tell(self.done + iteration, params, objective))
        if self.callback is not None:  # told in a copy, with which it may do what it likes
            asked = self.callback(self.done + iteration, map_leaves(np.copy, params), told)
            stop = asks_to_stop(asked) or stop
        return stop

    def finish(self, result):
        """Say how the run ended."""
        if self.verbose:
            end = "converged" if result.converged else "stopped"
            value = self.reported(result.objective)
            print(f"{end} after {len(result.history) - 1} iterations: objective {value:.6f}")


class _CoarseProgress(_Progress, Coarse):
    """The same, which need not hear of every iteration."""
