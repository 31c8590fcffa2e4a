"""The default fit, ten starts: CPU seconds, and how far from the maximum it ends.

    python tests/benchmarks/default_fits.py                         # n = 1,000, 10,000, 100,000
    python tests/benchmarks/default_fits.py --rows 1000000 --repeats 1

Beside it, in turns and on the same data: default fits of scikit-learn's histogram boosting and of a
Gaussian mixture of [X, y], of LightGBM if it is installed, and textbook EM in numpy from one
k-means start, stopped as soon as it is within 0.1 % of the best log-likelihood. What is left to the
maximum is what Newton's method still finds from the end of the fit.
"""

from __future__ import annotations

import argparse

import numpy as np
from _measure import alone, compile_kernels, fitted, heading, in_turns, row, slope_left, weak
from em_iteration import EXACT, make, textbook_em
from sklearn.cluster import KMeans
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.mixture import GaussianMixture

from classic_moe import MixtureOfExpertsRegressor

try:
    from lightgbm import LGBMRegressor
except ImportError:
    LGBMRegressor = None

K, CLOSE, MOST = 4, 1e-3, 300


def by_textbook(X, y, best):
    """Textbook EM from one k-means start; returns its log-likelihood within 0.1 %, or NaN."""
    both = np.column_stack([X, y])
    labels = KMeans(K, n_init=1, random_state=0).fit_predict((both - both.mean(0)) / both.std(0))
    Z = np.column_stack([np.ones(len(X)), X])
    beta = np.array([np.linalg.lstsq(Z[labels == k], y[labels == k])[0] for k in range(K)])
    sigma = np.array([(y - Z @ beta[k])[labels == k].std() for k in range(K)])
    gate = np.zeros((K, Z.shape[1]))
    gate[:, 0] = np.log(np.bincount(labels, minlength=K) / len(y))
    gate -= gate[0]
    for _ in range(MOST):
        (reached,) = textbook_em(X, y, gate, beta, sigma, 1)  # goes on in place
        if not np.isfinite(reached) or reached >= best - CLOSE * abs(best):
            break
    return reached if reached >= best - CLOSE * abs(best) else np.nan


def beside(X, y, best, ends):
    """The fits to time, by name; our fit and the textbook leave their ends in `ends`."""

    def ours():
        ends["model"] = fitted(weak(MixtureOfExpertsRegressor(K, random_state=0)), X, y)

    def textbook():
        ends["textbook"] = by_textbook(X, y, best)

    both = np.column_stack([X, y])
    found = {
        "classic_moe": ours,
        "textbook EM to 0.1 %": textbook,
        "HistGradientBoostingRegressor": lambda: HistGradientBoostingRegressor(random_state=0).fit(
            X, y
        ),
        "GaussianMixture": lambda: fitted(GaussianMixture(K, random_state=0), both, None),
    }
    if LGBMRegressor is not None:
        machine = LGBMRegressor(n_jobs=1, random_state=0, verbose=-1)
        found["LGBMRegressor"] = lambda: machine.fit(X, y)
    return found


def maximum(model, X, y):
    """The fit that Newton's method makes of a fit, to the last digits."""
    options = dict(solver="newton", init_params=model, tol=1e-13, max_iter=200)
    return fitted(weak(MixtureOfExpertsRegressor(K, **options)), X, y)


def of_rows(n, repeats):
    """Time all at n rows and print a line for each; returns what was found."""
    X, y = make(n)
    best = maximum(fitted(weak(MixtureOfExpertsRegressor(K, random_state=0)), X, y), X, y)
    ends = {}
    seconds = in_turns(beside(X, y, best.log_likelihood_, ends), repeats, warm=False)
    model, top = ends["model"], maximum(ends["model"], X, y)
    left = top.lower_bounds_[-1] - model.lower_bounds_[-1]
    for name, each in seconds.items():
        missed = name.startswith("textbook") and np.isnan(ends["textbook"])
        label = f"{name} (not reached)" if missed else name
        row(f"{n:,} rows: {label}", each, each / seconds["classic_moe"])
    words = f"# {left:.1e} nats below the maximum, slope {slope_left(model, X, y):.1e} a row"
    if n in EXACT:
        words += f", log-likelihood {model.log_likelihood_ - EXACT[n]:+.4f} from that without prior"
    print(words, flush=True)
    return {"seconds": seconds, "left": left, "top": top, "textbook": ends["textbook"]}


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args(argv)
    compile_kernels(*make(2_000), K)
    if LGBMRegressor is None:
        print("# LightGBM is not installed")
    heading("p = 10, K = 4", "CPU seconds", "ratio to classic_moe")
    return {n: of_rows(n, options.repeats) for n in options.rows}


if __name__ == "__main__":
    alone(main)
