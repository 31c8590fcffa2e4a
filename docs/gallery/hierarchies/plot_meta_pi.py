"""
Experts that were trained apart
===============================

Five networks, each trained on one speaker, are frozen; a gate learns to blend them, on the speech
of all, *without being told who speaks* (Meta-Pi, 1992). You see whom the gate believes for each
speaker. Women have their own expert nearly for certain, the men share theirs; and the sixth
speaker, a man for whom there is no expert, is heard by the men's.
"""

# %%
# Four sounds of two women and four men, in pitch and two formants. The experts hear the formants
# alone.

import numpy as np
from sklearn.linear_model import LogisticRegression

from classic_moe import MetaPiClassifier
from classic_moe.datasets import make_six_speakers
from classic_moe.inspection import ExpertLoadDisplay

X, y, speaker = make_six_speakers(random_state=0)
X_new, y_new, who = make_six_speakers(random_state=1)
experts = [(name, LogisticRegression()) for name in ("f1", "f2", "m1", "m2", "m3")]
groups = np.where(speaker == "m4", "-1", speaker)  # nobody learns from the fourth man
model = MetaPiClassifier(experts, expert_features=[1, 2])
_ = model.fit(X, y, expert_groups=groups)

# %%
# One model for all does worse than five that are blended.

one = LogisticRegression().fit(X, y)
print(
    f"accuracy: one for all {one.score(X_new, y_new):.2f}, blended {model.score(X_new, y_new):.2f}"
)

# %%
# The speakers in columns, and in each the shares of the experts.

_ = ExpertLoadDisplay.from_estimator(model, X_new, by=who)
