"""From the fit of a dense mixture to that of the sparse one: the end of every fit with `top_k`."""

from __future__ import annotations

from dataclasses import replace

from ..solvers.em import EM, em_steps
from ..solvers.loop import Record, evaluate, loop
from .race import climb

ITERATIONS = 50
"""Steps of a tuning at most: it repairs what leaving experts out has cost, and begins at a fit."""

NOT_DENSE = "the fit with all experts, before them, did not: increase max_iter or tol"
"""What to do about a dense fit that has not converged."""


class Tuning(EM):
    """EM on a sparse density, from the dense fit, each step taken only if the objective rises.

    The statistics are those of the kept sets at the present parameters, and the objective of a
    proposal that of its own, found anew: so the objective does not fall where a set jumps.
    """

    def run(self, model, params, batches, *, max_iter, tol, callback=None):
        """Climb from `params`; return where the climb ended."""
        threshold = tol * batches.total_weight
        record = Record(max_iter, callback, least_gain=threshold)
        steps = em_steps(model, batches, threshold, accelerated=False)
        return record.result(*loop(steps, steps.begin(params, record), record))


def tuned(problem, result, settled=None, **options):
    """Return the problem of the density that is sparse, and its `Result`.

    Parameters
    ----------
    problem : Problem
        Of the dense mixture, with the gate to keep some experts by in `sparse_gate`.
    result : Result
        Of the dense mixture.
    settled : Settled, default=None
        The penalties that its fit has found.
    options : max_iter, tol, callback and verbose, as of `race`
    """
    own = settled is not None and "gate" in problem.automatic.alphas
    found = {"alpha": settled.numbers.alphas["gate"]} if own else {}
    model = replace(problem.model, gate=problem.sparse_gate.with_numbers(found))
    problem = replace(problem, model=model)
    if model.objective.likelihood:
        options["max_iter"] = min(options["max_iter"], ITERATIONS)
        told = dict(solver=Tuning(), reported=problem.units.objective)
        ended = climb(model, result.params, problem.batches, **told, **options)
    else:  # of an error function there is no M-step
        point = evaluate(model, problem.batches, result.params, derivatives=1)
        ended = replace(result, stats=point.stats, history=[point.value], curves={})
    told = dict(converged=result.converged, endings=result.endings)
    return problem, replace(ended, **told, advice="" if result.converged else NOT_DENSE)
