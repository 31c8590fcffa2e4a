"""A robot arm: lines, networks and boosting; the figures and the picture of sensors.md.

python docs/examples/sensors.py
python docs/examples/sensors.py --part picture
"""

from __future__ import annotations

import time
import warnings
from pathlib import Path

import numpy as np
from _compare import ahead, command, table
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression
from sklearn.multioutput import MultiOutputRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from classic_moe import HierarchicalMixtureOfExpertsRegressor, SparseMixtureOfExpertsRegressor
from classic_moe.datasets import make_robot_arm
from classic_moe.experts import MLPExpert
from classic_moe.inspection._palette import OKABE_ITO
from classic_moe.routing import top_k_report

ONE = "one network of 64"
BLEND = "8 networks of 64, 2 a row"


def network(*sizes):
    """scikit-learn's network by Adam, inputs and outputs standardised."""
    net = MLPRegressor(hidden_layer_sizes=sizes, alpha=1e-3, max_iter=200, random_state=0)
    return TransformedTargetRegressor(
        make_pipeline(StandardScaler(), net), transformer=StandardScaler()
    )


def blend(n_experts=8, units=64, k=2):
    """One noise on a routed sum of networks."""
    return SparseMixtureOfExpertsRegressor(
        n_experts, k=k, combine="blend", expert=MLPExpert(units), random_state=0
    )


def tree():
    """Sixteen lines under a binary tree of gates; some of these are separated."""
    tree = HierarchicalMixtureOfExpertsRegressor(2, 4, n_init=1, random_state=0)
    return tree.set_params(expert__alpha="weak", gate__alpha="weak")


def models():
    """Estimators by name."""
    boosting = HistGradientBoostingRegressor(max_iter=200, random_state=0)
    return {
        "linear regression": LinearRegression(),
        "tree of 16 lines": tree(),
        "16 lines, 2 a row": SparseMixtureOfExpertsRegressor(
            16, k=2, n_init=1, random_state=0
        ).set_params(expert__alpha="weak", router__alpha="weak"),
        "boosting, one model a joint": MultiOutputRegressor(boosting),
        ONE: network(64),
        "one network of 64 and 64": network(64, 64),
        BLEND: blend(),
    }


def relative_error(y, predicted):
    """Σ (y - predicted)² / Σ (y - mean)², over all joints."""
    return float(np.sum((y - predicted) ** 2) / np.sum((y - y.mean(axis=0)) ** 2))


def compare(rows, seeds, names=None):
    """Print relative errors, from new rows every time, and microseconds a row of `predict`."""
    results = {}
    for seed in range(seeds):
        X, y = make_robot_arm(2 * rows, random_state=seed)
        for name, model in models().items():
            if names is not None and name not in names:
                continue
            begun = time.process_time()
            fitted = clone(model).fit(X[:rows], y[:rows])
            fit = time.process_time() - begun
            error = relative_error(y[rows:], fitted.predict(X[rows:]))
            begun = time.process_time()
            fitted.predict(X[rows:])
            row = error, fit, 1e6 * (time.process_time() - begun) / rows
            results.setdefault(name, []).append(row)
    results = {name: np.array(found) for name, found in results.items()}
    halves = [(np.arange(rows), np.empty(0))]  # training rows are new each time: no overlap
    lines = []
    for name, found in results.items():
        gain = ""
        if ONE in results and name != ONE and seeds > 1:
            gain = "{:+.4f} ± {:.4f}".format(*ahead(results[ONE][:, 0], found[:, 0], halves))
        error, fit, predict = found.mean(axis=0)
        lines.append([name, f"{error:.4f}", gain, f"{fit:.1f}", f"{predict:.1f}"])
    heads = ["model", "relative error", f"more than {ONE}", "CPU s a fit", "µs a row, predict"]
    table(f"{rows} rows to fit, {rows} new ones, {seeds} times", heads, lines)
    return results


def picture(rows, seeds):
    """Draw sensors.png: what is lost if fewer experts of a fitted blend are asked."""
    from matplotlib.figure import Figure

    X, y = make_robot_arm(2 * rows, random_state=0)
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    ks = (1, 2, 4, 8, 16)
    dense = tree().fit(X[:rows], y[:rows])
    report = top_k_report(dense, X[rows:], y[rows:], ks)
    left.plot(report.k, report.error, "o-", color=OKABE_ITO[0], label="predicted mean")
    left.set(xscale="log", xlabel="experts kept of 16 lines in a tree", ylabel="relative error")
    left.set_xticks(report.k, [str(k) for k in report.k])
    left.minorticks_off()
    left.set_ylim(0, 1.15 * report.error.max())
    right.plot(report.k, report.nll, "s-", color=OKABE_ITO[1])
    right.set(xscale="log", xlabel="experts kept of 16 lines in a tree")
    right.set_ylabel("-log p(y | x), nats a row")
    right.set_xticks(report.k, [str(k) for k in report.k])
    right.minorticks_off()
    figure.savefig(Path(__file__).with_name("sensors.png"), dpi=110)
    print(report)


def main(rows=4_000, seeds=5, part="compare"):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {"compare": compare, "picture": picture}[part](rows, seeds)


if __name__ == "__main__":
    command(main)
