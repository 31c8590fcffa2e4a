"""Gated experts on a time series that switches between two processes.

    python docs/reproductions/switching.py --seeds 10

Weigend, A. S., Mangeas, M. & Srivastava, A. N. (1995). Nonlinear gated experts for time series:
discovering regimes and avoiding overfitting. International Journal of Neural Systems 6, 373-399.

A chaotic process without noise and a noisy one take turns; a row stays in its regime with
probability .98. Experts are cubic in the last value; the gate sees a polynomial of degree 6 in the
last two values, in which the last transition, and so the regime, can be recognised. 2,000 rows to
train, 1,000 to test. The paper shows curves and no table of this series; its claims: the gate finds
the regimes, the widths are those of the noise, and gated experts overfit less than one network.
"""

from __future__ import annotations

import numpy as np
from _report import command, spread, table
from scipy.stats import norm
from sklearn.linear_model import LinearRegression
from sklearn.neural_network import MLPRegressor
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.datasets import make_switching_series
from classic_moe.experts import LinearExpert

DEGREE = 6


def features(X):
    """Columns 0-2: powers of the last value, for the experts; the rest for the gate."""
    last = X[:, :1]
    return np.hstack(
        [last, last**2, last**3, PolynomialFeatures(DEGREE, include_bias=False).fit_transform(X)]
    )


def main(seeds=10, rows=3000):
    results = {}
    for seed in range(seeds):
        X, y, regime = make_switching_series(rows, random_state=seed)
        train, test = slice(0, 2 * rows // 3), slice(2 * rows // 3, None)
        Z = features(X)
        model = MixtureOfExpertsRegressor(
            2,
            expert=LinearExpert(variance_prior=1e-4),
            expert_features=slice(0, 3),
            gate_features=slice(3, None),
            random_state=seed,
        ).fit(Z[train], y[train])
        scales = np.array([float(view.scale_) for view in model.experts_])
        order = np.argsort(scales)  # the chaotic process has no noise
        gate = order.argsort()[model.assign(Z[test])]
        posterior = order.argsort()[model.assign(Z[test], y[test])]
        one = {
            "gate finds the regime": np.mean(gate == regime[test]),
            "gate and y find the regime": np.mean(posterior == regime[test]),
            "sd of the chaotic process": scales[order[0]],
            "sd of the noisy process": scales[order[1]],
            "persistence": np.mean(regime[1:] == regime[:-1]),
            "gated experts, nats a row": np.mean(model.log_prob(Z[test], y[test])),
            "gated experts, squared error": np.mean((y[test] - model.predict(Z[test])) ** 2),
        }
        baselines = {
            "polynomial": LinearRegression().fit(Z[train][:, 3:], y[train]).predict,
            "network, 20 hidden": network(X[train], y[train], seed),
        }
        for name, predict in baselines.items():
            own = Z[:, 3:] if name == "polynomial" else X
            scale = np.std(y[train] - predict(own[train]))
            error = y[test] - predict(own[test])
            one[f"{name}, nats a row"] = np.mean(norm.logpdf(error, scale=scale))
            one[f"{name}, squared error"] = np.mean(error**2)
        for name, value in one.items():
            results.setdefault(name, []).append(value)
    known = {
        "gate finds the regime": "the last regime is this one in .98",
        "sd of the chaotic process": "true: 0",
        "sd of the noisy process": "true: .05 to .1, as tanh flattens",
    }
    table(
        f"Switching series, {rows} rows, {seeds} seeds; on test rows",
        ["", "ours", "to compare"],
        [[name, spread(values), known.get(name, "")] for name, values in results.items()],
    )
    return results


def network(X, y, seed):
    scaler = StandardScaler().fit(X)
    model = MLPRegressor(
        hidden_layer_sizes=(20,),
        activation="tanh",
        solver="lbfgs",
        max_iter=1000,
        random_state=seed,
    ).fit(scaler.transform(X), y)
    return lambda X: model.predict(scaler.transform(X))


if __name__ == "__main__":
    command(main)
