"""Logistic experts: the softmax expert for two classes, with the usual penalty."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from ..parts.records import Target
from .softmax import SoftmaxExpert


class LogisticExpert(SoftmaxExpert):
    r"""Binary logistic expert.

    .. math:: p_k(y = 1 \mid x) = \frac{1}{1 + \exp(-w_k^\top x - b_k)}

    Parameters
    ----------
    alpha : float, "auto" or "weak", default=1e-3
        Ridge penalty ½·alpha·‖w‖² on the slopes in standardised units. The default keeps separated
        classes finite; 0 is maximum likelihood.

    References
    ----------
    Jordan, M. I. & Jacobs, R. A. (1994). Hierarchical mixtures of experts and the EM algorithm.
    Neural Computation 6, 181-214.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from classic_moe import MixtureOfExpertsClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> model = MixtureOfExpertsClassifier(2, expert="logistic", random_state=0).fit(X[:, :4], y)
    >>> model.experts_[0].coef_.shape
    (1, 4)
    """

    target = Target(task="classification", outputs=2)

    weak = MappingProxyType({"alpha": 1e-3})

    def __init__(self, alpha: float | str = 1e-3) -> None:
        self.alpha = alpha

    @property
    def _ridge(self):
        return 2 * self._alpha  # |w|² = 2 (|w/2|² + |-w/2|²) of the two symmetric rows

    def check_target(self, y):
        n_classes = len(np.unique(y))
        if n_classes != 2:
            raise ValueError(
                "Only binary classification is supported. LogisticExpert is for two classes, y has"
                f" {n_classes}; use expert='softmax'."
            )
