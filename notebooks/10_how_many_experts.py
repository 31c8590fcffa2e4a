# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # How many experts?
#
# The number of experts $K$ is what a mixture does not learn by itself. The one idea of this
# lecture:
# **there is no test of $K$ that works by itself; there are several questions, and each has its
# answer.** Which model made the data? Which groups can be told apart? Which predicts best? We ask
# BIC, ICL, cross-validation, a bootstrap test and penalties. You need the first lecture, likelihood
# and cross-validation. About 50 minutes.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from lecture import check, interact
from scipy import stats
from sklearn.model_selection import KFold

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.datasets import make_piecewise_regression
from classic_moe.inference import bootstrap_likelihood_ratio_test
from classic_moe.inspection import ExpertCurvesDisplay, ExpertUsageDisplay, ModelSelectionDisplay
from classic_moe.model_selection import ExpertCountSearch

# %% [markdown]
# ## 1. More is always better
#
# Three lines, 240 rows, and four candidates. Look for the one that is right.

# %%
X, y, truth = make_piecewise_regression(240, n_pieces=3, random_state=0, return_truth=True)

search = ExpertCountSearch(MixtureOfExpertsRegressor(random_state=0), range(1, 7)).fit(X, y)
_, axes = plt.subplots(1, 3, figsize=(15, 4), layout="constrained")
for ax, K in zip(axes, (2, 3, 5)):
    fit = MixtureOfExpertsRegressor(K, random_state=0).fit(X, y)
    ExpertCurvesDisplay.from_estimator(fit, X, y, ax=ax).ax_.get_legend().remove()
    ax.set_title(f"{K} experts: log-likelihood {fit.log_likelihood_:.0f}")
plt.show()

# %% [markdown]
# Two are too few: one line runs through two pieces. Three look right. Five are possible, too: two
# pieces are shared by two experts each, and the log-likelihood is *higher*. It always is: **$K + 1$
# experts can do whatever $K$ can**, by writing one down twice. So the likelihood of the data that
# were fitted cannot choose $K$; something has to pay for the parameters.
#
# ## 2. Criteria: likelihood minus a fine
#
# With $m$ parameters, $n$ rows, and responsibilities $h_{ik}$ (the probability that expert $k$ made
# row $i$):
#
# $$
# \mathrm{BIC} = -2\ell + m \log n, \qquad
# \mathrm{AIC} = -2\ell + 2m, \qquad
# \mathrm{ICL} = \mathrm{BIC} - 2 \sum_{ik} h_{ik} \log h_{ik} .
# $$
#
# Small is good. BIC asks which model made the data, AIC which predicts best. ICL adds the entropy
# of the responsibilities, a fine for experts that cannot be told apart: take it if the experts
# shall be *groups*. `ExpertCountSearch`, which ran above, fits all candidates so that they help
# each other: a fit with one expert more never ends below its neighbour for want of a good start.

# %%
ModelSelectionDisplay.from_estimator(search)
plt.show()

# %%
table = pd.DataFrame(search.results_).set_index("n_experts")
table[["log_likelihood", "n_parameters", "aic", "bic", "icl"]].round(1)

# %% [markdown]
# BIC and ICL choose three, which is the truth. AIC prefers four, and hardly tells four from five:
# it tends to take more experts than there are. Look at ICL from four on: it says that those experts
# cannot be told apart.
#
# The winner is a fitted model: `search.predict`, `search.best_estimator_`.

# %%
print(search.best_estimator_.equations())

# %% [markdown]
# ## 3. Ask rows that have not been seen
#
# Criteria are theory: large samples, the right family. Cross-validation asks directly. Each fold is
# held out in turn, and its rows are judged by $\log p(y \mid x)$, which looks at the mean *and* the
# spread. The best mean score comes with a standard error over the folds, so a rule of thumb is:
# the *fewest* experts within one standard error of the best.

# %%
folds = KFold(5, shuffle=True, random_state=0)
quick = MixtureOfExpertsRegressor(n_init=2, random_state=0)
held_out = ExpertCountSearch(quick, range(1, 6), criterion="cv", cv=folds, rule="one_se")
held_out.fit(X, y)
ModelSelectionDisplay.from_estimator(held_out)
plt.show()

# %%
table = pd.DataFrame(held_out.results_).set_index("n_experts")
table[["mean_test_score", "se_test_score"]].round(3)

# %% [markdown]
# Four have the best mean score, but by .005, where the standard error is .058. The rule takes
# three.
#
# ## 4. A test, and why the textbook's is wrong
#
# Why not test three against four by the likelihood ratio $\mathrm{LR} = 2(\ell_4 - \ell_3)$ and
# $\chi^2$ with as many degrees of freedom as the fourth expert has parameters?

# %%
ratio = 2 * np.diff(search.results_["log_likelihood"])[2]
more = np.diff(search.results_["n_parameters"])[2]
print(f"LR = {ratio:.1f}, {more} parameters more, p by χ² = {stats.chi2.sf(ratio, more):.4f}")

