"""Where a router sends a row by itself, and with which weights."""

from __future__ import annotations

import numpy as np

from ..routing import (
    BalancedAssignmentRouter,
    ExpertChoiceRouter,
    RandomRouter,
    SampledRouter,
    TopKRouter,
)


def weights(w, router, scores, n, state, alone):
    """Return the weights of the n experts of every row, 0 for those it is not sent to, (n, n).

    `scores` are those of the gate, `state` is what the training has left behind, and `alone` says
    whether a row may have no expert. Formulas are those of `BaseRouter.route`.
    """
    if isinstance(router, TopKRouter):
        return _top_k(w, router, scores, n, state)
    if isinstance(router, ExpertChoiceRouter):
        return _expert_choice(w, scores, state, alone)
    if isinstance(router, BalancedAssignmentRouter):
        net = w.binary("-", scores, w.row(state["prices"], "prices"), "net_scores")
        return w.binary("*", w.best(net, 1), w.function("sigmoid", scores), "weights")
    if isinstance(router, SampledRouter):
        return w.best(scores, 1, "weights")
    if isinstance(router, RandomRouter):
        return w.function("exp", w.affine(scores, np.zeros((n, n)), [-np.log(n)] * n), "weights")
    raise ValueError(
        f"router={router!r} has no formula of x that can be exported; use a router of"
        " classic_moe.routing that follows scores, such as TopKRouter."
    )


def _share(w, scores):
    return w.function("exp", w.log_softmax(scores), "shares")


def _top_k(w, router, scores, n, state):
    sigmoid = router.score == "sigmoid"
    value = w.function("sigmoid", scores) if sigmoid else scores
    preference = value
    if "bias" in state:
        preference = w.binary("+", value, w.row(state["bias"], "bias"), "preference")
    if router.n_kept_groups != router.n_groups:
        preference = _in_best_groups(w, router, preference, n)
    kept = w.best(preference, router.k, "kept")
    if sigmoid:
        share = w.binary("*", kept, value, "shares")
        if router.weight == "renormalized":
            share = w.binary("/", share, w.clip(w.row_sum(share), w.smallest, None), "shares")
    elif router.weight == "raw":
        share = w.binary("*", kept, _share(w, scores), "shares")
    else:
        left = w.where(kept, scores, w.row([-np.inf] * n, "never"))
        share = _share(w, left)
    return w.binary("*", share, w.row([router.scale], "scale"), "weights")


def _in_best_groups(w, router, preference, n):
    """Return the preferences, -inf in groups that are left out, whose two best sum to less."""
    size, sums = n // router.n_groups, []
    for group in range(router.n_groups):
        own = w.pick(preference, list(range(group * size, (group + 1) * size)))
        two = own if size < 2 else w.binary("*", own, w.best(own, min(2, size)))
        sums.append(w.row_sum(two))
    seen = w.best(w.concat(sums), router.n_kept_groups)
    seen = w.pick(seen, [j // size for j in range(n)], "seen")
    return w.where(seen, preference, w.row([-np.inf] * n, "never"), "preference")


def _expert_choice(w, scores, state, alone):
    share = _share(w, scores)
    kept = w.compare(">=", share, w.row(state["thresholds"], "thresholds"), "kept")
    if not alone:  # a row that reaches no threshold goes to the best
        nobody = w.binary("-", w.row([1.0], "one"), w.clip(w.row_sum(kept), 0.0, 1.0), "nobody")
        kept = w.binary("+", kept, w.binary("*", nobody, w.best(share, 1)), "kept")
    return w.binary("*", kept, share, "weights")
