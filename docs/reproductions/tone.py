"""Mixtures of two lines on the tone data, clean and with ten outliers: who keeps the lines?

    python docs/reproductions/tone.py --seeds 10

Song, W., Yao, W. & Xing, Y. (2014). Robust mixture regression model fitting by Laplace
distribution. Computational Statistics & Data Analysis 71, 128-137.
Chamroukhi, F. (2016). Robust mixture of experts modeling using the t distribution. Neural Networks
79, 20-36.

150 answers of a musician (Cohen 1980); ten copies of (0, 4) are the outliers of that literature.
Two experts, a constant gate, maximum likelihood (no penalties). The known fit of the clean data is
that of the R package mixtools: log-likelihood 141.20. Clean fits start from what is known about
hearing, one line y = x and one line y = 2; fits with outliers from the clean fit, and from random
starts (`init_params="random"`, the best of ten, for every seed).
"""

from __future__ import annotations

import numpy as np
from _report import command, spread, table

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.datasets import load_tone
from classic_moe.experts import LaplaceExpert, LinearExpert, StudentTExpert

EXPERTS = {
    "normal": LinearExpert(alpha=0, variance_prior=0),
    "Student-t, ν = 2": StudentTExpert(df=2, alpha=0, variance_prior=0),
    "Student-t, ν estimated": StudentTExpert(alpha=0, variance_prior=0),
    "Laplace": LaplaceExpert(alpha=0, variance_prior=0),
}


def by_hearing(X, y, n_experts, random_state):
    overtone = abs(y - X[:, 0]) < abs(y - 2)
    return np.column_stack([overtone, ~overtone]).astype(float)


def fit(expert, X, y, **options):
    model = MixtureOfExpertsRegressor(2, expert=expert, gate="constant", tol=1e-8, **options)
    return model.fit(X, y)


def lines(model):
    """Intercept and slope of the two lines, that of the overtone (slope 1 when clean) last."""
    found = [(view.intercept_, view.coef_[0]) for view in model.experts_]
    return np.array(sorted(found, key=lambda line: line[1]))


def kept(model, clean):
    """Whether both slopes are within .02 of the clean fit's."""
    return bool(np.all(abs(lines(model)[:, 1] - lines(clean)[:, 1]) <= 0.02))


def main(seeds=10, max_iter=2000, families=tuple(EXPERTS)):
    X, y = load_tone(return_X_y=True)
    X_spoilt, y_spoilt = np.vstack([X, np.zeros((10, 1))]), np.append(y, np.full(10, 4.0))
    results, rows = {}, []
    for name in families:
        expert = EXPERTS[name]
        clean = fit(expert, X, y, init_params=by_hearing, max_iter=max_iter)
        spoilt = fit(expert, X_spoilt, y_spoilt, init_params=clean, max_iter=max_iter)
        random = [
            fit(
                expert,
                X_spoilt,
                y_spoilt,
                init_params="random",
                random_state=seed,
                max_iter=max_iter,
            )
            for seed in range(seeds)
        ]
        results[name] = {"clean": clean, "spoilt": spoilt, "kept": kept(spoilt, clean)}
        rows.append(
            [
                name,
                f"{clean.log_likelihood_:.2f}",
                said(clean),
                f"{spoilt.log_likelihood_:.2f}",
                said(spoilt),
                "yes" if results[name]["kept"] else "no",
                f"{sum(kept(model, clean) for model in random)} of {seeds}",
                spread([model.log_likelihood_ for model in random], 1),
            ]
        )
    table(
        f"Tone data, {seeds} seeds for the random starts",
        [
            "experts",
            "clean: log-likelihood",
            "lines",
            "with outliers: log-likelihood",
            "lines",
            "kept",
            "kept from random starts",
            "log-likelihood there",
        ],
        rows,
    )
    normal = results["normal"]["clean"]
    scales = sorted(float(view.scale_) for view in normal.experts_)
    print("\nmixtools, clean: 141.20, 1.916 + 0.043 x and -0.019 + 0.992 x, sd .046 and .133;")
    print(f"ours: {normal.log_likelihood_:.2f}, {said(normal)},", end=" ")
    print(f"sd {scales[0]:.3f} and {scales[1]:.3f}")
    return results


def said(model):
    return " and ".join(f"{a:.3f} {'-' if b < 0 else '+'} {abs(b):.3f} x" for a, b in lines(model))


if __name__ == "__main__":
    command(main)
