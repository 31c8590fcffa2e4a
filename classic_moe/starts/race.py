"""From starting values to a fit: several cheap starts, of which the best few go on."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from ..data.batches import whole
from ..parts.params import map_leaves
from ..solvers import Result
from ..solvers.loop import asks_to_stop
from .listening import teller

SHORT_ROWS = 20_000
"""Rows a short start looks at."""
CLOSE = 0.01
"""A unit of weight: objectives and shares that are closer after short runs count as the same."""
CONTINUED = 3
"""Starts that go on to convergence; one on data larger than `SHORT_ROWS`, and of black boxes."""


def race(problem, starts, **options) -> Result:
    """Return the best fit of a problem from `starting_points`; options as of `climb`."""
    model, batches = problem.model, problem.batches
    options |= dict(solver=problem.solver, reported=problem.units.objective)
    if isinstance(starts, dict):
        return climb(model, starts, batches, **options)
    return best_of(model, batches, starts, problem.labels, problem.rng, **options)


def best_of(model, batches, starts, classes, rng, **options) -> Result:
    """Return the best fit from several starts.

    Parameters
    ----------
    model : MixtureModel
    batches : ArrayBatches
    starts : list of callables (batches) -> starting responsibilities (n, K)
    classes : ndarray of shape (C,) or None, the labels behind the codes
    rng : RandomState
    options : solver, max_iter, tol, callback, verbose, and `reported`, the function that turns the
        objective into what the caller is told
    """

    def begin(start, where):
        X, y, weight, facts = whole(where)
        resp = start(where) * weight[:, None]
        return model.init(X, y, resp, rng, classes, facts.get("groups"))

    if len(starts) == 1:  # from all rows, unless they are too many for memory
        return climb(model, begin(starts[0], batches.sample(batches.n, rng)), batches, **options)
    small = batches.sample(SHORT_ROWS, rng)
    sampled = small is not batches
    with small:
        ranked = _short_runs(model, begin, starts, small, options)
    best, continued = None, 1 if sampled or not model.extrapolates else CONTINUED
    contending = options | dict(solver=options["solver"].contender())
    for tried, result in enumerate(ranked):
        if tried >= continued and best is not None and not _is_collapsed(model, best):
            break
        before = None if sampled else result
        place = tried + 1, max(tried + 1, min(continued, len(ranked)))
        longer = _run(model, result.params, batches, before=before, place=place, **contending)
        if not np.isfinite(longer.objective):  # on all rows, of which the short run saw some
            continue
        best = longer if best is None else min(best, longer, key=lambda r: _sort_key(model, r))
        if longer.stopped:
            break
    if best is None:
        raise ValueError(_all_failed(starts))
    if best.converged and not best.stopped and options["solver"].goes_on(model, best, batches):
        best = _run(model, best.params, batches, before=best, place=place, **options)
    return best


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
    watch = _Progress(callback, tell, verbose, reported, batches.total_weight, done)
    if before is not None and (
        done >= max_iter or (before.converged and not solver.goes_on(model, before, batches))
    ):
        stopped = asks_to_stop(watch(0, before.params, before.objective))
        watch.finish(before)
        return replace(before, stopped=stopped)
    solver = solver if before is None else solver.resumed()
    result = solver.run(model, params, batches, max_iter=max_iter - done, tol=tol, callback=watch)
    if before is not None:
        result = result.after(before)
    watch.finish(result)
    return result


def _short_runs(model, begin, starts, batches, options):
    """Return short runs from every start, best first, without near-copies."""
    results, solver = [], options["solver"].scout()
    most = min(solver.short_run, model.expert.learning.short_run, options["max_iter"])
    for i, start in enumerate(starts):
        params = begin(start, batches)
        tell = teller("start", i + 1, len(starts), options["reported"])
        result = solver.run(
            model, params, batches, max_iter=most, tol=options["tol"], callback=tell
        )
        if options["verbose"] > 1:
            value = options["reported"](result.objective)
            print(f"start {i + 1} of {len(starts)}: objective {value:.6f}")
        if np.isfinite(result.objective):
            results.append(result)
        if result.stopped:
            break
    if not results:
        raise ValueError(_all_failed(starts))
    ranked = []
    for result in sorted(results, key=lambda r: _sort_key(model, r)):
        if not any(_share_a_maximum(result, kept, batches.total_weight) for kept in ranked):
            ranked.append(result)
    return ranked


def _all_failed(starts):
    """Return what to say where no start leads to a model."""
    return (
        f"None of {len(starts)} starts has a finite objective; look for extreme values in X or y,"
        " or give init_params."
    )


def _share_a_maximum(one, other, total):
    """Return whether two short runs seem to be on their way to the same maximum.

    Their objectives are close, and their experts have the same shares of the rows.
    """
    shares = (np.sort(result.stats["resp"]) for result in (one, other))
    apart = max(np.abs(np.subtract(*shares)).max(), abs(one.objective - other.objective))
    return apart <= CLOSE * total


def _is_collapsed(model, result):
    """Return whether a part finds something severe about a fit."""
    return any(finding.severe for finding in model.diagnose(result.params, result.stats))


def _sort_key(model, result):
    """Return a key that sorts the better first: a collapsed fit loses to any that is not."""
    rank = result.objective if result.rank is None else result.rank
    return _is_collapsed(model, result), -rank


class _Progress:
    """Callback of a solver: passes on to the user's and to a listener, and prints once a second."""

    def __init__(self, callback, tell, verbose, reported, total_weight, done):
        self.callback, self.tell = callback, tell
        self.verbose, self.reported = verbose, reported
        self.total, self.done = total_weight, done
        self.last, self.value = time.monotonic(), None

    def __call__(self, iteration, params, objective):
        now = time.monotonic()
        told = self.reported(objective)
        if self.verbose > 1 or (self.verbose and now - self.last >= 1):
            gain = (
                "" if self.value is None else f", gain {(objective - self.value) / self.total:.2e}"
            )
            print(f"iteration {self.done + iteration}: objective {told:.6f}{gain} a row")
            self.last = now
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
