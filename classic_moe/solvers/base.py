"""The protocol of a solver."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from sklearn.base import BaseEstimator

from ..params import Params
from ..statistics import Statistics


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
    """

    params: Params
    stats: Statistics
    history: list[float]
    converged: bool
    stopped: bool = False

    @property
    def objective(self) -> float:
        """The last value of the penalised objective."""
        return self.history[-1]


class BaseSolver(BaseEstimator, ABC):
    """Climbs stats["objective"] + log_prior over Params."""

    def check_parameters(self):
        """ValueError or TypeError for hyper-parameters that no fit could use."""

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
