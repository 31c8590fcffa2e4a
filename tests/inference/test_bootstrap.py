"""The bootstrap: its standard errors, what a resample is, and what is said of refits that fail."""

import numpy as np
import pytest
from joblib import parallel_config
from sklearn.tree import DecisionTreeRegressor

from classic_moe import (
    AdaptiveLocalExpertsRegressor,
    HierarchicalMixtureOfExpertsRegressor,
    MetaPiRegressor,
    MixtureOfExpertsClassifier,
    MixtureOfExpertsRegressor,
)
from classic_moe.datasets import make_crossing_lines
from classic_moe.experts import LaplaceExpert, LinearExpert
from classic_moe.inference import _bootstrap, bootstrap, infer, named_parameters
from classic_moe.inference._resampling import Rows, nonparametric, parametric


@pytest.fixture(scope="module")
def crossing():
    X, y = make_crossing_lines(200, random_state=0)
    return X, y, MixtureOfExpertsRegressor(2, gate="constant", random_state=0).fit(X, y)


# -- standard errors -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def apart():
    rng = np.random.RandomState(0)
    X = rng.uniform(-1, 1, size=(300, 1))
    y = np.where(rng.rand(300) < 0.4, 3 + X[:, 0], -3 - X[:, 0]) + rng.standard_normal(300)
    return X, y, MixtureOfExpertsRegressor(2, gate="constant", random_state=0).fit(X, y)


@pytest.mark.parametrize("kind", ["parametric", "nonparametric"])
def test_standard_errors_are_those_of_the_information_on_a_regular_problem(apart, kind):
    X, y, model = apart
    found = bootstrap(model, X, y, kind=kind, random_state=1)
    known = infer(model, X, y)
    assert found.names == known.names
    np.testing.assert_array_equal(found.estimates, known.estimates)
    # a standard deviation of 200 draws is off by 5 %; so three times that
    np.testing.assert_allclose(found.standard_errors / known.standard_errors, 1, atol=0.15)
    np.testing.assert_allclose(found.lower, np.quantile(found.samples, 0.025, axis=0))
    np.testing.assert_allclose(found.upper, np.quantile(found.samples, 0.975, axis=0))


def test_one_expert_has_the_standard_errors_of_least_squares():
    rng = np.random.RandomState(0)
    X = rng.standard_normal((50, 2))
    y = X @ [1.0, -2.0] + rng.standard_normal(50)
    model = MixtureOfExpertsRegressor(1, expert=LinearExpert(alpha=0, variance_prior=0)).fit(X, y)
    found = bootstrap(model, X, y, random_state=0)
    Z = np.column_stack([np.ones(50), X])
    sigma = float(model.experts_[0].scale_)
    errors = sigma * np.sqrt(np.diagonal(np.linalg.inv(Z.T @ Z)))
    np.testing.assert_allclose(found.standard_errors[:3] / errors, 1, atol=0.15)  # as above


# -- what a resample is --------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["threading", pytest.param("loky", marks=pytest.mark.slow)])
def test_the_number_of_jobs_changes_no_bit(crossing, backend):
    X, y, model = crossing
    options = dict(n_resamples=6, random_state=3)
    alone = bootstrap(model, X, y, **options)
    with parallel_config(backend):
        shared = bootstrap(model, X, y, n_jobs=2, **options)
    np.testing.assert_array_equal(alone.samples, shared.samples)


def test_a_row_of_weight_two_is_two_rows(crossing):
    X, y, _ = crossing
    weight = np.random.RandomState(0).randint(0, 3, size=len(y))
    model = MixtureOfExpertsRegressor(2, gate="constant", random_state=0).fit(X, y, weight)
    options = dict(n_resamples=3, random_state=0)
    found = bootstrap(model, X, y, sample_weight=weight, **options)
    rows = np.repeat(np.arange(len(y)), weight)
    again = bootstrap(model, X[rows], y[rows], **options)
    np.testing.assert_allclose(found.samples, again.samples, rtol=1e-6)


