"""The checks of `testing`, one a promise: each takes a case and requires what was promised."""

from __future__ import annotations

import copy
import pickle
from numbers import Integral

import numpy as np
from scipy.special import logsumexp
from sklearn.base import clone

from .._kernels import array
from ..data.units import Scaling, Units
from ..distribution.mixture import MixtureDistribution
from ..experts import LinearExpert, SoftmaxExpert
from ..gates import SoftmaxGate
from ..model.mixture import MixtureModel
from ..model.passes import statistics_on_pairs
from ..parts import tree
from ..parts.coordinates import Coordinates
from ..parts.params import all_finite, leaves, map_leaves, ravel
from ..parts.part import offers
from ..parts.statistics import Rows
from ._cases import ROWS, STEP, SUPPORTS

EXACT = 1e-10
"""Relative error of the same sums in another order."""
INNER = 0.05
"""Relative error of where an inner optimiser of many steps ends: it amplifies rounding."""
SLOPE = 1e-6
"""Relative error of central differences."""
INTEGRAL = 1e-4
"""Error of an integral: heavy tails are cut."""
DRAWS, SIGMAS = 2000, 6.0
"""Sample size, and standard errors that one mean in 1e9 passes."""


def attributes(part):
    return {name: repr(value) for name, value in vars(part).items()}


def _numbers(nested, like):
    """All numbers of `nested` in the order of the leaves of `like`."""
    return ravel(map_leaves(lambda _, leaf: leaf, like, nested))


def _holds_objects(case):
    """Whether the part, or one inside it, is a black box."""
    return ravel(case.params).dtype == object


# -- promises of both --------------------------------------------------------------------------


def _arguments_are_left_alone(case):
    stats = case.part.statistics(*copy.deepcopy((case.params, *case.data, case.resp)))
    for rows in leaves({"": stats}):
        if isinstance(rows, Rows):
            rows["resp"]  # what it keeps at the first look is no change
    arguments = copy.deepcopy((case.params, case.data, case.resp, stats))
    (params, data, resp, stats), units = arguments, case.units()
    before = pickle.dumps(arguments)
    verbs = {
        "init": lambda part: case.init(data, resp),
        "log_prob": lambda part: part.log_prob(params, *data),
        "statistics": lambda part: part.statistics(params, *data, resp),
        "maximize": lambda part: part.maximize(params, stats),
        "maximize(cautious=True)": lambda part: part.maximize(params, stats, cautious=True),
        "gradient": lambda part: offers(part, "gradient") and part.gradient(params, stats),
        "log_prior": lambda part: part.log_prior(params),
        "to_caller": lambda part: part.to_caller(params, units),
    }
    for verb, call in verbs.items():
        call(case.part)
        case.require(pickle.dumps(arguments) == before, f"{verb} changes its arguments in place")


def _shapes_are_those_of_the_protocol(case):
    outputs = {"log_prob": (case.log_prob(), (ROWS, case.K))}
    if offers(case.part, "log_joint"):
        outputs["log_joint"] = (case.part.log_joint(case.params, *case.data), (ROWS, case.K))
    if not case.is_gate:
        mean = case.part.mean(case.params, case.data[0])
        outputs["mean"] = (mean, (ROWS, case.K, case.C or case.q))
    for name, (output, shape) in outputs.items():
        case.require(output.shape == shape, f"{name} has shape {output.shape}, not {shape}")
        case.require(not np.isnan(output).any(), f"{name} holds NaN")


def _statistics_add_over_rows(case):
    added = case.statistics(rows=slice(20)) + case.statistics(rows=slice(20, None))
    broken = "statistics of two parts do not add to those of all rows"
    _require_same_statistics(case, added, case.statistics(), broken)


def _responsibilities_count_rows(case):
    # Whether twice the weight is the row twice is a matter of what a black box does with weights.
    times = np.arange(ROWS) % (2 if _holds_objects(case) else 4)
    rows = np.repeat(np.arange(ROWS), times)
    broken = "a responsibility of 0, 2 or 3 is not the row absent, twice or three times"
    counted = case.statistics(resp=case.resp * times[:, None])
    repeated = case.statistics(resp=case.resp[rows], rows=rows)
    _require_same_statistics(case, counted, repeated, broken)


