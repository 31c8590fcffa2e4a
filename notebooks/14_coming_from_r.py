# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Coming from R
#
# R has had mixtures of regressions for twenty years: flexmix, mixtools, MoEClust. The one idea of
# this lecture: **the model is the same, and so are the numbers**, once one knows three
# conventions. Each section has a call in R with what R printed (flexmix 2.3-18, mixtools 2.0.0,
# MoEClust 1.5.2), the same call here, and the difference, computed. No R is needed to run it. You
# should know what a mixture of regressions is. About 35 minutes.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from lecture import check, interact
from sklearn.datasets import load_iris

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.datasets import load_motorcycle, load_tone
from classic_moe.experts import LinearExpert
from classic_moe.gates import SoftmaxGate
from classic_moe.inference import infer
from classic_moe.inspection import ExpertCurvesDisplay

# %% [markdown]
# ## The phrase-book
#
# | R | here |
# |---|---|
# | `k = 2`, `G = 2` | `MixtureOfExpertsRegressor(2)` |
# | component, cluster | expert |
# | concomitant variables (flexmix), gating network (MoEClust) | gate |
# | no concomitant variable | `gate="constant"` |
# | `concomitant = FLXPmultinom(~ x)`, `gating = ~ x` | `gate="softmax"`, the default |
# | `FLXMRglm(family = "poisson")`, ... | `expert="poisson"`, ... |
# | `posterior(f)`, `clusters(f)` | `responsibilities(X, y)`, `assign(X, y)` |
# | `prior(f)` | `weights_` |
# | `refit(f)` | `infer(model, X, y)` |
# | `stepFlexmix(..., nrep = 10)` | `n_init=10` |
#
# **Three conventions.**
#
# 1. *Penalties.* By default this package adds weak ones, against experts that shrink onto a few
#    rows. R adds none. For R's numbers they are set to zero.
# 2. *Numbers of the experts.* Here by weight, the heaviest is 0. In R by the start. And the gate's
#    log-odds are against the *last* expert here, against the *first* component in R.
# 3. *Standard deviations and criteria* have more than one definition. We shall meet them.

# %%
PLAIN = {
    "expert": LinearExpert(alpha=0, variance_prior=0),  # convention 1: as R, no penalties
    "tol": 1e-10,  # climb until nothing is left to gain
    "random_state": 0,
}


def beside(r, ours):
    "A table of R's numbers, ours, and the differences."
    table = pd.DataFrame({"R": r, "here": ours})
    return table.assign(difference=table["here"] - table["R"]).round(5) + 0.0


# %% [markdown]
# ## mixtools: `regmixEM`
#
# Cohen's musician (1980) tuned a tone to the octave of another whose overtones were stretched
# ($x$). Sometimes he followed the overtone, $y = x$, sometimes he held the octave, $y = 2$.
#
# ```r
# data(tonedata)
# f <- regmixEM(tonedata$tuned, tonedata$stretchratio, k = 2, epsilon = 1e-10)
# f[c("lambda", "beta", "sigma", "loglik")]
# #> $lambda  0.6977206 0.3022794
# #> $beta           comp.1      comp.2
# #>  beta.0     1.91638010 -0.01927484
# #>  beta.1     0.04254853  0.99229554
# #> $sigma  0.04619208 0.13283413
# #> $loglik  141.1984
# ```

# %%
X, y = load_tone(return_X_y=True)
tone = MixtureOfExpertsRegressor(2, gate="constant", **PLAIN).fit(X, y)
display = ExpertCurvesDisplay.from_estimator(
    tone, X, y, feature_name="stretch ratio", target_name="tuned ratio"
)
display.figure_.suptitle("The tone data: two ways to hear")
plt.show()

# %% [markdown]
# The black line is the mean of the mixture: it lies between two lines, where there are few answers.
# The strip below says that a constant gate is the same everywhere. Now the numbers:

# %%
r = [0.6977206, 0.3022794, 1.91638010, -0.01927484, 0.04254853, 0.99229554, 0.04619208, 0.13283413]
names = [f"{what} {k}" for what in ("weight", "intercept", "slope", "sd") for k in (0, 1)]
ours = [
    *tone.weights_,
    *[e.intercept_ for e in tone.experts_],
    *[e.coef_[0] for e in tone.experts_],
    *[e.scale_ for e in tone.experts_],
]
beside(pd.Series([*r, 141.1984], [*names, "log-likelihood"]), [*ours, tone.log_likelihood_])