# %% [markdown]
# The textbook rejects three experts, and three is the truth. Its theorem does not hold here. If
# three are enough, the fourth expert is not *determined*: its line can be anything if its gate
# probability is zero. A search over all those lines finds some that fit by chance, and so the ratio
# is larger than $\chi^2$ says.
#
# The cure is simulation. Draw new $y$ from the *fit with three*, at the same $x$; fit three and
# four; note the ratio; repeat. Where does the observed ratio lie among those?

# %%
three = search.best_estimator_
test = bootstrap_likelihood_ratio_test(three, X, y, n_resamples=39, random_state=0)
_, ax = plt.subplots(figsize=(6.5, 3.5))
ax.hist(test.resampled, bins=12, density=True, color="C0", alpha=0.6, label="simulated, K = 3")
at = np.linspace(0, 25, 200)
ax.plot(at, stats.chi2.pdf(at, more), "--", color="C1", label=f"χ² with {more} degrees of freedom")
ax.axvline(test.statistic, color="black", label="observed")
ax.set(xlabel="likelihood ratio, three against four experts", ylabel="density")
ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
plt.show()
print(test)

# %% [markdown]
# Where three are the truth, the ratio is about 12, not 5 as $\chi^2$ has it. Two of the 39
# simulated ratios reach the observed one: $p = (1 + 2) / (39 + 1)$, and three experts are not
# rejected at 5 %. (The ± is the error of the simulation. In earnest one takes 199 resamples or
# more.)
#
# ## 5. Another answer: take many, and let penalties switch them off
#
# `alpha="auto"` asks the data how large slopes are, and can find that some experts are not needed.
# Start with eight:

# %%
auto = MixtureOfExpertsRegressor(8, random_state=0)
auto.set_params(expert__alpha="auto", gate__alpha="auto").fit(X, y)
ExpertUsageDisplay.from_estimator(auto, X, y)
plt.show()

# %% [markdown]
# Three of eight share all rows; five have none. No search over $K$ was needed. The price is that
# the penalties, which are weak where there are many rows, act as a prior: one believes that slopes
# are of one size. (The warning says that the regions are sharply parted; that is so here.)
#
# ## 6. When is it hard?
#
# The pieces here lie apart and have little noise. With fewer rows and more noise BIC hears less.


# %%
def choose(rows=240, noise=0.1):
    "Three true lines; what BIC and ICL make of them."
    data = make_piecewise_regression(rows, n_pieces=3, noise=noise, random_state=0)
    found = ExpertCountSearch(quick, range(1, 6)).fit(*data)
    _, (left, right) = plt.subplots(1, 2, figsize=(14, 4), layout="constrained")
    ExpertCurvesDisplay.from_estimator(found, *data, ax=left)
    ModelSelectionDisplay.from_estimator(found, ax=right)
    plt.show()


choose(rows=40, noise=0.5)

# %%
interact(choose, rows=(40, 400, 40), noise=(0.1, 1.0, 0.1))

# %% [markdown]
# With 40 rows and noise 0.5 BIC chooses a single line. The truth has three, and yet BIC is not
# wrong: *these* data cannot show them. AIC takes the most that it is offered. How many rows does it
# take?
#
# ## What to remember
#
# - The likelihood never falls with $K$; it cannot choose.
# - BIC: what made the data. ICL: what can be told apart. Cross-validation: what predicts.
# - $\chi^2$ is wrong for $K$ against $K + 1$; simulate.
# - Wrong families ask for more experts: heavy tails look like another line. Draw the fit.
#
# ## Exercises
#
# **Exercise 1.** Two experts with a softmax gate and one column: 8 parameters. Three: 13. With 240
# rows, by how much must the log-likelihood rise for BIC to prefer three?

# %%
answer = ...

# %%
check("10.1", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# $-2\Delta\ell + 5 \log 240 < 0$.
#
# ```python
# answer = 5 * np.log(240) / 2
# ```
#
# </details>

# %% [markdown]
# **Exercise 2.** In a bootstrap test with 99 resamples, 3 of the simulated ratios reach the
# observed one. What is the p-value?

# %%
answer = ...

# %%
check("10.2", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# The observed ratio counts as one of the hundred: $(1 + 3) / (99 + 1)$. A p-value of zero would
# claim more than 99 draws can tell.
#
# ```python
# answer = (1 + 3) / (99 + 1)
# ```
#
# </details>

# %% [markdown]
# **Exercise 3.** How many experts does BIC choose for 400 rows of the same three lines with
# `noise=0.5` (the model is `quick`, the candidates 1 to 5)?

# %%
answer = ...

# %%
check("10.3", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# data = make_piecewise_regression(400, n_pieces=3, noise=0.5, random_state=0)
# answer = ExpertCountSearch(quick, range(1, 6)).fit(*data).best_n_experts_
# ```
#
# </details>

# %% [markdown]
# ## References
#
# - G. Schwarz (1978). Estimating the dimension of a model. *Annals of Statistics* 6, 461–464.
# - C. Biernacki, G. Celeux, G. Govaert (2000). Assessing a mixture model for clustering with the
#   integrated completed likelihood. *IEEE Transactions on Pattern Analysis and Machine
#   Intelligence* 22, 719–725.
# - G. J. McLachlan (1987). On bootstrapping the likelihood ratio test statistic for the number of
#   components in a normal mixture. *Applied Statistics* 36, 318–324.
