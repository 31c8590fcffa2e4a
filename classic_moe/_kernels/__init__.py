"""The whole backend boundary: `array` is the specification, `compiled` holds its numba twins."""
