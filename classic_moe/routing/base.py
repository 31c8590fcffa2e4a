"""The protocol of a router, and what one batch of rows is to it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from sklearn.base import BaseEstimator

from .._kernels import array
from ..parts.checks import check_rules


class Choice(NamedTuple):
    """Where the rows of one batch go, and what their experts count.

    Attributes
    ----------
    scores : ndarray of shape (n, K)
        The gate's, without noise.
    wanted, kept : bool ndarray of shape (n, K)
        Before and after pairs without room were dropped.
    weights : ndarray of shape (n, K)
        With which the experts' outputs are added up; 0 outside `kept`.
    noisy : ndarray of shape (n, K)
        The scores by which the experts were chosen, a bias left out.
    noise, scale : ndarray of shape (n, K), or None
        noisy = scores + noise·scale.
    masked : ndarray of shape (n, K), or None
        The factors of training with masked pairs, 0 or 1/(1 - masking).
    baseline : float
        What a `SampledRouter` takes from the rewards of the batch.
    """

    scores: np.ndarray
    wanted: np.ndarray
    kept: np.ndarray
    weights: np.ndarray
    noisy: np.ndarray
    noise: np.ndarray | None = None
    scale: np.ndarray | None = None
    masked: np.ndarray | None = None
    baseline: float = 0.0


@dataclass(frozen=True)
class Batch:
    """Rows of training that are routed together.

    Attributes
    ----------
    weight : ndarray of shape (n,)
    rng : numpy Generator
    keys : ndarray of shape (n,) of int, or None
        What a `HashRouter` made of the rows' keys.
    scale : ndarray of shape (n, K), or None
        Standard deviations of the noise, where they are learned.
    capacity_factor : float or None
    overflow : {"drop", "next"}
    """

    weight: np.ndarray
    rng: np.random.Generator
    keys: np.ndarray | None = None
    scale: np.ndarray | None = None
    capacity_factor: float | None = None
    overflow: str = "drop"


class BaseRouter(BaseEstimator, ABC):
    """Decides which experts a row goes to, and how much each counts.

    In training a router sees the scores (n, K) of a batch of rows and may look at all of them, draw
    random numbers and have capacities. It leaves behind a *state*, a dict of arrays, from which
    every row is routed by itself in predictions: `route` of a row is the same in any batch.
    """

    k = 1
    """Experts that a row keeps, as capacities count them."""
    rows_are_units = False
    """Whether rows are counted, so that weights must be whole numbers."""
    uses_keys = False
    """Whether rows are routed by keys in place of scores."""
    teaches_gate = True
    """Whether the scores get a gradient at all."""
    has_order = False
    """Whether the rule has first and second choices, on which capacities and biases act."""
    learns_noise = False
    """Whether the noise has a standard deviation for every score, learned."""
    sums_to_one = False
    """Whether the weights of a row sum to 1 in predictions."""

    def check_parameters(self):
        """Raise a ValueError for hyper-parameters that no fit could use."""
        check_rules(self, self._rules())

    def _rules(self):
        """Return what the hyper-parameters may be, a dict of names to `Rule`."""
        return {}

    def check_experts(self, n_experts):
        """Raise a ValueError where the router cannot serve so many experts."""

    @abstractmethod
    def train(self, scores, state, batch) -> Choice:
        """Return where the rows of a batch go in training."""

    @abstractmethod
    def route(self, scores, state, keys=None, alone=False) -> Choice:
        """Return where rows go in predictions, each by itself.

        `alone` says whether a row may have no expert at all, because shared ones serve it.
        """

    @abstractmethod
    def slopes(self, choice, slope, reward):
        """Return the derivatives in the scores and in the scale of the noise, (n, K) or None.

        `slope` (n, K) is the derivative of the objective in the weights; `reward` holds the value
        of every row's objective and the weights of the rows in the objective, (n,) each.
        """

    def learn(self, state, reward) -> dict:
        """Return the state after a batch, from the rewards as in `slopes`."""
        return state

    def settle(self, state, scores) -> dict:
        """Return the state for predictions, from the scores (n, K) of the training rows."""
        return state


def softmax(scores):
    """Return exp(s_i) / Σ exp(s_j), (n, K)."""
    return np.exp(array.log_softmax(scores))


def sigmoid(scores):
    """Return 1 / (1 + exp(-s)) without overflow."""
    e = np.exp(-np.abs(scores))
    return np.where(scores >= 0, 1.0, e) / (1.0 + e)


def through_softmax(share, slope):
    """Return the derivative in the logits of shares g from that in g: g (∂g - Σ g ∂g)."""
    return share * (slope - np.sum(share * slope, axis=1, keepdims=True))
