"""Seconds per EM iteration: the default regressor against a plain numpy EM, in one run.

    python tests/benchmarks/em_iteration.py             # n = 100,000, p = 10, K = 4
    python tests/benchmarks/em_iteration.py --rows 5000 --repeats 1

Both start from the same parameters and do the same work an iteration: E-step, weighted least
squares for the experts, one exact Newton step for the gate. CPU seconds are those of the process
(`time.process_time`), medians over the repeats. Nothing here is asserted on time.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.experts import LinearExpert
from classic_moe.gates import SoftmaxGate

EXACT = {2_000: -3005.152101, 10_000: -15063.710535, 100_000: -151765.933176}
"""Maximum of the log-likelihood of `make(n)`, penalties 0, found by an independent optimiser."""


def make(n, p=10, K=4, seed=0):
    """Simulated mixture: standard-normal features, softmax gate, linear Gaussian experts."""
    parameters = np.random.default_rng(seed)  # do not depend on n
    gate = parameters.normal(size=(K, p + 1)) * 1.5 / np.sqrt(p) * 2
    gate[0] = 0.0
    beta = parameters.normal(size=(K, p + 1)) * 1.5
    sigma = np.resize([0.3, 0.5, 0.7, 1.0], K)
    rng = np.random.default_rng([seed, n])
    X = rng.normal(size=(n, p))
    Z = np.column_stack([np.ones(n), X])
    scores = Z @ gate.T
    expert = (scores + rng.gumbel(size=scores.shape)).argmax(axis=1)
    y = np.einsum("ij,ij->i", Z, beta[expert]) + sigma[expert] * rng.normal(size=n)
    return X, y


def textbook_em(X, y, gate, beta, sigma, n_iter):
    """EM as a textbook writes it, in numpy: returns the log-likelihoods."""
    Z = np.column_stack([np.ones(len(X)), X])
    K, P = gate.shape
    path = []
    for _ in range(n_iter):
        scores = Z @ gate.T
        log_g = scores - np.logaddexp.reduce(scores, axis=1)[:, None]
        r = (y[:, None] - Z @ beta.T) / sigma
        joint = log_g - np.log(sigma) - 0.5 * np.log(2 * np.pi) - 0.5 * r**2
        log_p = np.logaddexp.reduce(joint, axis=1)
        path.append(log_p.sum())
        h, g = np.exp(joint - log_p[:, None]), np.exp(log_g)
        for k in range(K):
            W = h[:, k]
            beta[k] = np.linalg.solve(Z.T @ (W[:, None] * Z), Z.T @ (W * y))
            sigma[k] = np.sqrt(W @ (y - Z @ beta[k]) ** 2 / W.sum())
        hessian = np.zeros((K, P, K, P))
        for a in range(K):
            for b in range(K):
                w = g[:, a] * ((a == b) - g[:, b])
                hessian[a, :, b, :] = Z.T @ (w[:, None] * Z)
        free = hessian[1:, :, 1:, :].reshape((K - 1) * P, (K - 1) * P)
        step = np.linalg.solve(free, ((h - g).T @ Z)[1:].ravel())
        gate[1:] += step.reshape(K - 1, P)
    return path


def pure(K, **options):
    """The default regressor with penalties 0, which is what the textbook maximises."""
    return MixtureOfExpertsRegressor(
        K,
        expert=LinearExpert(alpha=0.0, variance_prior=0.0),
        gate=SoftmaxGate(alpha=0.0),
        random_state=0,
        **options,
    )


def timed(function, *arguments):
    wall, cpu = time.perf_counter(), time.process_time()
    value = function(*arguments)
    return value, time.process_time() - cpu, time.perf_counter() - wall


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--iterations", type=int, default=6)
    options = parser.parse_args(argv)
    K = 4
    X, y = make(options.rows)

    pure(K, n_init=1).fit(X[:1000], y[:1000])  # compiles
    model, cpu, wall = timed(pure(K, tol=1e-10).fit, X, y)
    print(f"n = {options.rows:,}, p = {X.shape[1]}, K = {K}, one thread, penalties 0")
    exact = EXACT.get(options.rows)
    print(
        f"whole fit, 10 starts: {cpu:.2f} CPU s, {wall:.2f} s, {model.n_iter_} iterations on all"
        f" rows, log-likelihood {model.log_likelihood_:.6f}"
        + (f" (exact maximum {exact})" if exact else "")
    )
    start = {
        "gate": {"coef": 0.5 * model.gate_.coef_, "intercept": 0.5 * model.gate_.intercept_},
        "expert": {
            "coef": [0.7 * expert.coef_ for expert in model.experts_],
            "intercept": [expert.intercept_ for expert in model.experts_],
            "scale": [1.5 * expert.scale_ for expert in model.experts_],
        },
    }

    def ours(n_iter):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a fixed number of iterations
            model = pure(K, solver="em", init_params=start, max_iter=n_iter, tol=0).fit(X, y)
        assert model.n_iter_ == n_iter, "converged too early to be timed"
        return model

    def theirs(n_iter):
        gate = np.column_stack([start["gate"]["intercept"], start["gate"]["coef"]])
        beta = np.column_stack([start["expert"]["intercept"], np.array(start["expert"]["coef"])])
        return textbook_em(X, y, gate - gate[0], beta, np.array(start["expert"]["scale"]), n_iter)

    # Differences of two lengths take out what is done once: validation, scaling, views.
    few, many = 2, 2 + options.iterations
    ratios, fast, slow = [], [], []
    for _ in range(options.repeats):
        per = []
        for run in (ours, theirs):
            (_, short, _), (_, long, _) = timed(run, few), timed(run, many)
            per.append((long - short) / options.iterations)
        fast.append(per[0])
        slow.append(per[1])
        ratios.append(per[1] / per[0])
    apart = np.abs(ours(few + 1).lower_bounds_[: few + 1] - theirs(few + 1)).max()
    print(f"the two paths of log-likelihoods differ by {apart:.1e} at most")
    ours_median, theirs_median = statistics.median(fast), statistics.median(slow)
    print(f"classic_moe: {1e3 * ours_median:.2f} CPU ms an iteration")
    print(f"plain numpy: {1e3 * theirs_median:.2f} CPU ms an iteration")
    print(f"ratio (median of {options.repeats}): {statistics.median(ratios):.1f}")
    return {"ratio": statistics.median(ratios), "apart": apart, "model": model}


if __name__ == "__main__":
    with threadpool_limits(1):  # neither side gets a second BLAS thread
        main()
