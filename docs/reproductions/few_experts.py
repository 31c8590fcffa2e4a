"""Many lines, few for a row: what leaving experts out costs, in predictions and in the fit.

    python docs/reproductions/few_experts.py                              # 16 lines, 6,000 rows
    python docs/reproductions/few_experts.py --experts 64 --rows 12000 --seeds 1

Lücke, J. & Eggert, J. (2010). Expectation truncation and the benefits of preselection in training
generative models. Journal of Machine Learning Research 11, 2855-2900.

Data have a line in each of many cells. A mixture of as many lines is fitted by EM, with all experts
for every row, and predicts with the k best of a row by the gate; as many other rows say what that
costs. And it is fitted by truncated EM, whose experts learn from the two most responsible of a row,
after 20 passes with all: both climb from the same start. A pass is timed by the CPU seconds between
calls of `callback`, of the passes after the twentieth.
"""

from __future__ import annotations

import time

import numpy as np
from _report import command, spread, table
from sklearn.base import clone

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.datasets import make_voronoi_pieces
from classic_moe.experts import LinearExpert
from classic_moe.gates import SoftmaxGate
from classic_moe.routing import top_k_report
from classic_moe.solvers import EM, TruncatedEM

WARM_UP = 20


def fit(model, X, y):
    """Fit; returns the model and the CPU seconds of a pass, the median after the warm-up."""
    ends = []
    model = clone(model).fit(X, y, callback=lambda *_: ends.append(time.process_time()))
    later = np.diff(ends)[WARM_UP:]
    return model, float(np.median(later)) if len(later) else np.nan


def kept(model, X, y, results):
    """Note what keeping k experts of a row costs on rows that the fit has not seen."""
    report = top_k_report(model, X, y)
    for j, k in enumerate(report.k):
        for name in ("nll", "error", "kept_mass"):
            results.setdefault((name, int(k)), []).append(getattr(report, name)[j])
    return report


def main(
    seeds=3, first=0, experts=16, rows=6000, sharpness=1e4, columns=2, iterations=500, starts=2
):
    results = {}
    for seed in range(first, first + seeds):
        X, y = make_voronoi_pieces(
            2 * rows, columns, experts, sharpness=sharpness, random_state=seed
        )
        train, test = (X[:rows], y[:rows]), (X[rows:], y[rows:])
        model = MixtureOfExpertsRegressor(
            experts,
            gate=SoftmaxGate(alpha=1e-3),
            expert=LinearExpert(alpha=1e-6, variance_prior=1e-2),
            n_init=starts,
            max_iter=iterations,
            tol=1e-6,
            random_state=seed,
        )
        kept(model.fit(*train), *test, results)
        each = {}
        for name, solver in (("all", EM()), ("two", TruncatedEM(2, warm_up=WARM_UP))):
            own, seconds = fit(clone(model).set_params(solver=solver, n_init=1), *train)
            each[name] = own.log_likelihood_ / rows, seconds, np.diff(own.lower_bounds_).min()
        results.setdefault("below", []).append(each["all"][0] - each["two"][0])
        results.setdefault("pass", []).append(each["two"][1] / each["all"][1])
        results.setdefault("least gain", []).append(each["two"][2] / rows)
    told(f"{experts} lines, {rows} rows, {columns} columns, {seeds} seeds", results)
    return results


def told(what, results):
    ks = sorted(
        k for name, k in (key for key in results if isinstance(key, tuple)) if name == "nll"
    )
    table(
        f"{what}: dense EM, k experts of a row kept; other rows",
        ["k", "-log p a row", "relative error", "mass kept"],
        [[k, *(spread(results[name, k]) for name in ("nll", "error", "kept_mass"))] for k in ks],
    )
    table(
        f"{what}: truncated EM beside EM from the same start",
        ["log-likelihood a row below", "a pass costs", "least gain of a bound a row"],
        [[spread(results["below"]), spread(results["pass"]), f"{min(results['least gain']):.1e}"]],
    )


if __name__ == "__main__":
    command(main)
