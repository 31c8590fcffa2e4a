"""The inner loop of EM with several classes: block-diagonal IRLS against exact Newton steps.

    python docs/reproductions/inner_loop.py --seeds 10

Chen, K., Xu, L. & Chi, H. (1999). Improved learning algorithms for mixture of experts in multiclass
classification. Neural Networks 12, 1229-1252.

The M-step of a softmax gate, or of a softmax expert, is a softmax regression on soft targets.
Jordan & Jacobs (1994) solve it by IRLS for each class separately, which leaves the blocks of the
Hessian between classes out. The paper finds that unstable with several classes, and exact Newton
steps stable; it prints no table of this loop. With two classes the missing blocks make every step
exactly twice as long as Newton's: near the optimum the error changes sign and keeps its size.
"""

from __future__ import annotations

import numpy as np
from _report import command, spread, table
from scipy.special import softmax

from classic_moe._kernels import array
from classic_moe.parts import softmax_regression as sr

TOLERANCE = 1e-8
"""Distance to the optimum of the log-likelihood at which a run has arrived, relative."""


def problem(n, n_classes, rng):
    """x, soft targets and the optimum of a softmax regression with three features."""
    X = rng.standard_normal((n, 3))
    coef = rng.standard_normal((n_classes, 4))
    # targets of a gate: responsibilities, which scatter around the gate's probabilities
    target = softmax(array.with_intercept(X) @ coef.T + rng.standard_normal((n, n_classes)), axis=1)
    return X, target, optimum(X, target)


def optimum(X, target):
    """The optimum, by Newton's steps from a start of the package's own."""
    coef, value_so_far = sr.fit(X, target, 0.0), -np.inf
    Z, weight = array.with_intercept(X), np.ones(len(X))
    for _ in range(100):
        prob = np.exp(array.log_softmax(Z @ coef.T))
        hessian = array.softmax_curvature(Z, prob, weight, True)
        stats = sr.from_sums((target - prob).T @ Z, Z.T @ Z, hessian)
        proposal = sr.newton_step(coef, stats, 0.0)
        if not value(X, target, proposal) > value_so_far:
            break
        coef, value_so_far = proposal, value(X, target, proposal)
    return coef


def value(X, target, coef):
    return np.sum(target * array.log_softmax(array.with_intercept(X) @ coef.T))


def block_step(coef, stats, scale):
    """IRLS for each class by itself, `scale` times its step."""
    P = coef.shape[1]
    hessian = stats["hessian"].reshape(len(coef), P, len(coef), P)
    step = [np.linalg.solve(hessian[c, :, c], stats["gradient"][c]) for c in range(len(coef))]
    return sr.symmetric_gauge(coef + scale * np.array(step))


STEPS = {
    "block IRLS": lambda coef, stats: block_step(coef, stats, 1.0),
    "half a block step": lambda coef, stats: block_step(coef, stats, 0.5),
    "exact Newton": lambda coef, stats: sr.newton_step(coef, stats, 0.0),
    "Böhning's bound": lambda coef, stats: sr.bound_step(coef, stats, 0.0),
}


def following(step, X, target, coef):
    prob = softmax(array.with_intercept(X) @ coef.T, axis=1)
    return step(coef, sr.statistics(X, prob, target))


def run(step, X, target, optimum, most=1000):
    """From zero: steps until the optimum (inf: not reached), and whether the likelihood rose."""
    coef, best = np.zeros_like(optimum), value(X, target, optimum)
    values = [value(X, target, coef)]
    for t in range(1, most + 1):
        try:
            with np.errstate(all="ignore"):
                coef = following(step, X, target, coef)
                values.append(value(X, target, coef))
        except np.linalg.LinAlgError:  # probabilities of 0 and 1: no curvature left
            values.append(-np.inf)
        if not np.isfinite(values[-1]):
            return np.inf, False
        if best - values[-1] <= TOLERANCE * abs(best):
            return t, rises(values)
    return np.inf, rises(values)


def multiplier(step, X, target, optimum, rng, size=1e-3):
    """By what a step multiplies a small error at the optimum, in the slowest direction."""
    error = size * sr.symmetric_gauge(rng.standard_normal(optimum.shape))
    for _ in range(20):
        after = following(step, X, target, optimum + error) - optimum
        ratio = np.sum(after * error) / np.sum(error**2)
        norm = np.linalg.norm(after)
        if norm < 1e-3 * size:
            return ratio
        error = after * size / norm
    return ratio


def rises(values):
    return bool(np.all(np.diff(values) >= -1e-10 * np.abs(values[:-1])))


def main(seeds=10, rows=500):
    results, lines = {}, []
    for n_classes in (2, 3, 5):
        problems = [problem(rows, n_classes, np.random.default_rng(s)) for s in range(seeds)]
        for name, step in STEPS.items():
            runs = [run(step, *given) for given in problems]
            result = results[n_classes, name] = {
                "steps": np.array([steps for steps, _ in runs]),
                "rises": sum(rose for _, rose in runs),
                "multiplier": np.array(
                    [multiplier(step, *given, np.random.default_rng(0)) for given in problems]
                ),
            }
            arrived = np.isfinite(result["steps"])
            lines.append(
                [
                    n_classes,
                    name,
                    f"{arrived.sum()} of {seeds}",
                    spread(result["steps"][arrived], 0) if arrived.any() else "-",
                    f"{result['rises']} of {seeds}",
                    spread(result["multiplier"], 2),
                ]
            )
    table(
        f"Softmax regression on soft targets, {rows} rows, 3 features, {seeds} seeds",
        ["classes", "step", "converged", "steps", "always rose", "error multiplier"],
        lines,
    )
    print(
        "\nConverged: within 1e-8 of the optimal log-likelihood, relative, in 1,000 steps. Error"
        "\nmultiplier: of a small error at the optimum, by one step; beyond ±1 nothing converges."
    )
    return results


if __name__ == "__main__":
    command(main)
