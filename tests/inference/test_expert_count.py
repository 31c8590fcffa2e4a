"""The bootstrap test of K experts against K + 1: what it decides, and that nothing tilts it."""

import numpy as np
import pytest
from joblib import parallel_config

from classic_moe import (
    HierarchicalMixtureOfExpertsRegressor,
    MixtureOfExpertsClassifier,
    MixtureOfExpertsRegressor,
)
from classic_moe.experts import LinearExpert
from classic_moe.gates import ConstantGate
from classic_moe.inference import _expert_count, bootstrap_likelihood_ratio_test

pytestmark = pytest.mark.weak_penalties

FEW = dict(n_resamples=9, random_state=0)


def lines(gap, n=60, seed=0):
    rng = np.random.RandomState(seed)
    X = rng.standard_normal((n, 1))
    y = 1 + X[:, 0] + gap * (rng.rand(n) < 0.5) + rng.standard_normal(n)
    return X, y


@pytest.fixture(scope="module")
def one_line():
    X, y = lines(0)
    return X, y, MixtureOfExpertsRegressor(1, gate="constant").fit(X, y)


@pytest.fixture(scope="module")
def result(one_line):
    X, y, model = one_line
    return bootstrap_likelihood_ratio_test(model, X, y, n_resamples=39, random_state=0)


def test_it_rejects_one_expert_where_there_are_two_and_not_two():
    X, y = lines(5)
    one = MixtureOfExpertsRegressor(1, gate="constant").fit(X, y)
    found = bootstrap_likelihood_ratio_test(one, X, y, n_resamples=19, random_state=0)
    assert found.pvalue == 1 / 20  # the least there is
    two = MixtureOfExpertsRegressor(2, gate="constant", random_state=0).fit(X, y)
    known = 2 * (two.log_likelihood_ - one.log_likelihood_)
    # the two fits are those of a whole search, up to `tol` times the rows
    np.testing.assert_allclose(found.statistic, known, atol=1e-2)
    again = bootstrap_likelihood_ratio_test(two, X, y, n_resamples=19, random_state=0)
    assert again.pvalue > 0.1
    assert again.hypothesis == "2 against 3 experts"


def test_the_p_value_and_its_error_follow_from_the_resampled_statistics(result):
    assert result.resampled.shape == (39,)
    assert (result.resampled >= 0).all()
    reached = np.sum(result.resampled >= result.statistic)
    assert 0 < reached < 39
    assert result.pvalue == (1 + reached) / 40
    p = result.pvalue
    np.testing.assert_allclose(result.standard_error, np.sqrt(p * (1 - p) / 39))
    assert np.isnan(result.df)
    assert "Penalties are on in all fits: expert__alpha=1e-06" in str(result)
    assert len(repr(result)) < 500  # without the resamples


def test_no_p_value_is_certain(one_line):
    model, one = one_line[2], _expert_count.Compared(1.0, 0.0, False)
    found = _expert_count._result(model._fitted, one, [one] * 5, 5)
    assert found.pvalue == 1
    np.testing.assert_allclose(found.standard_error, np.sqrt(6 / 7 * 1 / 7 / 5))


def test_it_does_not_reject_one_line(result):
    assert result.pvalue > 0.05


def test_stopping_early_decides_the_same(one_line, result):
    X, y, model = one_line
    early = bootstrap_likelihood_ratio_test(
        model, X, y, n_resamples=39, stop_after=2, random_state=0
    )
    n = len(early.resampled)
    assert n < 39
    with parallel_config("threading"):  # nobody is told of those that were begun in vain
        shared = bootstrap_likelihood_ratio_test(
            model, X, y, n_resamples=39, stop_after=2, random_state=0, n_jobs=2
        )
    np.testing.assert_array_equal(shared.resampled, early.resampled)
    np.testing.assert_array_equal(early.resampled, result.resampled[:n])
    assert np.sum(early.resampled >= early.statistic) == 2
    assert early.resampled[-1] >= early.statistic
    assert early.pvalue == 2 / n
    assert (early.pvalue <= 2 / 40) == (result.pvalue <= 2 / 40)
    X, y = lines(5)
    model = MixtureOfExpertsRegressor(1, gate="constant").fit(X, y)
    never = bootstrap_likelihood_ratio_test(model, X, y, stop_after=2, **FEW)
    assert never.pvalue == 1 / 10


@pytest.mark.parametrize("backend", ["threading", pytest.param("loky", marks=pytest.mark.slow)])
def test_the_number_of_jobs_changes_no_bit(one_line, result, backend):
    X, y, model = one_line
    with parallel_config(backend):
        shared = bootstrap_likelihood_ratio_test(model, X, y, n_jobs=2, **FEW)
    np.testing.assert_array_equal(shared.resampled, result.resampled[:9])
    assert shared.statistic == result.statistic


