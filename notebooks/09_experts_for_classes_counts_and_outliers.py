# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Experts for classes, counts and outliers
#
# An expert need not be a line with normal noise. The one idea of this lecture: **the gate, the
# mixture and EM stay as they are; only the density of the experts changes** with what $y$ is. We
# meet logistic and softmax experts for classes, Poisson experts for counts, and Student-t experts
# for numbers with outliers. You need the first lecture, and to have met logistic regression and
# the Poisson distribution. About 45 minutes.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from lecture import check, interact
from sklearn.model_selection import GroupShuffleSplit

from classic_moe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from classic_moe.datasets import load_tone, make_vowels
from classic_moe.experts import StudentTExpert
from classic_moe.inspection import ExpertCurvesDisplay

# %% [markdown]
# ## One mixture, many densities
#
# $$
# p(y \mid x) = \sum_{k} g_k(x)\, p_k(y \mid x), \qquad
# h_k \propto g_k(x)\, p_k(y \mid x) .
# $$
#
# $g_k$ is the gate, $h_k$ the responsibility: the probability that expert $k$ made this row, now
# that $y$ is known. Nothing in EM asks what $p_k$ looks like. In every round each expert is fitted
# to all rows, weighted by its $h_k$; whatever can be fitted to weighted rows can be an expert. Let
# $\eta_k = a_k + b_k^\top x$.
#
# | `expert=` | $y$ | density of an expert |
# |---|---|---|
# | `"linear"` | numbers | normal, mean $\eta_k$ |
# | `"student_t"` | numbers with outliers | Student's t, centre $\eta_k$ |
# | `"logistic"` | two classes | $P(\text{second}) = 1 / (1 + e^{-\eta_k})$ |
# | `"softmax"` | classes | $P(c) \propto e^{\eta_{kc}}$ |
# | `"poisson"` | counts | Poisson, mean $e^{\eta_k}$ |
#
# There are more: gamma, binomial, negative binomial, Laplace, and any estimator of scikit-learn.
#
# ## 1. Two classes: a drug with a window
#
# Too little of a drug does not cure, too much makes ill again. Simulated, 300 patients.

# %%
rng = np.random.default_rng(0)
dose = rng.uniform(0, 10, (300, 1))
log_odds = np.where(dose[:, 0] < 5, 2 * (dose[:, 0] - 2.5), -2 * (dose[:, 0] - 7.5))
state = np.where(rng.random(300) < 1 / (1 + np.exp(-log_odds)), "cured", "ill")

one = MixtureOfExpertsClassifier(1, expert="logistic", random_state=0).fit(dose, state)
two = MixtureOfExpertsClassifier(2, expert="logistic", random_state=0).fit(dose, state)
display = ExpertCurvesDisplay.from_estimator(two, dose, state, feature_name="dose (mg)")
plt.show()

# %% [markdown]
# **How to read it.** Dots are shares of ill patients at neighbouring doses, with the numbers of
# patients and 95 % intervals. Each coloured curve is a logistic regression, as opaque as the gate
# trusts it; the black one is their mixture, $P(\text{ill} \mid x)$. One expert's curve falls, the
# other's rises, and the gate changes hands at the bottom, where both agree.

# %%
pd.DataFrame(
    {"log-likelihood": [m.log_likelihood_ for m in (one, two)],
     "right": [m.score(dose, state) for m in (one, two)],
     "BIC": [m.bic(dose, state) for m in (one, two)]},
    index=["one logistic regression", "two and a gate"],
).round(2)  # fmt: skip

# %%
print(two.equations())

# %% [markdown]
# One logistic regression is monotone in the dose and can do nothing here. The equations are
# log-odds: expert 0 says that above its dose of even odds every mg makes illness likelier,
# expert 1 the opposite. The second is the other side of the window.
#
# A polynomial in the dose would bend as well. What the mixture adds is two statements that a
# physician can check, each with its own dose of even odds, $-a_k / b_k$.

# %%
[round(float(-e.intercept_[0] / e.coef_[0, 0]), 1) for e in two.experts_]  # in truth 7.5 and 2.5