def _digits(case):
    """Relative error of a step: an inner optimiser of many steps amplifies rounding."""
    return 1e-8 if case.part.learning.extrapolates or _holds_objects(case) else INNER


def _require_same_statistics(case, got, expected, broken):
    """By their numbers; where they hold rows, by what `maximize` makes of them."""
    numbers = [ravel({"": stats}) for stats in (got, expected)]
    if numbers[1].dtype != object:
        case.require_close(*numbers, EXACT, broken)
    else:
        steps = (case.part.maximize(case.params, stats) for stats in (got, expected))
        case.require_close(*map(case.log_prob, steps), _digits(case), broken)


def _maximize_never_descends(case):
    params, start = case.params, case.objective(case.params)
    value = start
    for _ in range(5):
        stats = case.statistics(params)
        steps = [case.part.maximize(params, stats, cautious=cautious) for cautious in (True, False)]
        values = [case.objective(step) for step in steps]
        fall = value - values[0]
        case.require(
            fall <= EXACT * max(1.0, abs(value)),
            f"maximize(cautious=True) lowers Σ resp·log p + log_prior by {fall:.3g}",
        )
        params, value = max(zip(steps, values, strict=True), key=lambda pair: pair[1])
        if case.kept is not None:  # of a set that is held, the next step would be from another one
            return
    if _holds_objects(case):
        return  # a black box has no slopes
    steepest = np.abs(case.slopes()[0]).max(initial=0.0)
    stuck = steepest > 1e-2 and value <= start
    case.require(not stuck, f"maximize gains nothing where a slope is {steepest:.3g}")


def _gradient_is_the_derivative(case):
    if not offers(case.part, "gradient"):
        return
    slopes, directions = case.slopes()
    for order in (1, 2):
        gradient = case.part.gradient(case.params, case.statistics(order=order))
        broken = "gradient is not the derivative of Σ resp·log p + log_prior"
        case.require_close(directions @ _numbers(gradient, case.params), slopes, SLOPE, broken)


def _rows_are_the_derivatives(case):
    """Slopes and curvatures of every row in every coefficient of every predictor."""
    if not offers(case.part, "rows"):
        return
    part, predictors = case.part, case.part.predictors(case.params)
    terms = part.rows(case.params, *case.data)
    joint = part.log_joint if offers(part, "log_joint") else part.log_prob
    broken = "rows say another log-density"
    case.require_close(terms.log_prob, joint(case.params, *case.data), EXACT, broken)
    shapes = terms.slope.shape, (ROWS, case.K, len(predictors))
    case.require(shapes[0] == shapes[1], f"slopes of rows have shape {shapes[0]}, not {shapes[1]}")
    first = part.rows(case.params, *case.data, derivatives=1)
    broken = "rows of first derivatives alone say another slope"
    case.require_close(first.slope, terms.slope, EXACT, broken)
    Z = np.column_stack([np.ones(ROWS), case.data[0]])
    ways = _predictor_ways(part, case.params)
    for (i, k, column), up, down in zip(ways, *case.moved(), strict=True):
        above, below = (part.rows(moved, *case.data) for moved in (up, down))
        own = slice(None) if k is None else slice(k, k + 1)
        where = f"predictor {i} ({predictors[i].leaf})" + ("" if k is None else f" of expert {k}")
        seen = np.zeros((ROWS, case.K))
        seen[:, own] = terms.slope[:, own, i] * Z[:, column, None]
        found = (above.log_prob - below.log_prob) / (2 * STEP)
        broken = f"slope of rows is not the derivative in {where}"
        case.require_close(seen, found, SLOPE, broken)
        if terms.curvature is not None:
            found = (below.slope - above.slope)[:, own] / (2 * STEP)
            seen = terms.curvature[:, own, :, i] * Z[:, column, None, None]
            broken = f"curvature of rows is not minus the second derivative in {where}"
            case.require_close(seen, found, SLOPE, broken)


