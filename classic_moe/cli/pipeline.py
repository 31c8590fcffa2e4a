"""A Pipeline that takes a raw table and hands the model columns that speak its names and units."""

from __future__ import annotations

import re
import warnings

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder

from ..parts.checks import is_table
from ..parts.names import printable
from .columns import listed
from .kinds import MISSING, OTHER, level_name, missing_name
from .reading import unique_names

SHOWN = 3
"""Unknown categories that a warning shows."""


class TableReader(TransformerMixin, BaseEstimator):
    """First step of a Pipeline: takes a table as it is and hands on numbers and categories.

    A DataFrame (of pandas or polars, of text or with types) is read by the names of its columns,
    whatever their order, and further columns are ignored; an array must hold the columns in the
    order of `columns`. What is missing is nan afterwards.

    Parameters
    ----------
    columns : dict of str to Column
        How each is read, by its name.

    Examples
    --------
    >>> import pandas as pd
    >>> from classic_moe.cli.kinds import Column
    >>> from classic_moe.cli.pipeline import TableReader
    >>> age, sex = Column("age", "number"), Column("sex", "category", levels=("f", "m"))
    >>> reader = TableReader({"age": age, "sex": sex})
    >>> reader.fit_transform(pd.DataFrame({"sex": ["f", "m"], "age": ["31", "42"], "x": [1, 2]}))
        age sex
    0  31.0   f
    1  42.0   m
    """

    def __init__(self, columns):
        self.columns = columns

    def fit(self, X, y=None):
        """Check the table.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n, p)
        y : ignored

        Returns
        -------
        self
        """
        self._frame(X)
        self.n_features_in_ = len(self.columns)
        return self

    def transform(self, X):
        """Return the columns as the next step takes them.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n, p)

        Returns
        -------
        DataFrame of shape (n, p)
            Numbers, dates as numbers, and categories as text; nan where a cell is missing.

        Raises
        ------
        ValueError
            If a column is not there, or has text where a number should be.
        """
        import pandas as pd

        frame = self._frame(X)
        table, notes = {}, []
        for name, column in self.columns.items():
            values, unknown = column.read(frame[name])
            empty = int(pd.isna(values).sum()) - (
                0 if OTHER in column.levels else sum(unknown.values())
            )
            if unknown:
                notes.append(_unknown(column, unknown))
            if empty and column.kind == "offset":
                row = int(np.argmax(pd.isna(values)))
                raise ValueError(f"column {name!r}, row {row + 1}: the offset is missing; fill it")
            if empty and not column.gaps:
                cells = "1 missing cell" if empty == 1 else f"{empty} missing cells"
                notes.append(
                    f"column {name!r} has {cells}, and had none at the fit: {_filled(column)}"
                )
            table[column.coded_name] = pd.Series(values, index=frame.index)
        if notes:
            warnings.warn("; ".join(notes), UserWarning, stacklevel=2)
        return pd.DataFrame(table, index=frame.index)

    def get_feature_names_out(self, input_features=None):
        """Return the names of the columns handed on.

        Parameters
        ----------
        input_features : ignored

        Returns
        -------
        ndarray of str
        """
        return np.array([column.coded_name for column in self.columns.values()], dtype=object)

    @property
    def feature_names_in_(self):
        """The columns, in the order in which an array must hold them, ndarray of str."""
        return np.array(list(self.columns), dtype=object)

    def __sklearn_is_fitted__(self):
        return True  # nothing is learnt

    def _frame(self, X):
        """Return the columns that are read, a DataFrame of pandas, (n, p)."""
        import pandas as pd

        if is_table(X):
            given = list(map(str, X.columns))
            positions = {name: j for j, name in enumerate(given)}
            positions |= {name: j for j, name in enumerate(unique_names(given))}
            positions |= _of_pandas(self.columns, given)
            absent = [name for name in self.columns if name not in positions]
            if absent:
                column = "column" if len(absent) == 1 else "columns"
                raise ValueError(
                    f"the table has no {column} {', '.join(map(repr, absent))}, which the model"
                    f" needs; it has {listed(given)}"
                )
            chosen = [positions[name] for name in self.columns]
            if isinstance(X, pd.DataFrame):
                return X.iloc[:, chosen].set_axis(list(self.columns), axis=1)
            cells = {
                name: X[X.columns[j]].to_list()
                for name, j in zip(self.columns, chosen, strict=True)
            }
            return pd.DataFrame(cells)
        X = np.asarray(X, dtype=object)
        if X.ndim != 2 or X.shape[1] != len(self.columns):
            raise ValueError(
                f"the table has shape {X.shape}; it needs the {len(self.columns)} columns"
                f" {listed(self.columns)}, in this order, or a DataFrame"
            )
        return pd.DataFrame(X, columns=list(self.columns), dtype=object)


def _of_pandas(names, given):
    """Return positions of columns that pandas calls otherwise: "x.1" for "x (2)", "Unnamed: 2"."""
    found = {}
    for name in names:
        twice, empty = re.fullmatch(r"(.*) \((\d+)\)", name), re.fullmatch(r"column (\d+)", name)
        other = name
        if twice:
            other = f"{twice[1]}.{int(twice[2]) - 1}"
        elif empty:
            other = f"Unnamed: {int(empty[1]) - 1}"
        if name not in given and other in given:
            found[name] = given.index(other)
    return found


