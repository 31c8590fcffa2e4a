"""What few experts a row save: predictions of networks and of trees of lines, and passes of fits.

    python tests/benchmarks/sparse.py                  # 10,000 rows, 10 columns, k = 2
    python tests/benchmarks/sparse.py --only networks --experts 8 32 128
    python tests/benchmarks/sparse.py --only trees --leaves 8 32 128 512

Everything is timed in turns in one process on one thread, by CPU seconds (`time.process_time`), and
told by medians. Each table has a yardstick: the same model with all experts (k = K), and for the
flat mixture of lines a softmax-and-mix in numpy on blocks of 2,000 rows. `predict` is the whole
method, validation of X counted; numpy does not look at X. Nothing here is asserted on time.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time

import numpy as np
from _measure import alone, fitted, heading, in_turns, row
from predictions import mixer

from classic_moe import MixtureOfExpertsRegressor, SparseMixtureOfExpertsRegressor
from classic_moe.datasets import make_hme
from classic_moe.experts import LinearExpert, MLPExpert
from classic_moe.gates import SoftmaxGate, TreeGate
from classic_moe.routing import TopKRouter
from classic_moe.solvers import Adam

COLUMNS, K_KEPT, DEPTH = 10, 2, 4
FITTED = 2_000
"""Rows of the fits whose predictions are timed: any parameters of the kind will do."""
LINES = LinearExpert(alpha=1e-3, variance_prior=1e-2)
QUICK = dict(n_init=1, max_iter=2, random_state=0)


def rows_of(n, seed=0):
    """Return n rows of a tree of lines, X (n, 10) and y (n,)."""
    return make_hme(n, COLUMNS, depth=DEPTH, random_state=seed)


def networks(options):
    """Predictions of networks as experts: k = 2 of K beside all; returns seconds a row by name."""
    train, X = rows_of(options.fitted), rows_of(options.rows, 1)[0]
    expert = MLPExpert((options.units,), max_iter=1)
    predictors = {}
    for K in options.experts:
        for kind, k in (("dense", K), ("sparse", K_KEPT)):
            router = SoftmaxGate(alpha=1e-3)
            mixture = SparseMixtureOfExpertsRegressor(K, k=k, router=router, expert=expert, **QUICK)
            predictors["mixture", K, kind] = fitted(mixture, *train)
            blend = SparseMixtureOfExpertsRegressor(
                K, k=k, expert=expert, combine="blend", max_iter=2, random_state=0
            )
            predictors["blend", K, kind] = fitted(blend, *train)
    return predicted(predictors, X, options, f"networks of {options.units} units")


def trees(options):
    """Predictions of lines in binary trees of gates; returns seconds a row by name.

    Fitted to few rows, and then given gates whose log-odds have a standard deviation of 12 over the
    rows, that of the forks of `make_hme`, or of 2: how many branches are opened depends on it.
    """
    train, X = rows_of(options.fitted), rows_of(options.rows, 1)[0]
    predictors = {}
    for K in options.leaves:
        router = TreeGate(SoftmaxGate(alpha=1e-3), depth=K.bit_length() - 1)
        for kind, k in (("dense", K), ("k = 1", 1), ("sparse", K_KEPT)):
            tree = SparseMixtureOfExpertsRegressor(K, k=k, router=router, expert=LINES, **QUICK)
            fitted(tree, *train)
            for name, spread in (("a sharp tree", 12.0), ("a fuzzy tree", 2.0)):
                predictors[name, K, kind] = own = copy.copy(tree)
                own.params_ = tree.params_ | {"gate": forks(tree.params_["gate"], spread)}
    return predicted(predictors, X, options, "lines in a tree")


def forks(gates, spread):
    """Random gates of two children, of log-odds with that standard deviation, as `gates`."""
    rng, found = np.random.default_rng(0), {}
    for name, gate in gates.items():  # x is standardised inside
        half = 0.5 * spread * rng.standard_normal(gate["coef"].shape[1]) / np.sqrt(COLUMNS)
        half[0] *= 0.1
        found[name] = {"coef": np.stack([half, -half])}
    return found


def predicted(predictors, X, options, what):
    """Time `predict` of models by (name, K, kind), print a table; returns seconds a row."""
    calls = {key: lambda m=model: m.predict(X) for key, model in predictors.items()}
    seconds = in_turns(calls, options.repeats)
    seconds = {key: each / len(X) for key, each in seconds.items()}
    kinds = list(dict.fromkeys(kind for *_, kind in seconds))
    print(f"\nµs a row of predict, {what}")
    heading("experts", "K", *kinds, "dense / sparse", "sparse / that of the fewest")
    for name, K in dict.fromkeys(key[:2] for key in seconds):
        own = {kind: seconds[name, K, kind] for kind in kinds}
        least = min(size for other, size, _ in seconds if other == name)
        growth = own["sparse"] / seconds[name, least, "sparse"]
        each = [1e6 * own[kind] for kind in kinds]
        row(name, K, *each, own["dense"] / own["sparse"], growth)
    return seconds


def seconds_of_epochs(model, X, y):
    """CPU seconds of every epoch of a fit but for the first, a list."""
    ends = []
    fitted(model, X, y, callback=lambda *_: ends.append(time.process_time()))
    return list(np.diff(ends))


def passes(options):
    """Epochs of fits, top 2 beside all; returns the ratios dense / sparse."""
    K, (X, y) = options.experts[-1], rows_of(options.trained)
    settings = dict(
        expert=MLPExpert((options.units,), max_iter=1),
        solver=Adam(0.01, batch_size=options.batch),
        max_iter=1 + options.epochs,
        random_state=0,
    )
    fits = {
        (kind, name): SparseMixtureOfExpertsRegressor(K, **options_of(k), **settings)
        for kind, options_of in KINDS_OF_TRAINING.items()
        for name, k in (("dense", K), ("sparse", K_KEPT))
    }
    seconds = {key: [] for key in fits}
    for _ in range(options.passes):
        for key, model in fits.items():
            seconds[key] += seconds_of_epochs(model, X, y)
    print(f"\nCPU ms a pass of {len(y):,} rows, {K} networks of {options.units} units")
    heading("epoch of a", "dense", "sparse", "dense / sparse")
    ratios = {}
    for kind in KINDS_OF_TRAINING:
        dense, sparse = (1e3 * statistics.median(seconds[kind, k]) for k in ("dense", "sparse"))
        ratios[kind] = dense / sparse
        row(f"{kind}, batches of {options.batch}", dense, sparse, ratios[kind])
    return ratios


KINDS_OF_TRAINING = {
    "blend": lambda k: dict(k=k, combine="blend"),
    "mixture": lambda k: dict(router=TopKRouter(k)),
}


def flat(options):
    """`predict` of flat mixtures of lines beside numpy; returns the ratios by K."""
    train, X = rows_of(options.fitted), rows_of(options.rows, 1)[0]
    print("\nµs a row, lines and a flat gate, all experts")
    heading("K", "numpy, blocks of 2,000", "predict", "predict / numpy", "apart")
    ratios = {}
    for K in dict.fromkeys((4, *options.experts)):
        model = MixtureOfExpertsRegressor(K, gate=SoftmaxGate(alpha=1e-3), expert=LINES, **QUICK)
        numpy_mix = mixer(fitted(model, *train))
        apart = np.abs(numpy_mix(X) - model.predict(X)).max()
        calls = {"numpy": lambda f=numpy_mix: f(X), "predict": lambda m=model: m.predict(X)}
        found = {
            name: 1e6 * each / len(X) for name, each in in_turns(calls, options.repeats).items()
        }
        ratios[K] = found["predict"] / found["numpy"]
        row(K, found["numpy"], found["predict"], ratios[K], apart)
        assert apart < 1e-9, apart  # both mix the same means
    return ratios


TABLES = dict(networks=networks, trees=trees, passes=passes, flat=flat)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=list(TABLES), default=list(TABLES))
    parser.add_argument("--rows", type=int, default=10_000, help="rows that are predicted")
    parser.add_argument("--fitted", type=int, default=FITTED, help="rows of their fits")
    parser.add_argument("--trained", type=int, default=4_000, help="rows of the timed passes")
    parser.add_argument("--experts", type=int, nargs="+", default=[8, 32])
    parser.add_argument("--units", type=int, default=32)
    parser.add_argument("--leaves", type=int, nargs="+", default=[8, 64, 512])
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=3, help="epochs of a fit on the clock")
    parser.add_argument("--passes", type=int, default=5, help="fits whose epochs are timed")
    parser.add_argument("--repeats", type=int, default=9)
    options = parser.parse_args(argv)
    print(f"{options.rows:,} rows, p = {COLUMNS}, k = {K_KEPT}, one thread")
    return {name: TABLES[name](options) for name in options.only}


if __name__ == "__main__":
    alone(main)
