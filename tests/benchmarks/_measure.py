"""What the benchmark scripts share: clocks, fits without warnings, and rows of a table.

Seconds are CPU seconds of the process (`time.process_time`) unless a clock is named. What is
compared is timed in turns, so that a busy machine disturbs all alike, and told by medians.
"""

from __future__ import annotations

import statistics
import time
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.estimators._prepare import array_batches
from classic_moe.solvers.loop import evaluate


def fitted(model, X, y, **keywords):
    """Fit a model, arrived or not; returns it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X, y, **keywords)


def weak(model):
    """Return a model with weak penalties: what is timed is the search, or iterations, alone."""
    return model.set_params(expert__alpha="weak", gate__alpha="weak")


def compile_kernels(X, y, K=2):
    """Fit few iterations of the caller's kind of data, so that nothing is compiled on the clock."""
    fitted(MixtureOfExpertsRegressor(K, random_state=0, max_iter=2), X[:2000], y[:2000])


def timed(function, clock=time.process_time):
    """Call a function without arguments; returns its value and the seconds it took."""
    start = clock()
    value = function()
    return value, clock() - start


def in_turns(functions, repeats, clock=time.process_time, warm=True):
    """Median seconds of each function, all timed in turns; returns them by name.

    `warm`: whether to begin with a round that is not counted.
    """
    seconds = {name: [] for name in functions}
    for repeat in range(-int(warm), repeats):
        for name, function in functions.items():
            _, each = timed(function, clock)
            if repeat >= 0:
                seconds[name].append(each)
    return {name: statistics.median(each) for name, each in seconds.items()}


def per_iteration(fit, few, many, repeats):
    """Seconds of an iteration of each `fit[name](n_iter)`, in turns; returns lists by name.

    They are differences of two lengths, which take out what is done once: validation, scaling.
    """
    seconds = {name: [] for name in fit}
    for _ in range(repeats):
        for name, run in fit.items():
            short, long = (timed(lambda n=n, run=run: run(n))[1] for n in (few, many))
            seconds[name].append((long - short) / (many - few))
    return seconds


def slope_left(model, X, y):
    """Largest slope a row at the end of a fit, in coordinates without bounds; returns a float."""
    fit = model._fitted
    inside, params = fit.model, fit.params
    X, y = model._check_Xy(X, y)
    batches = array_batches(fit.schema, X.X, y, np.ones(len(y)))
    with batches, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of whatever the fit has warned of already
        point = evaluate(inside, batches, params, derivatives=1)
    return free_slope(inside, point, batches.total_weight)


def free_slope(model, point, weight):
    """Largest slope at a point a unit of weight, in coordinates without bounds; a float."""
    coordinates = model.coordinates(point.params)
    gradient = model.gradient(point.params, point.stats)
    slope = coordinates.slope_in_free(coordinates.free(point.params), point.params, gradient)
    return float(np.abs(slope).max() / weight)


def heading(*columns):
    """Print the head of a Markdown table: the first column of words, the others of numbers."""
    print("| " + " | ".join(columns) + " |")
    print("|---|" + "---:|" * (len(columns) - 1))


def row(*cells):
    """Print a row of a Markdown table; numbers get three digits."""
    print("| " + " | ".join(map(_cell, cells)) + " |", flush=True)


def _cell(value):
    if isinstance(value, (float, np.floating)):
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value)


def alone(main):
    """Run a script with BLAS and OpenMP on one thread."""
    with threadpool_limits(1):
        main()
