"""
The softmax bottleneck
======================

A softmax of few features has a table of log-probabilities of low rank, however many rows it sees.
A mixture of softmaxes, with one matrix in common, has not. You see the singular values of the
tables of log-probabilities: the truth, a mixture, has as many as there are words; a single
softmax breaks off after its rank and two more; three softmaxes follow the truth.
"""

# %%
# Twelve words in sixty contexts. A row is a word in a context, and its weight how often it was
# seen there.

import matplotlib.pyplot as plt
import numpy as np

from classic_moe import MixtureOfSoftmaxesClassifier
from classic_moe.datasets import make_softmax_bottleneck

words = make_softmax_bottleneck(60, n_classes=12, rank=2, random_state=0)
fits = {
    n: MixtureOfSoftmaxesClassifier(n, rank=2, tol=1e-5, random_state=0).fit(
        words.data, words.target, words.weight
    )
    for n in (1, 3)
}

# %%
# Rank is what is above rounding errors.

tables = {"truth": words.log_proba, "one softmax": fits[1].predict_log_proba(words.contexts)}
tables["three softmaxes"] = fits[3].predict_log_proba(words.contexts)
figure, ax = plt.subplots(figsize=(6.5, 4), layout="constrained")
for (name, table), style in zip(tables.items(), ("ks-", "o--", "^--")):
    values = np.maximum(np.linalg.svd(table, compute_uv=False), 1e-12)
    ax.semilogy(np.arange(1, 13), values, style, label=name, fillstyle="none")
ax.set(xlabel="number of the singular value", ylabel="singular value of log P")
ax.set_ylim(1e-3, None)
_ = ax.legend()
