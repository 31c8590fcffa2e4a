"""Contexts and words: class probabilities that one softmax of few features cannot have."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import log_softmax, logsumexp
from sklearn.utils import Bunch, check_random_state

from ._make import _check_count

TRUTHS = ("mixture", "topics")


def make_softmax_bottleneck(
    n_contexts: int = 400,
    *,
    n_draws: int = 200,
    n_features: int = 5,
    n_classes: int = 40,
    n_components: int = 3,
    rank: int | None = 3,
    truth: str = "mixture",
    random_state: int | np.random.RandomState | None = None,
) -> Any:
    """Make words drawn in contexts, from probabilities of higher rank than the features.

    Every context x is a row of normal numbers, and has probabilities P(c|x) of its words c. With
    ``truth="mixture"`` these come from a mixture of softmaxes of few features [1]_; with "topics"
    every context mixes eight Dirichlet distributions over the words. Either way the matrix log P
    (contexts by words) has full rank, where that of one softmax of `rank` features is at most
    rank + 2.

    Parameters
    ----------
    n_contexts : int, default=400
    n_draws : int, default=200
        Words drawn in each context.
    n_features : int, default=5
    n_classes : int, default=40
        Different words.
    n_components, rank : int, default=3
        Of the true mixture: its softmaxes, and their features.
    truth : {"mixture", "topics"}, default="mixture"
        What the probabilities come from.
    random_state : int, RandomState instance or None, default=None
        Seed for the contexts, the truth and the words.

    Returns
    -------
    Bunch
        A row for every context and word that was drawn in it, contexts one after another:
        ``data`` (n, n_features), ``target`` (n,), the word, and ``weight`` (n,), how often;
        ``context`` (n,) is the number of the context. ``contexts`` (n_contexts, n_features) and
        ``log_proba`` (n_contexts, n_classes) are the contexts and the truth.

    Raises
    ------
    ValueError
        For a size that is no whole number of at least 1, or an unknown truth.

    References
    ----------
    .. [1] Yang, Z., Dai, Z., Salakhutdinov, R. & Cohen, W. W. (2018). Breaking the softmax
       bottleneck: a high-rank RNN language model. International Conference on Learning
       Representations.

    Examples
    --------
    >>> import numpy as np
    >>> from classic_moe.datasets import make_softmax_bottleneck
    >>> words = make_softmax_bottleneck(random_state=0)
    >>> words.contexts.shape, words.log_proba.shape, int(words.weight.sum())
    ((400, 5), (400, 40), 80000)
    >>> int(np.linalg.matrix_rank(words.log_proba))
    40
    """
    sizes = dict(n_contexts=n_contexts, n_draws=n_draws, n_features=n_features)
    others = dict(n_classes=n_classes, n_components=n_components, rank=rank)
    for name, size in {**sizes, **others}.items():
        _check_count(name, size)
    if truth not in TRUTHS:
        raise ValueError(f"truth={truth!r}: use one of {', '.join(map(repr, TRUTHS))}.")
    rng = check_random_state(random_state)
    contexts = rng.normal(size=(n_contexts, n_features))
    Z = np.column_stack([np.ones(n_contexts), contexts])
    if truth == "mixture":
        log_proba = _of_mixture(Z, n_components, rank, n_classes, rng)
    else:
        log_proba = _of_topics(Z, n_classes, rng)
    counts = np.stack([rng.multinomial(n_draws, p) for p in np.exp(log_proba)])
    context, target = np.nonzero(counts)
    return Bunch(
        data=contexts[context],
        target=target,
        weight=counts[context, target].astype(np.float64),
        context=context,
        contexts=contexts,
        log_proba=log_proba,
    )


def _of_mixture(Z, K, rank, C, rng):
    """Return log P (n, C) of a random mixture of K softmaxes of `rank` features."""
    own = rng.normal(size=(K, rank, Z.shape[1]))
    gate = 0.7 * rng.normal(size=(K, Z.shape[1]))
    shared, bias = 2.5 * rng.normal(size=(C, rank)), 0.3 * rng.normal(size=C)
    features = np.tanh(np.einsum("np,kdp->nkd", Z, own))
    log_each = log_softmax(features @ shared.T + bias, axis=2)
    log_gate = log_softmax(Z @ gate.T, axis=1)
    return log_softmax(logsumexp(log_gate[:, :, None] + log_each, axis=1), axis=1)


def _of_topics(Z, C, rng, n_topics=8):
    """Return log P (n, C) of contexts that mix topics, which are distributions over the words."""
    topics = np.log(rng.dirichlet(np.full(C, 0.1), size=n_topics) + 1e-4)
    log_gate = log_softmax(1.5 * (Z @ rng.normal(size=(Z.shape[1], n_topics))), axis=1)
    return log_softmax(logsumexp(log_gate[:, :, None] + topics, axis=1), axis=1)
