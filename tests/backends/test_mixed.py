"""X decides where things are computed; y, weights and labels may come from elsewhere."""

import numpy as np
import pandas as pd
import pytest
from elsewhere import host, inputs, target

from classic_moe import MixtureOfExpertsRegressor


def fit(X, y, weight=None, labels=None):
    model = MixtureOfExpertsRegressor(2, n_init=1, random_state=0)
    return model.fit(X, y, sample_weight=weight, expert_labels=labels)


def data():
    rng, X, f = inputs(300)
    labels = np.where(rng.uniform(size=300) < 0.1, (X[:, 0] > 0) * 1, -1)
    return X, target("linear", f, rng), rng.uniform(0.5, 2, 300), labels


@pytest.mark.parametrize("where", range(8))
def test_y_and_weights_go_where_X_is(device1, where):
    X, y, weight, labels = data()
    expected = fit(X, y, weight, labels)
    keep, moved = (lambda values: values), device1
    of_y, of_weight, of_labels = (moved if where >> i & 1 else keep for i in range(3))
    found = fit(device1(X), of_y(y), of_weight(weight), of_labels(labels))
    assert abs(found.log_likelihood_ / expected.log_likelihood_ - 1) < 1e-10
    assert host(found.log_prob(device1(X), of_y(y))) == pytest.approx(expected.log_prob(X, y))


def test_X_of_numpy_stays_with_numpy(device1):
    X, y, weight, labels = data()
    expected = fit(X, y, weight, labels)
    found = fit(X, *map(device1, (y, weight, labels)))
    assert found.log_likelihood_ == expected.log_likelihood_
    assert isinstance(found.log_prob(X, device1(y)), np.ndarray)
    assert found.score(X, device1(y), device1(weight)) == expected.score(X, y, weight)


def test_y_may_be_a_column_of_a_table(device1):
    X, y, *_ = data()
    found = fit(device1(X), pd.Series(y, name="price"))
    assert found.describe().target_names == ["price"]
    assert abs(found.log_likelihood_ / fit(X, y).log_likelihood_ - 1) < 1e-10


def test_a_fit_made_on_a_device_speaks_of_any_rows(device1):
    X, y, *_ = data()
    found = fit(device1(X), device1(y))
    said = found.predict(X)
    assert isinstance(said, np.ndarray)
    np.testing.assert_allclose(host(found.predict(device1(X))), said, atol=1e-12)
    assert found.predict_dist(X).std().shape == (300,)


def test_integers_are_numbers(device1):
    _, y, *_ = data()
    X = np.arange(900).reshape(300, 3) % 17
    assert abs(fit(device1(X), y).log_likelihood_ / fit(X, y).log_likelihood_ - 1) < 1e-10
