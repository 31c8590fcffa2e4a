from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from classic_moe.datasets import load_tone


def test_tone_is_the_published_table():
    X, y = load_tone(return_X_y=True)
    assert X.shape == (150, 1)
    assert y.shape == (150,)
    assert_array_equal(np.c_[X, y][[0, -1]], [[1.35, 1.461], [3.0, 2.91]])
    # of the file as mixtools has it
    quartiles = [0, 25, 50, 75, 100]
    assert_allclose(np.percentile(X, quartiles), [1.35, 1.93, 2.06, 2.5, 3.0])
    assert_allclose(np.percentile(y, quartiles), [1.3, 1.9745, 2.015, 2.06675, 3.494])
    assert_allclose([X.mean(), X.std(ddof=1)], [2.1652, 0.456620], atol=1e-6)
    assert_allclose([y.mean(), y.std(ddof=1)], [2.072213, 0.279677], atol=1e-6)


def test_many_answers_lie_on_the_first_overtone_almost_exactly():
    X, y = load_tone(return_X_y=True)
    assert (abs(y - X[:, 0]) < 0.02).sum() > 50
    assert (abs(y - 2) < 0.1).sum() > 90


def test_tone_tells_its_source():
    data = load_tone()
    assert (data.feature_names, data.target_names) == (["stretchratio"], ["tuned"])
    assert "Cohen (1980)" in data.DESCR
    assert Path(data.filename).read_text().startswith("stretchratio,tuned\n")
    assert data.frame is None


def test_tone_as_frame_has_names():
    pytest.importorskip("pandas")
    X, y = load_tone(return_X_y=True)
    data = load_tone(as_frame=True)
    assert list(data.frame) == ["stretchratio", "tuned"]
    assert list(data.data) == ["stretchratio"]
    assert data.target.name == "tuned"
    assert_array_equal(data.data, X)
    assert_array_equal(data.target, y)
