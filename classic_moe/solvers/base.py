"""The protocol of a solver."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace

from sklearn.base import BaseEstimator

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
        Their statistics, from the pass that scored them.
    history : list of float
        The penalised objective at the start and after every iteration.
    converged : bool
        Whether no more than `tol` remains to be gained, as far as can be told.
    stopped : bool
        Whether the callback asked to stop.
    curves : dict of list of float
        Learning curves with as many values as the history, where it is not one itself:
        "objective", of every iterate, and "validation", per unit of weight held out.
    merit : float or None
        By what to rank several starts, if not by the objective.
    cure : str
        What to do about a run that did not converge, if not what is usual.
    memory : Memory or None
        What on-line training goes on from.
    """

    params: Params
    stats: Statistics
    history: list[float]
    converged: bool
    stopped: bool = False
    curves: dict[str, list[float]] = field(default_factory=dict)
    merit: float | None = None
    cure: str = ""
    memory: object = None

    @property
    def objective(self) -> float:
        """The last value of the penalised objective."""
        return self.history[-1]

    def after(self, before: Result) -> Result:
        """This run as the continuation of another."""
        curves = {
            name: before.curves.get(name, before.history) + curve[1:]
            for name, curve in self.curves.items()
        }
        return replace(self, history=before.history + self.history[1:], curves=curves)


class BaseSolver(BaseEstimator, ABC):
    """Climbs stats["objective"] + log_prior over Params."""

    short_run = 10
    """Iterations worth spending on each of the short starts."""

    def check_parameters(self):
        """ValueError or TypeError for hyper-parameters that no fit could use."""

    def check_model(self, model):
        """ValueError or TypeError for a model that the solver cannot fit."""
        if not model.objective.likelihood:
            raise ValueError(
                f"{type(self).__name__} climbs a likelihood; {type(model.objective).__name__} is"
                " none and needs a gradient: solver='gradient', 'lbfgs', 'adam' or 'sgd'."
            )

    def resumed(self):
        """The solver that goes on where a short run of this one ended."""
        return self

    @abstractmethod
    def run(self, model, params, batches, *, max_iter, tol, callback=None) -> Result:
        """Climb from `params`.

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
