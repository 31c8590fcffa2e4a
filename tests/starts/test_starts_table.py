"""`starts_`: what became of every climb of a search."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from classic_moe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from classic_moe.data.units import ReportedUnits
from classic_moe.datasets import load_motorcycle, make_piecewise_regression
from classic_moe.estimators._fitted import _starts
from classic_moe.solvers import EM
from classic_moe.starts.search import Ending

pytestmark = pytest.mark.weak_penalties

COLUMNS = ["kind", "early_objective", "objective", "smallest_share", "outcome"]


@pytest.fixture(scope="module")
def motorcycle():
    return load_motorcycle(return_X_y=True)


@pytest.fixture(scope="module")
def fitted(motorcycle):
    return MixtureOfExpertsRegressor(3, random_state=0).fit(*motorcycle)


def test_every_climb_of_the_search_has_a_row_in_its_order(motorcycle, capsys):
    model = MixtureOfExpertsRegressor(3, random_state=0, verbose=2).fit(*motorcycle)
    told = [line for line in capsys.readouterr().out.splitlines() if " of " in line]
    starts = model.starts_
    assert list(starts) == COLUMNS
    assert [line.split()[0] for line in told] == starts["kind"].tolist()
    values = [float(line.split("objective ")[1].split(",")[0]) for line in told]
    assert_allclose(starts["objective"], values, atol=1e-6)  # as printed
    given_up = ["given up" in line for line in told]
    assert_array_equal(starts["outcome"] == "given up", given_up)
    assert any(given_up) and {"start", "hop"} == set(starts["kind"])


def test_the_chosen_climb_is_the_one_that_the_fit_went_on_from(fitted):
    starts = fitted.starts_
    (chosen,) = np.flatnonzero(starts["outcome"] == "chosen")
    # climbs end a little early; what was chosen went on
    assert_allclose(starts["objective"][chosen], fitted.lower_bounds_[-1], atol=1e-3)
    assert starts["objective"].max() < starts["objective"][chosen] + 1e-3
    assert_allclose(starts["smallest_share"][chosen], fitted.weights_.min(), atol=1e-3)


def test_a_short_run_is_that_of_the_start_alone(motorcycle):
    """By plain EM, from responsibilities of our own, each also fitted by itself."""
    X, y = motorcycle
    rng = np.random.RandomState(0)
    resp = [rng.dirichlet([1, 1, 1], size=len(X)) for _ in range(3)]
    options = dict(n_experts=3, solver="em", random_state=0)
    given = iter(resp)
    together = MixtureOfExpertsRegressor(
        init_params=lambda X, y, K, rng: next(given), n_init=3, **options
    ).fit(X, y)
    alone = [MixtureOfExpertsRegressor(init_params=r, **options).fit(X, y) for r in resp]
    early = [model.lower_bounds_[EM.short_run] for model in alone]
    assert_allclose(together.starts_["early_objective"], early, rtol=1e-9)
    assert all(len(model.starts_["kind"]) == 1 for model in alone)


def test_a_search_on_a_sample_tells_what_all_rows_would_be():
    X, y = make_piecewise_regression(12_000, n_pieces=2, noise=1.0, random_state=0)
    model = MixtureOfExpertsRegressor(2, random_state=0, n_init=3).fit(X, y)
    (chosen,) = np.flatnonzero(model.starts_["outcome"] == "chosen")
    each = model.log_prob(X, y)
    # 5,000 rows estimate a sum over 12,000 to a standard error of that many standard deviations
    error = 12_000 * each.std() / np.sqrt(5_000)
    assert abs(model.starts_["objective"][chosen] - each.sum()) < 4 * error


@pytest.mark.parametrize("weight", [1e-8, 1e8])
def test_objectives_are_in_the_callers_units(motorcycle, fitted, weight):
    X, y = motorcycle
    model = MixtureOfExpertsRegressor(3, random_state=0, gate="constant", normalize_weights=False)
    model.fit(X, 1e3 * y, sample_weight=np.full(len(y), weight))
    (chosen,) = np.flatnonzero(model.starts_["outcome"] == "chosen")
    assert_allclose(model.starts_["objective"][chosen], model.lower_bounds_[-1], rtol=1e-4)


def test_a_fit_without_a_search_has_one_row(motorcycle):
    X, y = motorcycle
    single = MixtureOfExpertsRegressor(1).fit(X, y)
    assert single.starts_["kind"].tolist() == ["start"]
    assert_allclose(single.starts_["objective"], single.lower_bounds_[-1], rtol=1e-12)
    again = MixtureOfExpertsRegressor(1, init_params=single).fit(X, y)
    assert again.starts_["kind"].tolist() == ["given"]
    assert again.starts_["outcome"].tolist() == ["chosen"]


def test_a_stream_tells_of_its_first_call_alone(motorcycle):
    X, y = motorcycle
    model = MixtureOfExpertsRegressor(2, random_state=0).partial_fit(X, y)
    assert len(model.starts_["kind"]) >= 3
    model.partial_fit(X, y)
    assert not hasattr(model, "starts_")


def test_classifiers_have_the_table_and_it_survives_pickle(motorcycle):
    X, y = motorcycle
    model = MixtureOfExpertsClassifier(2, random_state=0).fit(X, y > 0)
    back = pickle.loads(pickle.dumps(model))
    for name, column in model.starts_.items():
        assert_array_equal(back.starts_[name], column)
        assert column.dtype.kind in "fU"  # can be written to a file without pickle


def test_a_climb_that_failed_has_no_shares():
    chosen = Ending("start", -3.0, -2.0, np.array([6.0, 2.0]), "chosen")
    failed = Ending("start", -np.inf, -np.inf, None, "failed")
    found = _starts(ReportedUnits(2.0, 8.0, 1.0), [failed, chosen])
    assert_array_equal(found["smallest_share"], [np.nan, 0.25])
    assert_array_equal(found["objective"], [-np.inf, -2.0])
    assert_array_equal(found["early_objective"], [-np.inf, -4.0])
