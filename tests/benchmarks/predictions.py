"""What predictions cost: a row, a call and in memory, beside plain numpy and a pass of the fit.

    python tests/benchmarks/predictions.py                # n = 100,000, p = 10, K = 4
    python tests/benchmarks/predictions.py --rows 1000000 --repeats 3
    python tests/benchmarks/predictions.py --single       # X in single precision

The yardsticks, timed in turns with what they are compared to: a softmax-and-mix in numpy, on
blocks of 2,000 rows that stay in the cache, without any check of X; and the compiled pass over the
rows, the E-step of a fit. CPU seconds are those of the process (`time.process_time`), medians over
the repeats. Memory is the peak of `tracemalloc` less what is returned. Nothing here is asserted on
time.
"""

from __future__ import annotations

import argparse
import statistics
import time
import tracemalloc

import numpy as np
from _measure import alone, fitted, in_turns
from em_iteration import make

from classic_moe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor

BLOCK = 2_000
FITTED = 5_000
"""Rows of the fit, whose parameters are all that matters here."""


def mixer(model):
    """Softmax-and-mix as one would write it in numpy, of the caller's numbers; a function of X."""
    gate = np.column_stack([model.gate_.intercept_, model.gate_.coef_])
    beta = np.array([[expert.intercept_, *expert.coef_] for expert in model.experts_])
    K, both = len(gate), np.vstack([gate, beta])

    def predict(X):
        out = np.empty(len(X))
        for start in range(0, len(X), BLOCK):
            # Rows innermost: sums over so few experts along the last axis take twice as long.
            scores = both[:, 1:] @ X[start : start + BLOCK].T + both[:, :1]
            g = np.exp(scores[:K] - scores[:K].max(axis=0))
            out[start : start + BLOCK] = (g * scores[K:]).sum(axis=0) / g.sum(axis=0)
        return out

    return predict


def e_step(model, X, y):
    """The pass of a fit over rows in internal units: a function without arguments."""
    fit = model._fitted
    inner, target = model._check_Xy(X, y)
    rows, target, weight = inner[:], target[:], np.ones(len(X))
    return lambda: fit.model.statistics(fit.params, rows, target, weight)


def memory(function):
    """Peak bytes of a call, and those of them that are no part of what it returns."""
    tracemalloc.start()
    value = function()
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del value
    return peak, peak - kept


def microseconds(function, calls=200):
    """Median CPU time of one call in µs: of runs of twenty, as a clock has too few digits."""
    each = []
    for _ in range(max(1, calls // 20)):
        start = time.process_time()
        for _ in range(20):
            function()
        each.append((time.process_time() - start) / 20)
    return 1e6 * statistics.median(each)


def of_rows(options, regressor, classifier, X, y, labels):
    """Time what is said of many rows; returns ns a row and bytes, by name."""
    dist = regressor.predict_dist(X)
    numbers = {
        "numpy softmax-and-mix": lambda: mixer(regressor)(X),
        "E-step": e_step(regressor, X, y),
        "predict": lambda: regressor.predict(X),
        "gate_proba": lambda: regressor.gate_proba(X),
        "predict_experts": lambda: regressor.predict_experts(X),
        "log_prob": lambda: regressor.log_prob(X, y),
        "responsibilities": lambda: regressor.responsibilities(X, y),
        "predict_dist": lambda: regressor.predict_dist(X),
        "dist.mean": dist.mean,
        "dist.var": dist.var,
        "dist.cdf": lambda: dist.cdf(y),
        "dist.pdf": lambda: dist.pdf(y),
        "dist.ppf": lambda: dist.ppf(0.1),
    }
    classes = {
        "E-step, classes": e_step(classifier, X, labels),
        "predict, classes": lambda: classifier.predict(X),
        "predict_proba, classes": lambda: classifier.predict_proba(X),
        "log_prob, classes": lambda: classifier.log_prob(X, labels),
    }
    seconds = in_turns(numbers, options.repeats) | in_turns(classes, options.repeats)
    nanoseconds = {name: 1e9 * each / len(X) for name, each in seconds.items()}
    return nanoseconds, {name: memory(function) for name, function in (numbers | classes).items()}


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--single", action="store_true", help="X in single precision")
    options = parser.parse_args(argv)
    K, n = 4, options.rows
    regressor = fitted(MixtureOfExpertsRegressor(K, random_state=0), *make(FITTED))
    X, y = make(n)
    edges = np.quantile(y, [0.3, 0.7])
    its_X, its_y = make(FITTED)
    classifier = MixtureOfExpertsClassifier(K, random_state=0, max_iter=20, tol=1e-3)
    fitted(classifier, its_X, np.searchsorted(edges, its_y))
    labels = np.searchsorted(edges, y)
    X = X.astype(np.float32) if options.single else X

    print(f"n = {n:,}, p = {X.shape[1]}, K = {K}, {X.dtype}, one thread")
    apart = np.abs(mixer(regressor)(X) - regressor.predict(X)).max()
    print(f"predictions of numpy and ours differ by {apart:.1e} at most")
    nanoseconds, peaks = of_rows(options, regressor, classifier, X, y, labels)
    for name, each in nanoseconds.items():
        step = nanoseconds["E-step, classes" if "classes" in name else "E-step"]
        print(
            f"{name:22s} {each:8.0f} ns a row,"
            f" {each / nanoseconds['numpy softmax-and-mix']:6.2f} x numpy,"
            f" {each / step:6.2f} x E-step, {peaks[name][1] / 2**20:7.1f} MiB beside the result"
        )
    for rows in (1, 100):
        few, its = X[:rows], y[:rows]
        for name, call in {
            "predict": lambda few=few: regressor.predict(few),
            "log_prob": lambda few=few, its=its: regressor.log_prob(few, its),
            "predict_proba": lambda few=few: classifier.predict_proba(few),
        }.items():
            each = microseconds(call, 40 * options.repeats)
            print(f"{name} of {rows} rows: {each:.0f} us a call")
    short = MixtureOfExpertsRegressor(K, random_state=0, max_iter=2, tol=1.0)
    peak, _ = memory(lambda: fitted(short, X, y))
    print(f"peak of a fit: {peak / X.nbytes:.2f} x X")
    return {"apart": apart, "nanoseconds": nanoseconds, "peaks": peaks}


if __name__ == "__main__":
    alone(main)  # numpy's products on one thread as well
