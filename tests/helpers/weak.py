"""Penalties that only keep a fit finite, for tests of what has nothing to do with them."""

WEAK = dict(expert__alpha="weak", gate__alpha="weak")
"""Parameters of an estimator whose gate and experts have an alpha."""
