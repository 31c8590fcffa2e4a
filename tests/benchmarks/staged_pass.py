"""CPU time of the generic pass over that of the staged one, for every family that has a stage.

    python tests/benchmarks/staged_pass.py             # 50,000 rows, 10 columns, 4 experts
    python tests/benchmarks/staged_pass.py --rows 2000 --repeats 1

Both passes run in turn in one process, on one thread, over chunks of 16,384 rows as in a fit; the
ratio is the median over the repeats. Nothing here is asserted on time.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
from threadpoolctl import threadpool_limits

from classic_moe.data.batches import ArrayBatches
from classic_moe.experts import (
    BinomialExpert,
    GammaExpert,
    NegativeBinomialExpert,
    PoissonExpert,
    StudentTExpert,
)
from classic_moe.gates import SoftmaxGate
from classic_moe.model.mixture import MixtureModel

COLUMNS, EXPERTS = 10, 4


def families(rng, eta):
    """Every family with a target (n, m) made of a linear predictor (n,)."""
    trials = rng.integers(1, 20, len(eta))
    successes = rng.binomial(trials, 1 / (1 + np.exp(-eta)))
    counts = rng.negative_binomial(2, 1 / (1 + np.exp(eta)))
    positive = rng.gamma(2, np.exp(eta))[:, None]
    return {
        "poisson": (PoissonExpert(), rng.poisson(np.exp(1 + eta))[:, None] * 1.0),
        "gamma, log link": (GammaExpert(), positive),
        "gamma, inverse link": (GammaExpert(link="inverse"), positive),
        "negative binomial": (NegativeBinomialExpert(), counts[:, None] * 1.0),
        "binomial": (BinomialExpert(), np.column_stack([successes, trials - successes]) * 1.0),
        "student t": (StudentTExpert(), (eta + rng.standard_t(3, len(eta)))[:, None]),
    }


def seconds(model, params, batches, order):
    """CPU seconds of a pass, and its statistics."""
    start = time.process_time()
    found = batches.map_sum(lambda *rows: model.statistics(*rows, order=order), params)
    return time.process_time() - start, found


def compared(expert, y, X, rng, options):
    """The ratio of the passes, CPU nanoseconds a row of both, and how far they are apart."""
    models = [MixtureModel(SoftmaxGate(), expert, compiled=flag) for flag in (False, True)]
    some = slice(0, 1000)
    resp = rng.dirichlet(np.ones(EXPERTS), len(X[some]))
    params = models[0].init(X[some], y[some], resp, np.random.RandomState(0))
    runs = []
    with ArrayBatches(X, y, np.ones(len(X))) as batches:
        seconds(models[1], params, batches, options.order)  # compiles
        for _ in range(options.repeats):
            (slow, generic), (fast, staged) = (
                seconds(model, params, batches, options.order) for model in models
            )
            runs.append((slow / fast, 1e9 * slow / len(X), 1e9 * fast / len(X)))
    apart = abs(staged["objective"] / generic["objective"] - 1)
    return *map(statistics.median, zip(*runs, strict=True)), apart


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--order", type=int, default=2, choices=(1, 2))
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args(argv)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((options.rows, COLUMNS))
    eta = 0.2 * X @ rng.standard_normal(COLUMNS)
    print(f"n = {options.rows:,}, p = {COLUMNS}, K = {EXPERTS}, order {options.order}, one thread")
    worst = 0.0
    for name, (expert, y) in families(rng, eta).items():
        ratio, slow, fast, apart = compared(expert, y, X, rng, options)
        print(f"{name}: ratio {ratio:.1f}; generic {slow:.0f}, staged {fast:.0f} CPU ns a row")
        worst = max(worst, apart)
    return {"apart": worst}


if __name__ == "__main__":
    with threadpool_limits(1):  # nobody gets a second BLAS thread
        main()