def _predictor_ways(part, params):
    """Predictor, expert (None: all) and column of [1, X] of every coefficient, as `moved` goes."""
    coordinates = Coordinates(part.coordinates(params), params)
    for i, predictor in enumerate(part.predictors(params)):
        leaf = coordinates.index(predictor.leaf)
        copies = [(None, leaf)] if predictor.shared else enumerate(leaf)
        for k, own in copies:
            for column in range(np.size(own[predictor.entries[0]])):
                yield i, k, column


def _rows_may_lie_anywhere(case):
    """In another array namespace, on a device from which nothing comes back unasked."""
    if not case.part.inputs.any_array or not case.K:
        return
    try:
        import array_api_strict as strict
    except ImportError:
        return
    device = strict.Device("device1")
    part, params = case.part, case.params

    def moved(a):
        return strict.asarray(a.copy(), device=device)

    data, resp = [moved(a) for a in case.data], moved(case.resp)
    verbs = {
        "log_prob": lambda data, resp: part.log_prob(params, *data),
        "statistics": lambda data, resp: part.statistics(params, *data, resp),
    }
    if not case.is_gate:
        verbs["mean"] = lambda data, resp: part.mean(params, data[0])
        if offers(part, "mean_gradient"):
            outputs = np.arange(1.0, 1 + (case.C or case.q))
            verbs["mean_gradient"] = lambda data, resp: part.mean_gradient(
                params, data[0], resp[:, :, None] * array.like(resp, outputs)[None, None, :]
            )
    if offers(part, "rows"):
        verbs["rows"] = lambda data, resp: part.rows(params, *data)._asdict()
    for verb, call in verbs.items():
        found, expected = call(data, resp), call(case.data, case.resp)
        broken = f"{verb} of rows on another device is not that of numpy's"
        case.require_close(_all(array.to_host(found)), _all(expected), EXACT, broken)


def _all(values):
    """All numbers of an array or of nested dicts of arrays, (m,)."""
    values = values if isinstance(values, dict) else {"": values}
    return ravel({name: leaf for name, leaf in values.items() if leaf is not None})


def _coordinates_are_free(case):
    """They lead back to the parameters, and any step in them to parameters of a model."""
    if not offers(case.part, "gradient"):
        return
    coordinates = Coordinates(case.part.coordinates(case.params), case.params)
    vector = coordinates.free(case.params)
    broken = "coordinates do not lead back to the parameters"
    case.require_close(case.log_prob(coordinates.params(vector)), case.log_prob(), EXACT, broken)
    for step in _steps(case, coordinates):
        far = coordinates.params(coordinates.clip(vector + step))
        broken = "a step in the free coordinates leads to parameters that are no model"
        case.require(_are_a_model(case, far), broken)


def _steps(case, coordinates):
    """Random steps in the free coordinates, as far as what is tied allows, (4, free numbers)."""
    ways = case.ways(coordinates)
    return np.random.default_rng(0).standard_normal((4, len(ways))) @ ways


def _gradient_follows_the_coordinates(case):
    """What a gradient solver does: the chain rule for the slope, away from the bounds."""
    if not offers(case.part, "gradient"):
        return
    coordinates = Coordinates(case.part.coordinates(case.params), case.params)
    vector = coordinates.free(case.params)
    params = coordinates.params(vector)
    gradient = case.part.gradient(params, case.statistics(params, order=1))
    slope = coordinates.slope_in_free(vector, params, gradient)
    low, high = coordinates.bounds
    inside = (low + STEP < vector) & (vector < high - STEP)
    for step in _steps(case, coordinates) * inside:
        step = step / max(np.linalg.norm(step), 1e-300)  # differences of long steps are no slopes
        up, down = (case.objective(coordinates.params(vector + t * step)) for t in (STEP, -STEP))
        broken = "gradient is not the derivative in the free coordinates"
        case.require_close(slope @ step, (up - down) / (2 * STEP), SLOPE, broken)


def _are_a_model(case, params):
    """Whether they have densities, or probabilities that sum to one."""
    try:
        with np.errstate(all="ignore"):
            log_prob = case.log_prob(params)
    except np.linalg.LinAlgError:  # a covariance that is not positive definite
        return False
    sums = np.abs(logsumexp(log_prob, axis=1)) if case.is_gate else np.zeros(1)
    return not np.isnan(log_prob).any() and sums.max() <= EXACT