# %% [markdown]
# The same, to all digits shown.
#
# ## flexmix: `flexmix`, and why its sigma is larger
#
# The same model of the same rows:
#
# ```r
# f <- flexmix(tuned ~ stretchratio, data = tonedata, k = 2,
#              control = list(iter.max = 2000, tolerance = 1e-12))
# parameters(f); logLik(f); BIC(f); ICL(f)
# #>                        Comp.1     Comp.2
# #> coef.(Intercept)  -0.01995801 1.91608164
# #> coef.stretchratio  0.99250532 0.04266402
# #> sigma              0.13417251 0.04664745
# #> 'log Lik.' 141.1885 (df=7)     BIC -247.3026     ICL -210.9498
# ```
#
# Not the same! flexmix divides a component's sum of squares not by its $n_k = \sum_i h_{ik}$ rows,
# as maximum likelihood does, but by $n_k (n - p) / n$ with $p$ coefficients, for an unbiased
# variance. So its variances are larger by the factor $n / (n - p)$; and as standard deviations
# decide who gets which row, all other numbers move a little, too.

# %%
octave, overtone = tone.experts_
n, p = len(y), 2
raised = [expert.scale_ * np.sqrt(n / (n - p)) for expert in (octave, overtone)]
beside(
    pd.Series(
        [0.04664745, 0.13417251, 141.1885, -247.3026],
        ["sd 0, raised", "sd 1, raised", "log-likelihood", "BIC"],
    ),
    [*raised, tone.log_likelihood_, tone.bic(X, y)],
)

# %% [markdown]
# Our log-likelihood is higher by a hundredth, as that of a maximum has to be; BIC follows. The
# raised standard deviations are nearly R's: what is left is those rows that moved.
#
# ## flexmix: `refit`, and standard errors
#
# `refit` climbs on to the maximum of the likelihood before it takes second derivatives. So these
# must agree, and do:
#
# ```r
# summary(refit(f))
# #> $Comp.1          Estimate Std. Error z value Pr(>|z|)
# #>   (Intercept)   -0.019275   0.102184 -0.1886   0.8504
# #>   stretchratio   0.992296   0.044108 22.4970   <2e-16 ***
# #> $Comp.2          Estimate Std. Error z value  Pr(>|z|)
# #>   (Intercept)    1.916380   0.022683 84.4859 < 2.2e-16 ***
# #>   stretchratio   0.042549   0.010228  4.1602  3.18e-05 ***
# ```

# %%
table = infer(tone, X, y).to_frame()
names = [f"expert {k}: {what}" for k in (1, 0) for what in ("intercept", "x0")]
beside(
    pd.Series([0.102184, 0.044108, 0.022683, 0.010228], names),
    table.loc[names, "standard_error"],
)

# %% [markdown]
# Where an information matrix is badly conditioned, R's differences can stop short of the maximum;
# the derivatives here are exact.
#
# ## flexmix: ICL has two definitions
#
# BIC plus a fine for rows in doubt. flexmix and MoEClust take the most probable component of each
# row, this package the entropy:
#
# $$
# \text{R:}\; \mathrm{BIC} - 2 \sum_i \log \max_k h_{ik}, \qquad
# \text{here:}\; \mathrm{BIC} - 2 \sum_i \sum_k h_{ik} \log h_{ik} .
# $$

# %%
h = tone.responsibilities(X, y)
as_r = tone.bic(X, y) - 2 * np.log(h.max(axis=1)).sum()
beside(pd.Series([-210.9498, -210.9498], ["R's", "entropy"]), [as_r, tone.icl(X, y)])

# %% [markdown]
# By R's definition we have R's number, but for two tenths: its larger sigmas leave rows a
# little more in doubt. Compare values of ICL within one package only.
#
# ## flexmix: a gate that knows x
#
# The head of a dummy in a motorcycle accident (`mcycle` of MASS), three lines, and a gate in time.
# R's best of 26 starts, 16 of which ended in worse maxima:
#
# ```r
# stepFlexmix(accel ~ times, data = mcycle, k = 3, nrep = 26,
#             concomitant = FLXPmultinom(~ times), control = list(iter.max = 5000))
# #> 'log Lik.' -580.5254 (df=13)
# ```

# %%
times, accel = load_motorcycle(return_X_y=True)
crash = MixtureOfExpertsRegressor(3, gate=SoftmaxGate(alpha=0), max_iter=5000, **PLAIN)
crash.fit(times, accel)
display = ExpertCurvesDisplay.from_estimator(
    crash, times, accel, feature_name="time (ms)", target_name="acceleration (g)"
)
plt.show()
print(crash.equations())
beside(pd.Series([-580.5254], ["log-likelihood"]), [crash.log_likelihood_])

# %% [markdown]
# The same maximum; R lies below by 0.008, because of its sigma. The parameters at the exact
# maximum, to which R's were polished by Newton's method, with the gate against R's first component:

