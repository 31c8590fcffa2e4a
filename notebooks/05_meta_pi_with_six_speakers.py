# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Meta-Pi with six speakers
#
# Six people speak. For five of them there is an expert, trained on that person's speech alone. Can these five, as they
# are, understand *everybody*, without being told who speaks, and even the sixth, whom none of them knows? Hampshire and
# Waibel (1989, 1992) trained a gate to blend their answers, and it could. The one idea: experts trained apart, a gate
# trained on top. You need the lecture *The three error functions of 1991*. About 30 minutes.

# %%
import matplotlib.pyplot as plt
import numpy as np
from lecture import check, interact, table
from sklearn.linear_model import LogisticRegression

from classic_moe import MetaPiClassifier
from classic_moe.datasets import make_six_speakers
from classic_moe.inspection import ExpertLoadDisplay, GateRegionDisplay

# %% [markdown]
# ## 1. Six ways of saying four sounds
#
# The data are simulated: two women and four men say four sounds, each of which has a pitch and two formants. Every
# speaker has a map of his or her own from sounds to formants, turned and shifted. The map of the fourth man, `m4`, is
# the mean of those of the other three.

# %%
X, y, speaker = make_six_speakers(200, random_state=0)
X_new, y_new, speaker_new = make_six_speakers(500, random_state=1)
names = ["f1", "f2", "m1", "m2", "m3", "m4"]
colors = np.array(["#0072B2", "#E69F00", "#009E73", "#CC79A7"])  # for colour-blind readers, too

fig, axes = plt.subplots(2, 3, figsize=(9, 5.6), sharex=True, sharey=True, layout="constrained")
for ax, name in zip(axes.flat, names):
    for sound, marker in enumerate("os^D"):
        rows = (speaker == name) & (y == sound)
        ax.scatter(*X[rows, 1:].T, s=12, c=colors[sound], marker=marker, label=f"sound {sound}")
    ax.set(title=f"{name}, mean pitch {X[speaker == name, 0].mean().round(1) + 0:.1f}")
    ax.set(xlabel="formant 1", ylabel="formant 2")
    ax.label_outer()
shown = axes[0, 0].get_legend_handles_labels()
fig.legend(*shown, loc="outside lower center", ncols=4, frameon=False)
plt.show()

# %% [markdown]
# Within each panel straight lines part the sounds. But what is sound 0 for `m1` lies where `f1` says something else.
#
# ## 2. Experts who know one voice
#
# A logistic regression for each of the five, on the two formants of his or her 200 rows; and one for all rows together,
# which sees the pitch, too. How does everybody understand everybody else?


# %%
def by_speaker(predicted):
    "Accuracy on the new rows of each speaker."
    return [np.mean((predicted == y_new)[speaker_new == name]) for name in names]


accuracy = {}
for name in names[:5]:
    own = speaker == name
    expert = LogisticRegression().fit(X[own, 1:], y[own])
    accuracy[f"expert of {name}"] = by_speaker(expert.predict(X_new[:, 1:]))
accuracy["one for all rows"] = by_speaker(LogisticRegression().fit(X, y).predict(X_new))


def accuracies(last):
    "The last rows of the table."
    rows = list(accuracy.items())[-last:]
    return table(["", *names], [[who, *(f"{value:.2f}" for value in row)] for who, row in rows])


accuracies(6)

# %% [markdown]
# Each expert understands its own speaker nearly perfectly and others badly, down to never. One straight classifier for
# all is no way out: its borders would have to lie in six ways at once.
#
# ## 3. The gate
#
# Meta-Pi keeps the experts as they are and blends what they say,
#
# $$
# f_c(x) = \sum_k g_k(x)\, f_{kc}(x) .
# $$
#
# The gate is trained on the rows of *all six* speakers by the squared error between the blend and the sound that was
# said: equation (1.1) of the lecture before. It sees the pitch and the formants, and is never told who speaks.
#
# `expert_groups` says whose rows train which expert; `"-1"` marks rows that train none. `expert_features=[1, 2]` gives
# the experts the formants alone.


# %%
def meta_pi(**options):
    "Five experts and a gate; m4's rows train the gate alone."
    experts = [(name, LogisticRegression()) for name in names[:5]]
    model = MetaPiClassifier(experts, expert_features=[1, 2], **options)
    return model.fit(X, y, expert_groups=np.where(speaker == "m4", "-1", speaker))


model = meta_pi()
accuracy["Meta-Pi"] = by_speaker(model.predict(X_new))
accuracies(2)

# %% [markdown]
# The blend understands everybody, and `m4`, who has no expert, about as well as the men who have one.
#
# ## 4. Whom does the gate believe?

# %%
display = ExpertLoadDisplay.from_estimator(model, X_new, by=speaker_new)
display.ax_.set(title="Whom the gate believes", xlabel="who speaks", ylabel="expert")
plt.show()
believed = model.gate_proba(X_new)[speaker_new == "m4"].mean(axis=0)
print(f"m4: weight of the three men together {believed[2:].sum():.3f}")

