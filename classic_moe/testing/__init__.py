"""The conformance suite: what every expert and every gate promises, one check a promise.

A part that passes fits into everything else: EM and gradient solvers, chunks and threads, the
estimators and their units. Promises about optional verbs (`gradient`, `rows`, `mean_gradient`,
`components`) are checked where the part has them; a part that has a `kernel` is compared with it.
"""

from __future__ import annotations

import numpy as np

from ..experts import BaseExpert
from ..gates import BaseGate
from ..parts.blas import one_blas_thread
from ._cases import expert_cases, gate_cases
from ._checks import EXPERT_CHECKS, GATE_CHECKS, attributes

__all__ = ["check_expert", "check_gate"]


def check_expert(expert, *, random_state=0):
    """Check that an expert keeps the promises of `BaseExpert`.

    With K = 1 and 3 experts, on a few random rows, with two columns and with none: densities
    integrate or sum to one and have the mean stated; samples, views and the caller's units agree
    with them; statistics add over rows and count responsibilities; `maximize` never descends;
    `gradient` is the derivative, in the free `coordinates` too, and `mean_gradient` that of the
    means; the slopes and curvatures of `rows` are those of every row in every predictor; some
    experts, by `take`, say what they say in the bank; `carry` keeps sums and uses gradients up;
    experts are exchangeable; a compiled pass equals the generic one; rows on another device, of an
    expert whose `inputs` promise it, give the same numbers (with array-api-strict installed); and
    nothing that is passed in, the expert included, is changed.
    Regression experts are tried with one and two outputs, of the first kind of y that
    `check_target` accepts: real numbers, positive numbers, counts, zeros and ones, or, for a
    `target` of trials, successes and failures; classifiers with two and three classes. Two outputs
    or three classes are left out if refused with a ValueError. Where the `target` takes an offset,
    one that is linear in x must equal a change of the coefficients.

    Parameters
    ----------
    expert : BaseExpert
        An instance, with any hyper-parameters.
    random_state : int, default=0
        Seed of the data.

    Raises
    ------
    AssertionError
        Naming the promise that is broken, the case and the figure seen.

    Examples
    --------
    >>> from classic_moe.experts import LinearExpert
    >>> from classic_moe.testing import check_expert
    >>> check_expert(LinearExpert(alpha=0.1))

    >>> class Loud(LinearExpert):
    ...     def log_prob(self, params, X, y):
    ...         return super().log_prob(params, X, y) + 0.1
    >>> check_expert(Loud())
    Traceback (most recent call last):
        ...
    AssertionError: Loud() with K=1, p=2, q=1: the density of expert 0 integrates to 1.105, not 1
    """
    _run(expert, BaseExpert, expert_cases, EXPERT_CHECKS, random_state)


def check_gate(gate, *, random_state=0):
    """Check that a gate keeps the promises of `BaseGate`.

    With K = 1 and 3 experts, on a few random rows, with two columns and with none: probabilities
    sum to one, and Σ exp(`log_joint`) over x; statistics add over rows and count responsibilities;
    `maximize` never descends; `gradient` is the derivative, along changes that keep the
    probabilities normalised, in the free `coordinates` too; the slopes and curvatures of `rows` are
    those of every row in every predictor; `carry` keeps sums and uses gradients
    up; reordering the experts reorders the output; the caller's units lose nothing; a compiled pass
    equals the generic one; and nothing that is passed in, the gate included, is changed. Columns
    are of the first kinds that `init` accepts: real numbers, positive numbers, counts, zeros and
    ones. None at all is left out if refused with a ValueError.

    Parameters
    ----------
    gate : BaseGate
        An instance, with any hyper-parameters.
    random_state : int, default=0
        Seed of the data.

    Raises
    ------
    AssertionError
        Naming the promise that is broken, the case and the figure seen.

    Examples
    --------
    >>> from classic_moe.gates import SoftmaxGate
    >>> from classic_moe.testing import check_gate
    >>> check_gate(SoftmaxGate(alpha=0.1))
    """
    _run(gate, BaseGate, gate_cases, GATE_CHECKS, random_state)


def _run(part, base, cases, checks, random_state):
    if not isinstance(part, base):
        raise AssertionError(f"{part!r} is not an object of a class derived from {base.__name__}")
    before = attributes(part)
    for case in cases(part, np.random.default_rng(random_state)):
        for check in checks:
            try:
                with one_blas_thread():
                    check(case)
            except AssertionError:
                raise
            except Exception as error:
                promise = check.__name__.replace("_", " ").strip()
                case.require(False, f"{promise}? {type(error).__name__}: {error}")
            case.require(attributes(part) == before, "attributes of the object are changed")
