"""`uncertainty_of`: the covariance of a fit's parameters in the caller's units, and its doubts.

The information of the predictors' coefficients θ (`classic_moe.model.information`) is inverted on
the directions in which the objective bends; the delta method takes it to the caller's parameters
φ(θ), V_φ = J V_θ Jᵀ with J = ∂φ/∂θ. What cannot be known is NaN, and has a reason.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np

from ..data import row_facts
from ..data.batches import ArrayBatches
from ..exceptions import ExpertCollapseWarning
from ..model.information import NoInformation, information, layout_of, with_priors
from ..model.left_out import scores_left_out
from ..model.posterior import AT_BOUND, FAR, bent, nearer
from ..model.scores import scores
from ..parts.blas import one_blas_thread
from ..parts.statistics import Statistics
from ..report.uncertainty import missing, parameters_table
from ._fitted import CONSTANT
from ._named import NamedParameters
from ._prepare import array_batches, weigh

STEP, STENCIL = 0.02, ((1, 0.75), (2, -0.15), (3, 1 / 60))
"""Of differences of order 6 in free coordinates, where scales are logarithms: relative errors of
STEP⁶/140 = 5e-13, and of rounding / STEP = 1e-14."""
BENT_UP = 1e-8
"""Below minus this it bends upwards; the information of priors knows nine digits."""
RISE = 1e-11
"""Of the objective: what is rounding in the difference of two of its values."""
FLAT_ROWS = "the rows do not determine it: the likelihood is flat"
PENALTY_ALONE = "the rows alone do not determine it: the penalty sets its size"
UNDETERMINED = FLAT_ROWS, PENALTY_ALONE
"""Why there is no standard error of a parameter that may be part of a combination that has one."""
SHARE = 1e-6
"""Share of a parameter in directions without information from which it has no standard error."""
STEEP = 3.0
"""Change of a coefficient times the root mean square of its column, one standard error away, from
which the objective is looked at there."""
PARABOLA, LEANS = 4.0, 0.25
"""Factor by which the fall of the objective there, ½ of a parabola, may be off, and the share that
penalties may have in its curvature."""
MOST_WORK = 2e9
"""Rows times squared coefficients up to which a summary looks at them: some seconds."""
ROBUST = ("sandwich", "cluster")
"""The covariances that need no right model."""


class Rows(NamedTuple):
    """The rows by which the uncertainty of a fit is judged.

    Attributes
    ----------
    batches : ArrayBatches
    clusters : ndarray of int of shape (n,) or None
        Codes of clusters of rows that are not independent; those of one stand together.
    shares : ndarray of shape (n,) or None
        What the weight of a row has besides its frequency: that of its class, or all of it where
        weights are normalised. None where weights are frequencies.
    """

    batches: ArrayBatches
    clusters: np.ndarray | None
    shares: np.ndarray | None


class Partial(NamedTuple):
    """What is known of parameters that the rows determine in combinations alone.

    Attributes
    ----------
    covariance : ndarray of shape (P, P)
        With numbers for those parameters too; they mean something where a combination is at right
        angles to all `directions`.
    directions : ndarray of shape (P, f)
        Those that the rows do not determine.
    size : ndarray of shape (P,)
        The scale of each parameter, in which angles are measured.
    """

    covariance: np.ndarray
    directions: np.ndarray
    size: np.ndarray


class Uncertainty(NamedTuple):
    """The parameters of a fit and the covariance of their estimates, in the caller's units.

    Attributes
    ----------
    names : list of str
    estimates : ndarray of shape (P,)
    covariance : ndarray of shape (P, P)
        NaN where there is a reason.
    reasons : dict of str to str
    penalised : bool
    effective_parameters : float
        tr(I (I + P)⁻¹).
    """

    names: list[str]
    estimates: np.ndarray
    covariance: np.ndarray
    reasons: dict[str, str]
    penalised: bool
    effective_parameters: float
    partial: Partial | None


def check_model(fitted, covariance):
    """Raise NoInformation, a ValueError, for fits of which there is no such covariance."""
    if not fitted.model.objective.likelihood:
        raise NoInformation("under an error function there is no likelihood")
    if fitted.schema.x.rotation is not None:
        raise NoInformation(
            "the fit had more columns than rows, and the rows say nothing of the directions in"
            " between; choose fewer columns"
        )
    if fitted.model.codes is not None and covariance in ("observed", "opg"):
        raise NoInformation(
            f"covariance={covariance!r}: experts for numbers in a classifier have no likelihood of"
            " classes; use 'sandwich', or expert='softmax'"
        )


def rows_of(estimator, X, y, sample_weight=None, groups=None, expert_labels=None, clustered=False):
    """Return the caller's rows as those of a fitted estimator, `Rows`; none without weight.

    Raises
    ------
    ValueError
        For groups of a fit that had none, unless `clustered`, or none of one that had some.
    """
    schema, caller_y = estimator._fitted.schema, np.asarray(y)
    if schema.grouped and groups is None:
        raise ValueError("the fit had groups of rows that share one expert; pass them as groups.")
    if clustered and groups is None:
        raise ValueError("covariance='cluster' needs groups, which say the cluster of every row.")
    if groups is not None and not (schema.grouped or clustered):
        raise ValueError(
            "the fit had no groups; leave them out, or use covariance='cluster' where the rows of a"
            " group are not independent."
        )
    inner, y = estimator._check_Xy(X, y)
    weight = weigh(estimator, inner.X, caller_y, sample_weight)
    facts = row_facts.facts(groups, expert_labels, len(inner), estimator.n_experts_)
    clusters = None if schema.grouped else facts.pop("groups", None)
    stands = facts if clusters is None else {"groups": clusters}
    chosen = row_facts.arrange(stands, np.flatnonzero(weight > 0))
    facts = {name: fact[chosen] for name, fact in facts.items()}
    if "groups" in facts:
        schema.check_groups(facts["groups"], groups, inner.X[chosen])
    if clusters is not None and len(np.unique(clusters[chosen])) < 2:
        raise ValueError(
            "covariance='cluster': all rows are in one cluster, whose score is 0 at a maximum; give"
            " groups of at least two."
        )
    shares = None
    if not (are_counts(estimator) or schema.grouped):
        shares = weight if schema.normalizes else weigh(estimator, inner.X, caller_y, None)
        shares = shares[chosen]
    weight = weight[chosen] / schema.weight_unit
    batches = array_batches(schema, inner.X[chosen], y[chosen], weight, **facts)
    return Rows(batches, None if clusters is None else clusters[chosen], shares)


def are_counts(estimator):
    """Return whether the weights of a fit are frequencies, not shares or those of classes."""
    return not estimator._fitted.schema.normalizes and estimator._class_weight is None


def uncertainty_of(fitted, rows, covariance="observed") -> Uncertainty:
    """Return the uncertainty of a fit by the information, or the scores, of `rows`.

    Parameters
    ----------
    fitted : Fitted
    rows : Rows
    covariance : {"observed", "opg", "sandwich", "cluster"}

    Raises
    ------
    NoInformation
        Where there are no second derivatives: a sentence that says of what.
    """
    with rows.batches, np.errstate(all="ignore"):  # what is no number is told of
        around = objective_around(fitted, rows.batches)
        meat, counts = _outer_products(fitted, rows, around, covariance)
        bread = inverse = around.inverse
        if covariance == "opg":
            bread = _inverse(meat + around.matrix - around.data, around.held, around.jacobian)
            found = bread.matrix / fitted.schema.weight_unit
        elif covariance == "observed":
            found = inverse.matrix / fitted.schema.weight_unit
        else:
            found = inverse.matrix @ meat @ inverse.matrix
            found = found if rows.clusters is not None else found / fitted.schema.weight_unit
        found = around.jacobian @ found @ around.jacobian.T
        reasons = _reasons(fitted, rows.batches, around, bread, counts)
        loose = around.jacobian @ _undetermined(fitted, rows.batches, around)
    names = around.named.names
    for name, finite in zip(names, np.isfinite(found).all(axis=1), strict=True):
        if not finite:
            reasons.setdefault(name, "its variance is no finite number")
    whole = _without(found, [reasons.get(name, FLAT_ROWS) not in UNDETERMINED for name in names])
    found = _without(found, [name in reasons for name in names])
    penalised = bool(np.any(around.matrix != around.data))
    effective = around.effective_parameters
    estimates = around.named.values(fitted.params)
    partial = None
    if any(reason in UNDETERMINED for reason in reasons.values()):
        size = np.linalg.norm(around.jacobian, axis=1)
        partial = Partial(whole, loose, np.where(size > 0, size, 1.0))
    return Uncertainty(names, estimates, found, reasons, penalised, effective, partial)


def _without(covariance, lost):
    """Return a covariance with NaN for what is lost, bool (P,)."""
    lost = np.array(lost, dtype=bool)
    return np.where(lost[:, None] | lost, np.nan, covariance)


def errors_in_words(estimator, X, y, sample_weight=None, groups=None, expert_labels=None):
    """Return the table of parameters with their standard errors, or None, and sentences about it.

    Robust ones where the weights are shares of a population.
    """
    fitted = estimator._current()
    kind = "observed" if are_counts(estimator) else "sandwich"
    try:
        check_model(fitted, kind)
        with one_blas_thread():
            rows = rows_of(estimator, X, y, sample_weight, groups, expert_labels)
            if rows.batches.n * fitted.n_parameters**2 > MOST_WORK:
                raise NoInformation("that would take a while; classic_moe.inference.infer has them")
            found = uncertainty_of(fitted, rows, kind)
    except ValueError as error:
        return None, [f"No standard errors: {str(error).rstrip('.')}."]
    if len(set(found.reasons.values())) == 1 and len(found.reasons) == len(found.names):
        return None, [f"No standard errors: {next(iter(found.reasons.values()))}."]
    errors = np.sqrt(np.diagonal(found.covariance))
    columns = {"estimate": found.estimates, "standard error": errors}
    table = parameters_table(found.names, columns | {"z": found.estimates / errors})
    basis = (
        "observed information" if kind == "observed" else "sandwich, as weights are no frequencies"
    )
    counted = ", in which penalties count" if found.penalised else ""
    return table, [f"Standard errors: {basis}{counted}.", *missing(found.reasons)]


def effective_parameters(estimator, X, y, sample_weight=None, groups=None) -> float:
    """Return how many parameters of a fitted estimator the rows determine, tr(I (I + P)⁻¹).

    A ValueError where there are no second derivatives.
    """
    fitted = estimator._current()
    try:
        check_model(fitted, "observed")
        with one_blas_thread():
            rows = rows_of(estimator, X, y, sample_weight, groups)
            with rows.batches, np.errstate(all="ignore"):
                return objective_around(fitted, rows.batches).effective_parameters
    except NoInformation as error:
        raise ValueError(f"parameters='effective': {error}; use parameters='free'.") from None


# -- the objective around a fit ------------------------------------------------------------------


class _Inverse(NamedTuple):
    """The inverse of an information on the directions in which the objective bends.

    matrix : ndarray of shape (m, m)
    root : ndarray of shape (m, r), L of matrix = L Lᵀ
    share : ndarray of shape (P,), how much of each parameter lies in other directions
    least : float, the least eigenvalue of the information with diagonal 1, by their number
    upward : ndarray of shape (m,), its direction, of length 1 where the diagonal is 1
    """

    matrix: np.ndarray
    root: np.ndarray
    share: np.ndarray
    least: float
    upward: np.ndarray


class _Around(NamedTuple):
    """The objective around a fit, to second order in the coefficients θ.

    layout : Layout
    named : NamedParameters
    data, matrix : ndarray of shape (m, m), the information without and with that of the priors
    slope : ndarray of shape (m,)
    held : ndarray of bool of shape (m,), coefficients at a bound
    jacobian : ndarray of shape (P, m), 0 in those that are held
    bound : ndarray of bool of shape (P,), parameters that depend on one that is held
    inverse : _Inverse of `matrix`
    """

    layout: object
    named: NamedParameters
    data: np.ndarray
    matrix: np.ndarray
    slope: np.ndarray
    held: np.ndarray
    jacobian: np.ndarray
    bound: np.ndarray
    inverse: _Inverse

    @property
    def effective_parameters(self) -> float:
        """tr(I (I + P)⁻¹) of the information I of the rows and P of the priors."""
        return float(np.sum(self.inverse.matrix * self.data))


def objective_around(fitted, batches) -> _Around:
    """Return the objective around the params of a fit."""
    model, params = fitted.model, fitted.params
    layout = layout_of(model, params, batches)
    stats = batches.map_sum(model.statistics, params)
    found = information(model, params, batches, layout)
    matrix = with_priors(model, params, found, stats).matrix
    coordinates = layout.coordinates
    vector = coordinates.free(params)
    slope = coordinates.slope_in_free(vector, params, model.gradient(params, stats))
    low, high = coordinates.bounds
    held = (vector <= low + AT_BOUND) | (vector >= high - AT_BOUND)
    held = layout.in_coefficients(held) > 0
    named = NamedParameters(fitted)
    jacobian = jacobian_of(named, layout, vector)
    bound = np.any(jacobian[:, held] != 0, axis=1)
    jacobian = np.where(held, 0.0, jacobian)
    slope = layout.in_coefficients(slope)
    inverse = _inverse(matrix, held, jacobian)
    return _Around(layout, named, found.matrix, matrix, slope, held, jacobian, bound, inverse)


def jacobian_of(named, layout, vector):
    """Return the derivative of the caller's parameters in the coefficients, (P, m).

    By central differences of order 6, which of linear maps are exact; of a coefficient at a bound
    by one inwards, which tells no more than whether it matters.
    """
    low, high = layout.coordinates.bounds

    def values(step):
        return named.values(layout.coordinates.params(vector + step))

    columns = []
    for position, unit in zip(layout.positions, np.eye(len(layout.positions)), strict=True):
        step = layout.in_free(unit)
        below, above = (vector - low)[position].min(), (high - vector)[position].min()
        h = min(STEP, min(below, above) / len(STENCIL))
        if h <= AT_BOUND / len(STENCIL):
            columns.append(values(STEP * step if below < above else -STEP * step) - values(0.0))
            continue
        changes = [f * (values(i * h * step) - values(-i * h * step)) for i, f in STENCIL]
        columns.append(sum(changes) / h)
    return np.array(columns).reshape(len(layout.positions), -1).T


def _inverse(matrix, held, jacobian) -> _Inverse:
    """Return the inverse of an information without the coefficients that are held."""
    values, directions, bends = bent(matrix, held)
    good = directions[:, bends]
    along = (jacobian @ directions) ** 2
    total, lost = along.sum(axis=1), along[:, ~bends].sum(axis=1)
    share = lost / np.where(total > 0, total, 1.0)
    least = values.min(initial=0.0) / max(len(values), 1)
    upward = directions[:, 0] if len(values) else np.zeros(len(matrix))
    root = good / np.sqrt(values[bends])
    return _Inverse((good / values[bends]) @ good.T, root, share, float(least), upward)


def _outer_products(fitted, rows, around, covariance):
    """Return the sum of the outer products of the scores (m, m), and the effective rows (K,).

    Those of robust errors are the scores at the fit without a row, group or cluster. Weights are
    frequencies: a row of weight w counts w times. Normalised weights are shares of a population,
    and the row is seen once, so that w² counts; with weights c of classes a row of frequency f has
    f c².
    """
    meat, counts, done = 0.0, 0.0, 0
    shares, unit, clusters = rows.shares, fitted.schema.weight_unit, rows.clusters
    about = fitted.model, fitted.params, rows.batches, around.layout
    if covariance in ROBUST:
        alone = (np.ones(rows.batches.n) if shares is None else shares) / unit
        found_scores = scores_left_out(*about, around.inverse.root, alone, clusters)
    else:
        found_scores = scores(*about)
    for found in found_scores:
        counts = counts + found.rows
        own = slice(done, done + len(found.weight))
        done = own.stop
        weighted = shares is not None and clusters is None
        weight = found.weight * shares[own] if weighted else found.weight
        meat = meat + (weight * found.each) @ found.each.T
    return meat, counts * unit


# -- what cannot be known ------------------------------------------------------------------------


def _reasons(fitted, batches, around, bread, counts):
    """Return why parameters have no standard error, {name: what is wrong}."""
    names = around.named.names
    objective = _objective(fitted, batches, around)
    everywhere = _no_maximum(fitted, around, objective)
    if everywhere:
        return dict.fromkeys(names, everywhere)
    reasons = _collapsed(fitted, names)
    for k, rows in enumerate(counts):
        own = [name for name in names if name.startswith(f"expert {k}: ")]
        if rows < len(own):
            told = f"expert {k} has {rows:.3g} effective rows for {len(own)} parameters"
            reasons |= dict.fromkeys(own, told)
    for name, at_bound, share in zip(names, around.bound, bread.share, strict=True):
        if at_bound:
            reasons[name] = "it is at its bound, or follows from what is at one"
        elif share > SHARE:
            reasons.setdefault(name, FLAT_ROWS)
    known = [j for j, name in enumerate(names) if name not in reasons]
    return reasons | _no_parabola(fitted, batches, around, known, objective)


def _collapsed(fitted, names):
    """Return why parameters rest on a scale that is not the data's, {name: what the fit found}."""
    reasons = {}
    for finding in fitted.findings:
        if finding.category is not ExpertCollapseWarning or "df at its bound" in finding.message:
            continue
        owners = tuple(f"expert {k}: " for k in finding.experts)
        owners = owners or (("expert ",) if finding == CONSTANT else ("gate ", "node "))
        own = [name for name in names if name.startswith(owners)]
        reasons |= dict.fromkeys(own, finding.message.rstrip("."))
    return reasons