def _carry_keeps_sums_and_uses_gradients_up(case):
    """A statistic named a gradient is used up by a step: what is left holds the prior."""
    if not case.part.learning.sums:
        return
    stats = case.statistics()
    gradients = [name for name in stats if name.endswith("gradient")]
    once = case.part.carry(case.params, stats, 1.0)
    for factor in (1.0, 0.5):
        carried = case.part.carry(case.params, stats, factor)
        names = f"carry gives {sorted(carried)} of {sorted(stats)}"
        case.require(set(carried) == set(stats), names)
        for name, own in stats.items():
            if isinstance(own, dict):  # a part inside knows its own gradients
                continue
            expected = once[name] if name in gradients else own
            broken = f"carry(params, stats, {factor}) makes {name!r} not {factor} times itself"
            case.require_close(carried[name], factor * expected, EXACT, broken)
    if gradients and "coef" in case.params and offers(case.part, "gradient"):
        found = case.part.gradient(case.params, once)["coef"]
        broken = "with the statistics of carry the gradient in 'coef' is not 0"
        case.require_close(found, 0.0 * found, EXACT, broken)


def _experts_without_rows_stay_finite(case):
    if case.K == 1:
        return
    stats = case.statistics(resp=case.resp * (np.arange(case.K) > 0))
    for cautious in (False, True):
        params = case.part.maximize(case.params, stats, cautious=cautious)
        case.require(all_finite(params), "an expert without rows gets NaN or infinity")


def _the_callers_units_lose_nothing(case):
    units = case.units()
    values = case.part.to_caller(case.params, units)
    back = case.part.from_caller(values, units, case.K, *case.classes)
    broken = "from_caller does not bring back what to_caller gave"
    case.require_close(case.log_prob(back), case.log_prob(), EXACT, broken)


def _n_parameters_counts(case):
    m, most = case.part.n_parameters(case.params), len(ravel(case.params))
    least = 0 if case.K == 1 and case.is_gate else 1
    if _holds_objects(case):  # which have parameters of their own, or none to be counted
        least, most = 0, np.inf
    elif not case.directions().any():  # all is fixed
        least = 0
    case.require(
        isinstance(m, Integral) and least <= m <= most,
        f"n_parameters is {m!r}, not an integer from {least} to {most}",
    )


def _float32_is_accepted(case):
    X, *y = case.data
    X = X.astype(np.float32)
    got, expected = (
        case.part.log_prob(case.params, X.astype(dtype), *y) for dtype in (np.float32, np.float64)
    )
    case.require_close(got, expected, 1e-4, "log_prob of float32 is not that of float64")
    case.part.statistics(case.params, X, *y, case.resp)


def _clones_and_pickles_are_equal(case):
    settings = attributes(case.part)
    twins = {
        "clone": clone(case.part),
        "pickle": pickle.loads(pickle.dumps(case.part)),
        "get_params": type(case.part)(**case.part.get_params(deep=False)),
    }
    for way, twin in twins.items():
        case.require(attributes(twin) == settings, f"{way} does not give an equal object")
        log_prob = twin.log_prob(case.params, *case.data)
        case.require_close(log_prob, case.log_prob(), 0.0, f"{way} does not give an equal object")


def _compiled_pass_equals_the_generic(case):
    for gate, expert, y, *classes in _pairs(case) if case.part.kernel is not None else ():
        X = case.data[0].copy() if case.part.inputs.uses_x else case.rng.standard_normal((ROWS, 2))
        compiled, generic = (MixtureModel(gate, expert, compiled=flag) for flag in (True, False))
        params = generic.init(X, y, case.resp, np.random.RandomState(0), *classes)
        weight = np.arange(ROWS) % 3 / 2
        for order in (1, 2):
            got, expected = (m.statistics(params, X, y, weight, order) for m in (compiled, generic))
            broken = f"the compiled pass is not the generic one, with {expert!r} and order={order}"
            case.require_close(_numbers(got, expected), ravel(expected), EXACT, broken)


