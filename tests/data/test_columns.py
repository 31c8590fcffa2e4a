"""The ways to say which columns a part sees."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sklearn.compose import make_column_selector

from classic_moe.data.columns import resolve_columns

NAMES = np.array(["age", "height", "weight", "city"], dtype=object)
TABLE = pd.DataFrame({"age": [1], "height": [2.0], "weight": [3.0], "city": ["x"]})


def resolve(key, names=NAMES, X=TABLE):
    return resolve_columns(key, X, 4, names, "gate_features")


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("height", [1]),
        (2, [2]),
        (np.int64(2), [2]),
        (-1, [3]),
        (["weight", "age"], [2, 0]),  # in the order given
        (("weight", 0), [2, 0]),
        (pd.Index(["city"]), [3]),
        (np.array([3, 1]), [3, 1]),
        (slice(1, 3), [1, 2]),
        (slice(None), [0, 1, 2, 3]),
        (slice(None, None, 2), [0, 2]),
        (slice(-2, None), [2, 3]),
        (slice("height", "city"), [1, 2, 3]),  # names include the end, as in pandas
        (slice("weight", None), [2, 3]),
        (slice(None, "height"), [0, 1]),
        ([slice(0, 2), "city"], [0, 1, 3]),
        ([True, False, False, True], [0, 3]),
        (np.array([False, True, False, False]), [1]),
        ([], []),
        (np.array([]), []),
        (lambda X: list(X.columns[1:3]), [1, 2]),
        (make_column_selector(dtype_include=np.number), [0, 1, 2]),
    ],
)
def test_every_way_to_name_columns(key, expected):
    columns = resolve(key)
    assert_array_equal(columns, expected)
    assert columns.dtype.kind == "i"


def test_none_means_all():
    assert resolve(None) is None


def test_positions_need_no_names():
    assert_array_equal(resolve([0, slice(2, 4)], names=None), [0, 2, 3])


@pytest.mark.parametrize(
    ("key", "match"),
    [
        ("hieght", r"^gate_features names column 'hieght'; X has age, height, weight, city\.$"),
        (4, r"^gate_features names column 4; X has 4 columns\.$"),
        (-5, r"names column -5"),
        (["age", 0], r"names column 'age' twice; name each column once"),
        ([slice(0, 3), 1], r"'height' twice"),
        ([True] * 3, r"mask of length 3; X has 4 columns"),
        ([False] * 4, r"mask without True; use \[\] for an intercept only"),
        (slice("age", "town"), r"names column 'town'"),
        (np.bool_(True), r"neither a column nor a list"),
        (1.5, r"neither a column nor a list"),
        ([[0, 1], [2, 3]], r"neither a column nor a list"),
        ([0, 1.5], r"1\.5 is neither a column nor a list"),
        ({"age": 1}, r"neither a column nor a list"),
    ],
)
def test_what_cannot_be_meant_is_refused(key, match):
    with pytest.raises(ValueError, match=match):
        resolve(key)


def test_a_name_without_names_is_refused():
    with pytest.raises(ValueError, match=r"'age' is a name, but X has no column names"):
        resolve(["age"], names=None)
    with pytest.raises(ValueError, match=r"column 1 twice"):
        resolve([1, 1], names=None)
