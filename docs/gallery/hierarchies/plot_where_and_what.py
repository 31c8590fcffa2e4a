"""
Where and what: layers of experts
=================================

Two layers of gated experts read digits that are put anywhere on a larger canvas. Nobody tells
them to, but the gate of the first layer comes to say more of *where* the digit is than of what it
is, and that of the second layer more of *what*. The heat maps show which experts the rows of each
place, and of each class, are given to.
"""

# %%
# Scikit-learn's digits at random places; few epochs, so that it takes a second.

import matplotlib.pyplot as plt

from classic_moe import DeepMixtureOfExpertsClassifier
from classic_moe.datasets import make_jittered_digits
from classic_moe.inspection import ExpertLoadDisplay
from classic_moe.metrics import gate_mutual_information

digits = make_jittered_digits(n_copies=1, random_state=0)
model = DeepMixtureOfExpertsClassifier((4, 4), max_iter=15, standardize=False, random_state=0)
_ = model.fit(digits.data, digits.target)

# %%
# What a gate knows, in bits.

for number, layer in enumerate(model.layers_, 1):
    gate = layer.gate_proba(digits.data_test)
    place, kind = (
        gate_mutual_information(gate, labels) for labels in (digits.where_test, digits.target_test)
    )
    print(f"layer {number}: {place:.2f} bits of the place, {kind:.2f} of the class")

# %%
# Uneven columns of a heat map say that a layer cares for what the columns are.

figure, (left, right) = plt.subplots(1, 2, figsize=(13, 3.6), layout="constrained")
first, second = model.layers_
ExpertLoadDisplay.from_estimator(first, digits.data_test, by=digits.where_test, ax=left)
left.set(title="first layer, by place", xlabel="place of the digit")
ExpertLoadDisplay.from_estimator(second, digits.data_test, by=digits.target_test, ax=right)
_ = right.set(title="second layer, by class", xlabel="digit")
