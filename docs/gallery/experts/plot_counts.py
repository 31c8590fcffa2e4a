"""
Counts with exposure
====================

Claims grow with the number of insured, so the question is the *rate*, claims per holder. The
exposure enters the logarithm of a Poisson expert's mean with coefficient 1, as the column named
by ``offset_feature``. You see 64 groups of car insurance and the fitted rates: the older the
driver, the fewer claims. Without the exposure the same model says the opposite, because there are
more older holders.
"""

# %%
# 23,359 policy holders in 64 groups, by age and size of the engine.

import matplotlib.pyplot as plt
import numpy as np

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.datasets import load_insurance

table, claims = load_insurance(return_X_y=True, as_frame=True)
X = table[["Group", "Age"]].assign(log_holders=np.log(table["Holders"]))

# %%
# The same model twice, once it knows the exposure and once it does not.

model = MixtureOfExpertsRegressor(1, expert="poisson", offset_feature="log_holders")
rate = model.fit(X, claims)
blind = MixtureOfExpertsRegressor(1, expert="poisson").fit(X[["Group", "Age"]], claims)
for name, fit in (("with exposure", rate), ("without", blind)):
    factor = np.exp(fit.experts_[0].coef_[1])
    print(f"{name}: an age class more multiplies claims by {factor:.2f}")

# %%
# One expert is enough here, says BIC; a mixture need not be used because it is there.

options = dict(expert="poisson", offset_feature="log_holders", n_init=3, random_state=0)
two = MixtureOfExpertsRegressor(2, **options)
print(f"BIC: one expert {rate.bic(X, claims):.0f}, two {two.fit(X, claims).bic(X, claims):.0f}")

# %%
# Claims per holder against age, a point a group of at least 50 holders, as large as the group.

figure, ax = plt.subplots(figsize=(7, 4.2), layout="constrained")
kept = table["Holders"] >= 50
for group, color in zip((1, 2, 3, 4), ("#0072B2", "#E69F00", "#009E73", "#D55E00")):
    rows = kept & (table["Group"] == group)
    size = np.sqrt(table["Holders"][rows])
    age = table["Age"][rows] + 0.08 * (group - 2.5)
    ax.scatter(age, claims[rows] / table["Holders"][rows], s=2 * size, color=color, alpha=0.6)
    at = X[:4].assign(Group=group, Age=[1, 2, 3, 4], log_holders=0.0)
    ax.plot([1, 2, 3, 4], rate.predict(at), color=color, label=f"engine class {group}")
ax.set(xlabel="age class", ylabel="claims per holder", xticks=[1, 2, 3, 4])
_ = ax.legend()
