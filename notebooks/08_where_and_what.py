# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Where and what: a deep mixture on jittered digits
#
# Two layers of experts, each with a gate of its own. Nobody tells the gates what to look at, and yet the first one learns
# *where* a digit stands and the second one *what* it is (Eigen, Ranzato and Sutskever 2013). You need the lecture *Why one
# line is not enough*, and to have met networks. About 25 minutes.

# %%
import matplotlib.pyplot as plt
import numpy as np
from lecture import check, interact, table

from classic_moe import DeepMixtureOfExpertsClassifier
from classic_moe.datasets import make_jittered_digits
from classic_moe.inspection import ExpertLoadDisplay
from classic_moe.metrics import gate_mutual_information

# %% [markdown]
# ## 1. Digits that move about
#
# Each of scikit-learn's handwritten digits, 8 × 8 pixels, is put at a random place of an empty canvas of 12 × 12. So there
# are two things to know about a picture: **what** it shows, one of ten classes, and **where** that stands, one of nine
# regions (top, middle or low; left, centre or right). One says nothing about the other.

# %%
digits = make_jittered_digits(random_state=0)
X, y, X_new, y_new = digits.data, digits.target, digits.data_test, digits.target_test
places = [f"{a} {b}" for a in ("top", "mid", "low") for b in ("left", "centre", "right")]
where_new = np.array([f"{n + 1} {places[n]}" for n in digits.where_test])


def pictures(images, titles, **options):
    "Pictures of 12 × 12 pixels in a row."
    fig, axes = plt.subplots(1, len(images), figsize=(12, 2.4), layout="constrained")
    for ax, image, title in zip(axes, images, titles):
        shown = ax.imshow(image.reshape(12, 12), vmin=0, **options)
        ax.set(xticks=(), yticks=())
        ax.set_title(title, fontsize="small")
    fig.colorbar(shown, ax=axes, label="ink (0 to 1)")
    plt.show()


titles = [f"{what}, {where[2:]}" for what, where in zip(y_new, where_new)]
pictures(X_new[:6], titles, cmap="Greys", vmax=1)

# %% [markdown]
# ## 2. Two layers of experts
#
# A layer is a blend of experts; one is put on top of another:
#
# $$
# z_1 = \sum_i g^1_i(x)\, f^1_i(x), \qquad
# z_2 = \sum_j g^2_j(z_1)\, f^2_j(z_1), \qquad
# P(y \mid x) = \mathrm{softmax}(W z_2 + b) .
# $$
#
# An expert $f$ is linear and rectified, $\max(0, A z + a)$. A gate $g$ is a small network that ends in a softmax. With four
# experts in each layer there are sixteen paths through the network, for the price of eight experts.
#
# This is no mixture of densities: there are no responsibilities and no EM. All weights are trained together, by
# back-propagation. In the first epochs the gates are held in balance: an expert that is ahead of the others is shut until
# they have caught up.

# %%
model = DeepMixtureOfExpertsClassifier((4, 4), standardize=False, random_state=0).fit(X, y)
first, second = model.layers_
print(f"accuracy on {len(X_new)} new pictures: {model.score(X_new, y_new):.3f}")

# %% [markdown]
# ## 3. Where
#
# What has the gate of the first layer learnt? The mean picture of each expert, every picture counting by its gate
# probability, beside the mean of all. Below, how the pictures at each place are spread over the four experts.

# %%
gate = first.gate_proba(X_new)
means = [X_new.mean(axis=0), *(gate.T @ X_new / gate.sum(axis=0)[:, None])]
titles = ["all", *(f"expert {k}" for k in range(4))]
pictures(means, titles, cmap="Blues", vmax=np.max(means))

# %%
display = ExpertLoadDisplay.from_estimator(first, X_new, by=where_new)
display.ax_.set(title="First layer, by place", xlabel="where the digit stands")
plt.show()

# %% [markdown]
# The blobs stand at different places, and none of them looks like a digit. Nobody told the gate about places. It was
# useful, no more: an expert that knows the place can look for strokes where they must be.
#
# ## 4. What
#
# The second layer sees $z_1$ alone. Its experts, by the class of the picture:

