"""Do the patients fall into subgroups? The figures and the picture of subgroups.md.

python docs/examples/subgroups.py
python docs/examples/subgroups.py --part cancer
python docs/examples/subgroups.py --part picture
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from _compare import command, compare, show
from scipy.stats import norm
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import brier_score_loss, log_loss
from sklearn.model_selection import RepeatedKFold, RepeatedStratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from classic_moe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from classic_moe.experts import LinearExpert, LogisticExpert
from classic_moe.gates import SoftmaxGate
from classic_moe.inspection._palette import OKABE_ITO

ONE = "one line, auto"
LOGISTIC = "logistic regression"


class WithNoise(LinearRegression):
    """A line with one normal noise, its variance over the rows that the slopes leave."""

    def fit(self, X, y):
        super().fit(X, y)
        residuals = y - self.predict(X)
        self.scale_ = np.sqrt(np.sum(residuals**2) / (len(y) - X.shape[1] - 1))
        return self

    def log_prob(self, X, y):
        return norm.logpdf(y, self.predict(X), self.scale_)


class LineForTheSpread(WithNoise):
    """A line for the mean, and one for the logarithm of the spread (two steps of least squares)."""

    def fit(self, X, y):
        super().fit(X, y)
        logs = np.log(np.abs(y - self.predict(X)) + 1.0)
        self.spread_ = LinearRegression().fit(self.predict(X)[:, None], logs)
        scales = np.exp(self.spread_.predict(self.predict(X)[:, None]))
        self.unit_ = np.sqrt(np.mean(((y - self.predict(X)) / scales) ** 2))
        return self

    def log_prob(self, X, y):
        mean = self.predict(X)
        return norm.logpdf(y, mean, self.unit_ * np.exp(self.spread_.predict(mean[:, None])))


def lines(n_experts):
    """Linear experts, all penalties found by the evidence."""
    auto = {"expert": LinearExpert(alpha="auto"), "gate": SoftmaxGate(alpha="auto")}
    return MixtureOfExpertsRegressor(n_experts, random_state=0, **auto)


def odds(n_experts):
    """Logistic experts, all penalties found by the evidence."""
    auto = {"expert": LogisticExpert(alpha="auto"), "gate": SoftmaxGate(alpha="auto")}
    return MixtureOfExpertsClassifier(n_experts, random_state=0, **auto)


def diabetes(repeats, folds):
    """Progression of diabetes after a year: 442 patients, ten columns."""
    X, y = load_diabetes(return_X_y=True, scaled=False)
    models = {
        "least squares": WithNoise(),
        "least squares, spread grows with the mean": LineForTheSpread(),
        "two lines, weak": lines(2).set_params(expert__alpha="weak", gate__alpha="weak"),
        ONE: lines(1),
        "two lines, auto": lines(2),
        "three lines, auto": lines(3),
    }
    splits = list(RepeatedKFold(n_splits=folds, n_repeats=repeats, random_state=0).split(X))
    results = compare(models, splits, X, y, of_a_regression)
    show(f"diabetes, {len(splits)} folds", results, splits, ONE)
    return results


def of_a_regression(model, X, y):
    return {"-log p": -np.mean(model.log_prob(X, y)), "1 - R²": 1 - model.score(X, y)}


def cancer(repeats, folds):
    """Benign or malignant: 569 tumours, thirty columns."""
    X, y = load_breast_cancer(return_X_y=True)
    models = {
        LOGISTIC: make_pipeline(StandardScaler(), LogisticRegression()),
        "boosting": HistGradientBoostingClassifier(random_state=0),
        "one logistic expert, auto": odds(1),
        "two logistic experts, auto": odds(2),
    }
    splitter = RepeatedStratifiedKFold(n_splits=folds, n_repeats=repeats, random_state=0)
    splits = list(splitter.split(X, y))
    results = compare(models, splits, X, y, of_a_classification)
    show(f"breast cancer, {len(splits)} folds", results, splits, LOGISTIC)
    return results


def of_a_classification(model, X, y):
    proba = model.predict_proba(X)[:, 1]
    wrong = np.mean((proba > 0.5) != y)
    return {"log loss": log_loss(y, proba), "Brier": brier_score_loss(y, proba), "errors": wrong}


def picture(repeats, folds):
    """Draw subgroups.png: the slopes of the two subgroups with their 95 % intervals."""
    import pandas as pd
    from matplotlib.figure import Figure

    from classic_moe.inference import infer

    X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
    model = lines(2).fit(X, y)
    found = infer(model, X, y).to_frame()
    sd = X.std()
    figure = Figure(figsize=(8, 4.6), layout="constrained")
    ax = figure.subplots()
    for expert, (color, marker) in enumerate(zip(OKABE_ITO, "os", strict=False)):
        rows = found.loc[[f"expert {expert}: {name}" for name in X.columns]]
        places = np.arange(X.shape[1]) + (0.14 if expert else -0.14)
        table = pd.DataFrame(
            {key: rows[key].to_numpy() * sd.to_numpy() for key in ("estimate", "lower", "upper")}
        )
        ax.hlines(places, table["lower"], table["upper"], color=color, lw=1.6)
        scale, weight = model.experts_[expert].scale_, model.weights_[expert]
        label = f"expert {expert}: {100 * weight:.0f} % of the patients, sd {scale:.0f}"
        ax.plot(table["estimate"], places, marker, color=color, ms=6, label=label)
    ax.axvline(0, color="0.6", lw=0.8)
    ax.set_yticks(np.arange(X.shape[1]), X.columns)
    ax.invert_yaxis()
    ax.set_xlabel("progression for one standard deviation of the column, 95 % interval")
    figure.legend(
        *ax.get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False
    )
    figure.savefig(Path(__file__).with_name("subgroups.png"), dpi=110)


def main(repeats=2, folds=5, part="diabetes"):
    return {"diabetes": diabetes, "cancer": cancer, "picture": picture}[part](repeats, folds)


if __name__ == "__main__":
    command(main)