# %%
slopes, heights = crash.gate_.coef_[:, 0], crash.gate_.intercept_
against = slopes - slopes[0], heights - heights[0]  # convention 2: choose the reference
r = [18.6959003, 28.4885329, -0.9446759, -0.2905791, -5.2440066, -0.1751894]
r += [69.9242045, 131.7206502, -2.6908611, -6.9445165]
parts = ("intercept", "slope", "gate, intercept", "gate, slope")
names = [f"{part} {k}" for part in parts for k in range(3) if "gate" not in part or k]
ours = [e.intercept_ for e in crash.experts_] + [e.coef_[0] for e in crash.experts_]
beside(pd.Series(r, names), [*ours, *against[1][1:], *against[0][1:]])

# %% [markdown]
# ## MoEClust: several outputs
#
# Petals from sepals, both with length and width: two outputs with correlated noise, a full
# covariance an expert. The gate sees the length of the sepals alone.
#
# ```r
# MoE_clust(iris[, 3:4], G = 2, expert = ~ Sepal.Length + Sepal.Width,
#           gating = ~ Sepal.Length, network.data = iris, modelNames = "VVV")
# #> loglik -46.6489718   df 20   BIC -193.510650   ICL -203.148379
# ```

# %%
iris = load_iris()
sepals, petals = iris.data[:, :2], iris.data[:, 2:]
flowers = MixtureOfExpertsRegressor(2, gate=SoftmaxGate(alpha=0), gate_features=[0], **PLAIN)
flowers.fit(sepals, petals)
h = flowers.responsibilities(sepals, petals)
icl_of_r = flowers.bic(sepals, petals) - 2 * np.log(h.max(axis=1)).sum()
ours = [flowers.log_likelihood_, flowers.n_parameters_, -flowers.bic(sepals, petals), -icl_of_r]
r = [-46.6489718, 20, -193.510650, -203.148379]
beside(pd.Series(r, ["log-likelihood", "parameters", "−BIC", "−ICL"]), ours)

# %% [markdown]
# MoEClust's (and mclust's) BIC is twice the log-likelihood *minus* the fine: larger is better.
# Here, as in flexmix, smaller is better. Hence the minus.
#
# ## What the penalties do
#
# R's users may wonder what the default penalties cost. Little: the fourth digit, here.
# `variance_prior` is a number of pseudo-rows (rows that nobody observed) that vary as all of $y$
# does.


# %%
def penalised(variance_prior):
    "The tone data again, with a penalty on variances."
    fit = MixtureOfExpertsRegressor(
        2, expert=LinearExpert(variance_prior=variance_prior), gate="constant", random_state=0
    ).fit(X, y)
    print(f"log-likelihood {fit.log_likelihood_:.4f}; without penalties {tone.log_likelihood_:.4f}")
    print(fit.equations())


penalised(variance_prior=0.01)  # the default

# %%
interact(penalised, variance_prior=(0.0, 10.0, 0.5))

# %% [markdown]
# ## What to remember
#
# - Without penalties and with the same starts, R and this package find the same maxima.
# - flexmix raises variances by $n / (n - p)$; ICL and the sign of BIC differ between packages.
# - A difference in the third digit is a convention. One in the first is another maximum: look at
#   the log-likelihood.
#
# ## Exercises
#
# **Exercise 1.** A colleague's MoEClust prints a BIC of −310.4 for two components and −295.8 for
# three. Which number of components does it prefer?

# %%
answer = ...

# %%
check("14.1", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# Larger is better there: −295.8 is larger.
#
# ```python
# answer = 3
# ```
#
# </details>

# %% [markdown]
# **Exercise 2.** flexmix, on 30 rows, a line per component: `sigma` is 2.0. What is, to a good
# approximation, the standard deviation of maximum likelihood?

# %%
answer = ...

# %%
check("14.2", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# $p = 2$ coefficients; the variance was raised by $30 / 28$.
#
# ```python
# answer = 2.0 * np.sqrt(28 / 30)
# ```
#
# </details>

# %% [markdown]
# **Exercise 3.** R prints log-odds against its first component. Translate the gate of `crash` into
# log-odds against expert 1: an array of the three slopes.

# %%
answer = ...

# %%
check("14.3", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# Only differences of the scores matter; subtract the row of the reference.
#
# ```python
# answer = crash.gate_.coef_[:, 0] - crash.gate_.coef_[1, 0]
# ```
#
# </details>

# %% [markdown]
# ## References
#
# - B. Grün, F. Leisch (2008). FlexMix version 2: finite mixtures with concomitant variables and
#   varying and constant parameters. *Journal of Statistical Software* 28 (4).
# - T. Benaglia, D. Chauveau, D. R. Hunter, D. S. Young (2009). mixtools: an R package for analyzing
#   finite mixture models. *Journal of Statistical Software* 32 (6).
# - K. Murphy, T. B. Murphy (2020). Gaussian parsimonious clustering models with covariates and a
#   noise component. *Advances in Data Analysis and Classification* 14, 293–325.