def _unknown(column, unknown):
    """Return a sentence on categories that the fit did not see, a str."""
    shown = [f"{value!r} ({count} rows)" if count > 1 else f"{value!r} (1 row)"
             for value, count in list(unknown.items())[:SHOWN]]  # fmt: skip
    more = f" and {len(unknown) - SHOWN} more" if len(unknown) > SHOWN else ""
    what = "unknown category" if len(unknown) == 1 else "unknown categories"
    into = f"read as {OTHER!r}" if OTHER in column.levels else _filled(column)
    return printable(f"{what} {', '.join(shown)}{more} in column {column.name!r}: {into}")


def _filled(column):
    """Return what becomes of a missing cell, in words."""
    if column.kind != "category":
        return "filled in with the median"
    return f"read as {MISSING!r}" if column.indicator else "filled in with the most frequent value"


# -- the whole -------------------------------------------------------------------------------------


def table_pipeline(plan, model):
    """Return a Pipeline that takes the raw table of a plan: it reads, codes, and fits a model.

    The model gets a DataFrame in the units of the table: numbers as they are, the median where one
    is missing; a column of zeros and ones for each level of a category but the first; columns that
    tell where a number was missing.

    Parameters
    ----------
    plan : Plan
    model : estimator

    Returns
    -------
    Pipeline
        With the steps "table", "columns" and "model".

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn.linear_model import LinearRegression
    >>> from classic_moe.cli.columns import plan_columns
    >>> from classic_moe.cli.pipeline import table_pipeline
    >>> from classic_moe.cli.reading import TableFile
    >>> frame = pd.DataFrame({"age": ["31", "28", "45"] * 9, "sex": list("mff") * 9})
    >>> plan = plan_columns(TableFile(frame.assign(dose=range(5, 32))), target=["dose"])
    >>> pipeline = table_pipeline(plan, LinearRegression()).fit(plan.frame, plan.y)
    >>> pipeline[-1].feature_names_in_.tolist()
    ['age', 'sex = m']
    """
    reader = TableReader(plan.columns)
    coded = ColumnTransformer(_blocks(plan), verbose_feature_names_out=False)
    coded.set_output(transform="pandas")
    return Pipeline([("table", reader), ("columns", coded), ("model", model)])


def _blocks(plan):
    """Return the transformers of the columns, by what becomes of them, a list of triples."""
    columns = plan.columns.values()
    numeric = [c.coded_name for c in columns if c.kind in ("number", "date")]
    told = [c.coded_name for c in columns if c.kind in ("number", "date") and c.indicator]
    offset = [c.coded_name for c in columns if c.kind == "offset"]
    median = SimpleImputer(strategy="median", keep_empty_features=True)
    where = FunctionTransformer(_where_missing, feature_names_out=_missing_names)
    blocks = [
        ("numbers", median, numeric),
        ("missing", where, told),
        *_categories("categories", columns, False),
        *_categories("categories with missing cells", columns, True),
        ("offset", "passthrough", offset),
    ]
    return [block for block in blocks if block[2]]


def _categories(label, columns, indicator):
    """Return the transformer of categories whose missing cells are, or are not, a level."""
    chosen = [c for c in columns if c.kind == "category" and c.indicator == indicator]
    imputer = SimpleImputer(strategy="most_frequent", keep_empty_features=True)
    if indicator:
        imputer = SimpleImputer(strategy="constant", fill_value=MISSING)
    encoder = OneHotEncoder(
        categories=[np.array(c.levels, dtype=object) for c in chosen],
        drop="first",
        sparse_output=False,
        feature_name_combiner=level_name,
    )
    return [(label, make_pipeline(imputer, encoder), [c.coded_name for c in chosen])]


def _where_missing(X):
    """Return 1 where a cell is missing, else 0, (n, p)."""
    return X.isna().astype(float).rename(columns=missing_name)


def _missing_names(transformer, names):
    """Return what the columns are called that tell where a cell is missing, a list of str."""
    return [missing_name(name) for name in names]


def coded_names(plan, names):
    """Return what the columns are called that the model gets of columns of the table.

    Parameters
    ----------
    plan : Plan
    names : list of str

    Returns
    -------
    list of str

    Raises
    ------
    ValueError
        For a column that the plan does not use.

    Examples
    --------
    >>> import pandas as pd
    >>> from classic_moe.cli.columns import plan_columns
    >>> from classic_moe.cli.pipeline import coded_names
    >>> from classic_moe.cli.reading import TableFile
    >>> frame = pd.DataFrame({"age": ["31", "28", "45"] * 9, "sex": list("mfd") * 9})
    >>> plan = plan_columns(TableFile(frame.assign(dose=range(5, 32))), target=["dose"])
    >>> coded_names(plan, ["sex"])
    ['sex = f', 'sex = m']
    """
    found = []
    for name in names:
        if name not in plan.columns:
            raise ValueError(
                f"{name!r} is not among the columns in use; these are {listed(plan.columns)}"
            )
        found += plan.columns[name].coded_names
    return found
