"""Three records of facts: what an expert's y is, how a part learns, which inputs it wants."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Target(NamedTuple):
    """What y is to a family of experts.

    Attributes
    ----------
    task : {"regression", "classification", "both"}
        Which estimators the family serves.
    outputs : int or None
        The most columns of y that it takes, or the most classes; None: any number.
    kind : {"density", "mass"}
        What `log_prob` is the logarithm of.
    positive : bool
        Whether y must not be negative; scikit-learn's tag `positive_only`.
    standardise : bool
        Whether y may be centred and scaled, as of a location-scale family.
    given_unit : bool
        Whether the unit of y is given, by a fixed variance; errors are then in that unit too.
    offset : bool
        Whether `init`, `log_prob`, `mean`, `statistics` and `components` take the keyword `offset`
        (n,), added to the linear predictor with coefficient 1; None means 0.
    trials : bool
        Whether y holds successes and failures, two columns that are one target.
    """

    task: str = "regression"
    outputs: int | None = None
    kind: str = "density"
    positive: bool = False
    standardise: bool = False
    given_unit: bool = False
    offset: bool = False
    trials: bool = False

    def encode(self, y):
        """Return the caller's y, (n,) or (n, q), as the columns that the verbs see, (n, m).

        Zeros and ones are trials of which each row has one.
        """
        y = y.reshape(len(y), -1)
        return np.column_stack([y, 1 - y]) if self.trials and y.shape[1] == 1 else y

    def response(self, y):
        """Return what `mean` predicts, (n, q), and the number of trials behind it, (n,) or None.

        `y` is as `encode` made it. Of trials the share of successes, ½ where there were none.
        """
        if not self.trials:
            return y, None
        trials = y.sum(axis=1)
        share = np.where(trials > 0, y[:, 0] / np.maximum(trials, 1), 0.5)
        return share[:, None], trials


class Learning(NamedTuple):
    """How a part learns.

    Attributes
    ----------
    sums : bool
        Whether `statistics` are sums over rows that can be carried on; else the rows themselves.
    extrapolates : bool
        Whether the parameters are numbers that an accelerated solver may extrapolate.
    ascends : bool
        Whether `maximize` climbs the likelihood; if not, EM keeps the best of its iterates.
    fixed : bool
        Whether no fit changes the means of an expert, so that they may be computed once.
    fits_alone : bool
        Whether an expert can be fitted by itself, before the mixture, and needs rows for it.
    short_run : int
        Iterations worth spending on each of the short starts.
    bends : bool
        Whether `rows`, where there are any, know second derivatives.
    """

    sums: bool = True
    extrapolates: bool = True
    ascends: bool = True
    fixed: bool = False
    fits_alone: bool = False
    short_run: int = 10
    bends: bool = True


class Inputs(NamedTuple):
    """Which columns of X a part is handed, and how.

    Attributes
    ----------
    uses_x : bool
        Whether it looks at x; if not, it is handed no columns.
    raw : bool or tuple of bool
        Whether it wants its columns in the caller's units: all of them, none, or by column.
    any_array : bool
        Whether the verbs that see rows take them in any array namespace (CuPy, torch), where they
        lie; parameters are numpy's all the same.
    apart : bool
        Whether the `log_prob` and the first derivatives of experts take rows of its own for every
        expert: X (K, n, p), y (K, n) or (K, n, q), resp (n, K).
    """

    uses_x: bool = True
    raw: bool | tuple[bool, ...] = False
    any_array: bool = False
    apart: bool = False

    def raw_columns(self, n_columns):
        """Return which of the part's own columns it wants raw, bool (n_columns,)."""
        return np.broadcast_to(np.asarray(self.raw, dtype=bool), (n_columns,))
