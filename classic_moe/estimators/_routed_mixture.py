"""Sparse mixtures whose rows a router sends to experts: their fit, on minibatches."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..data.batches import whole
from ..parts.coordinates import Coordinates
from ..routing._gate import PER_EXPERT, RoutedGate, check_router
from ..routing._mixture import RoutedMixture
from ..routing._settings import is_router, of_preset, says_nothing, settings
from ..routing._training import train
from ..routing.presets import DEFAULTS
from ..solvers import Adam, Result
from ..solvers.loop import evaluate
from ..starts.automatic import weakened
from ..starts.init_params import starting_points
from ._blending import check_rows, minibatch_solver, training_of
from ._fitted import Fitted

SHOWN = {"bias": "router_bias_", "thresholds": "thresholds_"}
"""The attributes of the estimator that hold what a training has left behind."""
PLAIN = "top_k"
"""The router that is a softmax gate of which the k best are kept, where nothing else is asked."""
SUBJECT = "a mixture with a router, balance terms or a capacity"
"""What is trained, in messages."""
FAILED = (
    "training was stopped, as the objective was no number any more: lower the learning rate of the"
    " solver, or use a smaller weight of the balance terms"
)


def is_routed(estimator):
    """Return whether a sparse mixture is to be trained with a router in place of a fit by EM."""
    router = estimator.router
    plain = isinstance(router, str) and router == PLAIN
    given = vars(estimator)
    asked = [name for name in ("balance", "capacity_factor") if not says_nothing(name, given[name])]
    return is_router(router) and (bool(asked) or not plain)


def n_experts_of(estimator):
    """Return K, which a preset may set."""
    given = _given(estimator)
    found = (given | of_preset(estimator.router, given))["n_experts"]
    return DEFAULTS["n_experts"] if found is None else found


def routing_of(estimator):
    """Return the routing of a sparse mixture, `Settings`; ValueError for one that it cannot have.

    A mixture has no shared experts: those of presets are left out.
    """
    given = _given(estimator) | dict(n_shared=0)
    found = settings(estimator.router, overflow=estimator.overflow, **given)
    check_router(found.router)
    return found


def _given(estimator):
    """Return the parameters that a preset may set where they are unsaid, a dict."""
    return {name: vars(estimator)[name] for name in (*DEFAULTS, "k")}


def gate_of(estimator):
    """Return the gate of the mixture that a routing leaves behind, before it has."""
    routing = routing_of(estimator)
    router = routing.router
    return RoutedGate(router, router.k if router.has_order else routing.n_experts)


def fit_routed(estimator, problem, callback=None) -> Fitted:
    """Return the `Fitted` of a problem whose experts see the rows that a router sends them."""
    routing = routing_of(estimator)
    _check(estimator, problem, routing)
    if problem.automatic is not None:
        problem = weakened(problem, "training on minibatches need not end at a maximum")
    solver = minibatch_solver(estimator.solver, SUBJECT)
    model, batches = problem.model, problem.batches
    (solver or Adam()).check_model(model)
    X, y, weight, _ = whole(batches)
    start = _start(estimator, problem, X, y, weight)
    coordinates = Coordinates(model.expert.coordinates(start["expert"]), start["expert"])
    mixture = RoutedMixture(
        model,
        coordinates,
        routing.router,
        routing.n_experts,
        routing.balance,
        routing.capacity_factor,
        routing.overflow,
    )

    def told(iteration, params, objective):
        return callback(iteration, mixture.from_training(params), objective)

    training = training_of(
        solver, estimator, len(weight), problem.rng, None if callback is None else told
    )
    rows = mixture.rows(X, y, weight)
    return _fitted(problem, mixture, train(mixture, rows, training, mixture.to_train(start)))


def _fitted(problem, mixture, trained):
    """Return what there is to say of a training, a `Fitted`."""
    batches = problem.batches
    state = {name: trained.state[name] for name in PER_EXPERT if name in trained.state}
    gate = mixture.gate.set_params(state=state)
    problem = replace(problem, model=replace(problem.model, gate=gate))
    point = evaluate(problem.model, batches, mixture.from_training(trained.params))
    result = Result(
        point.params,
        point.stats,
        [batches.total_weight * value for value in trained.objectives],
        converged=not trained.failed,
        advice=FAILED,
    )
    fitted = Fitted.of(problem, result)
    curves = {name: np.array(values) for name, values in trained.curves.items()}
    dropped = curves["dropped_fraction"]
    routing = {
        "balance_curve_": curves,
        "dropped_fraction_": float(dropped[-1]) if len(dropped) else 0.0,
    }
    state = fitted.model.gate.state  # the experts are in the order in which they are shown
    routing |= {SHOWN[name]: value for name, value in state.items()}
    return replace(fitted, routing=routing)


def _start(estimator, problem, X, y, weight):
    """Return the params to start from: those given, or made of the first start."""
    sizes = estimator._given_size, estimator._size_for
    start = starting_points(problem, estimator._start_of(problem.model), 1, sizes)
    if isinstance(start, dict):
        return start
    resp = start.each[0](problem.batches) * weight[:, None]
    return problem.model.init(X, y, resp, problem.rng, problem.labels)


def _check(estimator, problem, routing):
    """ValueError for what a routed mixture does not do."""
    check_rows(routing, problem.given)
    if problem.schema.grouped:
        raise ValueError(
            f"groups: {SUBJECT} is trained on minibatches of single rows; leave them out, or use"
            " router='top_k' alone."
        )
    for name, usual in dict(n_init=1, tol=None).items():
        value = vars(estimator)[name]
        if value not in (None, usual):
            raise ValueError(
                f"{name}={value!r}: {SUBJECT} is trained once, for max_iter epochs; leave it None."
            )
