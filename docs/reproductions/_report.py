"""What the reproductions share: a command line, tables, and the count of passes over the data."""

from __future__ import annotations

import argparse
import contextlib
import inspect
import time
import warnings

import numpy as np

from classic_moe.data.batches import ArrayBatches


def command(main):
    """Run `main` with its keyword arguments taken from the command line."""
    tell = argparse.ArgumentParser(
        description=inspect.getmodule(main).__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for name, parameter in inspect.signature(main).parameters.items():
        if isinstance(parameter.default, tuple):  # choices for tests
            continue
        kind = str if parameter.default is None else type(parameter.default)
        tell.add_argument("--" + name.replace("_", "-"), type=kind, default=parameter.default)
    started = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of runs that are stopped early on purpose
        main(**vars(tell.parse_args()))
    print(f"\nwall time {time.perf_counter() - started:.0f} s")


def table(title, headers, rows):
    """Print a table in Markdown."""
    print(f"\n**{title}**\n")
    print("| " + " | ".join(map(str, headers)) + " |")
    print("|" + "---|" * len(headers))
    for row in rows:
        print("| " + " | ".join(map(str, row)) + " |", flush=True)


def spread(values, digits=3):
    """Median and range, such as "0.080 (0.076-0.089)"."""
    values = np.round(np.asarray(values, dtype=float), digits) + 0.0  # no -0.00
    low, middle, high = (
        f"{value:.{digits}f}" for value in (values.min(), np.median(values), values.max())
    )
    return middle if low == high else f"{middle} ({low} to {high})"


class Passes:
    """How many times the fit has looked at the training rows, short starts included."""

    count = 0.0


@contextlib.contextmanager
def counted_passes(n_rows):
    """Count passes over `n_rows` rows while the block runs: rows looked at, divided by them."""
    passes, original = Passes(), ArrayBatches.map_sum

    def map_sum(self, function, params, scaled=False):
        passes.count += self.n / n_rows
        return original(self, function, params, scaled)

    ArrayBatches.map_sum = map_sum
    try:
        yield passes
    finally:
        ArrayBatches.map_sum = original


def fit_counted(model, X, y, keep=True, stop=None, **fit_params):
    """Fit, with the passes made and the parameters held after every iteration.

    Parameters
    ----------
    model : estimator of this package
    X, y : training rows
    keep : bool
        Whether to keep the parameters of every iteration.
    stop : callable (passes) -> bool
        Whether to end the fit.

    Returns
    -------
    model : the fitted estimator
    path : list of (passes, params)
        `visit` evaluates them.
    passes : float
        All passes of the fit.
    seconds : float
    """
    path = []
    started = time.perf_counter()
    with counted_passes(len(X)) as passes:

        def record(iteration, params, objective):
            if keep:
                path.append((passes.count, params))
            return stop is not None and stop(passes.count)

        model.fit(X, y, callback=record, **fit_params)
    return model, path, passes.count, time.perf_counter() - started


def visit(model, path, measure):
    """What `measure(model)` is after every iteration: arrays of passes and of values."""
    last = model.params_
    values = []
    for _, params in path:
        model.params_ = params
        values.append(measure(model))
    model.params_ = last
    return np.array([passes for passes, _ in path]), np.array(values)
