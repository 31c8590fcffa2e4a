"""Vowels of men, women and children; the figures and the picture of speakers.md.

    python docs/examples/speakers.py
    python docs/examples/speakers.py --part picture

Speakers are kept together: those in the test part were never heard.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from _compare import command, compare, show
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from classic_moe import MixtureOfExpertsClassifier
from classic_moe.datasets import make_vowels
from classic_moe.experts import SoftmaxExpert
from classic_moe.gates import SoftmaxGate
from classic_moe.inspection._palette import OKABE_ITO

VOWELS = ("i", "I", "E", "{", "A", "O", "U", "u", "V", "3'")
MIXTURE = "mixture of 2, gate on pitch"
ALPHA = 0.03
"""Penalty of every slope, per standard deviation: C = 1 / 0.03 in a logistic regression."""
KINDS = {"m": "men", "w": "women", "c": "children"}


def load(speakers=76):
    """Logarithms of pitch and formants, vowels, speakers and their kinds: (n, 4), (n,) thrice."""
    X, y, speaker = make_vowels(speakers, vowels=VOWELS, random_state=0)
    return np.log(X), y, speaker, np.array([name[0] for name in speaker])


def mixture(n_experts=2, **options):
    """Softmax experts, penalised as the logistic regression, and a gate that hears the pitch."""
    return MixtureOfExpertsClassifier(
        n_experts,
        expert=SoftmaxExpert(ALPHA),
        gate=SoftmaxGate("weak"),
        gate_features=[0],
        n_init=2,
        random_state=0,
        **options,
    )


def models():
    """Estimators by name."""
    logistic = LogisticRegression(C=1 / ALPHA, max_iter=2000)
    return {
        "linear discriminants": LinearDiscriminantAnalysis(),
        "quadratic discriminants": QuadraticDiscriminantAnalysis(reg_param=0.01),
        "logistic regression": make_pipeline(StandardScaler(), logistic),
        "logistic regression with products": make_pipeline(
            StandardScaler(), PolynomialFeatures(2), logistic
        ),
        "boosting, 100 small trees": HistGradientBoostingClassifier(
            max_leaf_nodes=4, max_iter=100, random_state=0
        ),
        MIXTURE: mixture(),
        "the same, experts without pitch": mixture(expert_features=[1, 2, 3]),
    }


def scores(model, X, y):
    """Log loss in nats a vowel, and the share of vowels misheard."""
    proba = model.predict_proba(X)
    return {
        "log loss": log_loss(y, proba, labels=model.classes_),
        "errors": np.mean(model.predict(X) != y),
    }


def together(repeats, folds, speakers):
    """All models in the same folds, whole speakers in each."""
    X, y, speaker, _ = load(speakers)
    splits = [
        split
        for seed in range(repeats)
        for split in GroupKFold(folds, shuffle=True, random_state=seed).split(X, y, speaker)
    ]
    results = compare(models(), splits, X, y, scores)
    show(f"{len(y)} vowels of {speakers} speakers", results, splits, MIXTURE)
    return results


def gate_and_kinds(speakers):
    """Mean gate of the vowels of each kind of speaker: {kind: (K,)}, and the fitted model."""
    X, y, _, kind = load(speakers)
    model = mixture().fit(X, y)
    gate = model.gate_proba(X)
    return {name: gate[kind == letter].mean(axis=0) for letter, name in KINDS.items()}, model


def picture(repeats, folds, speakers):
    """Draw speakers.png: the gate along the pitch, and two vowels as two experts hear them."""
    from matplotlib.figure import Figure

    X, _, _, kind = load(speakers)
    _, model = gate_and_kinds(speakers)
    high = int(np.argmax(np.log(X[:, 0]) @ (model.gate_proba(X) - 0.5)))
    colors = dict(zip(KINDS, OKABE_ITO, strict=False))
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    top, low = figure.subplots(2, 1, sharex=True, height_ratios=[1.3, 1])
    pitch = np.exp(X[:, 0])
    edges = np.geomspace(pitch.min(), pitch.max(), 40)
    for letter, name in KINDS.items():
        top.hist(pitch[kind == letter], edges, color=colors[letter], alpha=0.75, label=name)
    top.set_ylabel("vowels")
    top.legend(frameon=False)
    fine = np.geomspace(pitch.min(), pitch.max(), 400)
    grid = np.column_stack([np.log(fine), np.tile(X[:, 1:].mean(axis=0), (len(fine), 1))])
    low.plot(fine, model.gate_proba(grid)[:, high], color="black", lw=1.8)
    low.set_ylim(-0.04, 1.04)
    low.set(xlabel="pitch F0 (Hz)", ylabel=f"gate: P(expert {high})", xscale="log")
    ticks = [100, 150, 200, 250, 300]
    low.set_xticks(ticks, [str(tick) for tick in ticks])
    low.minorticks_off()
    figure.savefig(Path(__file__).with_name("speakers.png"), dpi=110)


def main(repeats=2, folds=5, speakers=76, part="together"):
    return {"together": together, "picture": picture}[part](repeats, folds, speakers)


if __name__ == "__main__":
    command(main)
