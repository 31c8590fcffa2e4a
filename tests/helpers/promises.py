"""What every fit promises, whatever the data: one function for each promise.

`fitted` fits a problem of `drawn_problems`; `PROMISES` look at the fit, and `LIVES` at what happens
to an estimator afterwards. Each takes a `Case` and yields a sentence for everything broken.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import pickle
import traceback
import warnings
from dataclasses import dataclass, replace

import numpy as np
from drawn_problems import BLACK_BOXES, Problem, dress_rows
from scipy import sparse
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning

from classic_moe.starts.init_params import to_values

FALL = 1e-10
"""Largest fall of the objective that counts as rounding, relative to max(1, |objective|)."""
WEIGHTS_ARE_COUNTS = "which counts as the number of observations"
NOT_CONVERGED = ("did not converge in", "warned when it was last fitted")
"""What our own ConvergenceWarning says: the fit did not, or an estimator inside the mixture."""
OURS = ("classic_moe", "sklearn/utils/validation.py", "sklearn/utils/multiclass.py")
"""Where an error that is a sentence comes from: the package, and what validates for it."""


@dataclass
class Case:
    """A fitted problem: `X`, `y` as the caller has them, `rows` the keywords of its `fit`."""

    problem: Problem
    model: BaseEstimator
    X: object
    y: object
    rows: dict

    @property
    def spec(self):
        return self.problem.spec

    @functools.cached_property
    def gate(self):
        """`gate_proba`, (n, K)."""
        return self.model.gate_proba(self.X)

    @functools.cached_property
    def each(self):
        """`predict_experts`, (n, K, ...)."""
        return self.model.predict_experts(self.X)

    @functools.cached_property
    def predicted(self):
        """Class probabilities, or means."""
        return predicted(self.model, self.X)

    @functools.cached_property
    def log_prob(self):
        """log p(y|x) of the rows, each by itself, (n,)."""
        return self.model.log_prob(self.X, self.y)

    @functools.cached_property
    def resp(self):
        """Responsibilities, (n, K)."""
        return self.model.responsibilities(self.X, self.y, **self.groups)

    @property
    def weight(self):
        """The weight of every row, those of the classes included, (n,)."""
        weight = self.rows.get("sample_weight", np.ones(len(self.problem.X)))
        if self.spec["class weight"] != "none":
            used = weight > 0  # the package balances what the weights are worth
            y, factor = self.problem.y, np.zeros(len(weight))
            total = {c: weight[y == c].sum() for c in np.unique(y[used])}
            for c, value in total.items():
                factor[y == c] = weight.sum() / (len(total) * value)
            weight = weight * factor
        return weight

    @property
    def groups(self):
        return {name: value for name, value in self.rows.items() if name == "groups"}

    @property
    def rows_of_criteria(self):
        """Keywords of `aic`: what is known of the rows but their experts."""
        return {n: v for n, v in self.rows.items() if n in ("sample_weight", "groups")}

    @property
    def has_likelihood(self):
        return hasattr(self.model, "log_prob")

    @property
    def soft(self):
        return self.spec["assignment"] == "soft"

    @property
    def coded(self):
        """Whether the experts are for numbers and y one-hot codes of classes."""
        numeric = ("linear", "linear of variance 1", "student_t")
        return not self.problem.regression and self.spec["expert"] in numeric

    @property
    def separate(self):
        """Whether every output has a gate of its own."""
        return self.spec["kind"] == "meta_pi" and self.spec["own gates"]

    @property
    def single(self):
        """Whether black boxes sum in single precision, which no promise looks through."""
        return self.black_box and self.spec["rows of X"] == "float32"

    @property
    def black_box(self):
        """Whether estimators of others are among the parts, whose rounding is their own."""
        names = {*self.spec["expert"].split(", "), self.spec["gate"]}
        return bool(names & (BLACK_BOXES | {"frozen", "a ridge", "a regression", "regression"}))


# -- the fit ---------------------------------------------------------------------------------------


class Refused(Exception):
    """The estimator said in a sentence that it does not take the problem."""


def fitted(problem):
    """Fit a problem; returns its `Case` and the warnings given, or raises `Refused`."""
    X, y = problem.dressed()
    model, rows = problem.estimator, dict(problem.rows)
    model_as_it_was = dict(vars(model))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            if isinstance(getattr(model, "init_params", None), str):
                give_start(problem, model, X, y, rows)
                model_as_it_was = dict(vars(model))
            model.fit(X, y, **rows)
        except (ValueError, TypeError) as error:
            if not is_sentence(error):
                raise
            if changed := differences(model_as_it_was, vars(model)):
                raise AssertionError(f"a refused fit changed {changed}") from error
            raise Refused(f"{type(error).__name__}: {error}") from error
    return Case(problem, model, X, y, rows), caught


def give_start(problem, model, X, y, rows):
    """Put the start "dict" or "fit" in place: a first fit of few iterations, or its values."""
    start = problem.spec["start"]
    if start not in ("dict", "fit"):
        return
    first = clone(model).set_params(init_params="random", n_init=1, max_iter=3)
    with own_warnings_ignored():
        first.fit(X, y, **rows)
    if start == "dict":
        fit = first._fitted
        first = to_values(fit.params, fit.model, fit.schema.scalings)
    model.set_params(init_params=first)


def is_sentence(error):
    """Whether an error was raised on purpose: here, or by what validates for us."""
    if isinstance(error, np.linalg.LinAlgError):
        return False
    last = traceback.extract_tb(error.__traceback__)[-1].filename
    return any(place in last for place in OURS)


def differences(before, after):
    """Names whose values are not the same objects any more, sorted."""
    names = {*before, *after}
    missing = object()
    return sorted(n for n in names if before.get(n, missing) is not after.get(n, missing))


def check_warnings(caught):
    """Only our own warnings, each category once; estimators of others speak through ours."""
    for w in caught:
        if WEIGHTS_ARE_COUNTS in str(w.message):
            continue  # criteria of weights that are no counts say so
        ours = issubclass(w.category, (ConvergenceWarning, DataConversionWarning))
        if w.category is ConvergenceWarning:
            ours = any(text in str(w.message) for text in NOT_CONVERGED)
        if not ours:
            place = f"{w.filename.split('site-packages/')[-1][-60:]}:{w.lineno}"
            yield f"warning {w.category.__name__}: {str(w.message)[:200]} ({place})"
    names = [w.category.__name__ for w in caught]
    for name in sorted(set(names)):
        if names.count(name) > 1:
            yield f"warning {name} given {names.count(name)} times"


# -- small tools -----------------------------------------------------------------------------------


def apart(what, ours, theirs, tolerance, scale=None):
    """Yield a sentence if two arrays differ by more than a tolerance, relative to a scale."""
    ours, theirs = np.asarray(ours, dtype=float), np.asarray(theirs, dtype=float)
    if ours.shape != theirs.shape:
        yield f"{what}: shapes {ours.shape} and {theirs.shape}"
        return
    finite = np.isfinite(ours) & np.isfinite(theirs)
    if not (finite | (ours == theirs)).all():
        yield f"{what}: one is not finite"
    if finite.any():
        scale = np.broadcast_to(largest(theirs) if scale is None else scale, ours.shape)[finite]
        distance = np.max(np.abs(ours[finite] - theirs[finite]) / np.maximum(scale, 1e-300))
        if distance > tolerance:
            yield f"{what}: {distance:.1e} apart"


def largest(values):
    """The size of the largest finite number, at least 1e-300."""
    values = np.asarray(values, dtype=float)
    finite = np.abs(values[np.isfinite(values)])
    return max(finite.max(initial=0.0), 1e-300)


def dense(X):
    """X as an array of floats, (n, p)."""
    return np.asarray(X.toarray() if sparse.issparse(X) else X, dtype=float)


def predicted(model, X):
    """Probabilities of a classifier, means of a regressor."""
    return model.predict_proba(X) if hasattr(model, "classes_") else model.predict(X)


def numbers(thing, name="", depth=0):
    """Yield (name, array) of everything public that a fitted object or one of its views shows."""
    if isinstance(thing, dict):
        for key, value in thing.items():
            yield from numbers(value, f"{name}[{key}]", depth)
    elif isinstance(thing, (list, tuple)):
        for i, value in enumerate(thing):
            yield from numbers(value, f"{name}[{i}]", depth)
    elif isinstance(thing, (np.ndarray, float, int)):
        array = np.asarray(thing)
        if array.dtype.kind in "fiu":
            yield name, array
    elif depth < 3 and type(thing).__module__.startswith("classic_moe"):
        for attribute in dir(thing):
            if attribute.endswith("_") and not attribute.startswith("_"):
                value = getattr(thing, attribute, None)
                yield from numbers(value, f"{name}.{attribute}", depth + 1)


# -- promises of a fit -----------------------------------------------------------------------------


def numbers_are_finite(case):
    """Neither NaN nor infinity, but for spreads of experts without a variance."""
    model, values = case.model, dict(numbers(case.model))
    values.update(gate_proba=case.gate, predict_experts=case.each, predicted=case.predicted)
    if case.has_likelihood:
        values.update(log_prob=case.log_prob, responsibilities=case.resp)
        if case.groups:
            values["log_prob of groups"] = model.log_prob(case.X, case.y, **case.groups)
    heavy = any(getattr(expert, "df_", 3) <= 2 for expert in model.experts_)
    for name, value in values.items():
        # Student-t experts of few degrees of freedom have no covariance, and a path of steps, or a
        # start, may lead where there is no likelihood: infinity is the right answer.
        path = "learning_curve_" in name or "starts_" in name
        infinite = path or (heavy and "covariance_" in name)
        if np.isnan(value).any() and "starts_" not in name:  # of a start that failed
            yield f"NaN: {name}"
        elif not np.isfinite(value).all() and not infinite:
            yield f"infinity: {name}"


def objective_never_falls(case):
    """Each of `lower_bounds_` is at least the one before, and there is one for each iteration."""
    bounds = case.model.lower_bounds_
    falls = -np.diff(bounds) / np.maximum(1.0, np.abs(bounds[1:]))
    if len(falls) and not falls.max() <= FALL:
        yield f"fall: the objective falls by {falls.max():.1e} relative"
    if len(bounds) != case.model.n_iter_ + 1:
        yield f"{len(bounds)} lower bounds for {case.model.n_iter_} iterations"


def rows_sum_to_one(case):
    """Gating probabilities, responsibilities and probabilities of classes."""
    values = {"gate_proba": case.gate}
    if case.has_likelihood:
        values["responsibilities"] = case.resp
    if not case.problem.regression:
        values["predict_proba"] = case.predicted
    for name, value in values.items():
        if not np.abs(value.sum(axis=1) - 1).max() <= 1e-12 or (value < 0).any():
            yield f"{name}: a row does not sum to one"


def likelihood_is_that_of_the_rows(case):
    """`log_likelihood_` is Σ w log p(y|x), and the last lower bound has the priors beside it."""
    if not case.has_likelihood or not case.soft:
        return
    model, weight = case.model, case.weight
    used = weight > 0
    each = case.log_prob
    # The sums cancel, so their rounding is relative to the sum of the sizes.
    # Logarithms near 0 are those of differences of predictors, and below 1e-12 a unit of weight EM
    # goes by slopes, not by the objective.
    rounding = 1e-10 * weight[used] @ np.abs(each[used]) + 1e-12 * weight.sum()
    if case.groups:
        likelihood = model.n_parameters_ - 0.5 * model.aic(case.X, case.y, **case.rows_of_criteria)
        if case.spec["class weight"] != "none":
            return
        rounding += 1e-10 * model.n_parameters_
    else:
        likelihood = weight[used] @ each[used]
    if not abs(likelihood - model.log_likelihood_) <= rounding:
        yield f"log_likelihood_ {model.log_likelihood_!r}, recomputed {likelihood!r}"
    # Classification EM and labels have another objective, as has the density of one-hot codes.
    other = case.spec["solver"] in ("cem", "online") or "expert_labels" in case.rows or case.coded
    if not other:
        likelihood = getattr(model, "joint_log_likelihood_", likelihood)
        # Priors are of internal rows, whose weights have a power of two taken out.
        prior = model._fitted.model.log_prior(model.params_)
        objective = likelihood + model._fitted.schema.weight_unit * prior
        last = model.lower_bounds_[-1]
        if not abs(objective - last) <= 2 * rounding + 1e-10 * max(1.0, abs(last)):
            yield f"last lower bound {last!r}, recomputed {objective!r}"


def predictions_are_blends(case):
    """`predict` is Σ g f, `predict_proba` Σ g p; classes and `assign` are those of the largest."""
    model, g, each, mean = case.model, case.gate, case.each, case.predicted
    if case.separate or case.single:
        return
    best = np.eye(g.shape[1])[g.argmax(axis=1)]
    blend = np.einsum("nk,nk...->n...", g if case.soft else best, each)
    if not hasattr(model, "classes_"):
        yield from apart("predict and gate_proba x predict_experts", mean, blend, 1e-10)
    else:
        if not case.coded:
            yield from apart("predict_proba and gate_proba x predict_experts", mean, blend, 1e-9, 1)
        if not (model.classes_[mean.argmax(axis=1)] == model.predict(case.X)).all():
            yield "predict is not the class of the largest probability"
    if not np.array_equal(model.assign(case.X), g.argmax(axis=1)):
        yield "assign is not the most probable expert"


def criteria_are_what_they_say(case):
    """AIC, BIC and ICL from the log-likelihood and the number of parameters."""
    if not case.has_likelihood:
        return
    model, rows = case.model, case.rows_of_criteria
    aic, bic, icl = (getattr(model, name)(case.X, case.y, **rows) for name in ("aic", "bic", "icl"))
    if not np.isfinite([aic, bic, icl]).all():
        yield f"criteria not finite: {aic}, {bic}, {icl}"
    weight = rows.get("sample_weight", np.ones(len(case.problem.X)))
    groups = rows.get("groups")
    n = weight.sum() if groups is None else len(np.unique(groups[weight > 0]))
    penalty = model.n_parameters_ * (np.log(n) - 2)
    scale = max(1.0, abs(aic), model.n_parameters_)
    yield from apart("bic - aic", bic - aic, penalty, 1e-8, scale)
    if icl < bic - 1e-9 * max(1.0, abs(bic)):
        yield "icl below bic"


def distributions_agree(case):
    """`predict_dist` has `predict` for a mean, `log_prob` for a density, and is a distribution."""
    model, X = case.model, case.X
    if not (case.has_likelihood and hasattr(model, "predict_dist")):
        return
    mean, std = model.predict(X, return_std=True)
    dist, scale = model.predict_dist(X), largest(case.each)
    means_exist = not any(getattr(view, "df_", 3) <= 1.001 for view in model.experts_)
    if means_exist and not case.single:
        yield from apart("predict_dist's mean and predict", dist.mean(), mean, 1e-9, scale)
    yield from apart("predict with return_std and without", mean, case.predicted, 1e-12, scale)
    if np.isnan(std).any() or (std < 0).any():
        yield "NaN: the standard deviation"
    y = case.problem.y
    if y.ndim == 1 and mean.ndim == 1:
        each = model.log_prob(X, case.y)
        y = np.asarray(case.y, dtype=float).reshape(len(y))
        density = dist.logpdf(y)
        # Densities at counts and far away lose digits to the size of the logarithm.
        yield from apart(
            "predict_dist's logpdf and log_prob", density, each, 1e-6, 1 + np.abs(each)
        )
        yield from quantiles_invert(case, dist)
        yield from apart("cdf + sf", dist.cdf(y) + dist.sf(y), np.ones(len(y)), 1e-9)


def quantiles_invert(case, dist):
    """`ppf` rises, and `cdf` takes it back as far as floating-point numbers can tell."""
    q = np.array([0.01, 0.25, 0.5, 0.9, 0.999])[:, None]
    z = dist.ppf(q)
    if np.isnan(z).any():
        yield "NaN: ppf"
        return
    if (np.diff(z, axis=0) < 0).any():
        yield "ppf falls"
    if case.spec["target"] == "counts":
        below, at, apart_by_one = dist.cdf(z - 1), dist.cdf(z), z < 2.0**53
        if ((at < q - 1e-12) | (below >= q + 1e-12))[apart_by_one].any():
            yield "ppf is not the smallest count with so much below it"
        return
    few = 2 * np.spacing(np.abs(z))  # the last bits of means of 1e13 with a standard deviation of 1
    below, above = dist.cdf(z - few), dist.cdf(z + few)
    told = np.abs(z) > 1e-290  # quantiles of a gamma shape near 0 are below every number but 0
    if ((q < below - 1e-6) | (q > above + 1e-6))[told].any():
        yield "cdf does not invert ppf"


def views_are_the_mixture(case):
    """Gating probabilities and the experts' own predictions, as the views give them, agree."""
    model, X = case.model, dense(case.X)
    if case.separate or case.single:
        return
    each = case.each
    scale = largest(each)
    if case.problem.regression:
        scale = max(scale, largest(case.problem.y))
    for k, view in enumerate(model.experts_):
        ask = view.predict if case.problem.regression or case.coded else view.predict_proba
        value = np.asarray(ask(X), dtype=float).reshape(each[:, k].shape)
        # A view has its coefficients in the caller's units; columns far from 0 cost it digits.
        yield from apart(f"experts_[{k}] and predict_experts", value, each[:, k], 1e-5, scale)


