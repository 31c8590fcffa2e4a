"""`Inference`: estimates with their uncertainty; `TestResult`: the result of a test."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import chi2, norm

from ..parts.linalg import solve
from ..parts.names import printable
from ..report.table import import_pandas
from ..report.uncertainty import missing, parameters_table

if TYPE_CHECKING:
    from ..report.table import Table

DETERMINED = 1e-5
"""Share of a combination along a direction that the rows do not determine: below, it is none."""


@dataclass(frozen=True)
class TestResult:
    """The result of a test; `print` it.

    Attributes
    ----------
    statistic : float
    df : float
        Degrees of freedom of the statistic's distribution under the hypothesis.
    pvalue : float
    hypothesis : str
        What was tested.
    reason : str
        Why the numbers are NaN, if they are.
    """

    statistic: float
    df: float
    pvalue: float
    hypothesis: str = ""
    reason: str = ""

    __test__ = False  # pytest, which looks for names like this one

    def __str__(self):
        head = f"{self.hypothesis}: " if self.hypothesis else ""
        tail = f" ({self.reason})" if self.reason else ""
        numbers = f"statistic {self.statistic:.4g}, df {self.df:g}, p-value {self.pvalue:.4g}"
        return printable(head + numbers + tail)


@dataclass(frozen=True, repr=False, eq=False)
class Inference:
    """Estimates with standard errors, tests and intervals; `print` it, or show it in a notebook.

    Attributes
    ----------
    names : list of str
        What is estimated, P names: "expert 0: age", "expert 0: scale", "gate 0: intercept".
    estimates, standard_errors : ndarray of shape (P,)
    z, p_values : ndarray of shape (P,)
        Estimate by standard error, and the two-sided probability of a larger one if the true value
        is 0. That says nothing of a scale, which cannot be 0.
    lower, upper : ndarray of shape (P,)
        The interval of each by itself, at the level `confidence`.
    covariance : ndarray of shape (P, P)
        Of the estimates; NaN in rows and columns of those without a standard error.
    reasons : dict of str to str
        Why a standard error is NaN, by name.
    confidence : float
    method : str
        What the standard errors rest on, a sentence.
    penalised : bool
        Whether they are those of a penalised fit, whose penalties count as information.
    effective_parameters : float or None
        tr(I (I + P)⁻¹) with I the information of the data and P that of the penalties: how many
        parameters the data determine.
    samples : ndarray of shape (B, P) or None
        The estimates from resampled data, of a bootstrap.
    partial : Partial or None
        What is known of parameters that the rows determine in combinations alone.
    """

    names: list[str]
    estimates: np.ndarray
    standard_errors: np.ndarray
    z: np.ndarray
    p_values: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    covariance: np.ndarray
    reasons: dict[str, str] = field(default_factory=dict)
    confidence: float = 0.95
    method: str = ""
    penalised: bool = False
    effective_parameters: float | None = None
    samples: np.ndarray | None = None
    partial: object = None

    @classmethod
    def of(
        cls,
        names: list[str],
        estimates: ArrayLike,
        covariance: ArrayLike,
        *,
        confidence: float = 0.95,
        interval: Any = None,
        **more: Any,
    ) -> Self:
        """Return the record that follows from estimates and their covariance.

        Parameters
        ----------
        names : list of str
        estimates : array-like of shape (P,)
        covariance : array-like of shape (P, P)
        confidence : float, default=0.95
        interval : pair of array-like of shape (P,), default=None
            Lower and upper ends, where they are not those of a normal distribution.
        **more
            `reasons`, `method`, `penalised`, `effective_parameters`, `samples`, `partial`.

        Returns
        -------
        Inference
        """
        estimates, covariance = (np.asarray(v, dtype=np.float64) for v in (estimates, covariance))
        with np.errstate(invalid="ignore", divide="ignore"):  # NaN where there is no variance
            errors = np.sqrt(np.diagonal(covariance))
            z = estimates / errors
        if interval is None:
            half = norm.isf((1 - confidence) / 2) * errors
            interval = estimates - half, estimates + half
        lower, upper = (np.asarray(end, dtype=np.float64) for end in interval)
        numbers = (estimates, errors, z, 2 * norm.sf(np.abs(z)), lower, upper, covariance)
        return cls(list(names), *numbers, confidence=confidence, **more)

    def to_frame(self) -> Any:
        """Return a pandas DataFrame with a row for each name.

        Returns
        -------
        pandas.DataFrame
            With columns estimate, standard_error, z, p_value, lower, upper and reason.
        """
        pd = import_pandas("to_frame")
        columns = {
            "estimate": self.estimates,
            "standard_error": self.standard_errors,
            "z": self.z,
            "p_value": self.p_values,
            "lower": self.lower,
            "upper": self.upper,
            "reason": [self.reasons.get(name, "") for name in self.names],
        }
        return pd.DataFrame(columns, index=pd.Index(self.names, name="parameter"))

    # -- tests -----------------------------------------------------------------------------

    def wald(self, hypothesis: Any, value: ArrayLike = 0.0) -> TestResult:
        """Test the linear hypothesis R θ = r by Wald's statistic.

        .. math:: W = (R\\hat\\theta - r)^\\top (R V R^\\top)^{-1} (R\\hat\\theta - r)

        It is chi-squared with as many degrees of freedom as R has rows, if the hypothesis is true.

        Parameters
        ----------
        hypothesis : str, dict, list of these, or array-like of shape (P,) or (m, P)
            A name stands for that parameter, a dict {name: factor} for a linear combination, a
            list of them for several at once; or R itself.
        value : float or array-like of shape (m,), default=0.0
            r.

        Returns
        -------
        TestResult
            NaN with a reason where a parameter in it has no standard error, but for combinations
            that the rows determine although they do not determine each parameter: differences
            between dummies of a full set, sums over copied columns.

        Raises
        ------
        ValueError
            For names that are none, a wrong shape, or rows that are not independent.

        Examples
        --------
        >>> from classic_moe.inference import Inference
        >>> found = Inference.of(["a", "b"], [1.0, 3.0], [[0.25, 0.0], [0.0, 0.25]])
        >>> print(found.wald({"a": 1, "b": -1}))
        a - b = 0: statistic 8, df 1, p-value 0.004678
        """
        R, words = self._rows(hypothesis)
        r = np.asarray(value, dtype=np.float64)
        if r.shape not in ((), (len(R),)) or not np.isfinite(r).all():
            raise ValueError(
                f"wald: value={value!r}: needs a finite number, or one for each row of the"
                f" hypothesis, which has {len(R)}."
            )
        r = np.broadcast_to(r, len(R))
        text = ", ".join(f"{word} = {number:g}" for word, number in zip(words, r, strict=True))
        used = np.flatnonzero((R != 0).any(axis=0))
        reason = next(filter(None, self.lacks(R)), "")
        if reason:
            return TestResult(np.nan, len(R), np.nan, text, reason)
        gap = R[:, used] @ self.estimates[used] - r
        covariance = self.of_combinations()[np.ix_(used, used)]
        spread = R[:, used] @ covariance @ R[:, used].T
        size = np.sqrt(np.diagonal(spread))
        ordinary = size > 1e-12 * np.abs(R[:, used]) @ np.sqrt(np.diagonal(covariance))
        unit = np.where(ordinary, size, 1.0)
        if not (ordinary.all() and np.linalg.cond(spread / np.outer(unit, unit)) < 1e12):
            raise ValueError(
                f"wald: the {len(R)} rows of the hypothesis are not independent, or do not depend"
                " on what is estimated; leave out those that follow from the others."
            )
        statistic = float(gap @ solve(spread, gap))
        return TestResult(statistic, len(R), float(chi2.sf(statistic, len(R))), text)

    def of_combinations(self) -> NDArray[Any]:
        """Return the covariance of those estimates that have one in combinations, (P, P)."""
        return self.covariance if self.partial is None else self.partial.covariance

    def lacks(self, R: Any) -> list[str]:
        """Return why linear combinations, the rows of R (m, P), have no variance, "" if they have.

        Returns
        -------
        list of m str
        """
        known = np.isfinite(np.diagonal(self.covariance))
        partly = np.isfinite(np.diagonal(self.of_combinations()))
        found = []
        for row in R:
            lost = np.flatnonzero((row != 0) & ~known)
            if len(lost) and (partly | known)[lost].all():
                scaled = self.partial.directions / self.partial.size[:, None]
                most = np.linalg.norm(row * self.partial.size) * np.linalg.norm(scaled, axis=0)
                along = np.abs(row @ self.partial.directions)
                lost = lost if np.any(along > np.maximum(DETERMINED * most, 1e-300)) else lost[:0]
            name = self.names[lost[0]] if len(lost) else ""
            why = self.reasons.get(name, "it has no standard error")
            found.append(f"{name}: {why}" if len(lost) else "")
        return found

    def _rows(self, hypothesis):
        """Return R (m, P), and each of its rows in words."""
        P = len(self.names)
        several = isinstance(hypothesis, (list, tuple))
        named = isinstance(hypothesis, (str, dict)) or (
            several and all(isinstance(item, (str, dict)) for item in hypothesis)
        )
        if named:
            items = list(hypothesis) if several else [hypothesis]
            R = np.array([self._row(item) for item in items]).reshape(len(items), P)
        else:
            R = np.atleast_2d(np.asarray(hypothesis, dtype=np.float64))
        if R.ndim != 2 or R.shape[1] != P or len(R) == 0 or not np.isfinite(R).all():
            raise ValueError(
                f"wald: the hypothesis needs finite numbers of shape (m, {P}), a column for each"
                f" name, or names; got shape {R.shape}."
            )
        return R, [self._words(row) for row in R]

    def _row(self, item):
        """Return the row of R of a name or a linear combination of names, (P,)."""
        row = np.zeros(len(self.names))
        for name, factor in ({item: 1.0} if isinstance(item, str) else item).items():
            if name not in self.names:
                raise ValueError(
                    f"wald: {name!r} is not estimated; the names are"
                    f" {', '.join(map(repr, self.names))}."
                )
            row[self.names.index(name)] += factor
        return row

    def _words(self, row):
        """Return a linear combination in words, such as "a - 2 b"."""
        text = ""
        for j in np.flatnonzero(row):
            size = "" if abs(row[j]) == 1 else f"{abs(row[j]):g} "
            sign = ("-" if row[j] < 0 else "+") if text else ("-" if row[j] < 0 else "")
            text += f" {sign} {size}{self.names[j]}" if text else f"{sign}{size}{self.names[j]}"
        return text or "0"

    # -- as text ---------------------------------------------------------------------------

    def table(self) -> Table:
        """Return the numbers as a table for reading.

        Returns
        -------
        classic_moe.report.table.Table
        """
        level = f"{100 * self.confidence:g} %"
        columns = {
            "estimate": self.estimates,
            "standard error": self.standard_errors,
            "z": self.z,
            "p": self.p_values,
            f"lower {level}": self.lower,
            f"upper {level}": self.upper,
        }
        return parameters_table(self.names, columns)

    def notes(self) -> list[str]:
        """Return what is to be said besides the numbers, a list of sentences."""
        found = [self.method] if self.method else []
        if self.penalised:
            refits = "All fits are penalised, those of the resamples too."
            of_one = "The penalties count as information: the fit is a penalised one."
            found.append(of_one if self.samples is None else refits)
        if self.effective_parameters is not None:
            found.append(f"Effective parameters: {self.effective_parameters:.4g}.")
        return [*map(printable, found), *missing(self.reasons)]

    def __str__(self):
        return "\n".join([str(self.table()), "", *self.notes()]).rstrip()

    __repr__ = __str__

    def _repr_html_(self):
        notes = "".join(f"<p>{escape(note)}</p>" for note in self.notes())
        return self.table()._repr_html_() + notes


def wald_test(found: Any, hypothesis: Any, value: ArrayLike = 0.0) -> TestResult:
    """Test a linear hypothesis about what was estimated: `Inference.wald`, as a function.

    Parameters
    ----------
    found : Inference
        Of `infer`, `bootstrap` or `marginal_effects`.
    hypothesis : str, dict, list of these, or array-like of shape (P,) or (m, P)
        As of `Inference.wald`.
    value : float or array-like of shape (m,), default=0.0

    Returns
    -------
    TestResult

    Raises
    ------
    TypeError
        For what is no `Inference`.
    ValueError
        For a hypothesis that is none.

    Examples
    --------
    >>> from classic_moe.inference import Inference, wald_test
    >>> found = Inference.of(["a", "b"], [1.0, 3.0], [[0.25, 0.0], [0.0, 0.25]])
    >>> print(wald_test(found, "a", 2))
    a = 2: statistic 4, df 1, p-value 0.0455
    """
    if not isinstance(found, Inference):
        raise TypeError(
            f"wald_test: {type(found).__name__} has no estimates with a covariance; pass what"
            " classic_moe.inference.infer returns."
        )
    return found.wald(hypothesis, value)
