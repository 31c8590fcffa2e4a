"""The search for the best maximum: more starts are never worse, easy data cost little."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from classic_moe import ExpertCollapseWarning, MixtureOfExpertsRegressor
from classic_moe.estimators._fitted import _dead
from classic_moe.starts import assignments, search

pytestmark = [
    pytest.mark.weak_penalties,
    pytest.mark.filterwarnings(  # of five experts on a hundred rows some have few
        "ignore::classic_moe.ExpertCollapseWarning"
    ),
]


def parallel_lines(seed, slope, offsets):
    """Ten lines side by side, after a question on math.stackexchange ("slope of lines ...")."""
    rng = np.random.default_rng(seed)
    x, y = [], []
    for offset in offsets:
        n = rng.integers(50, 100)
        t = rng.uniform(rng.uniform(-5, -2), rng.uniform(2, 5), n)
        x.append(t)
        y.append(slope * t + offset + rng.normal(0, 0.1) + rng.normal(0, 0.01, n))
    return np.concatenate(x)[:, None], np.concatenate(y)


def two_regimes():
    rng = np.random.default_rng(3)
    x = rng.uniform(1.29, 1.95, (400, 1))
    line = np.where(x[:, 0] < 1.6, 3 * x[:, 0], 20 - 8 * x[:, 0])
    return x, line + 0.05 * rng.normal(size=400)


def hard(n=100, seed=3):
    """Five experts on a hundred rows: climbs from different starts end at different maxima."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    gate, lines = rng.normal(size=(5, 4)) * 2, rng.normal(size=(5, 4)) * 2
    Z = np.column_stack([np.ones(n), X])
    expert = (Z @ gate.T + rng.gumbel(size=(n, 5))).argmax(1)
    return X, (Z @ lines.T)[np.arange(n), expert] + 0.3 * rng.normal(size=n), expert


@pytest.fixture
def trials(monkeypatch):
    """Return the list of the trials of all searches."""
    made, climb = [], search.Search._climb

    def counted(self, trial, *others):
        made.append(trial)
        return climb(self, trial, *others)

    monkeypatch.setattr(search.Search, "_climb", counted)
    return made


# -- more is never worse -------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1])
def test_more_starts_are_never_worse(seed):
    X, y, _ = hard()
    values = []
    for n_init in (2, 4, 6, 8, 12):
        model = MixtureOfExpertsRegressor(5, n_init=n_init, random_state=seed).fit(X, y)
        values.append(model.lower_bounds_[-1])
    # From one maximum on to its end: what a climb to the tolerance leaves.
    assert (np.diff(values) >= -1e-4).all()
    assert max(values) > values[0] + 0.1  # and some are better


def test_the_first_starts_of_many_are_those_of_few(trials):
    X, y, _ = hard()
    MixtureOfExpertsRegressor(5, n_init=6, random_state=0).fit(X, y)
    few = [(trial.kind, trial.number) for trial in trials]
    trials.clear()
    MixtureOfExpertsRegressor(5, n_init=9, random_state=0).fit(X, y)
    assert [(trial.kind, trial.number) for trial in trials][: len(few)] == few


def test_parallel_lines_are_found_by_ten_starts_and_by_a_hundred():
    x, y = parallel_lines(2, 1.2, np.arange(10))
    few, many = (
        MixtureOfExpertsRegressor(10, gate="constant", random_state=0, n_init=n).fit(x, y)
        for n in (10, 100)
    )
    assert many.lower_bounds_[-1] >= few.lower_bounds_[-1] - 1e-3
    # The best of fifty restarts, met by all of eight seeds.
    assert few.lower_bounds_[-1] == pytest.approx(-450.854, abs=0.01)


# -- the cost of easy data, the pay of hops ------------------------------------------------------


def test_on_easy_data_the_search_ends_after_three_starts(trials):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 2))
    y = np.where(X[:, 0] > 0, 3 * X[:, 1], 4 - 2 * X[:, 1]) + 0.2 * rng.normal(size=600)
    MixtureOfExpertsRegressor(2, n_init=50, random_state=0).fit(X, y)
    assert len(trials) == search.MET


def test_hops_pay(monkeypatch):
    """With as many starts, and none of the hops, the default ends lower."""
    X, y, _ = hard()
    with_hops, alone = [], []
    for values, hops in ((with_hops, search.HOPS), (alone, 0)):
        monkeypatch.setattr(search, "HOPS", hops)
        monkeypatch.setattr(search, "REVIVALS", 6 if hops else 0)
        for seed in range(3):
            model = MixtureOfExpertsRegressor(5, random_state=seed).fit(X, y)
            values.append(model.lower_bounds_[-1])
    assert np.mean(with_hops) > np.mean(alone) + 0.5