def test_the_data_and_the_resamples_are_fitted_by_one_recipe(one_line, result, monkeypatch):
    # The statistic of a resample is that of its y as data, under the model that it was drawn from.
    X, y, model = one_line
    seen, real = [], _expert_count.problem_of

    def watched(recipe, classes, rows, seed):
        seen.append((recipe, rows.y))
        return real(recipe, classes, rows, seed)

    monkeypatch.setattr(_expert_count, "problem_of", watched)
    bootstrap_likelihood_ratio_test(model, X, y, **FEW)
    assert len({id(recipe) for recipe, _ in seen}) == 1
    assert seen[0][1] is y
    np.testing.assert_array_equal(seen[1][1].shape, y.shape)


@pytest.mark.parametrize("name", ["counts", "classes", "groups", "weights", "outputs"])
def test_other_kinds_of_fits_are_tested_too(name):
    X, y = lines(0, 40)
    options, fit = dict(gate="constant", random_state=0), {}
    estimator = MixtureOfExpertsRegressor(1, **options)
    if name == "counts":
        estimator, y = estimator.set_params(expert="poisson"), np.rint(np.abs(y))
    elif name == "classes":
        estimator, y = MixtureOfExpertsClassifier(1, **options), np.where(y > 1, "a", "b")
    elif name == "groups":
        fit = dict(groups=np.repeat(np.arange(20), 2))
    elif name == "weights":
        fit = dict(sample_weight=np.arange(40) % 3)
    else:
        y = np.column_stack([y, y[::-1]])
    model = estimator.fit(X, y, **fit)
    found = bootstrap_likelihood_ratio_test(model, X, y, n_resamples=3, random_state=0, **fit)
    assert np.isfinite(found.resampled).all()
    assert found.statistic >= 0
    assert found.n_failed == 0


def test_the_time_is_told_before_it_is_spent(one_line, capsys):
    X, y, model = one_line
    bootstrap_likelihood_ratio_test(model, X, y, n_resamples=2, random_state=0, verbose=1)
    first, *_, last = capsys.readouterr().out.splitlines()
    assert "2 resamples, about " in first
    assert "2 of 2 resamples" in last


def test_failures_are_left_out_and_told(one_line, monkeypatch):
    X, y, model = one_line
    calls, real = [], _expert_count.problem_of

    def sometimes(*given):
        calls.append(given)
        if len(calls) % 2 == 0:
            raise ValueError("no luck.")
        return real(*given)

    monkeypatch.setattr(_expert_count, "problem_of", sometimes)
    with pytest.warns(UserWarning, match=r"2 of 4 refits failed .* \(the first: no luck\)"):
        found = bootstrap_likelihood_ratio_test(model, X, y, n_resamples=4, random_state=0)
    assert found.n_failed == np.isnan(found.resampled).sum() == 2
    assert found.pvalue == (1 + np.sum(found.resampled >= found.statistic)) / 3


def test_collapses_without_penalties_are_told():
    X, y = lines(0, 30)
    y[:3] = 20.0  # on which an expert may shrink
    expert = LinearExpert(alpha=0, variance_prior=0)
    model = MixtureOfExpertsRegressor(1, expert=expert, gate=ConstantGate()).fit(X, y)
    with np.errstate(all="ignore"):
        found = _expert_count._result(
            model._current(),
            _expert_count.Compared(5.0, 0.1, True),
            [_expert_count.Compared(1.0, 0.1, True), _expert_count.Compared(2.0, 0.1, False)],
            None,
        )
    assert found.n_collapsed == 1
    assert any("has collapsed on the data" in note for note in found.notes)
    assert not any("Penalties" in note for note in found.notes)


@pytest.mark.parametrize(
    "model, message",
    [
        (HierarchicalMixtureOfExpertsRegressor(2, 1), "TreeGate fixes the number of experts, 2"),
        (
            MixtureOfExpertsRegressor(2, expert=["linear", "laplace"], gate="constant"),
            "ExpertUnion fixes the number",
        ),
        (MixtureOfExpertsRegressor(2, gate="gaussian"), "the gate GaussianGate models x too"),
    ],
)
def test_fits_without_one_expert_more_are_refused(model, message):
    X, y = lines(3)
    model.set_params(n_init=1, random_state=0).fit(X, y)
    with pytest.raises(ValueError, match=message):
        bootstrap_likelihood_ratio_test(model, X, y, **FEW)


def test_options_are_checked(one_line):
    X, y, model = one_line
    with pytest.raises(ValueError, match="n_resamples=0: needs an integer"):
        bootstrap_likelihood_ratio_test(model, X, y, n_resamples=0)
    with pytest.raises(ValueError, match="stop_after=0: needs an integer"):
        bootstrap_likelihood_ratio_test(model, X, y, stop_after=0)
    with pytest.raises(ValueError, match="the fit had no groups"):
        bootstrap_likelihood_ratio_test(model, X, y, groups=np.arange(60))