def _pairs(case):
    """Gate, expert, y and the classes: the company in which the part may have a compiled pass.

    Arrays are copied because numba compiles anew for those that are read-only.
    """
    if not case.is_gate:
        return [(SoftmaxGate(), case.part, case.data[1].copy(), *case.classes)]
    y = case.rng.standard_normal((ROWS, 2))
    labels = y.argmax(axis=1)
    return [
        (case.part, LinearExpert(), y, None),
        (case.part, SoftmaxExpert(), labels, np.arange(2)),
    ]


def _experts_are_exchangeable(case):
    part, params, order = case.part, case.params, np.roll(np.arange(case.K), 1)
    if not getattr(part, "exchangeable", True):
        return
    if case.is_gate:
        order = tree.order(part.tree_shape(case.K), np.argsort(order))
    moved = part.take(params, order)
    if not case.is_gate:
        mean = part.mean(params, case.data[0])[:, order]
        broken = "permuting the experts does not permute mean"
        case.require_close(part.mean(moved, case.data[0]), mean, EXACT, broken)
    broken = "permuting the experts does not permute log_prob"
    case.require_close(case.log_prob(moved), case.log_prob()[:, order], EXACT, broken)
    broken = "log_prior depends on the order of the experts"
    case.require_close(part.log_prior(moved), part.log_prior(params), EXACT, broken)
    step = part.maximize(params, case.statistics(), cautious=True)
    moved = part.maximize(moved, case.statistics(moved, case.resp[:, order]), cautious=True)
    broken = "maximize depends on the order of the experts"
    case.require_close(case.log_prob(moved), case.log_prob(step)[:, order], _digits(case), broken)


# -- promises of a gate ------------------------------------------------------------------------


def _keeps_the_best(case):
    """Rows go to the k most probable experts of the gate of all; `route` says the same."""
    gate = case.part
    if gate.n_kept is None:
        return
    dense, found = gate.dense().log_prob(case.params, *case.data), case.log_prob()
    k = min(gate.n_kept, case.K)
    counts = np.isfinite(found).sum(axis=1)
    case.require(bool((counts == k).all()), f"{counts.min()} to {counts.max()} are kept, not {k}")
    best = np.argsort(-dense, axis=1, kind="stable")[:, :k]
    left = np.full_like(dense, -np.inf)
    np.put_along_axis(left, best, np.take_along_axis(dense, best, axis=1), axis=1)
    expected = left - logsumexp(left, axis=1, keepdims=True)
    case.require_close(found, expected, EXACT, "log_prob is not that of the k best, renormalised")
    experts, log_weight = gate.route(case.params, *case.data)
    case.require(bool((experts == best).all()), "route keeps other experts, or in another order")
    own = np.take_along_axis(found, experts, axis=1)
    case.require_close(log_weight, own, EXACT, "route gives other weights than log_prob")


def _probabilities_sum_to_one(case):
    sums = np.exp(logsumexp(case.log_prob(), axis=1))
    worst = sums[np.abs(sums - 1).argmax()]
    case.require(abs(worst - 1) <= EXACT, f"the probabilities of a row sum to {worst:.4g}, not 1")


def _marginal_integrates_to_one(case):
    """Over columns of real numbers; how far the codes of others go is not known here."""
    if not offers(case.part, "log_joint") or set(case.kinds) - {"real numbers"}:
        return
    X, weight = np.zeros((1, 0)), np.ones(1)
    if case.kinds:
        X, weight = SUPPORTS["real numbers"].grid(np.zeros(len(case.kinds)))
    mass = weight @ np.exp(logsumexp(case.part.log_joint(case.params, X), axis=1))
    broken = f"Σ exp(log_joint) integrates to {mass:.4g}, not 1"
    case.require(abs(mass - 1) <= INTEGRAL, broken)


# -- promises of an expert ---------------------------------------------------------------------


def _integrals(case):
    """Mass (K,) and mean (K, q or C) of the densities at the first row of X."""
    X, moments = case.data[0][:1], []
    for k, centre in enumerate(case.part.mean(case.params, X)[0]):
        ends = case.ends(k, X, centre)
        y, weight = case.support.grid(centre[:1] if case.C else centre, ends)
        rows = np.repeat(X, len(y), axis=0)
        log_prob = case.part.log_prob(case.params, rows, y[:, 0] if case.C else y)
        mass = weight * np.exp(log_prob[:, k])
        value = np.eye(case.C) if case.C else case.part.target.response(y)[0]
        moments.append((mass.sum(), mass @ value))
    return [np.array(moment) for moment in zip(*moments, strict=True)]


