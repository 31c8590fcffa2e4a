"""Rows a second that `partial_fit` learns from, by the size of the calls.

    python tests/benchmarks/streams.py                              # calls of 10,000 and 1,000 rows

Every stream begins with a call of 2,000 rows, which is a fit and not timed; its next calls are
timed one by one, in turns with those of the other stream. Beside the speed: the mean log-density of
rows never seen, of the stream's end and of a fit of all rows at once.
"""

from __future__ import annotations

import argparse
import itertools
import statistics

from _measure import alone, compile_kernels, fitted, heading, row, timed, weak
from em_iteration import make

from classic_moe import MixtureOfExpertsRegressor

FIRST, UNSEEN = 2_000, 20_000


def stream(X, y, size):
    """Learn call by call; yields the model and the seconds of each call."""
    model = weak(MixtureOfExpertsRegressor(4, random_state=0)).partial_fit(X[:FIRST], y[:FIRST])
    for start in range(FIRST, len(X) - size + 1, size):
        rows = slice(start, start + size)
        yield model, timed(lambda rows=rows: model.partial_fit(X[rows], y[rows]))[1]


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, nargs="+", default=[10_000, 1_000])
    parser.add_argument("--rows", type=int, default=200_000)
    options = parser.parse_args(argv)
    X, y = make(FIRST + options.rows + UNSEEN)
    unseen = X[-UNSEEN:], y[-UNSEEN:]
    X, y = X[:-UNSEEN], y[:-UNSEEN]
    compile_kernels(X, y, 4)
    seconds, models = {size: [] for size in options.calls}, {}
    for turn in itertools.zip_longest(*(stream(X, y, size) for size in options.calls)):
        for size, call in zip(options.calls, turn, strict=True):
            if call is not None:
                models[size], each = call
                seconds[size].append(each)
    whole = fitted(weak(MixtureOfExpertsRegressor(4, random_state=0)), X, y)
    density = {size: float(model.log_prob(*unseen).mean()) for size, model in models.items()}
    best = float(whole.log_prob(*unseen).mean())
    heading("p = 10, K = 4", "rows a CPU second", "log-density below that of a fit")
    for size, its in seconds.items():
        row(f"calls of {size:,} rows", size / statistics.median(its), best - density[size])
    return {"seconds": seconds, "density": density, "best": best}


if __name__ == "__main__":
    alone(main)