def _objective(fitted, batches, around):
    """Return the objective as a function of a step from the fit in the coefficients."""
    model, coordinates = fitted.model, around.layout.coordinates
    vector = coordinates.free(fitted.params)

    def objective(step):
        params = coordinates.params(coordinates.clip(vector + around.layout.in_free(step)))
        at = functools.partial(model.statistics, order=1)
        return batches.map_sum(at, params)["objective"] + model.log_prior(params)

    return objective


def _no_maximum(fitted, around, objective):
    """Return why the fit is no maximum of the objective of these rows, "" if it is one."""
    if not (np.isfinite(around.matrix).all() and np.isfinite(around.jacobian).all()):
        return "the information is no finite number"
    slope = np.where(around.held, 0.0, around.slope)
    unit = fitted.schema.weight_unit
    away = float(np.sqrt(max(unit * slope @ around.inverse.matrix @ slope, 0.0)))
    if away <= FAR and around.inverse.least < -BENT_UP and _rises(around.inverse.upward, objective):
        return "the information is not positive definite: the fit is at a saddle, not at a maximum"
    if away <= FAR:
        return ""
    advice = f"pass the rows, weights and groups of the fit, or {nearer(fitted.model)}"
    return (
        f"the fit is no maximum on these rows (it is {away:.2g} standard errors away from one);"
        f" {advice}"
    )