def _densities_integrate_to_one(case):
    mass = _integrals(case)[0]
    k = np.abs(mass - 1).argmax()
    broken = f"the density of expert {k} integrates to {mass[k]:.4g}, not 1"
    case.require(abs(mass[k] - 1) <= INTEGRAL, broken)


def _mean_is_that_of_the_density(case):
    X, (_, mean) = case.data[0], _integrals(case)
    stated = case.part.mean(case.params, X)[0]
    case.require_close(stated, mean, INTEGRAL, "mean is not that of the density")


def _samples_follow_the_density(case):
    """Drawn by `MixtureDistribution` from `components`, in the caller's units."""
    if case.C or not offers(case.part, "components"):
        return
    (X, y), units, single = (a[:5] for a in case.data), case.units(), case.q == 1
    if case.part.target.trials:  # what is predicted are single trials
        y = case.part.target.encode(np.arange(len(X)) % 2.0)
    components = case.part.components(case.params, X, units, single_output=single)
    mean = case.part.mean(case.params, X) * units.y.unit + units.y.origin
    log_prob = case.part.log_prob(case.params, X, y) + units.y.log_volume()
    y = y * units.y.unit + units.y.origin
    outcome = y[:, 0] if single else y
    for k in range(case.K):
        dist = MixtureDistribution(np.tile(np.eye(case.K)[k], (len(X), 1)), components)
        broken = f"components do not hold the density of expert {k}"
        case.require_close(dist.logpdf(outcome), log_prob[:, k], EXACT, broken)
        draws = dist.rvs(DRAWS, random_state=0).reshape(DRAWS, len(X), -1)
        error = np.abs(draws.mean(axis=0) - mean[:, k]) * np.sqrt(DRAWS) / draws.std(axis=0)
        broken = f"samples of expert {k} are {error.max():.2g} standard errors from its mean"
        case.require(error.max() <= SIGMAS, broken)


def _mean_gradient_is_the_derivative(case):
    part, params, X = case.part, case.params, case.data[0]
    if not offers(part, "mean_gradient"):
        return
    weight = np.random.default_rng(0).standard_normal((ROWS, case.K, case.C or case.q))
    found = part.mean_gradient(params, X, weight)
    added = part.mean_gradient(params, X[:20], weight[:20])
    added = added + part.mean_gradient(params, X[20:], weight[20:])
    broken = "mean_gradient of two parts does not add to that of all rows"
    case.require_close(ravel(added), ravel(found), EXACT, broken)
    slopes, directions = case.slopes(lambda params: np.sum(weight * part.mean(params, X)))
    broken = "mean_gradient is not the derivative of Σ slope·mean"
    case.require_close(directions @ ravel(_completed(found, params)), slopes, SLOPE, broken)


def _completed(found, params):
    """A gradient nested like params from one that names only some of its leaves."""
    return {
        name: _completed(found.get(name, {}), leaf)
        if isinstance(leaf, dict)
        else found.get(name, np.zeros(np.shape(leaf)))
        for name, leaf in params.items()
    }


def _views_predict_the_mean(case):
    part, params, X, units = case.part, case.params, case.data[0], case.units()
    shell = {"columns": None, "n_features_in": X.shape[1], "feature_names_in": None}
    shell |= {"classes": np.arange(case.C)} if case.C else {"single_output": case.q == 1}
    mean = part.mean(params, X)
    mean = mean if case.C else mean * units.y.unit + units.y.origin
    X = X * units.x.unit + units.x.origin
    for k in range(case.K):
        view = part.view(params, k, units, **shell)
        seen = view.predict_proba(X) if case.C else np.reshape(view.predict(X), (ROWS, case.q))
        broken = f"the view of expert {k} does not predict its mean in the caller's units"
        case.require_close(seen, mean[:, k], EXACT, broken)