# %% [markdown]
# For the women the gate has found out who speaks: they have a pitch of their own, and maps like nobody else's. The men
# overlap, and there the gate does something else. It does not look for *the* expert. It mixes those whose mixture is
# right. Nobody knows `m4`, and the three men together do: this is the observation that made the paper known, one of its
# male speakers recognised by the experts of the others alone.
#
# Along pitch and the first formant one sees both (x2, the second formant, is held at its median; experts 0 to 4 are those of
# f1, f2, m1, m2, m3):

# %%
display = GateRegionDisplay.from_estimator(
    model, X, feature_names=["pitch", "formant 1"], data_kw={"s": 6}
)
plt.show()


# %% [markdown]
# And at other values of the second formant (it has mean 0, and a standard deviation of about 1)?


# %%
def slice_at(formant_2):
    rows = X.copy()
    rows[:, 2] = formant_2
    GateRegionDisplay.from_estimator(model, rows, feature_names=["pitch", "formant 1"])
    plt.show()


interact(slice_at, formant_2=(-2.0, 2.0, 0.5))

# %% [markdown]
# ## 5. Cooperation, for once, is what we want
#
# What if one insisted on a single expert, the one that the gate believes most?

# %%
probabilities = model.predict_experts(X_new)  # (rows, experts, sounds)
most = model.gate_proba(X_new).argmax(axis=1)
alone = model.classes_[probabilities[np.arange(len(most)), most].argmax(axis=1)]
accuracy["Meta-Pi, most believed alone"] = by_speaker(alone)
accuracies(2)

# %% [markdown]
# For the women hardly anything changes; `m4` loses most: for him the men's experts were used *together*. In the lecture
# before cooperation was a nuisance, as it made experts meaningless. Here they cannot be spoilt, being frozen, and the
# blend is all that counts.
#
# **Is it worth the trouble?** On this task a small neural network on all rows does as well (exercise 3), and a reader should
# know it. What Meta-Pi offers is something else:
#
# - the experts may be **anything** that predicts probabilities, made by others, at other times, on data that cannot be
#   pooled; `sklearn.frozen.FrozenEstimator` takes them as they are;
# - a **new** speaker costs one new expert and a new gate, and leaves the others untouched;
# - the gate can be **read**: who was believed, and whether anybody fits at all.
#
# It has no likelihood: the squared error of a blend is not a model of how the data come about, so there is no BIC.
#
# ## What to remember
#
# - Experts trained apart, a gate trained on the blend, by the error (1.1).
# - The gate finds out who knows, without labels; where nobody does it looks for a mixture that does.
# - Frozen experts cannot be spoilt by cooperation.
#
# ## Exercises
#
# **Exercise 1.** A deaf gate. Give the gate the formants alone (`gate_features=[1, 2]`). Which speaker loses most accuracy
# against `model`?

# %%
answer = ...

# %%
check("05.1", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# deaf = by_speaker(meta_pi(gate_features=[1, 2]).predict(X_new))
# answer = names[np.argmax(np.subtract(accuracy["Meta-Pi"], deaf))]
# ```
#
# </details>

# %% [markdown]
# **Exercise 2.** A voice that the gate has never heard. Train the gate without the rows of `m4`: fit a `MetaPiClassifier` to
# the other five speakers' rows only. How accurate is it on the new rows of `m4`?

# %%
answer = ...

# %%
check("05.2", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# known = speaker != "m4"
# experts = [(name, LogisticRegression()) for name in names[:5]]
# stranger = MetaPiClassifier(experts, expert_features=[1, 2])
# stranger.fit(X[known], y[known], expert_groups=speaker[known])
# answer = by_speaker(stranger.predict(X_new))[5]
# ```
#
# It loses a little and does not break down: the men's region was known, and `m4` lies inside it.
#
# </details>

# %% [markdown]
# **Exercise 3.** The rival. Fit `MLPClassifier((30,), max_iter=2000, tol=1e-3, random_state=0)` to all rows behind a
# `StandardScaler`. What is its accuracy, averaged over the six speakers?

# %%
answer = ...

# %%
check("05.3", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# from sklearn.neural_network import MLPClassifier
# from sklearn.pipeline import make_pipeline
# from sklearn.preprocessing import StandardScaler
#
# network = MLPClassifier((30,), max_iter=2000, tol=1e-3, random_state=0)
# rival = make_pipeline(StandardScaler(), network).fit(X, y)
# answer = np.mean(by_speaker(rival.predict(X_new)))
# ```
#
# As good as Meta-Pi, if all rows may be put on one heap.
#
# </details>

# %% [markdown]
# ## References
#
# - J. B. Hampshire, A. H. Waibel (1992). The Meta-Pi network: building distributed knowledge representations for robust
#   multisource pattern recognition. *IEEE Transactions on Pattern Analysis and Machine Intelligence* 14, 751–769.
# - R. A. Jacobs, M. I. Jordan, S. J. Nowlan, G. E. Hinton (1991). Adaptive mixtures of local experts. *Neural
#   Computation* 3, 79–87.
