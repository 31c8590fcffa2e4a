# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # The softmax bottleneck
#
# Why one softmax of few features cannot say certain things about many classes, however long it is trained, and why three of
# them can (Yang, Dai, Salakhutdinov and Cohen 2018). The one idea is the *rank* of a table of log-probabilities. You need the
# lecture *Why one line is not enough*, and to have met the singular value decomposition. About 25 minutes.

# %%
import warnings

import matplotlib.pyplot as plt
import numpy as np
from lecture import check, interact, table
from sklearn.exceptions import ConvergenceWarning

from classic_moe import MixtureOfSoftmaxesClassifier
from classic_moe.datasets import make_softmax_bottleneck

# %% [markdown]
# ## 1. Many classes, few features
#
# Think of $x$ as a context, of the classes as the words that may come next, and of $h(x)$ as the $d$ features that a network
# makes of the context. The usual model says
#
# $$
# \log P(c \mid x) = w_c^\top h(x) + b_c - \log \sum_j e^{w_j^\top h(x) + b_j} .
# $$
#
# Write this as a table, a row for each context, a column for each word. The first term has rank $d$ at most, the bias adds
# one, the normalisation another. So the table has **rank $d + 2$ at most**, whatever $h$ is. With 30 words the truth may
# have rank 30. This is the *softmax bottleneck*. No amount of data helps.
#
# The remedy is a mixture of softmaxes,
#
# $$
# P(c \mid x) = \sum_{k=1}^{K} g_k(x)\, \mathrm{softmax}\bigl(W h_k(x) + b\bigr)_c, \qquad h_k(x) = \tanh(U_k x + u_k) .
# $$
#
# The logarithm of a sum is no sum of logarithms, so the rank is free. The large matrix $W$ is shared: one more softmax
# costs $d$ small rows $U_k$ and a row of the gate.
#
# We simulate 240 contexts of five numbers and 30 words. The truth is a mixture of three softmaxes with three features each.
# 160 contexts are for training.

# %%
words = make_softmax_bottleneck(240, n_classes=30, random_state=0)
unseen = np.arange(160, 240)


def fit(n_softmaxes, rank, words=words):
    "A mixture of softmaxes of `rank` features each."
    model = MixtureOfSoftmaxesClassifier(n_softmaxes, rank=rank, tol=1e-5, random_state=0)
    seen = words.context < 160
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # 500 iterations are enough for us
        return model.fit(words.data[seen], words.target[seen], words.weight[seen])


models = {(K, d): fit(K, d) for K, d in ((1, 3), (2, 3), (3, 3))}

# %% [markdown]
# ## 2. The wall
#
# The singular values of the table of $\log P$, of the truth and of three fits:


# %%
def singular_values(fits):
    "Of the tables of log P, on a logarithmic scale."
    _, ax = plt.subplots(figsize=(8, 4), layout="constrained")
    values = np.linalg.svd(words.log_proba, compute_uv=False)
    ax.plot(np.arange(1, 31), values, color="black", linestyle="--", label="the truth")
    for ((K, d), model), marker, color in zip(
        fits.items(), "os^", ("#D55E00", "#E69F00", "#0072B2")
    ):
        values = np.linalg.svd(model.predict_log_proba(words.contexts), compute_uv=False)
        label = f"{K} × softmax, {d} features"
        ax.plot(np.arange(1, 31), values, marker=marker, color=color, markersize=4, label=label)
    ax.set(yscale="log", xlabel="number of the singular value", ylabel="singular value of log P")
    ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5))
    plt.show()


singular_values(models)

# %% [markdown]
# The one softmax has $3 + 2 = 5$ singular values. All others are zero, up to rounding: that is the wall. Two softmaxes are
# enough to be rid of it. The mixture of three has the singular values of the truth. Move the wall:

# %%
interact(lambda features: singular_values({(1, features): fit(1, features)}), features=(1, 8, 1))

# %% [markdown]
# ## 3. Does it matter?
#
# For predictions the measure is the divergence of the prediction from the truth (Kullback–Leibler), the
# mean over the 80 contexts that no fit has seen; 0 is perfect.


# %%
def divergence(model, words=words):
    "Mean divergence of the predictions from the truth in unseen contexts, in nats."
    log_p = words.log_proba[unseen]
    log_q = model.predict_log_proba(words.contexts[unseen])
    return np.mean(np.sum(np.exp(log_p) * (log_p - log_q), axis=1))


models[1, 6] = fit(1, 6)
models[5, 3] = fit(5, 3)
table(
    ["", "parameters", "divergence (nats)"],
    [
        [
            f"{K} × softmax, {d} features",
            models[K, d].n_parameters_,
            f"{divergence(models[K, d]):.4f}",
        ]
        for K, d in ((1, 3), (1, 6), (2, 3), (3, 3), (5, 3))
    ],
)

# %% [markdown]
# More features help the one softmax a little. The mixture of three is far closer to the truth, with fewer parameters
# than one softmax of six features. Two too many softmaxes (five) do little harm.
#
# Two words of caution. The truth *is* a mixture of three softmaxes here, so this is its best case. And with few classes
# there is no bottleneck: of ten digits the table has rank ten at most, and twenty features are more than enough.
#
# ## What to remember
#
# - One softmax of $d$ features: $\log P$ has rank $d + 2$ at most, whatever the features are.
# - A mixture of softmaxes has no such bound, and shares its large matrix.
#
# ## Exercises
#
# **Exercise 1.** A softmax *without* a bias, $b = 0$, of $d = 8$ features and 30 words. Which rank has the table of $\log P$ at
# most?

# %%
answer = ...

# %%
check("15.1", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# Let $H$ be the contexts' features, a row each, $\mathbf 1$ a column of ones, and let $n$ hold minus the logarithms of the
# sums. Then $\log P = H W^\top + n\, \mathbf 1^\top = [\,H \;\; n\,]\,[\,W \;\; \mathbf 1\,]^\top$, with nine columns in the
# middle. A bias would make it ten.
#
# ```python
# answer = 8 + 1
# ```
#
# </details>

# %% [markdown]
# **Exercise 2.** How many singular values of the table of the *mixture of two* (`models[2, 3]`) are larger than a
# millionth of the largest?

# %%
answer = ...

# %%
check("15.2", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# values = np.linalg.svd(models[2, 3].predict_log_proba(words.contexts), compute_uv=False)
# answer = np.sum(values > 1e-6 * values[0])
# ```
#
# All of them: the second softmax lifts the bound altogether.
#
# </details>

# %% [markdown]
# **Exercise 3.** Nothing to gain. Make words of *one* softmax, `make_softmax_bottleneck(240, n_classes=30, n_components=1,
# random_state=0)`. What is the divergence of the mixture of three with three features, fitted to them? (`fit` and
# `divergence` take `words=`.)

# %%
answer = ...

# %%
check("15.3", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# easy = make_softmax_bottleneck(240, n_classes=30, n_components=1, random_state=0)
# answer = divergence(fit(3, 3, easy), easy)
# ```
#
# Nearly as small as that of one softmax, `divergence(fit(1, 3, easy), easy)`: the two softmaxes too many cost next to
# nothing.
#
# </details>

# %% [markdown]
# ## Reference
#
# - Z. Yang, Z. Dai, R. Salakhutdinov, W. W. Cohen (2018). Breaking the softmax bottleneck: a high-rank RNN language model.
#   *ICLR*. arXiv:1711.03953.
