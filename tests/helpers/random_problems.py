"""Random fitting problems of every kind, and what every fit promises on them.

One integer is one problem (`drawn_problems`); `examine` fits it and lists the promises that it
broke (`promises`). Run as a program it tries many, and says what it found:

    python tests/helpers/random_problems.py 0 1000
    python tests/helpers/random_problems.py 0 1000 --out faults.jsonl
    python tests/helpers/random_problems.py 0 100 --rows-above 512
    python tests/helpers/random_problems.py 1234 --one
    python tests/helpers/random_problems.py 0 100 --wrong-way

The second writes a line for every problem with a fault, or that was refused; the third runs
compiled passes; the fourth shows one problem with the traceback of its errors. The last moves every
M-step away from its maximum, with a solver that takes it on trust. It must report falls; otherwise
the check would be blind.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import traceback
import warnings
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from unittest import mock

import numpy as np
from drawn_problems import draw
from promises import LIVES, PROMISES, Refused, check_warnings, fitted, is_sentence

from classic_moe import solvers
from classic_moe.parts.params import all_finite, interpolate
from classic_moe.solvers import BaseSolver, Result


@dataclass
class Report:
    """What came of one problem."""

    spec: dict
    broken: list[str] = field(default_factory=list)
    warned: list[str] = field(default_factory=list)
    refused: str = ""
    seconds: float = 0.0
    tracebacks: list[str] = field(default_factory=list)

    @property
    def kinds(self):
        """The kinds of faults: the sentences without their numbers."""
        return {without_numbers(text) for text in self.broken}

    def fault(self, where, error):
        """Add an error that is none of the package's sentences."""
        last = [f for f in traceback.extract_tb(error.__traceback__) if "classic_moe" in f.filename]
        place = (
            f" ({last[-1].filename.split('classic_moe/')[-1]}:{last[-1].lineno})" if last else ""
        )
        self.broken.append(f"{where}: {type(error).__name__}{place}: {str(error)[:300]}")
        self.tracebacks.append("".join(traceback.format_exception(error)))


def without_numbers(text):
    """A sentence with every number replaced by #, so that those of one kind are equal."""
    kept = ["#" if any(c.isdigit() for c in word) else word for word in text.split()]
    return " ".join(kept[:12])


def examine(seed, rows_above=0) -> Report:
    """Fit the problem of a number and try every promise on it."""
    start, problem = time.process_time(), draw(seed, rows_above)
    report = Report(problem.spec)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            case, given = fitted(problem)
        except Refused as refusal:
            report.refused = str(refusal)
        except Exception as error:
            report.fault("fit", error)
        else:
            report.broken += check_warnings(given)
            report.warned = sorted({w.category.__name__ for w in given})
            try_promises(report, case)
    later = check_warnings(caught)
    report.broken += [f"later {text}" for text in later if "times" not in text]
    report.seconds = time.process_time() - start
    return report


def try_promises(report, case):
    """Try all promises on a fitted case, and what happens to it afterwards."""
    life = LIVES[case.spec["life"]]
    for promise in [*PROMISES, life]:
        try:
            report.broken += promise(case)
        except Exception as error:
            # What follows a fit may be refused in a sentence; what describes it may not.
            if (
                promise is life
                and isinstance(error, (ValueError, TypeError))
                and is_sentence(error)
            ):
                report.refused = f"{case.spec['life']}: {error}"
            else:
                report.fault(promise.__name__, error)


def count(seeds, rows_above=0):
    """Yield the report of every problem."""
    for seed in seeds:
        yield examine(seed, rows_above)


class Trusting(BaseSolver):
    """EM that takes every M-step on trust: what is left of the solver without its safeguard."""

    def run(self, model, params, batches, *, max_iter, tol, callback=None):
        history = []
        for iteration in range(max_iter + 1):
            try:
                stats = batches.map_sum(model.statistics, params)
            except np.linalg.LinAlgError:  # a covariance beyond zero
                break
            history.append(float(stats["objective"] + model.log_prior(params)))
            if iteration == max_iter or (iteration > 1 and not history[-1] > history[-2]):
                break
            params = model.maximize(params, stats)
            if not all_finite(params):
                break
        return Result(params, stats, history, True)


def wrong_way(distance=0.3):
    """Context in which every M-step goes away from its maximum, and no solver looks."""
    from classic_moe.model.mixture import MixtureModel

    right = MixtureModel.maximize

    def wrong(self, params, stats, cautious=False):
        return interpolate(params, right(self, params, stats, cautious), -distance)

    trusting = mock.patch.dict(solvers.ALIASES, auto=Trusting, em=Trusting)
    return trusting, mock.patch.object(MixtureModel, "maximize", wrong)


def show(report):
    """Print all that is known of one problem."""
    for name, value in report.spec.items():
        print(f"{name:>16}: {value}")
    for text in [*report.tracebacks, *report.broken]:
        print(text)
    print(f"refused: {report.refused or 'no'}; warnings: {', '.join(report.warned) or 'none'}")


def write(file, report):
    """Write a line of JSON for a problem that was refused or broke a promise."""
    found = {
        "seed": report.spec["seed"],
        "broken": report.broken,
        "refused": report.refused,
        "seconds": round(report.seconds, 2),
        "spec": report.spec,
    }
    file.write(json.dumps(found, default=str) + "\n")
    file.flush()


def summarise(reports, slowest):
    """Print what was found in all problems."""
    kinds, refused, warned = Counter(), Counter(), Counter()
    examples = {}
    for report in reports:
        kinds.update(report.kinds)
        warned.update(report.warned)
        refused.update([without_numbers(report.refused)] if report.refused else [])
        for kind in report.kinds:
            examples.setdefault(kind, report.spec["seed"])
    for kind, times in kinds.most_common():
        print(f"{times:6d}  {kind}  (such as {examples[kind]})")
    print("refused:", sum(refused.values()))
    for text, times in refused.most_common(30):
        print(f"{times:6d}  {text}")
    seconds = sum(report.seconds for report in reports)
    faulty = sum(bool(report.broken) for report in reports)
    print("warnings:", ", ".join(f"{name} {n}" for name, n in warned.most_common()) or "none")
    print("slowest:", ", ".join(f"{r.spec['seed']} ({r.seconds:.1f} s)" for r in slowest))
    print(f"{len(reports)} problems in {seconds:.0f} s of processor: {faulty} with a fault")


def main(arguments=None):
    """Print what was found; exit status 1 if a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("first", type=int, help="number of the first problem")
    parser.add_argument("last", type=int, nargs="?", help="number of the last but one")
    parser.add_argument("--one", action="store_true", help="show the first problem alone")
    parser.add_argument("--out", help="a file for lines of JSON, to which they are added")
    parser.add_argument("--rows-above", type=int, default=0, help="only problems of more rows")
    parser.add_argument("--wrong-way", action="store_true", help="with M-steps that descend")
    options = parser.parse_args(arguments)
    one = options.one or options.last is None
    seeds = range(options.first, options.first + 1 if one else options.last)
    reports = []
    with ExitStack() as stack:
        for context in wrong_way() if options.wrong_way else ():
            stack.enter_context(context)
        file = stack.enter_context(open(options.out, "a")) if options.out else None
        for report in count(seeds, options.rows_above):
            if one:
                show(report)
            if file and (report.broken or report.refused):
                write(file, report)
            report.tracebacks.clear()
            reports.append(report)
    summarise(reports, sorted(reports, key=lambda r: -r.seconds)[:5])
    return int(any(report.broken for report in reports))


if __name__ == "__main__":
    sys.exit(main())