def test_rows_are_drawn_as_often_as_their_weights_say(crossing):
    _, _, model = crossing
    weight = np.array([0.0, 1.0, 2.0, 5.0])
    rows = Rows.of(np.arange(4.0)[:, None], np.arange(4.0), weight)
    draw = nonparametric(rows, model._fitted.schema)
    drawn = np.array([draw(np.random.RandomState(seed)).weight for seed in range(2000)])
    np.testing.assert_array_equal(rows.y, [1, 2, 3])
    np.testing.assert_array_equal(drawn.sum(axis=1), 8)
    # four standard deviations of the mean of 2,000 binomial numbers
    np.testing.assert_allclose(drawn.mean(axis=0), [1, 2, 5], atol=4 * np.sqrt(2 / 2000))


def test_normalised_weights_stay_with_their_rows():
    X, y = make_crossing_lines(30, random_state=0)
    weight = np.random.RandomState(0).uniform(0.1, 7, size=30)
    model = MixtureOfExpertsRegressor(1, normalize_weights=True).fit(X, y, weight)
    drawn = nonparametric(Rows.of(X, y, weight), model._fitted.schema)(np.random.RandomState(0))
    known = dict(zip(y.tolist(), weight.tolist(), strict=True))
    assert drawn.n == 30
    assert len(set(drawn.y.tolist())) < 30
    assert [known[value] for value in drawn.y.tolist()] == drawn.weight.tolist()
    twice = parametric(model, Rows.of(X, y, weight), model._fitted.schema)(np.random.RandomState(0))
    np.testing.assert_array_equal(twice.weight, weight)


@pytest.fixture(scope="module")
def grouped():
    rng = np.random.RandomState(0)
    groups = np.repeat(np.arange(20), 4)
    X = rng.standard_normal((80, 1))
    y = np.where(groups % 2, 3 + X[:, 0], -3 - X[:, 0]) + 0.3 * rng.standard_normal(80)
    model = MixtureOfExpertsRegressor(2, gate="constant", random_state=0)
    return X, y, groups, model.fit(X, y, groups=groups)


def test_groups_are_drawn_whole_and_a_group_drawn_twice_is_two(grouped):
    X, y, groups, model = grouped
    drawn = nonparametric(Rows.of(X, y, None, groups), model._fitted.schema)(
        np.random.RandomState(0)
    )
    own = {value: group for value, group in zip(y.tolist(), groups.tolist(), strict=True)}
    labels, sizes = np.unique(drawn.groups, return_counts=True)
    np.testing.assert_array_equal(labels, np.arange(20))
    np.testing.assert_array_equal(sizes, 4)
    sources = [{own[value] for value in drawn.y[drawn.groups == g].tolist()} for g in labels]
    assert all(len(source) == 1 for source in sources)
    assert len(set.union(*sources)) < 20  # some twice


def test_rows_of_a_group_get_their_y_from_one_expert(grouped):
    X, y, groups, model = grouped
    _, expert = model.sample(X, 0, groups=groups)
    by_group = expert.reshape(20, 4)
    assert (by_group == by_group[:, :1]).all()
    assert 0 < by_group[:, 0].mean() < 1
    draw = parametric(model, Rows.of(X, y, None, groups), model._fitted.schema)
    drawn = draw(np.random.RandomState(1))
    sizes = model.responsibilities(X, drawn.y).reshape(20, 4, 2).sum(axis=1)
    assert np.all(np.minimum(sizes, 4 - sizes) < 0.5)  # a row may lie where the lines cross
    with pytest.raises(ValueError, match="the fit had groups"):
        bootstrap(model, X, y)


