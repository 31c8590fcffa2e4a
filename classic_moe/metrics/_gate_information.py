"""What a gate knows of a label."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import _check_sample_weight, check_array, column_or_1d


def gate_mutual_information(
    gate_proba: ArrayLike, labels: ArrayLike, *, sample_weight: ArrayLike | None = None
) -> float:
    r"""Mutual information between a gate's expert and a label, in bits.

    .. math:: I(k; a) = \sum_{k, a} P(k, a) \log_2 \frac{P(k, a)}{P(k)\, P(a)}, \qquad
       P(k, a) = \frac{1}{n} \sum_{i:\, a_i = a} g_k(x_i)

    The expert is drawn by the gate: probabilities count, not the largest of them alone. 0 where the
    gate says nothing of the label; at most the entropy of either.

    Parameters
    ----------
    gate_proba : array-like of shape (n, K)
        As of `gate_proba` of a mixture, or of a layer of a deep one.
    labels : array-like of shape (n,)
        Labels of any kind.
    sample_weight : array-like of shape (n,), default=None

    Returns
    -------
    float

    Raises
    ------
    ValueError
        For lengths that differ, or probabilities below 0.

    Examples
    --------
    >>> from classic_moe.metrics import gate_mutual_information
    >>> gate = [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]
    >>> gate_mutual_information(gate, ["a", "a", "b", "b"])
    1.0
    >>> gate_mutual_information(gate, ["a", "b", "a", "b"])
    0.0
    """
    gate = check_array(gate_proba, dtype=np.float64, input_name="gate_proba")
    known, codes = np.unique(column_or_1d(labels), return_inverse=True)
    if len(codes) != len(gate):
        raise ValueError(
            f"gate_proba has {len(gate)} rows and labels {len(codes)}; they must match."
        )
    if gate.min() < 0:
        raise ValueError(f"gate_proba holds {gate.min()}; probabilities are at least 0.")
    weight = _check_sample_weight(sample_weight, gate, dtype=np.float64)
    joint = np.zeros((len(known), gate.shape[1]))
    np.add.at(joint, codes, weight[:, None] * gate)
    joint /= joint.sum()
    alone = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0)
    there = joint > 0
    return max(float(np.sum(joint[there] * np.log2(joint[there] / alone[there]))), 0.0)