# %% [markdown]
# ## 2. More classes: softmax experts, and a gate of its own
#
# The vowels of heed, hid, hod and hud, said by simulated men, women and children with the
# frequencies of the classic table of Peterson and Barney. What makes a vowel is its two formants,
# F1 and F2; but a man's formants are lower than a child's. The pitch F0 tells who speaks, not
# which vowel. So: experts see the formants, **the gate sees the pitch**.

# %%
X, vowel, speaker = make_vowels(200, random_state=0)
X = pd.DataFrame(X, columns=["F0", "F1", "F2", "F3"]) / 1000  # kHz
rest = {"expert": "softmax", "random_state": 0, "expert_features": ["F1", "F2"]}
old, new = next(GroupShuffleSplit(1, random_state=0).split(X, vowel, speaker))  # new speakers
rows = {}
for K in (1, 2):
    fit = MixtureOfExpertsClassifier(K, gate_features=["F0"], **rest).fit(X.iloc[old], vowel[old])
    rows[K] = fit.score(X.iloc[new], vowel[new]), fit.log_prob(X.iloc[new], vowel[new]).mean()
print(f"the gate's border: {-1000 * fit.gate_.intercept_[0] / fit.gate_.coef_[0, 0]:.0f} Hz")
pd.DataFrame(rows, index=["right, new speakers", "log p, new speakers"]).T.round(3)

# %% [markdown]
# A gate with two experts reads the pitch and changes hands sharply at 181 Hz: the men's from the
# women's and children's voices, whom nobody had pointed out to it. What is it worth? On speakers
# whom the fit has not heard the mean log-probability of the right vowel rises a little, and the
# share of right answers falls a little. One softmax regression was already good. That, too, is a
# finding: **a mixture can be right about the story and still not needed for the task.**
#
# ## 3. Counts: Poisson experts
#
# Calls to a hotline, by hour of the day: at night hardly any, in the morning many, and then fewer
# and fewer. Means of counts are positive, and their spread grows with the mean.

# %%
hour = rng.uniform(0, 24, (300, 1))
h = hour[:, 0]
awake = rng.random(300) < 1 / (1 + np.exp(-3 * (h - 8)))
calls = rng.poisson(np.where(awake, np.exp(3.6 - 0.1 * (h - 8)), np.exp(1.2 - 0.15 * h)))

poisson = MixtureOfExpertsRegressor(2, expert="poisson", random_state=0).fit(hour, calls)
names = {"feature_name": "hour of the day", "target_name": "calls an hour"}
display = ExpertCurvesDisplay.from_estimator(poisson, hour, calls, **names)
plt.show()

# %%
normal = MixtureOfExpertsRegressor(2, random_state=0).fit(hour, calls)
at = [[6.0], [9.0], [23.0]]
intervals = {}
for name, model in {"Poisson": poisson, "normal": normal}.items():
    low, high = model.predict_dist(at).interval(0.9)
    intervals[name] = [f"{a:.1f} to {b:.1f}" for a, b in zip(low, high)]
pd.DataFrame(intervals, index=pd.Index(np.ravel(at), name="hour"))

# %% [markdown]
# Normal experts promise a negative number of calls at six in the morning, and one spread for all
# the day. Poisson experts have whole numbers, none below zero, and an interval at nine that is
# wider than that at eleven in the evening.
#
# **A warning.** The two log-likelihoods must not be compared: one is made of probabilities of
# counts, the other of densities. The same holds for BIC.

# %%
print(poisson.equations())
np.exp(poisson.experts_[0].coef_).round(3)

# %% [markdown]
# On the scale of the logarithm slopes are factors: in daytime every hour multiplies the calls by
# about .9; in truth by $e^{-0.1} = .905$.
#
# ## 4. Outliers: Student-t experts
#
# The tone data: a musician tuned to an octave ($y = 2$) or followed an overtone ($y = x$). To 150
# real answers we add ten copies of one that makes no sense, $(0, 4)$: a slipped keyboard.


# %%
def spoilt(outlier=4.0, copies=10):
    "The tone data with some rows at x = 0."
    X, y = load_tone(return_X_y=True)
    return np.vstack([X, np.zeros((copies, 1))]), np.append(y, np.full(copies, outlier))


