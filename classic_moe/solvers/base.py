"""The protocol of a solver."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace

from sklearn.base import BaseEstimator

from ..parts.checks import check_rules
from ..parts.params import Params
from ..parts.statistics import Statistics


@dataclass(frozen=True)
class Result:
    """Where a solver stopped.

    Attributes
    ----------
    params : Params
        The fitted values.
    stats : Statistics
        Their statistics, from the pass that evaluated them.
    history : list of float
        The penalised objective at the start and after every iteration.
    converged : bool
        Whether no more than `tol` remains to be gained, as far as can be told.
    stopped : bool
        Whether the callback asked to stop.
    curves : dict of list of float
        Learning curves with as many values as the history, where it is not one itself:
        "objective", of every iterate, and "validation", per unit of weight held out.
    rank : float or None
        By what to rank several starts, if not by the objective.
    advice : str
        What to do about a run that did not converge, if not what is usual.
    memory : Memory or None
        What on-line training goes on from.
    is_maximum : bool
        Whether the end was seen to be a maximum, by second derivatives.
    endings : list of Ending
        How the climbs ended of which this is the best, where there were several; see
        `classic_moe.starts.search`.
    start : Params or None
        Where the best of them began; None where a sample of the rows led to it.
    """

    params: Params
    stats: Statistics
    history: list[float]
    converged: bool
    stopped: bool = False
    curves: dict[str, list[float]] = field(default_factory=dict)
    rank: float | None = None
    advice: str = ""
    memory: object = None
    is_maximum: bool = False
    endings: list = field(default_factory=list)
    start: Params | None = None

    @property
    def objective(self) -> float:
        """The last value of the penalised objective."""
        return self.history[-1]

    def after(self, before: Result) -> Result:
        """Return this run as the continuation of another."""
        curves = {
            name: before.curves.get(name, before.history) + curve[1:]
            for name, curve in self.curves.items()
        }
        # Where both meet, the last digits may differ: gains too small for them were told by slopes.
        history = [max(value, before.history[-1]) for value in self.history[1:]]
        return replace(self, history=before.history + history, curves=curves)


REFUSALS = {
    "statistics": (
        ValueError,
        "{solver} climbs a likelihood; {lack} is none and needs a gradient: solver='gradient',"
        " 'lbfgs', 'adam' or 'sgd'.",
    ),
    "gradient": (
        TypeError,
        "{solver} climbs by gradients, and {lack} has none; use {em}a part with parameters of its"
        " own in place of a scikit-learn estimator.",
    ),
    "sums": (
        ValueError,
        "{lack} learns from all its rows at once, which on-line training does not keep; use"
        " solver='em', or parts such as 'linear' and 'softmax'.",
    ),
    "rows": (
        TypeError,
        "{solver} needs derivatives row by row, and {lack} has none; use {em}a part that has"
        " them, such as 'linear' and 'softmax'.",
    ),
}
"""What a solver may require of a model: the error where the model lacks it, and its sentence."""


class BaseSolver(BaseEstimator, ABC):
    """Climbs stats["objective"] + log_prior over Params."""

    requires = frozenset({"statistics"})
    """What it needs of a model: "statistics" for an M-step of a likelihood, "gradient", "sums" that
    can be carried on, "rows", the derivatives row by row."""
    climbs_likelihood = True
    """Whether it climbs the likelihood of the mixture, where that is the model's objective."""
    ends_at_maxima = True
    """Whether a climb ends where the slope is none, or goes on for as long as it is told to."""
    short_run = 10
    """Iterations after which a climb is asked whether it is worth going on."""
    draws_rows = False
    """Whether it takes rows in an order of its own: minibatches, rows held out, draws of each."""
    foretells = False
    """Whether what a climb has gained lately tells how much it will gain still."""

    def check_parameters(self):
        """Raise a ValueError or TypeError for hyper-parameters that no fit could use."""
        check_rules(self, self._rules())

    def _rules(self):
        """Return what the hyper-parameters may be, a dict of names to `Rule`."""
        return {}

    def check_model(self, model):
        """Raise an error of one sentence for a model that lacks what the solver requires."""
        for what, (error, sentence) in REFUSALS.items():
            lacking = model.lacks(what) if what in self.requires else []
            if lacking:
                em = "solver='em', or " if not model.lacks("statistics") else ""
                raise error(sentence.format(solver=type(self).__name__, lack=lacking[0], em=em))

    def resumed(self):
        """Return the solver that goes on where a short run of this one ended."""
        return self

    def scout(self):
        """Return the solver of the short runs from many starts: this one, or a plainer one."""
        return self

    def contender(self):
        """Return the solver of several climbs of which one is kept: this one, or a plainer one."""
        return self

    def goes_on(self, model, result, batches):
        """Return whether there is more to do where a plainer one has converged."""
        return False

    @abstractmethod
    def run(self, model, params, batches, *, max_iter, tol, callback=None) -> Result:
        """Climb from `params`; return where the climb ended.

        Parameters
        ----------
        model : MixtureModel
        params : Params
        batches : Batches
        max_iter : int
        tol : float
            Gain of the objective, per unit of weight, below which to stop.
        callback : callable(iteration, params, objective) or None
            Returning True stops the run.
        """
