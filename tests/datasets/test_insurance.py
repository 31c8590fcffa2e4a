import itertools
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import xlogy
from sklearn.linear_model import PoissonRegressor
from sklearn.preprocessing import OneHotEncoder

from classic_moe.datasets import load_insurance


@pytest.fixture(scope="module")
def data():
    return load_insurance()


def deviance(claims, expected):
    return 2 * np.sum(xlogy(claims, claims / expected) - (claims - expected))


def test_every_class_of_holders_stands_once_in_the_order_of_r(data):
    cells = itertools.product([1, 2, 3, 4], repeat=3)  # the last, Age, changes fastest
    assert_array_equal(data.data[:, :3], list(cells))
    assert_array_equal(data.data[[0, -1], 3], [197, 114])
    assert_array_equal(data.target[[0, -1]], [38, 33])


def test_it_is_the_published_table(data):
    # summary(MASS::Insurance) in R, and the two deviances that summary(glm(Claims ~ District +
    # Group + Age + offset(log(Holders)), poisson)) prints, to the digits printed
    quartiles = [0, 25, 50, 75, 100]
    holders, claims = data.data[:, 3], data.target
    assert_allclose(np.percentile(holders, quartiles), [3, 46.75, 136, 327.5, 3582])
    assert_allclose(np.percentile(claims, quartiles), [0, 9.5, 22, 55.5, 400])
    null = holders * claims.sum() / holders.sum()
    assert_allclose(deviance(claims, null), 236.26, atol=0.005)
    X = OneHotEncoder(drop="first").fit_transform(data.data[:, :3])
    glm = PoissonRegressor(alpha=0, solver="newton-cholesky", tol=1e-8)
    glm.fit(X, claims / holders, sample_weight=holders)
    assert_allclose(deviance(claims, holders * glm.predict(X)), 51.42, atol=0.005)


def test_it_tells_its_source_and_its_classes(data):
    assert data.feature_names == ["District", "Group", "Age", "Holders"]
    assert data.target_names == ["Claims"]
    for words in ("Baxter", "1973", "major cities", "below 25 years"):
        assert words in data.DESCR
    assert Path(data.filename).read_text().startswith("District,Group,Age,Holders,Claims\n")


def test_X_y_and_frames_are_the_same_data(data):
    X, y = load_insurance(return_X_y=True)
    assert_array_equal(X, data.data)
    assert_array_equal(y, data.target)
    frames = load_insurance(as_frame=True)
    assert list(frames.frame) == ["District", "Group", "Age", "Holders", "Claims"]
    assert_array_equal(frames.data, X)
    table, claims = load_insurance(as_frame=True, return_X_y=True)
    assert table.equals(frames.data)
    assert claims.name == "Claims"
    assert_array_equal(claims, y)