def draws_are_possible(case):
    """`sample` gives rows of y's shape, and an expert for each."""
    model = case.model
    if not (case.has_likelihood and hasattr(model, "sample")):
        return
    y, expert = model.sample(case.X, random_state=1)
    if len(y) != len(case.problem.X) or expert.min() < 0 or expert.max() >= model.n_experts_:
        yield "sample: wrong shapes or experts"
    if case.problem.regression:
        y = np.asarray(y, dtype=float)
        if not np.isfinite(y).all():
            yield "sample: not finite"
        if case.spec["target"] == "counts" and ((y < 0).any() or (y != np.round(y)).any()):
            yield "sample: no count"


def reports_are_written(case):
    """`summary`, with data and without, and `equations`, in numbers."""
    model = case.model
    if case.spec["seed"] % 3:  # these take longer than the fit
        return
    texts = [str(model.summary()), model.equations()]
    if case.has_likelihood:
        texts.append(str(model.summary(case.X, case.y, **case.groups)))
    for text in texts:
        if "nan" in text.lower().split() and "No standard error: " not in text:
            yield "NaN: in a summary"


def pickles_keep_every_bit(case):
    """A pickle predicts the same."""
    other = pickle.loads(pickle.dumps(case.model))
    if not np.array_equal(predicted(other, case.X), case.predicted):
        yield "a pickle predicts something else"