def _rises(direction, objective):
    """Return whether the objective rises along a direction in which it seems to bend upwards.

    Where regions are separated the information of the gate is rounding, of either sign.
    """
    now = objective(0 * direction)
    noise = RISE * (1 + abs(now))
    sides = (sign * size * direction for size in (1.0, 0.1, 0.01) for sign in (-1, 1))
    return any(objective(step) - now > noise for step in sides)


def _no_parabola(fitted, batches, around, known, objective):
    """Return why parameters have no standard error although there is an information, a dict.

    One standard error away from a maximum the objective falls by about ½ where Wald's intervals
    mean anything. It is looked at where that is far: where coefficients change by several units of
    what the predictors are measured in.
    """
    layout, unit = around.layout, fitted.schema.weight_unit
    size, penalty = _sizes(fitted, batches, layout), around.matrix - around.data
    found, now = {}, None
    for j in known:
        row = around.jacobian[j]
        step = around.inverse.matrix @ row / np.sqrt(max(row @ around.inverse.matrix @ row, 1e-300))
        step = step / np.sqrt(unit)
        if np.abs(step * size).max(initial=0.0) <= STEEP:
            continue
        name = around.named.names[j]
        if unit * step @ penalty @ step > LEANS:
            found[name] = PENALTY_ALONE
            continue
        now = objective(0 * step) if now is None else now
        falls = [unit * (now - objective(sign * step)) for sign in (-1, 1)]
        if not all(0.5 / PARABOLA <= fall <= 0.5 * PARABOLA for fall in falls):
            found[name] = (
                "one standard error away the log-likelihood is no parabola, as where the experts'"
                " regions, or classes, are separated"
            )
    return found


def _undetermined(fitted, batches, around):
    """Return the directions of the coefficients that the rows do not determine, (m, f).

    Those without curvature, and those that are far in units of the predictors and have much of it
    from penalties.
    """
    penalty, unit = around.matrix - around.data, fitted.schema.weight_unit
    values, directions, bends = bent(around.matrix, around.held)
    leans = np.sum(directions * (penalty @ directions), axis=0) > LEANS * values
    far = np.abs(directions * _sizes(fitted, batches, around.layout)[:, None]).max(axis=0)
    far = far > STEEP * np.sqrt(unit * np.maximum(values, 0.0))
    return directions[:, ~bends | (leans & far)]


def _sizes(fitted, batches, layout):
    """Return the root mean square of the column that each coefficient multiplies, (m,)."""
    size = np.sqrt(batches.map_sum(_squares, fitted.params)["squares"] / batches.total_weight)
    return size[layout.terms[1]]


def _squares(params, X, y, weight, **facts):
    """Return Σ w z² of the columns of [1, X], `Statistics`."""
    return Statistics(squares=np.concatenate([[weight.sum()], weight @ X.astype(float) ** 2]))
