"""Penalties that a fit finds by itself: `alpha="auto"`, `variance_prior="auto"`, and "weak"."""

import numpy as np
import pytest
from evidence_problems import examine
from sklearn.base import clone
from sklearn.linear_model import BayesianRidge, LogisticRegression
from sklearn.model_selection import GridSearchCV
from weak import weakly_penalised

from classic_moe import (
    HierarchicalMixtureOfExpertsRegressor,
    MixtureOfExpertsClassifier,
    MixtureOfExpertsRegressor,
    SparseMixtureOfExpertsRegressor,
)
from classic_moe.datasets import load_motorcycle
from classic_moe.experts import (
    GammaExpert,
    GaussianExpert,
    LaplaceExpert,
    LinearExpert,
    LogisticExpert,
    MLPExpert,
    PoissonExpert,
    SoftmaxExpert,
    StudentTExpert,
)
from classic_moe.gates import SoftmaxGate, TreeGate
from classic_moe.model.information import NoInformation
from classic_moe.solvers import LBFGS
from classic_moe.starts.automatic import Ground


def switched(n=240, seed=0, noise=0.4):
    """Two lines in four columns, of which one chooses the line and two say nothing."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 4))
    first = rng.random(n) < 1 / (1 + np.exp(-3 * X[:, 0]))
    mean = np.where(first, 0.5 + X[:, 1], 1 - 0.7 * X[:, 1])
    return X, mean + noise * rng.standard_normal(n), mean, rng


def regressor(n_experts=2, alpha="auto", variance_prior="weak", gate="auto", **options):
    expert = LinearExpert(alpha=alpha, variance_prior=variance_prior)
    options = dict(n_init=3, random_state=0) | options
    return MixtureOfExpertsRegressor(
        n_experts, expert=expert, gate=SoftmaxGate(alpha=gate), **options
    )


def test_weak_is_the_word_for_numbers():
    X, y, *_ = switched()
    words = regressor(alpha="weak", gate="weak").fit(X, y)
    numbers = regressor(alpha=1e-6, gate=1e-3, variance_prior=1e-2).fit(X, y)
    np.testing.assert_array_equal(words.lower_bounds_, numbers.lower_bounds_)
    assert not hasattr(words, "penalties_") and not hasattr(words, "log_evidence_")


@pytest.mark.parametrize("noise", [0.3, 3.0])
def test_one_line_has_the_penalty_and_variance_of_bayesian_ridge(noise):
    rng = np.random.default_rng(1)
    X = rng.standard_normal((80, 6)) @ rng.standard_normal((6, 6))
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    y = X @ rng.standard_normal(6) + noise * rng.standard_normal(80)
    y = (y - y.mean()) / y.std()
    model = MixtureOfExpertsRegressor(1, expert=LinearExpert("auto", variance_prior=0.0)).fit(X, y)
    # Their intercept takes no row from the noise, n - γ. So it is taken out beforehand, by 79
    # contrasts of the 80 rows: an orthonormal basis of what sums to 0.
    contrasts = np.linalg.svd(np.ones((1, 80)))[2][1:]
    flat = dict(alpha_1=0, alpha_2=0, lambda_1=0, lambda_2=0, tol=1e-10, max_iter=10_000)
    other = BayesianRidge(**flat, fit_intercept=False).fit(contrasts @ X, contrasts @ y)
    # The updates stop at changes of 1e-3, and then a share of that is still to come.
    assert model.penalties_["expert__alpha"] == pytest.approx(other.lambda_, rel=1e-3)
    assert model.experts_[0].scale_ ** -2 == pytest.approx(other.alpha_, rel=1e-3)
    np.testing.assert_allclose(model.experts_[0].coef_, other.coef_, rtol=1e-3, atol=1e-4)


def test_the_evidence_has_no_slope_in_the_penalties_found():
    X, y, *_ = switched()
    found = regressor(alpha="auto").fit(X, y)
    at = found.penalties_
    prior = at["expert__variance_prior"]

    def evidence(gate, expert):
        model = regressor(alpha=at["expert__alpha"] * expert, gate=at["gate__alpha"] * gate)
        model.set_params(expert__variance_prior=prior, init_params=found)
        return model.fit(X, y).log_evidence(X, y)

    centre = evidence(1, 1)
    assert centre == pytest.approx(found.log_evidence_, abs=1e-4)
    for direction in ([1, 0], [0, 1]):
        step = np.exp(0.2 * np.array(direction))
        up, down = evidence(*step), evidence(*(1 / step))
        # A slope of 1 would be one more slope that the data determine, of 8 and of 2 (4 and 4
        # columns); what is left is the change of the information with alpha, which MacKay neglects.
        assert abs(up - down) / 0.4 < 0.3


def test_an_expert_of_a_few_rows_gives_them_up_where_the_evidence_is_better_without():
    """Ten rows on a line by chance are a maximum of their own, from which no update leads away."""
    X, y, mean, _ = switched()
    resp = np.column_stack([X[:, 0] > 0, X[:, 0] <= 0, np.zeros(len(y))]).astype(float)
    resp[np.argsort(np.abs(y - mean - 0.6))[:10]] = 0, 0, 1
    found = regressor(3, init_params=resp).fit(X, y)  # which warns of nothing: the data ask for it
    assert found.weights_.min() < 1e-3 / len(y)
    assert (np.diff(found.evidence_path_) >= 0).all()
    assert found.evidence_path_[-1] > found.evidence_path_[-3] + 1


def test_an_expert_of_little_noise_is_found_under_the_weaker_prior():
    # One pseudo-row at the variance of y hides the quiet phase of the motorcycle, a fifth of the
    # rows. The search that has one ends 20 nats lower, at experts whose variances it suits.
    X, y = load_motorcycle(return_X_y=True)
    words = dict(expert__alpha="auto", gate__alpha="auto")
    model = MixtureOfExpertsRegressor(2, random_state=0).set_params(**words).fit(X, y)
    weak = MixtureOfExpertsRegressor(2, random_state=0).fit(X, y)
    from_there = clone(model).set_params(init_params=weak).fit(X, y)
    assert model.log_evidence_ > from_there.log_evidence_ - 0.1  # `CLOSE` of the updates


@pytest.mark.parametrize("seed", range(1, 31))
def test_the_evidence_never_falls_on_its_path(seed):
    model, words, fall = examine(seed)
    assert fall == 0, words
    assert model.evidence_path_[-1] == model.log_evidence_


def test_the_prior_of_the_record_is_the_fit_at_its_numbers():
    X, y, *_ = switched()
    found = regressor(variance_prior="auto").fit(X, y)
    at = found.penalties_
    again = regressor(
        alpha=at["expert__alpha"],
        gate=at["gate__alpha"],
        variance_prior=at["expert__variance_prior"],
        init_params=found,
    ).fit(X, y)
    assert again.lower_bounds_[-1] == pytest.approx(found.lower_bounds_[-1], abs=1e-6)
    np.testing.assert_allclose(again.experts_[0].coef_, found.experts_[0].coef_, atol=1e-4)


def test_variances_divide_by_the_rows_that_the_slopes_leave():
    X, y, *_ = switched(60)
    found = regressor(variance_prior=0.0).fit(X, y)
    spread = found.penalties_["expert__variance_prior"].spread[:, 0, 0]
    resp = found.responsibilities(X, y)
    for k, view in enumerate(found.experts_):
        squares = resp[:, k] @ (y - X @ view.coef_ - view.intercept_) ** 2
        n, variance = resp[:, k].sum(), view.scale_**2
        taken = n - squares / variance  # variance = S / (n - taken)
        assert spread[k] * np.var(y) / variance == pytest.approx(taken, rel=0.01)
        assert 1.5 < taken < 5  # the intercept, the slope that is there, and little of the others


def test_equal_noise_is_found_to_be_equal_and_unequal_to_be_not():
    rng = np.random.default_rng(0)
    x = rng.uniform(-2, 2, 300)
    for ratio in (1, 20):
        y = np.where(x < 0, 1 - 2 * x, 4 * x) + np.where(x < 0, 0.1, 0.1 * ratio) * (
            rng.standard_normal(300)
        )
        model = regressor(variance_prior="auto").fit(x[:, None], y)
        rows = model.penalties_["expert__variance_prior"].rows
        assert rows > 100 if ratio == 1 else rows < 5


def test_irrelevant_slopes_and_gates_are_shrunk_and_sharp_gates_are_spared():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((200, 8)), rng.standard_normal(200)
    found = MixtureOfExpertsRegressor(1, expert=LinearExpert("auto")).fit(X, y)
    weak = MixtureOfExpertsRegressor(1, expert=LinearExpert("weak")).fit(X, y)
    size = [np.linalg.norm(model.experts_[0].coef_) for model in (found, weak)]
    assert size[0] < 0.7 * size[1]
    x = np.linspace(-2, 2, 300)
    y = np.where(x < 0.3, 1 - 2 * x, 3 * x - 2) + 0.05 * rng.standard_normal(300)
    found = regressor(gate="auto", variance_prior="auto").fit(x[:, None], y)
    assert found.penalties_["gate__alpha"] == 1e-3  # the least that there is


@pytest.mark.parametrize("variance_prior", ["weak", "auto"])
def test_the_curve_of_the_last_climb_is_monotone_and_the_same_for_any_threads(variance_prior):
    X, y, *_ = switched(600)
    one, two = (
        regressor(variance_prior=variance_prior, n_jobs=n_jobs).fit(X, y) for n_jobs in (1, 2)
    )
    assert (np.diff(one.lower_bounds_) >= 0).all() and one.converged_
    np.testing.assert_array_equal(one.lower_bounds_, two.lower_bounds_)
    assert one.penalties_["gate__alpha"] == two.penalties_["gate__alpha"]
    assert one.log_evidence_ == two.log_evidence_ == pytest.approx(one.log_evidence(X, y), abs=1e-8)


def test_a_large_fit_hears_what_the_generic_pass_says():
    """The compiled climb knows of targets and spreads of variances."""
    from classic_moe.model import fused_climb

    X, y, *_ = switched(600)
    found = regressor(variance_prior="auto").fit(X, y)
    lookup = fused_climb.lookup
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fused_climb, "lookup", lambda *args: None)
        again = regressor(variance_prior="auto").fit(X, y)
    assert lookup is fused_climb.lookup
    assert again.log_evidence_ == pytest.approx(found.log_evidence_, abs=1e-3)
    np.testing.assert_allclose(again.experts_[0].coef_, found.experts_[0].coef_, atol=1e-3)


def test_a_sample_tells_the_penalties_of_many_rows():
    X, y, *_ = switched(12_000)
    found, again = (regressor(n_init=1, n_jobs=n_jobs).fit(X, y) for n_jobs in (1, 2))
    assert found.penalties_["expert__alpha"] == again.penalties_["expert__alpha"]
    assert len(found.evidence_path_) == 1  # that of all rows, on which nothing was left to do
    at = dict(found.penalties_, init_params=found)
    for name in ("gate__alpha", "expert__alpha"):
        for factor in (0.5, 2.0):
            other = regressor(n_init=1).set_params(**at | {name: factor * at[name]}).fit(X, y)
            assert other.log_evidence(X, y) < found.log_evidence_


def counts(mean, rng):
    return rng.poisson(np.exp(mean))


def gammas(mean, rng):
    return rng.gamma(3, np.exp(mean) / 3)


@pytest.mark.parametrize(
    "expert, target",
    [
        (PoissonExpert(alpha="auto"), counts),
        (GammaExpert(alpha="auto"), gammas),
        (StudentTExpert(alpha="auto", variance_prior="auto"), None),
        (GaussianExpert(variance_prior="auto"), None),
        (LinearExpert(alpha="auto", variance=0.16), None),
        (LinearExpert("auto", "auto", covariance_type="tied"), None),
        ([LinearExpert(alpha="auto"), "gaussian"], None),
    ],
    ids=lambda value: getattr(value, "__name__", None) or type(value).__name__,
)
def test_every_family_with_second_derivatives_takes_part(expert, target):
    X, y, mean, rng = switched(150)
    y = y if target is None else target(mean, rng)
    model = MixtureOfExpertsRegressor(
        2, expert=expert, gate=SoftmaxGate(alpha="auto"), n_init=2, random_state=0
    ).fit(X, y)
    assert model.converged_ and np.isfinite(model.log_evidence_)
    assert (np.diff(model.lower_bounds_) >= 0).all()
    assert model.penalties_["gate__alpha"] >= 1e-3


def test_several_outputs_share_what_is_found():
    X, y, mean, rng = switched(150)
    Y = np.column_stack([y, mean + rng.standard_normal(150)])
    model = regressor(variance_prior="auto").fit(X, Y)
    assert model.penalties_["expert__variance_prior"].spread.shape == (2, 2, 2)
    assert np.isfinite(model.log_evidence_) and model.converged_


@pytest.mark.parametrize("expert", [LogisticExpert("auto"), SoftmaxExpert("auto")], ids=repr)
def test_classifiers_find_penalties(expert):
    X, _, mean, rng = switched(200)
    y = (rng.random(200) < 1 / (1 + np.exp(-4 * (mean - 0.7)))).astype(int)
    gate = SoftmaxGate("auto")
    model = MixtureOfExpertsClassifier(2, expert=expert, gate=gate, n_init=2, random_state=0)
    model.fit(X, y)
    assert set(model.penalties_) == {"gate__alpha", "expert__alpha"}
    assert 1e-6 < model.penalties_["expert__alpha"] < 1e6


@pytest.mark.filterwarnings("ignore::classic_moe.ExpertCollapseWarning")  # four for two regions
def test_trees_find_one_penalty_for_all_nodes():
    X, y, *_ = switched(200)
    options = dict(expert=LinearExpert("auto"), n_init=2, random_state=0)
    tree = TreeGate(SoftmaxGate("auto"), structure=((0, 1), 2))
    flat = MixtureOfExpertsRegressor(3, gate=tree, **options).fit(X, y)
    deep = HierarchicalMixtureOfExpertsRegressor(gate=SoftmaxGate("auto"), **options).fit(X, y)
    kept = dict(router=TreeGate(SoftmaxGate("auto")), k=2)
    sparse = SparseMixtureOfExpertsRegressor(4, **kept, **options).fit(X, y)
    for model, name in {
        flat: "gate__gate__alpha",
        deep: "gate__alpha",
        sparse: "router__gate__alpha",
    }.items():
        assert 1e-3 <= model.penalties_[name] < 1e6
        assert model.get_params()[name] == "auto"
        assert set(model.penalties_) == {name, "expert__alpha", "expert__variance_prior"}


def test_the_search_over_parameters_takes_words_and_a_clone_keeps_them():
    X, y, *_ = switched(100)
    model = regressor(alpha="weak", gate="weak", n_init=1)
    grid = {"expert__alpha": ["auto", "weak", 1.0], "gate__alpha": ["auto", 0.1]}
    search = GridSearchCV(model, grid, cv=2).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    twin = clone(regressor())
    assert twin.get_params()["expert__alpha"] == twin.get_params()["gate__alpha"] == "auto"
    assert twin.expert.alpha == twin.fit(X, y).expert.alpha == "auto"


def test_a_stream_goes_on_with_what_a_fit_has_found_and_cannot_begin():
    X, y, *_ = switched()
    model = regressor(solver="online").partial_fit(X, y)
    assert model.evidence_missing_ == "the first rows of a stream are not all"
    assert model.partial_fit(X, y).evidence_missing_ == "the first rows of a stream are not all"
    found = regressor().fit(X, y)
    penalties = found.penalties_
    assert found.partial_fit(X[:50], y[:50]).penalties_ is penalties
    assert not hasattr(found, "log_evidence_")


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(expert=LaplaceExpert(alpha="auto")), "alpha='auto' of LaplaceExpert"),
        (dict(expert=LinearExpert(alpha="most")), "or 'auto', or 'weak'"),
        (dict(expert=GammaExpert(variance_prior="auto")), "variance_prior='auto' of GammaExpert"),
        (dict(expert=[LinearExpert(1.0, "auto"), "linear"]), "in a list of experts"),
    ],
    ids=str,
)
def test_what_cannot_be_found_is_refused_in_a_sentence(options, message):
    X, y, *_ = switched(60)
    with pytest.raises(ValueError, match=message):
        MixtureOfExpertsRegressor(2, **options).fit(X, y)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    "options, reason",
    [
        (dict(expert="laplace"), "the expert, LaplaceExpert, has no second derivatives"),
        (dict(expert=MLPExpert((2,), max_iter=2)), "MLPExpert, has no second derivatives"),
        (dict(gate=LogisticRegression()), "the gate, EstimatorGate, has no second derivatives"),
        (dict(solver="cem"), "CEM does not climb the likelihood"),
        (dict(solver="adam", max_iter=5), "Adam need not end at a maximum"),
        (dict(solver="gradient", max_iter=5), "GradientAscent need not end at a maximum"),
        (dict(solver=LBFGS(early_stopping=True), max_iter=5), "LBFGS need not end at a maximum"),
        (dict(solver="online", max_iter=2), "OnlineEM need not end at a maximum"),
        (dict(gate="constant", groups=3), "that of rows in groups is not worked out"),
        (dict(n_experts=1, expert="laplace"), "has no second derivatives"),
    ],
    ids=str,
)
def test_without_evidence_penalties_are_weak_and_the_fit_says_why(options, reason):
    X, y, *_ = switched(60)
    options = dict(n_experts=2, n_init=1, random_state=0, gate=SoftmaxGate("auto")) | options
    options.setdefault("expert", LinearExpert("auto"))
    size = options.pop("groups", None)
    groups = None if size is None else np.arange(60) // size
    model = MixtureOfExpertsRegressor(**options).fit(X, y, groups=groups)
    assert reason in model.evidence_missing_
    assert not hasattr(model, "penalties_") and not hasattr(model, "log_evidence_")
    assert f"weak, no evidence: {model.evidence_missing_}" in str(model.summary())
    weak = weakly_penalised(MixtureOfExpertsRegressor(**options))
    weak.fit(X, y, groups=groups)
    np.testing.assert_array_equal(model.lower_bounds_, weak.lower_bounds_)
    assert not hasattr(weak, "evidence_missing_")


def test_beside_an_expert_with_a_number_the_others_are_weak():
    X, y, *_ = switched(60)
    options = dict(n_init=2, random_state=0)
    options["gate"] = SoftmaxGate("auto")
    mixed = [LinearExpert(0.1), LinearExpert("auto")]
    mixed = MixtureOfExpertsRegressor(2, expert=mixed, **options).fit(X, y)
    weak = [LinearExpert(0.1), LinearExpert("weak")]
    named = MixtureOfExpertsRegressor(2, expert=weak, **options).fit(X, y)
    assert list(mixed.penalties_) == ["gate__alpha"]
    np.testing.assert_array_equal(mixed.predict(X), named.predict(X))


def test_evidence_that_turns_out_to_be_missing_leaves_weak_penalties(monkeypatch):
    def none(*args, **kwargs):
        raise NoInformation("the curvature is a secret")

    X, y, *_ = switched(60)
    monkeypatch.setattr("classic_moe.starts.automatic.evidence", none)
    model = regressor(n_init=2).fit(X, y)
    assert model.evidence_missing_ == "the curvature is a secret"
    weak = weakly_penalised(MixtureOfExpertsRegressor(2, n_init=2, random_state=0)).fit(X, y)
    # another search, whose random numbers go on from those of the first
    assert model.lower_bounds_[-1] == pytest.approx(weak.lower_bounds_[-1], rel=1e-6)


@pytest.mark.parametrize("source", ["init_params", "warm_start"])
@pytest.mark.parametrize("variance_prior", ["weak", "auto"])
def test_a_fit_that_goes_on_begins_with_the_penalties_of_the_last(
    source, variance_prior, monkeypatch
):
    X, y, *_ = switched(120)
    first = regressor(variance_prior=variance_prior).fit(X, y)
    bound, penalties = first.lower_bounds_[-1], first.penalties_
    tried, fit = [], Ground.fit
    monkeypatch.setattr(Ground, "fit", lambda *a, **k: tried.append(a[1].alphas) or fit(*a, **k))
    if source == "init_params":
        again = clone(first).set_params(init_params=first).fit(X, y)
    else:
        again = first.set_params(warm_start=True).fit(X, y)
    found = {part: penalties[f"{part}__alpha"] for part in ("gate", "expert")}
    assert {part: tried[0][part] for part in found} == found
    # it may still rise by what a climb leaves, and penalties move by what has counted as settled
    assert again.lower_bounds_[0] > bound - 0.05
    for name in ("gate__alpha", "expert__alpha"):
        assert again.penalties_[name] == pytest.approx(penalties[name], rel=0.05)


def test_parts_without_columns_have_no_penalty_to_find():
    X, y, *_ = switched(60)
    auto = regressor(gate_features=[], expert_features=[]).fit(X, y)
    weak = regressor(alpha="weak", gate="weak", gate_features=[], expert_features=[]).fit(X, y)
    np.testing.assert_array_equal(auto.lower_bounds_, weak.lower_bounds_)
    assert not hasattr(auto, "penalties_")


def test_the_history_is_a_climb_from_a_start():
    """At the penalties found, as if they had been given: not the last steps alone."""
    X, y, *_ = switched(100)
    found = regressor().fit(X, y)
    path = found.lower_bounds_
    assert len(path) == found.n_iter_ + 1 > 5
    assert path[-1] - path[0] > 5 and (np.diff(path) >= 0).all()


def test_the_summary_says_what_was_found():
    X, y, *_ = switched(100)
    text = str(regressor().fit(X, y).summary())
    assert "log evidence" in text and "gate__alpha (auto)" in text


def test_the_callback_hears_a_climb_that_does_not_begin_where_the_search_did():
    # At the penalties found, the climb from the search's start ends at another maximum.
    X, y, *_ = switched(60, seed=49)
    heard = []
    model = regressor(4, random_state=49).fit(
        X, y, callback=lambda i, params, value: heard.append(value)
    )
    assert len(heard) == model.n_iter_
    # the reported objective is summed up in another order
    assert heard[-1] == pytest.approx(model.lower_bounds_[-1], abs=1e-6)


def test_the_callback_hears_the_last_climb_and_may_stop_it():
    X, y, *_ = switched(100)
    heard = []
    model = regressor().fit(X, y, callback=lambda i, params, value: heard.append(value))
    assert heard[-1] == pytest.approx(model.lower_bounds_[-1], abs=1e-6)