def single_rows_predict_the_same(case):
    """Some rows alone have the predictions they have among all."""
    some = np.arange(len(case.problem.X))[:: max(len(case.problem.X) // 3, 1)]
    whole = case.predicted
    part = predicted(case.model, case.problem.dressed(case.problem.X[some])[0])
    if case.single:
        return
    yield from apart("some rows alone", part, whole[some], 1e-9, largest(whole))


def failed_fits_change_nothing(case):
    """Data that no fit can use are refused in a sentence, and the estimator stays as it was."""
    model, before = case.model, dict(vars(case.model))
    X = case.problem.X.copy()
    X[len(X) // 2] = np.nan
    bad = {"too few rows": (case.problem.X[:1], np.asarray(case.y)[:1])}
    if X.shape[1]:
        bad["NaN in X"] = X, case.y
    for what, (X, y) in bad.items():
        try:
            model.fit(X, y)
        except (ValueError, TypeError) as error:
            if not is_sentence(error):
                yield f"{what}: {type(error).__name__}: {error}"
        else:
            if case.spec["K"] > 1 or not case.problem.regression or what != "too few rows":
                yield f"{what} were taken"
            vars(model).clear()
            vars(model).update(before)
        if changed := differences(before, vars(model)):
            yield f"a failed fit ({what}) changed {changed}"


PROMISES = [
    numbers_are_finite,
    objective_never_falls,
    rows_sum_to_one,
    likelihood_is_that_of_the_rows,
    predictions_are_blends,
    criteria_are_what_they_say,
    distributions_agree,
    views_are_the_mixture,
    draws_are_possible,
    reports_are_written,
    pickles_keep_every_bit,
    single_rows_predict_the_same,
    failed_fits_change_nothing,
]


# -- what happens afterwards -----------------------------------------------------------------------


def unfitted(model):
    """A clone, whose start is not cloned: a fit to start from would be unfitted too."""
    parameters = model.get_params(deep=False)
    start = {name: parameters[name] for name in ("init_params",) if name in parameters}
    return clone(model).set_params(**start)


@contextlib.contextmanager
def own_warnings_ignored():
    """A context in which the package's own warnings are silent; others are errors or heard."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", DataConversionWarning)
        yield


def refit(case, X=None, y=None, rows=None, **options):
    """Fit a clone again, of other data or with other options if given; returns it."""
    model = unfitted(case.model).set_params(**options)
    X, y = case.X if X is None else X, case.y if y is None else y
    with own_warnings_ignored():
        return model.fit(X, y, **(case.rows if rows is None else rows))


def same_bits(what, ours, theirs):
    """Yield a sentence unless two fits' parameters and objectives have the same bits."""
    for (name, a), (_, b) in zip(numbers(ours.params_), numbers(theirs.params_), strict=True):
        if not np.array_equal(a, b):
            distance = np.abs(a - b).max() if a.shape == b.shape else np.nan
            yield f"{what}: parameters {name} are {distance:.1e} apart"
            return
    if not np.array_equal(ours.lower_bounds_, theirs.lower_bounds_):
        yield f"{what}: other lower bounds"


def refit_has_the_same_bits(case):
    yield from same_bits("a clone's fit", refit(case), case.model)


def threads_keep_every_bit(case):
    yield from same_bits("two threads", refit(case, n_jobs=2), case.model)


def order_in_memory_keeps_every_bit(case):
    """Rows first, columns first, with gaps, read-only."""
    X = np.ascontiguousarray(dense(case.X))
    container = case.problem.rng.choice(["fortran", "strided", "read_only"])
    reference, other = refit(case, X=X), refit(case, X=dress_rows(container, X))
    yield from same_bits(f"{container} rows", other, reference)


def zero_weights_are_no_rows(case):
    """Rows of weight 0 behind the others, far away and of any class, change no bit."""
    problem, rng = case.problem, case.problem.rng
    n = len(problem.X)
    extra = rng.randint(n, size=max(n // 4, 1))
    X = np.concatenate([problem.X, 3 * problem.X[extra]])
    if case.spec["offset"]:
        X[n:, -1] = problem.X[extra, -1]
    y = np.concatenate([problem.y, problem.y[extra]])
    rows = {name: np.append(value, value[extra]) for name, value in case.rows.items()}
    rows["sample_weight"] = np.append(
        case.rows.get("sample_weight", np.ones(n)), np.zeros(len(extra))
    )
    options = {}
    start = getattr(case.model, "init_params", None)
    if isinstance(start, np.ndarray):
        options["init_params"] = np.concatenate([start, start[extra]])
    X, y = problem.dressed(X, y)
    yield from same_bits("rows of weight 0", refit(case, X, y, rows, **options), case.model)


class Interruption(Exception):
    """What a callback raises."""


def interrupted_fits_change_nothing(case):
    """An exception out of a callback passes through, and the estimator stays as it was."""

    def callback(iteration, params, objective):
        raise Interruption

    before = dict(vars(case.model))
    try:
        case.model.fit(case.X, case.y, **case.rows, callback=callback)
    except Interruption:
        if changed := differences(before, vars(case.model)):
            yield f"an interrupted fit changed {changed}"
    vars(case.model).clear()
    vars(case.model).update(before)


def fits_go_on_where_they_ended(case):
    """A start from this fit, and `warm_start`, begin with its objective or better."""
    if case.spec["kind"] == "meta_pi":
        return
    last = case.model.lower_bounds_[-1]
    from_fit = refit(case, init_params=case.model, max_iter=1)
    warm = copy.deepcopy(case.model).set_params(warm_start=True, max_iter=1)
    with own_warnings_ignored():
        warm.fit(case.X, case.y, **case.rows)
    if case.black_box or case.spec["solver"] in ("online", "cem"):
        return  # a black box is fitted afresh; the others climb another objective at first
    for what, model in {"a start from the fit": from_fit, "a warm start": warm}.items():
        # Values pass through the caller's units; columns far from 0 cost digits.
        if not model.lower_bounds_[0] >= last - 1e-6 * max(1.0, abs(last)):
            yield f"{what} begins at {model.lower_bounds_[0]!r} after {last!r}"


def streams_are_learned(case):
    """`partial_fit`, from nothing and after `fit`, shows finite numbers."""
    weight, n = case.rows.get("sample_weight"), len(case.problem.X)
    if not hasattr(case.model, "partial_fit") or {"groups", "expert_labels"} & set(case.rows):
        return
    afresh = unfitted(case.model)
    if isinstance(getattr(afresh, "init_params", None), np.ndarray):
        afresh.set_params(init_params="random")  # the first rows are other ones
    classes = {} if case.problem.regression else {"classes": np.unique(case.problem.y)}
    for what, model in {"from nothing": afresh, "after fit": copy.deepcopy(case.model)}.items():
        for rows in (slice(None), slice(n // 2, None)):
            if weight is not None and not weight[rows].any():
                continue
            X, y = case.problem.dressed(case.problem.X[rows], case.problem.y[rows])
            some = {} if weight is None else {"sample_weight": weight[rows]}
            with own_warnings_ignored():
                model.partial_fit(X, y, **some, **classes)
        for text in numbers_are_finite(replace(case, model=model)):
            yield f"partial_fit {what}: {text}"


def deterministic(case):
    """Whether two fits of the same data in other words climb the same hill.

    Not with draws of rows, nor with estimators of others, whose rounding is their own, nor where
    steps along a gradient of a few rows amplify it, nor where rounding decides which slopes of
    experts without penalty the rows determine.
    """
    spec = case.spec
    if "unpenalised" in spec["expert"] and spec["n"] <= spec["K"] * (spec["p"] + 1):
        return False
    climbing = case.spec["solver"] in ("auto", "em", "accelerated", "lbfgs")
    plain = case.spec["kind"] in ("mixture", "hierarchical") and "mlp" not in case.spec["expert"]
    return climbing and plain and not case.black_box


SAME = 1e-6
"""How far two fits of a few iterations from one start may be apart, relative to the largest value.

They differ by rounding, which an iteration near a singular matrix stretches.
"""


def given_start(case):
    """Options of a few iterations from responsibilities for every row."""
    start = case.problem.rng.dirichlet(np.ones(case.model.n_experts_), size=len(case.problem.X))
    return dict(init_params=start, max_iter=3, n_init=1)


def rows_may_stand_in_any_order(case):
    if not deterministic(case):
        return
    problem, options = case.problem, given_start(case)
    order = problem.rng.permutation(len(problem.X))
    ours = refit(case, problem.X, problem.y, **options)
    moved = options | {"init_params": options["init_params"][order]}
    rows = {name: value[order] for name, value in case.rows.items()}
    theirs = refit(case, problem.X[order], problem.y[order], rows, **moved)
    yield from apart(
        # sums in another order: of flat maxima the ends are a few 1e-6 apart
        "rows permuted",
        predicted(theirs, problem.X),
        predicted(ours, problem.X),
        5 * SAME,
    )


def weight_two_is_the_row_twice(case):
    known = {"sample_weight", "groups"} & set(case.rows)
    if not deterministic(case) or known or case.spec["class weight"] != "none":
        return
    problem, options = case.problem, given_start(case)
    count = problem.rng.randint(1, 3, size=len(problem.X))
    i = np.repeat(np.arange(len(problem.X)), count)
    rows = case.rows | {"sample_weight": count.astype(float)}
    weighted = refit(case, problem.X, problem.y, rows, **options)
    moved = options | {"init_params": options["init_params"][i]}
    rows = {name: value[i] for name, value in case.rows.items()}
    repeated = refit(case, problem.X[i], problem.y[i], rows, **moved)
    ours, theirs = predicted(weighted, problem.X), predicted(repeated, problem.X)
    yield from apart("weight 2 and the row twice", ours, theirs, SAME)
    size = max(1.0, abs(repeated.log_likelihood_))
    yield from apart(
        "weight 2 and the row twice: log_likelihood_",
        weighted.log_likelihood_,
        repeated.log_likelihood_,
        SAME,
        size,
    )


def columns_may_stand_in_any_order(case):
    if not deterministic(case) or case.spec["features"] != "all" or case.spec["offset"]:
        return
    problem, options = case.problem, given_start(case)
    order = problem.rng.permutation(problem.X.shape[1])
    ours = refit(case, problem.X, problem.y, **options)
    theirs = refit(case, problem.X[:, order], problem.y, **options)
    value = predicted(theirs, problem.X[:, order])
    yield from apart("columns permuted", value, predicted(ours, problem.X), SAME)


def units_of_x_do_not_matter(case):
    if not (deterministic(case) and case.spec["standardize"]) or case.spec["offset"]:
        return
    problem, options = case.problem, given_start(case)
    factor = 2.0 ** problem.rng.randint(-20, 20, size=problem.X.shape[1])
    ours = refit(case, problem.X, problem.y, **options)
    theirs = refit(case, problem.X * factor, problem.y, **options)
    value = predicted(theirs, problem.X * factor)
    yield from apart("columns in other units", value, predicted(ours, problem.X), SAME)


def units_of_y_do_not_matter(case):
    fixed = case.spec["expert"] in ("linear of variance 1",)
    if case.spec["target"] not in ("real", "several") or fixed or not deterministic(case):
        return
    problem, options = case.problem, given_start(case)
    factor = 2.0 ** problem.rng.randint(-20, 20)
    ours = refit(case, problem.X, problem.y, **options)
    theirs = refit(case, problem.X, problem.y * factor, **options)
    value = predicted(theirs, problem.X) / factor
    yield from apart("y in other units", value, predicted(ours, problem.X), SAME)


def names_of_classes_do_not_matter(case):
    if case.problem.regression:
        return
    codes = np.unique(case.problem.y, return_inverse=True)[1]
    names = np.array(["a", "b", "c", "d"])[codes]
    other = refit(case, y=names)
    if not np.array_equal(predicted(other, case.X), case.predicted):
        yield "other names of classes change a bit"


LIVES = {
    "refit": refit_has_the_same_bits,
    "order": order_in_memory_keeps_every_bit,
    "interrupted": interrupted_fits_change_nothing,
    "warm": fits_go_on_where_they_ended,
    "threads": threads_keep_every_bit,
    "zero weights": zero_weights_are_no_rows,
    "partial fit": streams_are_learned,
    "rows permuted": rows_may_stand_in_any_order,
    "rows repeated": weight_two_is_the_row_twice,
    "columns permuted": columns_may_stand_in_any_order,
    "units of X": units_of_x_do_not_matter,
    "units of y": units_of_y_do_not_matter,
    "other labels": names_of_classes_do_not_matter,
}