def test_five_experts_on_a_hundred_rows_end_no_lower_than_from_the_truth():
    below = 0
    for seed in range(6):
        X, y, expert = hard(seed=seed)
        default = MixtureOfExpertsRegressor(5, random_state=0).fit(X, y)
        truth = MixtureOfExpertsRegressor(5, init_params=np.eye(5)[expert] * 0.9 + 0.02).fit(X, y)
        below += default.lower_bounds_[-1] < truth.lower_bounds_[-1] - 0.01
    assert below <= 1


def test_threads_change_nothing():
    X, y, _ = hard(300)
    one, two = (MixtureOfExpertsRegressor(4, random_state=0, n_jobs=n).fit(X, y) for n in (1, 2))
    assert_array_equal(one.lower_bounds_, two.lower_bounds_)
    assert_array_equal(one.predict(X), two.predict(X))


# -- dead experts --------------------------------------------------------------------------------


def test_a_dead_expert_is_put_to_use():
    X, y = two_regimes()
    three, four = (MixtureOfExpertsRegressor(K, random_state=0).fit(X, y) for K in (3, 4))
    assert four.weights_.min() * len(X) > 1
    assert four.lower_bounds_[-1] > three.lower_bounds_[-1]
    assert four.lower_bounds_[-1] == pytest.approx(636.81, abs=0.01)  # best of thirty by k-means


def test_a_hop_puts_an_expert_without_rows_to_use():
    rng = np.random.RandomState(0)
    F = rng.standard_normal((200, 3))
    resp = np.column_stack([F[:, 0] > 0, F[:, 0] <= 0, np.zeros(200)]).astype(float)
    for number in range(6):
        found = assignments.hop(F, 2, np.ones(200), resp, number, rng)
        assert_allclose(found.sum(axis=1), 1)
        assert found.sum(axis=0).min() > 2


def test_every_third_hop_blends_a_maximum_with_a_random_start():
    rng = np.random.RandomState(0)
    F = rng.standard_normal((200, 3))
    resp = np.column_stack([F[:, 0] > 0, F[:, 0] <= 0]).astype(float)
    blends = [assignments.hop(F, 2, np.ones(200), resp, 3 * i + 2, rng) for i in range(3)]
    for found in blends:
        assert_allclose(found.sum(axis=1), 1)
        assert (found >= 0.49 * resp).all()  # half of what they were, but for a fiftieth
        started = (found - 0.49 * resp - 0.01) / 0.49
        assert np.ptp(started[:, 0]) > 0.9  # and half of a start that parts the rows
    assert not np.allclose(blends[0], blends[1], atol=0.1)


def test_hops_are_to_reach_the_best_maximum_and_starts_one_that_is_kept(monkeypatch):
    X, y, _ = hard()
    bars, before, climb, round_of = [], [], search.Search._climb, search.Search._round

    def watched_round(self, trials, certain=False):
        before[:] = [one.result.objective for one in self.pool]
        return round_of(self, trials, certain)

    def watched(self, trial, start, tell, bar):
        if bar is not None:
            bars.append((trial.kind, bar.result.objective, before[0], before[-1]))
        return climb(self, trial, start, tell, bar)

    monkeypatch.setattr(search.Search, "_round", watched_round)
    monkeypatch.setattr(search.Search, "_climb", watched)
    MixtureOfExpertsRegressor(5, n_init=7, random_state=0).fit(X, y)
    assert all(bar == (best if kind == "hop" else worst) for kind, bar, best, worst in bars)
    assert sum(best > worst for kind, _, best, worst in bars if kind == "hop") > 10


def test_an_expert_that_stays_dead_is_said():
    """Two Poisson experts of the same rate: a third of no rows is no better anywhere else."""
    X, y = two_regimes()
    model = MixtureOfExpertsRegressor(2, random_state=0).fit(X, y)
    problem = type("Problem", (), {"model": model._fitted.model})
    (finding,) = _dead(problem, {"resp": np.array([400.0, 0.2])}, [])
    assert finding.category is ExpertCollapseWarning and finding.experts == (1,)
    assert "expert 1 has less than one row (responsibilities sum to 0.2)" in finding.text
    assert not _dead(problem, {"resp": np.array([400.0, 0.2])}, [finding])


# -- groups --------------------------------------------------------------------------------------


def test_starts_of_groups_tell_groups_apart():
    """Subjects who differ in slope alone, seen at the same places: averages say nothing."""
    rng = np.random.default_rng(0)
    subject = np.repeat(np.arange(40), 8)
    x = np.tile(np.arange(8.0), 40)
    slope = np.where(np.arange(40) % 2, 1.0, -1.0)[subject]
    y = slope * (x - 3.5) + 0.5 * rng.normal(size=320)
    for seed in range(4):
        model = MixtureOfExpertsRegressor(2, gate="constant", n_init=2, random_state=seed)
        model.fit(x[:, None], y, groups=subject)
        found = model.responsibilities(x[:, None], y, groups=subject)
        first = found[:, 0] > 0.5
        own = first if len(first) == 40 else first[::8]
        agree = np.mean(own == (np.arange(40) % 2 == 1))
        assert max(agree, 1 - agree) == 1.0
