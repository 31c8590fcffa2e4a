"""How often a 95 % interval holds the truth, by simulation.

    python docs/reproductions/wald_intervals.py --simulations 2000

Two experts, a softmax gate on x0; data of a known truth are drawn, fitted by maximum likelihood
from the truth (`init_params`), and asked for `infer`'s intervals. In a separated gate the log-odds
rise by 4 a unit of x0, in an overlapping one by 1, x0 being uniform between -2 and 2. In the last
design the spread of the noise grows with |x1|, which the model does not know: the truth is then
what the same fit finds in a million rows.
"""

from __future__ import annotations

import numpy as np
from _report import command, table

from classic_moe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from classic_moe.experts import LinearExpert, LogisticExpert, PoissonExpert
from classic_moe.gates import SoftmaxGate
from classic_moe.inference import infer, named_parameters

EXPERTS = {
    "Gaussian": LinearExpert(alpha=0, variance_prior=0),
    "Poisson": PoissonExpert(alpha=0),
    "logistic": LogisticExpert(alpha=0),
}
LINES = {  # intercept and slope of both experts
    "Gaussian": [(1.0, 1.0), (-1.0, -0.5)],
    "Poisson": [(2.0, -0.5), (0.5, 0.8)],
    "logistic": [(1.0, 2.0), (-1.0, -2.0)],
}
GATES = {"separated": (2.0, 4.0), "overlapping": (0.8, 1.0)}
"""Intercept and slope of the log-odds; expert 0 has most rows, so that numbers stay."""
SCALE, MANY = 0.5, 1_000_000
OBSERVED, BOTH = ("observed",), ("observed", "sandwich")
DESIGNS = (
    ("Gaussian", "separated", 500, OBSERVED),
    ("Gaussian", "overlapping", 2000, OBSERVED),
    ("Poisson", "separated", 500, OBSERVED),
    ("Poisson", "overlapping", 2000, OBSERVED),
    ("logistic", "separated", 500, OBSERVED),
    ("logistic", "separated", 2000, OBSERVED),
    ("uneven", "overlapping", 2000, BOTH),
)


def truth_of(family, gate):
    """The parameters by name."""
    family = "Gaussian" if family == "uneven" else family
    found = {}
    for k, (intercept, slope) in enumerate(LINES[family]):
        found |= {f"expert {k}: intercept": intercept, f"expert {k}: x1": slope}
        if family == "Gaussian":
            found[f"expert {k}: scale"] = SCALE
    return found | dict(zip(("gate 0: intercept", "gate 0: x0"), GATES[gate], strict=True))


def draw(family, gate, n, rng):
    """X and y of the truth."""
    truth = truth_of(family, gate)
    X = np.column_stack([rng.uniform(-2, 2, n), rng.standard_normal(n)])
    log_odds = truth["gate 0: intercept"] + truth["gate 0: x0"] * X[:, 0]
    first = rng.random(n) < 1 / (1 + np.exp(-log_odds))
    (a, b), (c, d) = LINES["Gaussian" if family == "uneven" else family]
    eta = np.where(first, a + b * X[:, 1], c + d * X[:, 1])
    if family == "Poisson":
        return X, rng.poisson(np.exp(eta))
    if family == "logistic":
        return X, (rng.random(n) < 1 / (1 + np.exp(-eta))).astype(int)
    noise = rng.standard_normal(n)
    if family == "uneven":
        noise = noise * (0.5 + 0.5 * np.abs(X[:, 1]))
    return X, eta + SCALE * noise


def fitted(family, gate, X, y):
    """The fit that begins at the truth."""
    family = "Gaussian" if family == "uneven" else family
    lines, (intercept, slope) = np.array(LINES[family]), GATES[gate]
    expert = {"intercept": lines[:, 0], "coef": lines[:, 1:]}
    if family == "Gaussian":
        expert["scale"] = [SCALE, SCALE]
    start = {"gate": {"intercept": [intercept, 0], "coef": [[slope], [0]]}, "expert": expert}
    kind = MixtureOfExpertsClassifier if family == "logistic" else MixtureOfExpertsRegressor
    options = dict(gate=SoftmaxGate(alpha=0), gate_features=[0], expert_features=[1])
    return kind(2, expert=EXPERTS[family], init_params=start, **options).fit(X, y)


def simulate(family, gate, n, kinds, simulations):
    """Errors of estimates in half widths of their intervals: {kind: {name: (simulations,)}}.

    Up to 1 the interval holds the truth; NaN where there is no interval.
    """
    number = [*LINES, "uneven"].index(family)
    seeds = np.random.SeedSequence([number, list(GATES).index(gate), n]).spawn(simulations)
    truth = truth_of(family, gate)
    if family == "uneven":
        X, y = draw(family, gate, MANY, np.random.default_rng([number, MANY]))
        truth = dict(zip(*named_parameters(fitted(family, gate, X, y)), strict=True))
    errors = {kind: {name: np.full(simulations, np.nan) for name in truth} for kind in kinds}
    for i, seed in enumerate(seeds):
        X, y = draw(family, gate, n, np.random.default_rng(seed))
        model = fitted(family, gate, X, y)
        for kind in kinds:
            found = infer(model, X, y, covariance=kind)
            half = (found.upper - found.lower) / 2
            for name, estimate, width in zip(found.names, found.estimates, half, strict=True):
                errors[kind][name][i] = abs(estimate - truth[name]) / width
    return errors


def main(simulations=2000, designs=DESIGNS):
    results, rows = {}, []
    for family, gate, n, kinds in designs:
        for kind, errors in simulate(family, gate, n, kinds, simulations).items():
            share = {name: np.mean(own[np.isfinite(own)] <= 1) for name, own in errors.items()}
            lost = np.mean(np.isnan(list(errors.values())).any(axis=0))
            results[family, gate, n, kind] = share
            values = 100 * np.array(list(share.values()))
            row = [family, gate, n, kind, len(values), f"{values.mean():.1f}"]
            row += [f"{values.min():.1f}", f"{values.max():.1f}", f"{100 * lost:.1f}"]
            rows.append(row)
            print(*row, flush=True)
    heads = ["y", "gate", "rows", "errors", "parameters", "mean", "least", "most", "% without"]
    table(f"Coverage of 95 % intervals in %, {simulations} simulations", heads, rows)
    return results


if __name__ == "__main__":
    command(main)