def test_clusters_of_a_fit_without_groups_are_drawn_whole(crossing):
    X, y, model = crossing
    draw = nonparametric(Rows.of(X, y, None, np.arange(200) // 2), model._fitted.schema)
    drawn = draw(np.random.RandomState(0))
    assert drawn.groups is None
    assert {(a, b) for a, b in drawn.y.reshape(-1, 2)} <= {(a, b) for a, b in y.reshape(-1, 2)}


# -- every kind of fit ---------------------------------------------------------------------------


def _cases():
    rng = np.random.RandomState(0)
    X = rng.standard_normal((80, 2))
    side = X[:, 0] > 0
    y = np.where(side, 1 + 2 * X[:, 1], -1 - X[:, 1]) + 0.3 * rng.standard_normal(80)
    labels = np.where(side, "a", "b").astype(object)
    labels[rng.permutation(80)[:20]] = "c"
    counts = rng.poisson(np.exp(0.5 * side))
    Regressor, tree = MixtureOfExpertsRegressor, DecisionTreeRegressor(max_depth=1)
    return {
        "Laplace": (Regressor(2, expert=LaplaceExpert()), y),
        "scikit-learn trees": (Regressor(2, expert=tree), y),
        "tree": (HierarchicalMixtureOfExpertsRegressor(2, 1), y),
        "outputs": (Regressor(2), np.column_stack([y, -y + rng.standard_normal(80)])),
        "list": (Regressor(2, expert=["linear", "noise"]), y),
        "offset": (Regressor(2, expert="poisson", offset_feature=1), counts),
        "classes": (MixtureOfExpertsClassifier(2), labels),
        "hard": (Regressor(2, assignment="hard"), y),
        "gate of x": (Regressor(2, gate="gaussian"), y),
        "errors": (AdaptiveLocalExpertsRegressor(2, objective="expected_error", max_iter=30), y),
    }, X


CASES, INPUTS = _cases()


@pytest.mark.filterwarnings("ignore")  # of short fits
@pytest.mark.parametrize("name", CASES)
def test_every_kind_of_fit_has_standard_errors(name):
    model, y = CASES[name]
    model.set_params(n_init=1, random_state=0).fit(INPUTS, y)
    found = bootstrap(model, INPUTS, y, kind="nonparametric", n_resamples=3, random_state=0)
    names, values = named_parameters(model)
    assert found.names == names
    np.testing.assert_array_equal(found.estimates, values)
    assert found.samples.shape == (3, len(names))
    assert not found.failures
    # every refit moves all parameters, the trees' gate too, whose leaves stand in another order
    assert all(len(set(column)) == 3 for column in found.samples.T.tolist())


def test_what_is_no_number_is_said_to_be_left_out():
    model, y = CASES["scikit-learn trees"]
    model.set_params(n_init=1, random_state=0).fit(INPUTS, y)
    found = bootstrap(model, INPUTS, y, n_resamples=2, random_state=0)
    assert "What is no number inside the experts is left out." in found.method


def test_a_class_that_a_resample_lacks_stays_known():
    rng = np.random.RandomState(0)
    X = rng.standard_normal((60, 1))
    y = np.where(X[:, 0] + rng.standard_normal(60) > 0, "a", "b").astype(object)
    y[:2] = "rare"
    model = MixtureOfExpertsClassifier(1).fit(X, y)
    found = bootstrap(model, X, y, kind="nonparametric", n_resamples=30, random_state=0)
    draw = nonparametric(Rows.of(X, y), model._fitted.schema)
    assert any((draw(np.random.RandomState(s)).weight[:2] == 0).all() for s in range(30))
    assert found.failures == {}
    assert found.samples.shape[1] == 4


def test_experts_that_changed_places_are_put_back(crossing):
    X, y, model = crossing
    rows = Rows.of(X, y)
    refits = _bootstrap._Refits(model, model, model._current(), rows, None)
    turned = model._current().reordered(np.array([1, 0]))
    twin = MixtureOfExpertsRegressor(2, gate="constant")
    back = refits._in_order(twin, turned)
    np.testing.assert_array_equal(refits.named.values_of(back), named_parameters(model)[1])


# -- refits that fail ----------------------------------------------------------------------------


def test_refits_that_fail_are_counted_and_told_once(crossing, monkeypatch):
    X, y, model = crossing
    calls, real = [], _bootstrap.problem_of

    def sometimes(*given):
        calls.append(given)
        if len(calls) % 3 == 0:
            raise ValueError("no luck.")
        return real(*given)

    monkeypatch.setattr(_bootstrap, "problem_of", sometimes)
    with pytest.warns(UserWarning, match=r"2 of 6 refits failed \(the first: no luck\)") as told:
        found = bootstrap(model, X, y, n_resamples=6, random_state=0)
    assert len(told) == 1
    assert found.failures == {2: "no luck.", 5: "no luck."}
    assert np.isnan(found.samples[[2, 5]]).all()
    kept = found.samples[[0, 1, 3, 4]]
    np.testing.assert_allclose(found.standard_errors, kept.std(axis=0, ddof=1))


def test_a_collapse_is_counted_and_left_out_of_the_standard_errors():
    X = np.arange(40.0)[:, None]
    y = np.append(np.sin(np.arange(37.0)), [100.0, 101.0, 102.0])
    model = MixtureOfExpertsRegressor(2, expert="gaussian", gate="constant", random_state=0)
    model.set_params(expert__variance_prior=0).fit(X, y)
    with pytest.warns(UserWarning, match="an expert collapsed"):
        found = bootstrap(model, X, y, kind="nonparametric", n_resamples=20, random_state=0)
    assert 0 < len(found.collapsed) < 20
    healthy = np.setdiff1d(np.arange(20), [*found.collapsed, *found.failures])
    kept = found.samples[healthy]
    np.testing.assert_allclose(found.standard_errors, kept.std(axis=0, ddof=1))


def test_a_parameter_that_never_moves_has_no_standard_error_but_a_reason(crossing):
    _, _, model = crossing
    fitted, refits = model._current(), []
    named = _bootstrap.NamedParameters(fitted)
    for value in (1.0, 2.0, 4.0):
        values = np.full(len(named.names), value)
        values[0], values[1] = 5.0, np.inf if value == 4 else value
        refits.append(_bootstrap.Refit(values, "", "", True))
    found = _bootstrap._result(fitted, named, refits, "parametric", 0.95)
    assert found.reasons == {
        named.names[0]: "it is the same in all resamples, as at a bound",
        named.names[1]: "it is not finite in 1 of 3 resamples",
    }
    assert np.isnan(found.standard_errors[:2]).all()
    assert np.isfinite(found.standard_errors[2:]).all()


def test_progress_is_shown_when_asked_for(crossing, capsys):
    X, y, model = crossing
    bootstrap(model, X, y, n_resamples=3, random_state=0)
    assert capsys.readouterr().out == ""
    bootstrap(model, X, y, n_resamples=3, random_state=0, verbose=1)
    assert "bootstrap: 3 of 3 resamples, 0 s left" in capsys.readouterr().out


# -- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(kind="jackknife"), "kind='jackknife': use one of"),
        (dict(n_resamples=1), "n_resamples=1: needs an integer of at least 2"),
        (dict(confidence=1), "confidence=1: needs a number between 0 and 1"),
        (dict(groups=np.arange(200)), "the fit had no groups"),
        (dict(sample_weight=np.full(200, 1e-5)), "the weights of 200 rows sum to 0.002"),
        (dict(sample_weight=np.full(200, 1.5)), "sample_weight.0. is 1.5; give whole numbers"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(crossing, options, message):
    X, y, model = crossing
    with pytest.raises(ValueError, match=message):
        bootstrap(model, X, y, **options)


def test_fits_from_which_no_y_can_be_drawn_are_refused():
    X, y = make_crossing_lines(60, random_state=0)
    model = MixtureOfExpertsRegressor(2, gate="gaussian", random_state=0, n_init=1).fit(X, y)
    with pytest.raises(ValueError, match="the gate GaussianGate models x too"):
        bootstrap(model, X, y)
    stumps = [DecisionTreeRegressor(max_depth=1), DecisionTreeRegressor(max_depth=2)]
    meta = MetaPiRegressor(stumps, random_state=0).fit(X, y)
    with pytest.raises(ValueError, match="the experts of MetaPiRegressor are fitted alone"):
        bootstrap(meta, X, y, kind="nonparametric")
    with pytest.raises(TypeError, match="needs a mixture of experts"):
        bootstrap(stumps[0], X, y)


def test_rows_and_weights_that_are_not_those_of_the_fit_are_noticed():
    X, y = make_crossing_lines(120, random_state=0)
    weight = np.random.default_rng(0).integers(1, 5, 120)
    model = MixtureOfExpertsRegressor(2, gate="constant", random_state=0).fit(X, y, weight)
    for rows in ((X, y), (X[:60], y[:60], weight[:60]), (X, y[::-1], weight)):
        options = dict(sample_weight=rows[2]) if len(rows) > 2 else {}
        with pytest.raises(ValueError, match=r"log-likelihood is .* on these rows"):
            bootstrap(model, *rows[:2], n_resamples=2, **options)
    found = bootstrap(model, X, y, sample_weight=weight, n_resamples=2, random_state=0)
    assert found.samples.shape == (2, 7)