def _an_offset_adds_to_the_linear_predictor(case):
    """An offset that is linear in x is a change of the coefficients."""
    if not case.part.target.offset:
        return
    part, params, X = case.part, case.params, case.data[0]
    plain = Units(Scaling.identity(X.shape[1]), Scaling.identity(case.q or 1))
    slopes = 0.1 * np.arange(1, 1 + X.shape[1])
    values = part.to_caller(params, plain)
    if "coef" not in values:  # experts of several families
        return
    values |= {"coef": values["coef"] + slopes, "intercept": values["intercept"] + 0.3}
    moved, offset = part.from_caller(values, plain, case.K, *case.classes), 0.3 + X @ slopes
    verbs = {
        "log_prob": lambda params, **kw: part.log_prob(params, *case.data, **kw),
        "mean": lambda params, **kw: part.mean(params, X, **kw),
        "statistics": lambda params, **kw: ravel(
            part.statistics(params, *case.data, case.resp, **kw)
        ),
        "components": lambda params, **kw: part.components(params, X, plain, **kw).mean(),
    }
    if offers(part, "mean_gradient"):
        weight = np.ones((len(X), case.K, case.C or case.q))
        verbs["mean_gradient"] = lambda params, **kw: ravel(
            part.mean_gradient(params, X, weight, **kw)
        )
    for verb, call in verbs.items():
        broken = f"an offset of zeros changes {verb}"
        case.require_close(call(params, offset=np.zeros(len(X))), call(params), EXACT, broken)
        broken = f"{verb} with an offset linear in x is not that with other coefficients"
        case.require_close(call(params, offset=offset), call(moved), EXACT, broken)
    starts = [
        ravel(part.init(*case.data, case.resp, np.random.RandomState(0), *case.classes, **kw))
        for kw in ({}, {"offset": offset})
    ]
    case.require(not np.array_equal(*starts), "init takes no notice of the offset")


def _experts_can_be_taken(case):
    """Some experts, in another order, say what they say in the bank; of the rows they see."""
    part, params, (X, y) = case.part, case.params, case.data
    ids, rows = [case.K - 1, 0][: case.K], slice(5, 25)
    few = part.take(params, ids)
    broken = "log_prob of some experts, by take, is not that of the bank"
    found = part.log_prob(few, X[rows], y[rows])
    case.require_close(found, case.log_prob()[rows][:, ids], EXACT, broken)
    broken = "mean of some experts, by take, is not that of the bank"
    found = part.mean(few, X[rows])
    case.require_close(found, part.mean(params, X)[rows][:, ids], EXACT, broken)
    if part.learning.sums:
        where = np.ones((ROWS, case.K), dtype=bool)
        each = statistics_on_pairs(part, params, where, X, y, case.resp, 2)
        broken = "statistics of the experts one by one are not those of the bank"
        _require_same_statistics(case, each, case.statistics(), broken)


SHARED_CHECKS = (
    _arguments_are_left_alone,
    _shapes_are_those_of_the_protocol,
    _coordinates_are_free,
    _statistics_add_over_rows,
    _responsibilities_count_rows,
    _maximize_never_descends,
    _gradient_is_the_derivative,
    _rows_are_the_derivatives,
    _gradient_follows_the_coordinates,
    _carry_keeps_sums_and_uses_gradients_up,
    _experts_without_rows_stay_finite,
    _experts_are_exchangeable,
    _the_callers_units_lose_nothing,
    _n_parameters_counts,
    _float32_is_accepted,
    _rows_may_lie_anywhere,
    _clones_and_pickles_are_equal,
    _compiled_pass_equals_the_generic,
)
EXPERT_CHECKS = (
    *SHARED_CHECKS[:3],
    _densities_integrate_to_one,
    _mean_is_that_of_the_density,
    _samples_follow_the_density,
    _mean_gradient_is_the_derivative,
    _views_predict_the_mean,
    _an_offset_adds_to_the_linear_predictor,
    _experts_can_be_taken,
    *SHARED_CHECKS[3:],
)
GATE_CHECKS = (
    *SHARED_CHECKS[:2],
    _probabilities_sum_to_one,
    _keeps_the_best,
    _marginal_integrates_to_one,
    *SHARED_CHECKS[2:],
)
