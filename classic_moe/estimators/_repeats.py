"""Experts that sit on one repeated value of y: answers on a scale, rounded durations."""

from __future__ import annotations

import numpy as np

from .._kernels.array import columns_at, to_host
from ..exceptions import ExpertCollapseWarning
from ..parts.findings import Finding

ALONE = 0.9
"""Share of an expert's responsibilities from which on it sits on one value."""


def name_repeats(problem, params, findings):
    """Return the findings, in one in place of all those whose experts sit on a value that repeats.

    The likelihood of a density is unbounded there, and fewer rows or experts are no cure of that.
    """
    experts = sorted({k for finding in findings for k in finding.experts})
    if not experts or problem.model.codes is not None:  # one-hot codes of classes always repeat
        return findings
    if problem.given.y is None:  # rows in blocks, of which nobody has all values of y
        return findings
    found = _repeated(problem, params, experts)
    if not found:
        return findings
    others = [finding for finding in findings if not found.keys() & set(finding.experts)]
    severe = any(finding.severe for finding in findings if found.keys() & set(finding.experts))
    return [_finding(problem.given.y, found, severe), *others]


def _repeated(problem, params, experts):
    """Return {expert: (output, value)} of those of `experts` that sit on a value that repeats."""
    columns, found = _columns(problem.given.y), {}
    known = [np.unique(y, return_inverse=True, return_counts=True) for y in columns.T]
    # Σ resp by output and expert, of the rows that have each value
    sums = [np.zeros((len(experts), len(values))) for values, _, _ in known]
    first = 0
    for X, y, _, _ in problem.batches.blocks():
        resp = problem.model.responsibilities(params, X, y)
        resp = to_host(columns_at(resp, np.array(experts)))
        rows = slice(first, first + len(resp))
        for total, (values, codes, _) in zip(sums, known, strict=True):
            total += [np.bincount(codes[rows], own, len(values)) for own in resp.T]
        first += len(resp)
    for output, (total, (values, _, counts)) in enumerate(zip(sums, known, strict=True)):
        for k, share, top in zip(experts, total, total.argmax(axis=1), strict=True):
            if counts[top] > 1 and share[top] >= ALONE * share.sum() > 0:
                found.setdefault(k, (output, values[top]))
    return found


def _finding(y, found, severe):
    """Return the finding about experts that sit on values of y, {expert: (output, value)}."""
    columns, said = _columns(y), []
    n, q = columns.shape
    for output, value in dict.fromkeys(found.values()):
        where = f" of output {output}" if q > 1 else ""
        count = np.count_nonzero(columns[:, output] == value)
        said.append(f"{count} of {n} values{where} are {float(value):.6g}")
    names = ", ".join(map(str, found))
    who = f"expert {names} sits" if len(found) == 1 else f"experts {names} sit, each,"
    return Finding(
        ExpertCollapseWarning,
        f"{who} on one value of y: y repeats ({', '.join(said)}), and a density is no model of"
        " values that do",
        severe,
        "use experts for counts or classes, add noise of the size of the rounding to y, fix the"
        " experts' variance, or use fewer experts",
        tuple(found),
    )


def _columns(y):
    """Return the caller's y as columns, (n, q)."""
    return y.reshape(len(y), -1)
