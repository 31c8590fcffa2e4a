"""Scorers for ``scoring=``: what they have in common, and those of predictive distributions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

from numpy.typing import ArrayLike
from sklearn.compose import TransformedTargetRegressor
from sklearn.utils.metadata_routing import MetadataRequest

from ..parts.checks import can, unwrap
from ._scores import crps_score, interval_coverage


def transformed(model):
    """Return what to do about a model of a transformed y, a str; None for other models."""
    if isinstance(model, TransformedTargetRegressor):
        return "score its regressor_ on the transformed y, or transform y before the search"
    return None


class Scorer:
    """What scikit-learn asks of a scorer: what metadata it wants, and to be equal to its copies.

    Parameters
    ----------
    **requests : dict of str to bool, str or None
        As of `set_score_request`.
    """

    _metadata = ("sample_weight",)
    """What it takes beside X and y."""

    def __init__(self, **requests: Any) -> None:
        self._requests = requests

    @property
    def __name__(self):
        return self._name()

    def _name(self):
        """Return what the scorer is called, a str."""
        raise NotImplementedError

    def _twin(self, **requests):
        """Return a scorer that asks for metadata and is else the same."""
        return type(self)(**requests)

    def _asking(self, **requests):
        """Return a scorer that asks for metadata, which are checked."""
        scorer = self._twin(**requests)
        scorer.get_metadata_routing()
        return scorer

    def get_metadata_routing(self):
        """Return what the scorer asks for.

        Returns
        -------
        sklearn.utils.metadata_routing.MetadataRequest
        """
        request = MetadataRequest(owner=self)
        for name in self._metadata:
            request.score.add_request(param=name, alias=self._requests.get(name))
        return request

    def _accept_sample_weight(self):
        """Return True: scikit-learn asks, where several scorers are called with weights."""
        return True

    def __repr__(self):
        asked = {name: alias for name, alias in self._requests.items() if alias is not None}
        options = ", ".join(f"{name}={alias!r}" for name, alias in asked.items())
        return self._name() + (f".set_score_request({options})" if asked else "")

    def __eq__(self, other):
        return type(other) is type(self) and repr(other) == repr(self)

    def __hash__(self):
        return hash(repr(self))


class DistributionScorer(Scorer):
    """A score of the predictive distributions, for ``scoring=``.

    `crps_scorer` and `coverage_scorer` are two of them. Any other metric of this module, or one of
    your own, makes another. It works on whatever has `predict_dist`, and on a Pipeline or a fitted
    search that ends in one, alone or among other scorers.

    Parameters
    ----------
    metric : callable ``(y_true, distribution, sample_weight=None, ...) -> float``
    sign : {1, -1}, default=1
        -1 for a metric of which less is better: in scikit-learn a higher score is better.
    **options : dict
        For the metric.

    Notes
    -----
    With metadata routing, `set_score_request` says whether sample weights reach it in a search. A
    `TransformedTargetRegressor` is refused: its y has another distribution than the one that was
    fitted.

    Examples
    --------
    >>> from sklearn.model_selection import cross_validate
    >>> from classic_moe import MixtureOfExpertsRegressor
    >>> from classic_moe.datasets import load_motorcycle
    >>> from classic_moe.metrics import DistributionScorer, coverage_scorer, pinball_score
    >>> X, y = load_motorcycle(return_X_y=True)
    >>> upper = DistributionScorer(pinball_score, sign=-1, quantiles=0.95)
    >>> scoring = {"coverage": coverage_scorer, "upper": upper}
    >>> scores = cross_validate(MixtureOfExpertsRegressor(2, random_state=0), X, y, scoring=scoring)
    >>> scores["test_upper"].shape
    (5,)
    """

    def __init__(self, metric: Callable[..., Any], *, sign: int = 1, **options: Any) -> None:
        super().__init__()
        if sign not in (1, -1):
            raise ValueError(f"sign={sign!r}: use 1 or -1, for which less of the metric is better.")
        self.metric = metric
        self.sign = sign
        self.options = options

    def __call__(self, estimator, X, y, sample_weight=None):
        """Return the score of a fitted estimator, a float.

        Parameters
        ----------
        estimator : fitted estimator
        X : array-like of shape (n, p)
        y : array-like of shape (n,) or (n, q)
        sample_weight : array-like of shape (n,), default=None

        Returns
        -------
        float

        Raises
        ------
        TypeError
            For an estimator that has no predictive distributions.
        """
        model, transform = unwrap(estimator)
        if not can(model, "predict_dist"):
            advice = transformed(model) or "use it with regressors whose objective is a likelihood"
            raise TypeError(
                f"{self._name()} needs an estimator with predict_dist, {type(model).__name__} has"
                f" none; {advice}."
            )
        distribution = model.predict_dist(transform(X))
        given = {} if sample_weight is None else {"sample_weight": sample_weight}
        return self.sign * float(self.metric(y, distribution, **self.options, **given))

    def set_score_request(self, *, sample_weight: ArrayLike | None = None) -> Self:
        """Return a scorer that asks for sample weights, for metadata routing.

        The scorer itself stays as it is, since it is everyone's.

        Parameters
        ----------
        sample_weight : bool, str or None, default=None
            True: passed on where given. False: never. A str: passed on under that name. None: an
            error where given.

        Returns
        -------
        DistributionScorer
        """
        return self._asking(sample_weight=sample_weight)

    def __eq__(self, other):
        return super().__eq__(other) and other.metric is self.metric

    __hash__ = Scorer.__hash__

    def _twin(self, **requests):
        scorer = type(self)(self.metric, sign=self.sign, **self.options)
        scorer._requests = requests
        return scorer

    def _name(self):
        options = {"sign": self.sign} if self.sign != 1 else {}
        options |= self.options
        for name, metric, its in NAMED:
            if self.metric is metric and options == its:
                return name
        words = "".join(f", {name}={value!r}" for name, value in options.items())
        metric = getattr(self.metric, "__name__", repr(self.metric))
        return f"DistributionScorer({metric}{words})"


NAMED = (("crps_scorer", crps_score, {"sign": -1}), ("coverage_scorer", interval_coverage, {}))
"""Scorers that have names of their own."""
crps_scorer = DistributionScorer(crps_score, sign=-1)
coverage_scorer = DistributionScorer(interval_coverage)
