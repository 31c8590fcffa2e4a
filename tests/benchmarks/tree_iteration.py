"""Seconds per EM iteration of a hierarchical mixture: compiled, generic, and beside a network.

    python tests/benchmarks/tree_iteration.py             # the robot arm, 15,000 rows, 16 experts
    python tests/benchmarks/tree_iteration.py --rows 1500 --repeats 1

The same tree of softmax gates with linear experts, from the same start, with the compiled pass and
with the generic one; then epochs of scikit-learn's MLPRegressor with 60 hidden units. CPU seconds
are those of the process, medians over the iterations and then over the repeats. Nothing here is
asserted on time.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import time
import warnings
from unittest import mock

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from classic_moe import HierarchicalMixtureOfExpertsRegressor
from classic_moe.datasets import make_robot_arm
from classic_moe.experts import LinearExpert
from classic_moe.gates import SoftmaxGate
from classic_moe.model import fused_pass


def fitted(X, y, depth, n_iter, compiled):
    """A fit of so many EM iterations, and the median CPU seconds of one."""
    model = HierarchicalMixtureOfExpertsRegressor(
        2,
        depth,
        expert=LinearExpert("weak", covariance_type="diag"),
        gate=SoftmaxGate("weak"),
        solver="em",
        n_init=1,
        max_iter=n_iter,
        tol=0,
    )
    times = []
    table = contextlib.nullcontext() if compiled else mock.patch.dict(fused_pass.TABLE, clear=True)
    with table, warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a fixed number of iterations
        model.fit(X, y, callback=lambda *step: times.append(time.process_time()))
    return model, statistics.median(np.diff(times))


def network(X, y, epochs):
    """Median CPU seconds of an epoch of Adam."""
    model = MLPRegressor(hidden_layer_sizes=(60,), activation="tanh", random_state=0)
    times = []
    for _ in range(epochs):
        model.partial_fit(X, y)
        times.append(time.process_time())
    return statistics.median(np.diff(times))


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=15_000)
    parser.add_argument("--depth", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--iterations", type=int, default=6)
    options = parser.parse_args(argv)
    X, y = (StandardScaler().fit_transform(part) for part in make_robot_arm(options.rows))
    depth, count = options.depth, options.iterations + 1

    fitted(X[:1000], y[:1000], depth, 2, compiled=True)  # compiles
    runs = []
    for _ in range(options.repeats):
        model, fast = fitted(X, y, depth, count, compiled=True)
        twin, slow = fitted(X, y, depth, count, compiled=False)
        runs.append((fast, slow, network(X, y, count)))
    apart = np.abs(model.lower_bounds_ - twin.lower_bounds_).max()
    print(f"n = {options.rows:,}, p = 12, 4 outputs, {2**depth} experts, one thread")
    print(f"the two paths of the objective differ by {apart:.1e} at most")
    for name, seconds in zip(
        ("compiled pass", "generic pass", "MLPRegressor(60)"), zip(*runs, strict=True), strict=True
    ):
        print(f"{name}: {1e3 * statistics.median(seconds):.1f} CPU ms an iteration or epoch")
    ratios = [statistics.median(run[i] / run[0] for run in runs) for i in (1, 2)]
    print(f"ratios to the compiled pass: generic {ratios[0]:.1f}, network {ratios[1]:.1f}")
    return {"apart": apart, "objective": model.lower_bounds_[-1]}


if __name__ == "__main__":
    with threadpool_limits(1):  # nobody gets a second BLAS thread
        main()
