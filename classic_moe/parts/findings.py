"""`Finding`: what a part has to say about a fit that is not healthy."""

from __future__ import annotations

import re
from typing import NamedTuple

from ..exceptions import ExpertCollapseWarning

MANY = 5
"""Rows a coefficient from which on small residuals are no accident: y has no noise there."""


class Finding(NamedTuple):
    """One remark about a fit.

    category : warning class
    message : str, what is wrong
    severe : bool, whether a start with this finding loses to any start without
    advice : str, what to do, where the message does not say so itself
    experts : tuple of int, whose scale it is about, if any
    """

    category: type[Warning]
    message: str
    severe: bool
    advice: str = ""
    experts: tuple[int, ...] = ()

    @property
    def text(self):
        """The message and the advice, a str."""
        return f"{self.message}; {self.advice}." if self.advice else self.message

    def renumbered(self, numbers) -> Finding:
        """Return the finding about experts that have other numbers, `numbers[k]`, a dict."""

        def new(named):
            return re.sub(r"\d+", lambda digits: str(numbers[int(digits[0])]), named[0])

        message = re.sub(r"\bexperts? \d+\b(, \d+\b)*", new, self.message)
        return self._replace(message=message, experts=tuple(numbers[k] for k in self.experts))


def told(findings) -> list[str]:
    """Return the texts of findings, in one those with the same advice."""
    same = {}
    for finding in findings:
        same.setdefault(finding.advice or finding.message, []).append(finding)
    return [
        each[0]._replace(message="; ".join(finding.message for finding in each)).text
        for each in same.values()
    ]


def lost_scale(experts, reason, *, rows, n_coefficients, prior, advice) -> Finding:
    """Return the finding that a scale does not come from the residuals of its rows.

    Parameters
    ----------
    experts : tuple of int
        Whose scale it is; several share one.
    reason : str
        What follows the name of the expert in the message.
    rows : float
        The effective rows behind the scale.
    n_coefficients : int
        Estimated from those rows; 0 where nobody knows.
    prior : float
        The `variance_prior`.
    advice : str
        What to do where too few rows are the reason.
    """
    who = "every expert" if len(experts) > 1 else f"expert {experts[0]}"
    # A few rows can be met by accident, many cannot: there the scale is small in truth.
    noiseless = 0 < MANY * n_coefficients <= rows
    if noiseless and prior > 0:
        advice = f"y has almost no noise there: use a variance_prior smaller than {prior:g}, or 0"
    elif noiseless:
        advice = "y has no noise there, and the scale means nothing; a variance_prior gives it one"
    elif prior == 0:
        advice += " or a larger variance_prior"
    elif n_coefficients == 0:
        advice += ", or a smaller variance_prior if y has almost no noise"
    return Finding(ExpertCollapseWarning, f"{who} {reason}", prior == 0, advice, experts)
