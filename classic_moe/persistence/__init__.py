"""Fitted estimators as files without code: `classic_moe.save` and `classic_moe.load`."""
