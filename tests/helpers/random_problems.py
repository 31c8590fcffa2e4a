"""Random fitting problems at shipped defaults, and what every fit promises on them.

`problems` is the hypothesis strategy; `examine` fits one and lists the promises it broke. Run as a
program it counts:

    python tests/helpers/random_problems.py 1000
    python tests/helpers/random_problems.py 1000 --trees
    python tests/helpers/random_problems.py 100 --wrong-way

The second has hierarchical mixtures of up to four levels, plain EM and few iterations. The third
moves the M-step away from its maximum, with a solver that takes it on trust. It must report falls;
otherwise the check would be blind.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections import Counter
from dataclasses import dataclass
from unittest import mock

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning

from classic_moe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor, solvers
from classic_moe.experts import (
    BinomialExpert,
    GammaExpert,
    LaplaceExpert,
    LinearExpert,
    NegativeBinomialExpert,
    PoissonExpert,
    StudentTExpert,
)
from classic_moe.gates import ExponentialFamilyGate, GaussianGate, TreeGate
from classic_moe.parts.params import all_finite, interpolate, leaves
from classic_moe.solvers import BaseSolver, Result

FALL = 1e-10
"""Largest fall of the objective that counts as rounding, relative to max(1, |objective|)."""


@dataclass
class Problem:
    """An unfitted estimator and its data; `label` says how they were drawn."""

    label: str
    estimator: object
    X: np.ndarray
    y: np.ndarray
    sample_weight: np.ndarray | None


@st.composite
def problems(draw, rows=400, columns=8, experts=8):
    """Problems of up to so many rows, columns and experts, with every nuisance."""
    task = draw(st.sampled_from(["regression", "classification"]), label="task")
    features = dict(
        n=draw(st.integers(5, min(rows, 60)) | st.integers(5, rows), label="n"),
        p=draw(st.integers(1, columns), label="p"),
        K=draw(st.integers(1, experts), label="K"),
        expert=draw(st.sampled_from(EXPERTS[task]), label="expert"),
        gate=draw(st.sampled_from(GATES), label="gate"),
        outputs=draw(st.sampled_from([1, 1, 1, 2, 3]), label="outputs or classes beyond one"),
        scale=draw(st.integers(-80, 80), label="10 log10 of the scale of X") / 10,
        y_scale=draw(st.integers(-80, 80), label="10 log10 of the scale of y") / 10,
        offset=draw(st.sampled_from([0, 0, 1, 1e3, 1e6]), label="offset in sd"),
        ties=draw(st.booleans(), label="ties"),
        repeated=draw(st.sampled_from([False, False, True]), label="repeated rows"),
        constant=draw(st.sampled_from([False, False, True]), label="constant column"),
        weights=draw(st.sampled_from(["none", "counts", "real", "uneven"]), label="weights"),
        dtype=draw(st.sampled_from(["float64", "float64", "float32"]), label="dtype"),
        structure=draw(st.sampled_from(["noise", "pieces", "exact", "outlier"]), label="structure"),
        seed=draw(st.integers(0, 2**32 - 1), label="seed"),
    )
    return make_problem(task, **features)


@st.composite
def trees(draw, most=64, rows=150):
    """Hierarchical problems: 1 to 4 levels of 2 to 4 branches, at most so many leaves and rows."""
    levels = draw(
        st.lists(st.integers(2, 4), min_size=1, max_size=4).filter(lambda b: np.prod(b) <= most),
        label="branching",
    )
    problem = draw(problems(rows, columns=4, experts=1))
    K, problem.label = int(np.prod(levels)), f"branching={levels}, {problem.label}"
    gate = draw(st.sampled_from(["softmax", "softmax", "softmax", "constant"]), label="node")
    problem.estimator.set_params(
        n_experts=K, gate=TreeGate(gate, levels, len(levels)), solver="em", max_iter=20, n_init=2
    )
    short = max(0, K + 2 - np.count_nonzero(_weights(problem) > 0))
    more = np.arange(short) % len(problem.X)  # a row for every expert: repeated ones
    problem.X, problem.y = (np.concatenate([a, a[more]]) for a in (problem.X, problem.y))
    if problem.sample_weight is not None:
        problem.sample_weight = np.append(problem.sample_weight, np.ones(short))
    return problem


def _weights(problem):
    return np.ones(len(problem.X)) if problem.sample_weight is None else problem.sample_weight


FAMILIES = {  # those that are no alias, or take their own kind of y
    "linear tied": ("real", LinearExpert(covariance_type="tied")),
    "linear diag": ("real", LinearExpert(covariance_type="diag")),
    "linear spherical": ("real", LinearExpert(covariance_type="spherical")),
    "student_t": ("real", StudentTExpert()),
    "student_t tied": ("real", StudentTExpert(df="tied")),
    "laplace": ("one", LaplaceExpert()),
    "poisson": ("count", PoissonExpert()),
    "negative_binomial": ("count", NegativeBinomialExpert()),
    "gamma": ("positive", GammaExpert()),
    "gamma inverse": ("positive", GammaExpert(link="inverse")),
    "binomial": ("trials", BinomialExpert()),
}
EXPERTS = {
    "regression": ["linear", "linear", "gaussian", *FAMILIES],
    "classification": ["softmax", "softmax", "logistic"],
}
LOCALISED = {
    "gaussian": GaussianGate(),
    "gaussian diag": GaussianGate(covariance_type="diag"),
    "gaussian tied": GaussianGate(covariance_type="tied"),
    "exponential_family": ExponentialFamilyGate(),
}
GATES = ["softmax", "softmax", "softmax", "constant", *LOCALISED]


def make_problem(
    task,
    *,
    n,
    p,
    K,
    expert,
    gate,
    outputs,
    scale,
    y_scale,
    offset,
    ties,
    repeated,
    constant,
    weights,
    dtype,
    structure,
    seed,
):
    """The problem with these features; always one that has a fit."""
    label = ", ".join(f"{name}={value!r}" for name, value in locals().items())
    rng = np.random.RandomState(seed)
    X = rng.standard_normal((n, p))
    if ties:
        X = np.round(X, 0)
    if repeated:
        X = X[rng.randint(max(n // 4, 1), size=n)]
    if constant:
        X[:, rng.randint(p)] = 1.0
    pieces = np.digitize(X @ rng.standard_normal(p), [-0.5, 0.5])
    slopes = 3 * rng.standard_normal((3, p, outputs))
    Y = np.einsum("ij,ijq->iq", X, slopes[pieces]) + 2 * pieces[:, None]
    noise = {"noise": 3.0, "pieces": 0.3, "exact": 0.0, "outlier": 0.3}[structure]
    Y = Y + noise * rng.standard_normal(Y.shape)
    if structure == "outlier":
        Y[rng.randint(n)] *= 1e4
        X[rng.randint(n)] *= 1e4
    sample_weight = {
        "none": None,
        "counts": rng.randint(0, 3, size=n),
        "real": rng.uniform(size=n) * (rng.uniform(size=n) > 0.2),
        "uneven": 10.0 ** rng.uniform(-6, 3, size=n),
    }[weights]
    if sample_weight is not None:
        sample_weight[: min(n, K + 2)] = 1  # enough rows for K experts and two classes
    X = (10.0**scale * (X + offset)).astype(dtype)
    kind, part = FAMILIES.get(expert, ("real", expert))
    gate = LOCALISED.get(gate, gate)
    options = dict(n_experts=min(K, n), expert=part, gate=gate, random_state=0)
    if task == "regression":
        if ties:
            Y = np.round(Y, 0)
        y = _target(kind, Y, 10.0**y_scale, offset, rng)
        return Problem(label, MixtureOfExpertsRegressor(**options), X, y, sample_weight)
    n_classes = 2 if expert == "logistic" else 1 + outputs
    y = np.searchsorted(np.quantile(Y[:, 0], np.arange(1, n_classes) / n_classes), Y[:, 0])
    y[:2] = 0, 1
    return Problem(label, MixtureOfExpertsClassifier(**options), X, y, sample_weight)


def _target(kind, Y, scale, offset, rng):
    """y of a kind with the signal Y (n, q)."""
    if kind == "real" and Y.shape[1] > 1:
        return scale * (Y + offset)
    signal = Y[:, 0]
    if kind in ("real", "one"):
        return scale * (signal + offset)
    signal = np.clip(signal / max(np.median(np.abs(signal)), 1e-3), -30, 30)
    if kind == "positive":
        return scale * np.exp(signal)
    if kind == "count":
        return np.floor(np.exp(np.minimum(signal + np.log10(scale), 20)))
    trials = rng.randint(0, 30, size=len(Y))
    trials[0] = 1
    successes = rng.binomial(trials, 1 / (1 + np.exp(-signal)))
    return np.column_stack([successes, trials - successes]).astype(float)


def examine(problem):
    """Fit and predict; returns (broken promises, categories of the warnings given)."""
    X, y, weight = problem.X, problem.y, problem.sample_weight
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = problem.estimator.fit(X, y, weight)
        values = _everything_said(model, X, y)
    broken = [
        f"warning {w.category.__name__}: {w.message}"
        for w in caught
        if not issubclass(w.category, ConvergenceWarning)
    ]
    categories = Counter(w.category.__name__ for w in caught)
    broken += [f"{name} given {times} times" for name, times in categories.items() if times > 1]
    # Student-t experts of few degrees of freedom have no variance: infinity is the right answer
    broken += [
        f"NaN: {name} not finite"
        for name, v in values.items()
        if np.isnan(v).any() or (np.isinf(v).any() and not _may_be_infinite(name, model, values))
    ]

    bounds = model.lower_bounds_
    size = np.maximum(1.0, np.abs(bounds))
    falls = -np.diff(bounds) / size[1:]
    if len(falls) and falls.max() > FALL:
        broken.append(f"fall: the objective falls by {falls.max():.1e} relative")
    if len(bounds) != model.n_iter_ + 1:
        broken.append(f"{len(bounds)} lower bounds for {model.n_iter_} iterations")
    weight = np.ones(len(X)) if weight is None else weight
    used = weight > 0
    likelihood = weight[used] @ values["log_prob"][used]
    # The sums cancel, so their rounding is relative to the sum of the sizes.
    rounding = 1e-10 * max(1.0, weight[used] @ np.abs(values["log_prob"][used]))
    if not abs(likelihood - model.log_likelihood_) <= rounding:
        broken.append(f"log_likelihood_ {model.log_likelihood_}, recomputed {likelihood}")
    likelihood = getattr(model, "joint_log_likelihood_", likelihood)
    objective = likelihood + model._fitted.model.log_prior(model.params_)
    if not abs(objective - bounds[-1]) <= rounding + 1e-10 * size[-1]:
        broken.append(f"last lower bound {bounds[-1]}, recomputed {objective}")
    for name in ("gate_proba", "responsibilities", "predict_proba"):
        if name in values and np.abs(values[name].sum(axis=1) - 1).max() > 1e-12:
            broken.append(f"{name}: a row does not sum to one")
    return broken, set(categories)


def _may_be_infinite(name, model, values):
    """Spreads: of heavy tails, and of means so large that no number holds their square."""
    few = any(getattr(expert, "df_", 3) <= 2 for expert in model.experts_)
    beyond = name == "std" and np.abs(values["predict"]).max() > 1e150
    return beyond or (few and (name == "std" or name.endswith("covariance_")))


def _everything_said(model, X, y):
    """All numbers that a fitted model tells, by name."""
    values = {f"params_ {i}": leaf for i, leaf in enumerate(leaves(model.params_))}
    for name in ("weights_", "log_likelihood_", "lower_bounds_"):
        values[name] = getattr(model, name)
    for i, view in enumerate([model.gate_, *model.experts_]):
        for name in (
            "coef_",
            "intercept_",
            "scale_",
            "covariance_",
            "shape_",
            "dispersion_",
            "df_",
        ):
            if hasattr(view, name):
                values[f"view {i} {name}"] = np.asarray(getattr(view, name))
    for name in ("gate_proba", "predict_experts"):
        values[name] = getattr(model, name)(X)
    for name in ("log_prob", "responsibilities"):
        values[name] = getattr(model, name)(X, y)
    if hasattr(model, "classes_"):
        values["predict_log_proba"] = model.predict_log_proba(X)
        values["predict_proba"] = model.predict_proba(X)
    else:
        values["predict"], values["std"] = model.predict(X, return_std=True)
        values["predict alone"] = model.predict(X)
        values["ppf"] = model.predict_dist(X[:5]).ppf([[0.01]] * 2 if y.ndim == 1 else 0.01)
    return values


class Trusting(BaseSolver):
    """EM that takes every M-step on trust: what is left of the solver without its safeguard."""

    def run(self, model, params, batches, *, max_iter, tol, callback=None):
        history = []
        for iteration in range(max_iter + 1):
            try:
                stats = batches.map_sum(model.statistics, params)
            except np.linalg.LinAlgError:  # a covariance beyond zero
                break
            history.append(float(stats["objective"] + model.log_prior(params)))
            if iteration == max_iter or (iteration > 1 and not history[-1] > history[-2]):
                break
            params = model.maximize(params, stats)
            if not all_finite(params):
                break
        return Result(params, stats, history, True)


def wrong_way(distance=0.3):
    """Context in which every M-step goes away from its maximum and the solver does not look."""
    from classic_moe.model.mixture import MixtureModel

    right = MixtureModel.maximize

    def wrong(self, params, stats, cautious=False):
        return interpolate(params, right(self, params, stats, cautious), -distance)

    trusting = mock.patch.dict(solvers.ALIASES, auto=Trusting)
    return trusting, mock.patch.object(MixtureModel, "maximize", wrong)


def count(n_problems, start=0, strategy=None):
    """Examine so many problems; returns (number run, broken promises with labels, warnings)."""
    broken, warned = [], Counter()
    done = 0

    @seed(start)
    @settings(
        max_examples=n_problems,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(problem=problems() if strategy is None else strategy)
    def run(problem):
        nonlocal done
        done += 1
        try:
            found, categories = examine(problem)
        except Exception as error:
            found, categories = [f"{type(error).__name__}: {error}"], ()
        broken.extend((text, problem.label) for text in found)
        warned.update(categories)

    run()
    return done, broken, warned


def main(arguments=None):
    """Print what `count` finds; exit status 1 if a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("n_problems", type=int, nargs="?", default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--wrong-way", action="store_true")
    parser.add_argument("--trees", action="store_true")
    options = parser.parse_args(arguments)
    if options.wrong_way:
        trusting, wrong = wrong_way()
        with trusting, wrong:
            done, broken, warned = count(options.n_problems, options.seed)
    else:
        strategy = trees() if options.trees else problems()
        done, broken, warned = count(options.n_problems, options.seed, strategy)
    for text, label in broken[:20]:
        print(f"{text}\n    {label}")
    falls = sum(text.startswith("fall") for text, _ in broken)
    lost = len({label for text, label in broken if text.startswith("NaN")})
    print(f"{done} problems: {falls} falls of the objective, {lost} with NaN or infinity,")
    print(f"{len(broken)} broken promises in all")
    print("warnings:", ", ".join(f"{name} {n}" for name, n in warned.most_common()) or "none")
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
