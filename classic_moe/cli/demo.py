"""``python -m classic_moe demo``: the motorcycle data from start to end."""

from __future__ import annotations

import numpy as np
from scipy.stats import norm
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.tree import DecisionTreeRegressor

from ..datasets import load_motorcycle
from ..estimators.regression import MixtureOfExpertsRegressor
from ..inspection import ExpertCurvesDisplay
from ..inspection._pictures import two_panels
from ..report.regions import best_range, quantile_range
from ..report.table import Table
from ..report.words import LEVEL
from .choice import Measure, choose
from .files import replacing
from .progress import Progress
from .report import collected_warnings, print_line, print_paragraph, print_table

FOLDS = 5
"""Of the comparison on held-out rows."""
LEAVES = range(2, 13)
"""Sizes of the decision tree to choose from."""


def run_demo(args):
    """Choose K, print the experts in words and numbers, compare on held-out rows, draw."""
    X, y = load_motorcycle(return_X_y=True)
    said = (
        f"Motorcycle impact data (Silverman 1985): {len(y)} measurements of the acceleration of the"
        " head, in g, against the time after the impact, in ms. A mixture of K linear experts"
        " is fitted to them, K = 1 to 5."
    )
    print_paragraph(said)
    print()
    choice = choose(
        range(1, 6),
        lambda K: MixtureOfExpertsRegressor(K, random_state=args.seed).fit(X, y),
        [
            Measure("BIC", lambda model: model.bic(X, y)),
            Measure("ICL", lambda model: model.icl(X, y)),
        ],
        Progress(),
    )
    model = choice.model
    print()
    experts, comparison = _experts_in_words(model, X, y), _comparison(model, X, y, args.seed)
    print_table(experts)
    print()
    print_table(comparison)
    words = (
        f"By {FOLDS}-fold cross-validation; K = {model.n_experts_} was chosen above, on all rows."
        " Linear regression and the tree predict no spread: their log-likelihood is that of a"
        " normal density with the standard deviation of their training residuals. The tree's"
        " number of leaves is chosen by cross-validation within each training set."
    )
    print_paragraph(words)
    with replacing(args.out, force=args.force) as path:
        _drawn(model, X, y).savefig(path, dpi=150)
    print()
    print_line(f"Picture written to {args.out}")
    if args.report:
        from .page import demo_page

        text = demo_page(said, choice, experts, comparison, words, lambda: _drawn(model, X, y))
        with replacing(args.report, force=args.force) as path:
            path.write_text(text, encoding="utf-8")
        print_line(f"Page written to {args.report}")


def _experts_in_words(model, X, y):
    """Return a `Table` of the experts, in the order of time: where each holds, what it does."""
    resp, rows = model.responsibilities(X, y), []
    for k in range(model.n_experts_):
        expert, held = model.experts_[k], best_range(X[:, 0], resp[:, k])
        slope, intercept, sd = expert.coef_[0], expert.intercept_, expert.scale_
        low, high = quantile_range(expert.predict(X), resp[:, k])
        trend = f"{'rises' if slope > 0 else 'falls'} {abs(slope):.1f} g per ms"
        if high - low < LEVEL * sd:
            trend = "nearly level"
        line = f"{intercept:.1f} {'-' if slope < 0 else '+'} {abs(slope):.2f} t"
        where = "everywhere" if held is None else f"{held} ms"
        weight = f"{model.weights_[k]:.2f}"
        first = -np.inf if held is None else held.low
        rows.append((first, [where, f"expert {k}", trend, line, f"{sd:.1f}", weight]))
    head = ["where it holds", "", "what it does", "acceleration (g)", "sd (g)", "weight"]
    rows = [row for _, row in sorted(rows, key=lambda pair: pair[0])]
    return Table("The experts, in the order of time t", head, rows)


def _comparison(model, X, y, seed):
    """Return a `Table` of log-likelihood per row and RMSE on rows not used in the fit."""
    tree = GridSearchCV(
        DecisionTreeRegressor(random_state=seed),
        {"max_leaf_nodes": list(LEAVES)},
        scoring="neg_mean_squared_error",
        cv=KFold(5, shuffle=True, random_state=seed),
    )
    mixture = MixtureOfExpertsRegressor(model.n_experts_, random_state=seed)
    contenders = {
        "linear regression": (LinearRegression(), _normal_log_prob),
        "decision tree": (tree, _normal_log_prob),
        f"mixture of {model.n_experts_} linear experts": (mixture, _own_log_prob),
    }
    rows = []
    for name, (estimator, log_prob) in contenders.items():
        log_probs, errors = _on_held_out_rows(estimator, log_prob, X, y, seed)
        rmse = np.sqrt(np.mean(errors**2))
        rows.append([name, f"{log_probs.mean():.2f}", f"{rmse:.1f}"])
    return Table("On held-out rows", ["", "log-likelihood per row", "RMSE (g)"], rows)


def _on_held_out_rows(estimator, log_prob, X, y, seed):
    """Return log p(y given x) and the error of the mean of every row, held out in turn: (n,) each.

    `log_prob` is called with the fitted estimator, the training set, and the rows held out.
    """
    log_probs, errors = np.empty(len(y)), np.empty(len(y))
    for train, test in KFold(FOLDS, shuffle=True, random_state=seed).split(X):
        with collected_warnings():  # those of the whole data were shown above
            estimator.fit(X[train], y[train])
        errors[test] = y[test] - estimator.predict(X[test])
        log_probs[test] = log_prob(estimator, X[train], y[train], X[test], y[test])
    return log_probs, errors


def _own_log_prob(estimator, X_train, y_train, X, y):
    """Return log p(y given x) of an estimator that has a density, (n,)."""
    return estimator.log_prob(X, y)


def _normal_log_prob(estimator, X_train, y_train, X, y):
    """Return the log of a normal density with the sd of the training residuals, (n,)."""
    sd = np.std(y_train - estimator.predict(X_train))
    return norm.logpdf(y - estimator.predict(X), scale=sd)


def _drawn(model, X, y):
    """Return the picture of data, experts and gate, a Figure."""
    figure, axes = two_panels()
    ExpertCurvesDisplay.from_estimator(
        model,
        X,
        y,
        feature_name="time after the impact (ms)",
        target_name="acceleration of the head (g)",
        ax=axes,
    )
    return figure
