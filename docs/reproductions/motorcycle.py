"""The motorcycle data: robust experts, how many, and how wide the band.

    python docs/reproductions/motorcycle.py --seeds 10

Chamroukhi, F. (2016). Robust mixture of experts modeling using the t distribution. Neural Networks
79, 20-36; and the R package meteorits of the same author, whose example is compared here.

133 measurements (Silverman 1985), experts quadratic and gate linear in time. The number of experts
is chosen by BIC.
"""

from __future__ import annotations

import numpy as np
from _report import command, spread, table

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.datasets import load_motorcycle
from classic_moe.experts import LinearExpert, StudentTExpert

FAMILIES = {
    "normal": LinearExpert(variance_prior=1e-3),
    "Student-t": StudentTExpert(variance_prior=1e-3),
}
KNOWN = {("Student-t", 4): "-563.41"}
"""Log-likelihood in the documentation of meteorits."""


def main(seeds=10, most=5, families=tuple(FAMILIES)):
    times, y = load_motorcycle(return_X_y=True)
    X = np.column_stack([times, times**2])
    results, rows = {}, []
    for name in families:
        for n_experts in range(2, most + 1):
            fits = [
                MixtureOfExpertsRegressor(
                    n_experts, expert=FAMILIES[name], gate_features=[0], random_state=seed
                ).fit(X, y)
                for seed in range(seeds)
            ]
            low, high = zip(*(fit.predict_dist(X).interval(0.95) for fit in fits), strict=True)
            inside = 100 * np.mean((np.array(low) <= y) & (y <= np.array(high)), axis=1)
            bic = [fit.bic(X, y) for fit in fits]
            results[name, n_experts] = {"fits": fits, "bic": bic, "inside": inside}
            rows.append(
                [
                    name,
                    n_experts,
                    KNOWN.get((name, n_experts), ""),
                    spread([fit.log_likelihood_ for fit in fits], 2),
                    fits[0].n_parameters_,
                    spread(bic, 1),
                    spread(inside, 1),
                ]
            )
    table(
        f"Motorcycle data, {seeds} seeds of the starts",
        [
            "experts",
            "K",
            "meteorits: log-likelihood",
            "ours: log-likelihood",
            "parameters",
            "BIC",
            "% of the data in the 95 % band",
        ],
        rows,
    )
    results["BIC"] = {}
    for name in families:
        bic = [results[name, K]["bic"] for K in range(2, most + 1)]
        results["BIC"][name] = sorted({int(K) for K in 2 + np.argmin(bic, axis=0)})
        print(f"\nBIC chooses K = {results['BIC'][name]} for {name} experts.")
    return results


if __name__ == "__main__":
    command(main)
