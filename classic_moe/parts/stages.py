"""The stage of linear Gaussian experts, and that of experts of several families side by side."""

from __future__ import annotations

import numpy as np

from .kernel import Stage, Weights

LINEAR = "linear_gaussian"
"""The name of the kernel whose statistics are one Gram matrix or, of order 1, 1 + q moments."""


def gaussian_stage(whitening, log_norm):
    """Return the `Stage` of linear Gaussian experts: scores are the q whitened residuals."""

    def log_prob(scores, y):
        return log_norm - half_squares(scores, scores.shape[2]), scores

    def weights(scores, y, resp, order):
        if order > 1:
            return Weights(grams={"gram": np.ones_like(resp)})
        residuals = {f"residual {j}": scores[:, :, j] for j in range(scores.shape[2])}
        return Weights(moments={"rows": np.ones_like(resp), **residuals})

    return Stage(whitening, True, log_prob, weights)


def half_squares(scores, d):
    """Return ½ Σ u² over the first d of an expert's scores (n, K, r), (n, K)."""
    from .._kernels import quick

    return quick.half_squares(scores, d)


def as_quick(x):
    """Return an array as one whose elementary functions are compiled."""
    from .._kernels import quick

    return x.view(quick.Quick)


def stage_of(expert, params):
    """Return the `Stage` of experts whose kernel is "staged" or that of linear ones."""
    stage = expert.kernel.params(expert, params)
    return stage if isinstance(stage, Stage) else gaussian_stage(*stage)


# -- several families --------------------------------------------------------------------------


def side_by_side(experts, each):
    """Return the `Stage` of one expert after another, from those of banks of one.

    All sums are of all experts; that (k, name) is among the totals tells that expert k asks for
    the sum of that name.
    """
    K, most, P = len(each), max(own.coef.shape[1] for own in each), _design(each)
    n_outputs = max(own.coef.shape[1] for own in each if own.with_y) if _any_y(each) else 0
    coef = np.zeros((K, most, P + n_outputs))
    for k, own in enumerate(each):
        coef[k, : own.coef.shape[1], _columns(own, P)] = own.coef[0].T

    def log_prob(scores, y, offset=None):
        found = []
        for k, own in enumerate(each):
            wanted = offset is not None and experts[k].target.offset
            options = {"offset": offset} if wanted else {}
            its = scores[:, k : k + 1, : own.coef.shape[1]]
            found.append(own.log_prob(its, y, **options))
        values = np.concatenate([value.T for value, _ in found]).T  # rows innermost
        return values, [known for _, known in found]

    def weights(known, y, resp, order):
        grams, moments, powers, totals = {}, {}, {}, {}
        for k, own in enumerate(each):
            its = own.weights(known[k], y, resp[:, k : k + 1], order)
            for kept, named in ((grams, its.grams), (moments, its.moments)):
                for name, value in named.items():
                    kept.setdefault(name, np.zeros_like(resp.T))[k] = np.asarray(value)[:, 0]
                    totals[k, name] = 0.0
            powers |= its.powers
            totals |= {(k, name): 0.0 for name in its.powers}
            totals |= {(k, name): value for name, value in its.totals.items()}
        by_name = ({name: value.T for name, value in kept.items()} for kept in (grams, moments))
        return Weights(*by_name, powers=powers, totals=totals)

    return Stage(coef, _any_y(each), log_prob, weights)


def sums_of_each(each, sums):
    """Return what every expert side by side has asked for, dicts, from the sums of all."""
    found = [{} for _ in each]
    P = _design(each)
    for k, name in (key for key in sums if isinstance(key, tuple)):
        if name not in sums:
            found[k][name] = sums[k, name]
            continue
        value, columns = sums[name][k : k + 1], _columns(each[k], P)
        for axis in range(1, value.ndim):
            value = np.take(value, columns, axis=axis)
        found[k][name] = value
    return found


def _any_y(each):
    """Return whether the z of any of the stages has y in it."""
    return any(own.with_y for own in each)


def _design(each):
    """Return the number of columns of [1, x], of those that see x."""
    return max(_own_design(own) for own in each)


def _own_design(own):
    """Return the number of columns of a stage's own [1, x]: scores with y are one an output."""
    return own.coef.shape[2] - (own.coef.shape[1] if own.with_y else 0)


def _columns(own, P):
    """Return the positions of a stage's columns in [1, x, y] with P columns of [1, x]."""
    target = P + np.arange(own.coef.shape[1] if own.with_y else 0)
    return np.concatenate([np.arange(_own_design(own)), target])
