"""
Rows that share an expert
=========================

Patients are seen several times, and the regime belongs to the patient, not to the visit. With
``groups`` all rows of a patient have the *same* expert. You see every patient's curve in the
colour of its expert: with groups they are of two kinds; without, the visits of one patient are
spread over both experts.
"""

# %%
# In some patients a symptom grows quickly, in others slowly; a single visit can hardly tell.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from classic_moe import MixtureOfExpertsRegressor

rng = np.random.default_rng(0)
patient = np.repeat(np.arange(40), 5)
week = rng.uniform(0, 4, len(patient))
fast = rng.random(40) < 0.5
points = 6 + np.where(fast[patient], 1.5, 0.4) * week + rng.standard_normal(len(week))
X = pd.DataFrame({"week": week})

# %%
# A constant gate: nothing that is known beforehand tells the two kinds apart.

model = MixtureOfExpertsRegressor(2, gate="constant", random_state=0)
together = model.fit(X, points, groups=patient).assign(X, points, groups=patient)
apart = model.fit(X, points).assign(X, points)
split = [len(set(apart[patient == who])) > 1 for who in range(40)]
print(f"without groups {sum(split)} of 40 patients have visits with both experts")

# %%
# A line is a patient, a point a visit.

figure, axes = plt.subplots(1, 2, figsize=(10, 4.2), sharey=True, layout="constrained")
colors = np.array(["#0072B2", "#E69F00"])
for ax, experts, title in zip(axes, (together, apart), ("with groups", "without")):
    for who in range(40):
        rows = np.flatnonzero(patient == who)
        rows = rows[np.argsort(week[rows])]
        ax.plot(week[rows], points[rows], color="0.85", linewidth=0.8, zorder=0)
    ax.scatter(week, points, s=14, c=colors[experts])
    ax.set(title=title, xlabel="week")
_ = axes[0].set_ylabel("symptom (points)")
