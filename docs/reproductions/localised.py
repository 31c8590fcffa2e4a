"""The localised gate against the softmax gate on a curve of pieces: no step size, but another aim.

    python docs/reproductions/localised.py --seeds 10

Xu, L., Jordan, M. I. & Hinton, G. E. (1995). An alternative model for mixtures of experts. Advances
in Neural Information Processing Systems 7, 633-640.

y follows one line after another along x. The localised (Gaussian) gate climbs the likelihood of x
and y together, every M-step in closed form; the softmax gate climbs that of y given x by Newton
steps. Both by plain EM from the same starting responsibilities, to the same tolerance. The paper's
claims, without a table that could be compared: no step size to choose, and faster.
"""

from __future__ import annotations

import time

import numpy as np
from _report import command, spread, table

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.datasets import make_piecewise_regression
from classic_moe.gates import SoftmaxGate


class PlainSoftmaxGate(SoftmaxGate):
    """Without its compiled kernel, which the localised gate does not have either."""

    kernel = None


def main(seeds=10, rows=5000, n_experts=4):
    gates = {
        "softmax": "softmax",
        "softmax, not compiled": PlainSoftmaxGate(),
        "localised": "gaussian",
    }
    results = {gate: [] for gate in gates}
    for seed in range(seeds):
        X, y = make_piecewise_regression(3 * rows, 1, n_experts, random_state=seed)
        X, X_test, y, y_test = X[:rows], X[rows:], y[:rows], y[rows:]
        for name, gate in gates.items():
            started = time.perf_counter()
            model = MixtureOfExpertsRegressor(
                n_experts, gate=gate, solver="em", max_iter=20_000, n_init=1, random_state=seed
            ).fit(X, y)
            seconds = time.perf_counter() - started
            falls = np.maximum(-np.diff(model.lower_bounds_), 0) / abs(model.lower_bounds_[1:])
            results[name].append(
                {
                    "iterations": model.n_iter_,
                    "seconds": seconds,
                    "conditional": model.log_likelihood_ / rows,
                    "joint": getattr(model, "joint_log_likelihood_", np.nan) / rows,
                    "error": np.mean((y_test - model.predict(X_test)) ** 2),
                    "largest fall": falls.max(),
                    "converged": model.converged_,
                }
            )

    def of(gate, name):
        return [run[name] for run in results[gate]]

    table(
        f"Piecewise lines, {rows} rows, {n_experts} experts, {seeds} seeds",
        [
            "gate",
            "EM iterations",
            "seconds",
            "log p(y given x) a row",
            "log p(x, y) a row",
            "squared error, test rows",
            "converged",
        ],
        [
            [
                gate,
                spread(of(gate, "iterations"), 0),
                spread(of(gate, "seconds"), 2),
                spread(of(gate, "conditional")),
                spread(of(gate, "joint")) if gate == "localised" else "",
                spread(of(gate, "error"), 4),
                f"{sum(of(gate, 'converged'))} of {seeds}",
            ]
            for gate in gates
        ],
    )
    plain, own = results["softmax, not compiled"], results["localised"]
    for name, unit in (("seconds", "the seconds"), ("error", "the squared error")):
        ratio = np.median([o[name] for o in own]) / np.median([p[name] for p in plain])
        print(f"\nLocalised against softmax, not compiled: {ratio:.2f} times {unit}.")
    fall = max(of("localised", "largest fall"))
    print(f"\nLargest relative fall of the joint log-likelihood in any iteration: {fall:.0e}.")
    return results


if __name__ == "__main__":
    command(main)