# %%
fig, axes = plt.subplots(1, 2, figsize=(13, 3.2), layout="constrained")
for ax, layer, title in zip(axes, (first, second), ("First layer", "Second layer")):
    ExpertLoadDisplay.from_estimator(layer, X_new, by=y_new, ax=ax, image_kw={"vmax": 1})
    ax.set(title=f"{title}, by class", xlabel="digit")
plt.show()

# %% [markdown]
# In the first layer the columns are much alike: it hardly knows the classes. In the second each class has its own experts.
#
# How much does a gate tell of a label? Draw an expert with the gate's probabilities. The **mutual information** says by how
# many bits knowing it narrows down the label. Two bits are the most that four experts can tell.


# %%
def bits(model):
    "What the gates of the layers tell of the place and of the class, in bits: rows are layers."
    gates = [layer.gate_proba(X_new) for layer in model.layers_]
    labels = digits.where_test, y_new
    return [[gate_mutual_information(gate, label) for label in labels] for gate in gates]


def bits_table(model):
    rows = [[f"layer {i + 1}", *(f"{b:.2f}" for b in row)] for i, row in enumerate(bits(model))]
    return table(["", "place (bits)", "class (bits)"], rows)


bits_table(model)

# %% [markdown]
# *Where* below, *what* above, as in the paper. And for other numbers of experts?


# %%
def refit(experts=6, balanced=True):
    first_epochs = {} if balanced else {"n_constrained": 0}
    deep = DeepMixtureOfExpertsClassifier(
        (experts, experts), standardize=False, random_state=0, **first_epochs
    ).fit(X, y)
    ExpertLoadDisplay.from_estimator(deep.layers_[1], X_new, by=y_new)
    plt.show()


interact(refit, experts=(2, 8, 1), balanced=True)

# %% [markdown]
# ## What to remember
#
# - A deep mixture stacks gated layers, and is trained by back-propagation. Its gates can divide the work by different
#   questions: *where*, then *what*.
# - Mutual information, in bits, says what a gate knows.
# - Balance in the first epochs keeps all experts in use. It is not there for accuracy.
#
# ## Exercises
#
# **Exercise 1.** A gate of four experts sends half of the sevens to expert 0 and half to expert 1, half of the ones to
# expert 2 and half to expert 3, and there are as many sevens as ones. How many bits does it tell of the class?

# %%
answer = ...

# %%
check("08.1", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# Who knows the expert knows the class, and there are two equally frequent ones: one bit. That four experts *could* tell two
# bits does not help, where there is one to tell.
#
# ```python
# answer = 1
# ```
#
# </details>

# %% [markdown]
# **Exercise 2.** Without balance. Fit the model once more with `n_constrained=0`, so that nobody is ever shut in the first
# epochs. Which share of the new pictures does the busiest expert of the *second* layer have? (The largest mean of
# `gate_proba`.)

# %%
answer = ...

# %%
check("08.2", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# unbound = DeepMixtureOfExpertsClassifier(
#     (4, 4), n_constrained=0, standardize=False, random_state=0
# ).fit(X, y)
# answer = unbound.layers_[1].gate_proba(X_new).mean(axis=0).max()
# ```
#
# With balance it is `second.gate_proba(X_new).mean(axis=0).max()`. The accuracy is no worse for the lack of it, and the
# gates know as much. Balance buys that all experts are used. Do not expect more of it.
#
# </details>

# %% [markdown]
# **Exercise 3.** One layer. Fit `DeepMixtureOfExpertsClassifier((8,), n_units=20, gate_units=20, standardize=False,
# random_state=0)`. How many bits does its gate tell of the class? (`bits` gives a row for each layer.)

# %%
answer = ...

# %%
check("08.3", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# flat = DeepMixtureOfExpertsClassifier(
#     (8,), n_units=20, gate_units=20, standardize=False, random_state=0
# ).fit(X, y)
# answer = bits(flat)[0][1]
# ```
#
# Next to none: with one gate only, all eight experts go by the place. So the second layer is what makes the *what* appear.
# On data this small it does not make the predictions better.
#
# </details>

# %% [markdown]
# ## Reference
#
# - D. Eigen, M. Ranzato, I. Sutskever (2013). Learning factored representations in a deep mixture of experts.
#   arXiv:1312.4314.