def both_families(outlier=4.0, copies=10):
    "Normal and Student-t experts on the spoilt tone data, side by side."
    X, y = spoilt(outlier, copies)
    _, axes = plt.subplots(1, 2, figsize=(13, 4.5), layout="constrained")
    for ax, expert in zip(axes, ("linear", StudentTExpert(df=2))):
        fit = MixtureOfExpertsRegressor(2, expert=expert, gate="constant", random_state=0)
        ExpertCurvesDisplay.from_estimator(
            fit.fit(X, y), X, y, ax=ax, feature_name="stretch ratio", target_name="tuned ratio"
        )
        ax.set_title("normal" if expert == "linear" else "Student t, 2 degrees of freedom")
    plt.show()


both_families()

# %% [markdown]
# The normal expert 1 has left the overtone and points from the outliers down to the rest; its slope
# is negative. The t experts stay on $y = x$ and $y = 2$: look how dots beside a line are just
# that, far from it, and how the one at $(0, 4)$ (ten rows on top of each other) moves nothing.
#
# Why? The normal density falls so fast that an outlier is a catastrophe, and the fit bends to avoid
# it. Within EM a Student-t expert with $\nu$ degrees of freedom gives a row at distance $r$ (in
# units of its scale) the weight
#
# $$
# w(r) = \frac{\nu + 1}{\nu + r^2} .
# $$

# %%
r = np.linspace(0, 10, 200)
_, ax = plt.subplots(figsize=(6, 3.5))
for nu, style in ((2, "-"), (5, "--"), (30, ":")):
    ax.plot(r, (nu + 1) / (nu + r**2), style, color="C0", label=f"Student t, ν = {nu}")
ax.plot(r, np.ones_like(r), color="0.4", label="normal")
ax.set(xlabel="distance r from the line (scales)", ylabel="weight of the row in the fit")
ax.set_ylim(0, 1.8)
ax.legend()
plt.show()

# %% [markdown]
# The larger ν, the more normal. `expert="student_t"` estimates a ν for every expert.
#
# Now move the outlier. At 2, on the octave's line, it is none; how far does it have to go before
# the normal experts follow? And when do the t experts?

# %%
interact(both_families, outlier=(0.0, 8.0, 0.5), copies=(0, 20, 2))

# %% [markdown]
# ## What to remember
#
# - Choose the expert by what $y$ is; gate, responsibilities and EM stay.
# - Log-odds for classes, factors for counts: that is how slopes are read.
# - Gate and experts may see different columns.
# - Outliers take over normal experts. Student-t experts give them little weight.
#
# ## Exercises
#
# **Exercise 1.** A Poisson expert has $\log \mathrm{E}[y] = 0.5 + 0.3\,x$. By which factor does its
# mean grow from $x = 2$ to $x = 4$?

# %%
answer = ...

# %%
check("09.1", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# Two units more: the factor of one unit, twice. The intercept cancels.
#
# ```python
# answer = np.exp(0.3 * 2)
# ```
#
# </details>

# %% [markdown]
# **Exercise 2.** A Student-t expert has ν = 2. At which distance $r$ has a row a tenth of the
# weight that it has on the line ($r = 0$)?

# %%
answer = ...

# %%
check("09.2", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# $w(0) = 3/2$, and $3 / (2 + r^2) = 0.15$ gives $r^2 = 18$.
#
# ```python
# answer = np.sqrt(18)
# ```
#
# </details>

# %% [markdown]
# **Exercise 3.** What is the slope of the overtone's line (the lighter expert, number 1) with the
# ten outliers, `spoilt()`, when ν is fixed at 2? Fit with `gate="constant"` and `random_state=0`.
# In truth it is 1.

# %%
answer = ...

# %%
check("09.3", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# fit = MixtureOfExpertsRegressor(
#     2, expert=StudentTExpert(df=2), gate="constant", random_state=0
# ).fit(*spoilt())
# answer = fit.experts_[1].coef_[0]
# ```
#
# </details>

# %% [markdown]
# ## References
#
# - M. I. Jordan, R. A. Jacobs (1994). Hierarchical mixtures of experts and the EM algorithm.
#   *Neural Computation* 6, 181–214.
# - E. A. Cohen (1980). *Inharmonic tone perception.* Dissertation, Stanford University.
# - F. Chamroukhi (2016). Robust mixture of experts modeling using the t distribution. *Neural
#   Networks* 79, 20–36.
