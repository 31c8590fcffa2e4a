"""One or two columns of a table along the axes, for pictures of what a model says at points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..parts.checks import is_integer
from ._columns import closeness, describe_held_columns, drawn_text, grid_over, numeric_column
from ._columns import table_with as _table_with


@dataclass(frozen=True)
class Plane:
    """The points at which a picture asks a model, and the rows that lie on top.

    Attributes
    ----------
    grids : list of one or two ndarray
        Values of the columns along the axes.
    table : array or DataFrame of shape (m_1 m_2, p)
        The points, their other columns held at what is typical of the rows.
    points : ndarray of shape (n, 1) or (n, 2)
        The rows.
    closeness : ndarray of shape (n,), or None
        How near every row is to the slice, from 0 to 1; None: there is no other column.
    labels : list of str
        Of the axes.
    note : str
        What the other columns are held at.
    """

    grids: list
    table: object
    points: np.ndarray
    closeness: np.ndarray | None
    labels: list
    note: str

    @classmethod
    def of(cls, X, names, columns, resolution, labels=None):
        """Return the Plane of columns of a table, given by their positions."""
        if not (is_integer(resolution) and resolution >= 2):
            raise ValueError(f"grid_resolution={resolution!r}: needs an integer of at least 2.")
        values = [numeric_column(X, j, names) for j in columns]
        margin = 0.04 if len(columns) == 2 else 0
        grids = [grid_over(v, resolution, margin) for v in values]
        mesh = np.meshgrid(*grids)
        return cls(
            grids=grids,
            table=_table_with(X, {j: m.ravel() for j, m in zip(columns, mesh, strict=True)}),
            points=np.column_stack(values),
            closeness=closeness(X, columns),
            labels=_labels(labels, [drawn_text(names[j]) for j in columns]),
            note=describe_held_columns(X, columns, names),
        )

    @property
    def shape(self):
        """The shape of what is known at the points: (m_2, m_1) or (m,)."""
        return tuple(len(grid) for grid in reversed(self.grids))

    def facts(self):
        """Return what a display keeps, by the names of its parameters."""
        return dict(
            grids=self.grids,
            points=self.points,
            closeness=self.closeness,
            feature_names=self.labels,
            note=self.note,
        )


def slice_note(note, closeness, rows_are_drawn=True):
    """Return the remark on a slice, with what is done to rows beside it, a str."""
    faded = rows_are_drawn and closeness is not None
    return note + ("; rows far from it are faded" if faded else "")


def _labels(given, names):
    """Return the labels of the axes, a list of one or two: the given, else the columns' names."""
    given = names if given is None else [given] if isinstance(given, str) else given
    if len(given) != len(names):
        raise ValueError(
            f"feature_names={given!r}: give one label for each of the {len(names)} features drawn."
        )
    return list(given)
