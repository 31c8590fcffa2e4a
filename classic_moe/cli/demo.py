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
from ..report.table import Table
from .report import choose_by_bic, notes, say, show

FOLDS = 5
LEAVES = range(2, 13)


def run_demo(args):
    """Choose K, tell the experts in words and numbers, compare on held-out rows, draw."""
    X, y = load_motorcycle(return_X_y=True)
    say(
        f"Motorcycle impact data (Silverman 1985): {len(y)} measurements of the acceleration of the"
        " head, in g, against the time after the impact, in ms. A mixture of K linear experts"
        " is fitted to them, K = 1 to 5."
    )
    print()
    model = choose_by_bic(
        lambda K: MixtureOfExpertsRegressor(K, random_state=args.seed).fit(X, y),
        lambda model: model.bic(X, y),
        lambda model: model.icl(X, y),
        range(1, 6),
    )
    print()
    show(_in_words(model, X[:, 0]))
    print()
    show(_held_out(model, X, y, args.seed))
    say(
        f"By {FOLDS}-fold cross-validation; K = {model.n_experts_} was chosen above, on all rows."
        " Linear regression and the tree predict no spread: their log-likelihood is that of a"
        " normal density with the standard deviation of their training residuals. The tree's"
        " number of leaves is chosen by cross-validation within each training set."
    )
    _draw(model, X, y, args.out)
    print(f"\nPicture written to {args.out}")


def _in_words(model, x):
    """A table of the experts: where each is the most probable, what it does there."""
    grid = np.linspace(x.min(), x.max(), 2001)
    leading = model.gate_proba(grid[:, None]).argmax(axis=1)
    regions = {k: grid[leading == k] for k in range(model.n_experts_)}
    rows = []
    for k in sorted(regions, key=lambda k: regions[k][0] if len(regions[k]) else np.inf):
        expert, region = model.experts_[k], regions[k]
        slope, intercept, sd = expert.coef_[0], expert.intercept_, expert.scale_
        where = f"{region[0]:.1f} to {region[-1]:.1f} ms" if len(region) else "leads nowhere"
        trend = f"{'rises' if slope > 0 else 'falls'} {abs(slope):.1f} g per ms"
        if len(region) and abs(slope) * np.ptp(region) < 2 * sd:
            trend = "nearly level"
        line = f"{intercept:.1f} {'-' if slope < 0 else '+'} {abs(slope):.2f} t"
        rows.append([where, f"expert {k}", trend, line, f"{sd:.1f}", f"{model.weights_[k]:.2f}"])
    head = ["where it leads", "", "what it does", "acceleration (g)", "sd (g)", "weight"]
    return Table("The experts, in the order of time t", head, rows)


def _held_out(model, X, y, seed):
    """Log-likelihood per row and RMSE on rows not used in the fit."""
    tree = GridSearchCV(
        DecisionTreeRegressor(random_state=seed),
        {"max_leaf_nodes": list(LEAVES)},
        scoring="neg_mean_squared_error",
        cv=KFold(5, shuffle=True, random_state=seed),
    )
    mixture = MixtureOfExpertsRegressor(model.n_experts_, random_state=seed)
    contenders = {
        "linear regression": LinearRegression(),
        "decision tree": tree,
        f"mixture of {model.n_experts_} linear experts": mixture,
    }
    rows = []
    for name, estimator in contenders.items():
        log_prob, error = np.empty(len(y)), np.empty(len(y))
        folds = KFold(FOLDS, shuffle=True, random_state=seed)
        for train, test in folds.split(X):
            with notes():  # those of the whole data were shown above
                estimator.fit(X[train], y[train])
            error[test] = y[test] - estimator.predict(X[test])
            if hasattr(estimator, "log_prob"):
                log_prob[test] = estimator.log_prob(X[test], y[test])
            else:
                sd = np.std(y[train] - estimator.predict(X[train]))
                log_prob[test] = norm.logpdf(error[test], scale=sd)
        rmse = np.sqrt(np.mean(error**2))
        rows.append([name, f"{log_prob.mean():.2f}", f"{rmse:.1f}"])
    return Table("On held-out rows", ["", "log-likelihood per row", "RMSE (g)"], rows)


def _draw(model, X, y, path):
    figure, axes = two_panels()
    ExpertCurvesDisplay.from_estimator(
        model,
        X,
        y,
        feature_name="time after the impact (ms)",
        target_name="acceleration of the head (g)",
        ax=axes,
    )
    figure.savefig(path, dpi=150)
