"""
Is there a second expert?
=========================

With an expert too many the gate is not determined, and twice the gain in log-likelihood has no
chi-squared distribution. So its distribution is simulated: data are drawn from the fit of one
expert, and one and two experts are fitted to each. You see the gains that chance alone makes, and
where the gain of the real data lies.
"""

# %%
# Two lines through one point, with much noise.

import matplotlib.pyplot as plt
import numpy as np

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.inference import bootstrap_likelihood_ratio_test

rng = np.random.default_rng(3)
X = rng.uniform(-1, 1, (120, 1))
y = rng.choice([-1.0, 1.0], 120) * X[:, 0] + 0.7 * rng.standard_normal(120)
one = MixtureOfExpertsRegressor(1, gate="constant", random_state=0).fit(X, y)

# %%
# With 39 resamples the smallest p-value that can come out is 1 / 40.

result = bootstrap_likelihood_ratio_test(one, X, y, n_resamples=39, random_state=0)
print(result)

# %%
# The curve is the chi-squared distribution that a textbook might suggest for the four extra
# parameters.

from scipy.stats import chi2

figure, ax = plt.subplots(figsize=(6.5, 4), layout="constrained")
ax.hist(result.resampled, bins=12, density=True, color="0.8", label="resamples of one expert")
grid = np.linspace(0.01, result.resampled.max() + 2, 200)
ax.plot(grid, chi2(4).pdf(grid), color="#0072B2", label="chi-squared, 4 degrees of freedom")
ax.axvline(result.statistic, color="#D55E00", linewidth=2, label="the data")
ax.set(xlabel="twice the gain in log-likelihood", ylabel="density")
_ = ax.legend()
