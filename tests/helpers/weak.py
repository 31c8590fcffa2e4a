"""Penalties that only keep a fit finite, for tests of what has nothing to do with them."""

import contextlib

WEAK = dict(expert__alpha="weak", gate__alpha="weak")
"""Parameters of an estimator whose gate and experts have an alpha."""


def weakly_penalised(estimator):
    """Return it with weak numbers where the evidence would find some."""
    for part in ("expert", "gate"):
        given = estimator.get_params(deep=False).get(part)
        if isinstance(given, str) or estimator.get_params().get(f"{part}__alpha") == "auto":
            with contextlib.suppress(ValueError):  # a part without an alpha
                estimator.set_params(**{f"{part}__alpha": "weak"})
    return estimator
