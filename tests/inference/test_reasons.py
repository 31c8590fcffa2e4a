"""A number that cannot be known is NaN, and has its reason; what is refused says so."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from classic_moe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from classic_moe.experts import LinearExpert, StudentTExpert
from classic_moe.gates import SoftmaxGate
from classic_moe.inference import infer

FREE = dict(alpha=0.0, variance_prior=0.0)
pytestmark = pytest.mark.filterwarnings("ignore")  # of fits that are made to go wrong


def rows(n=200, separated=False):
    rng = np.random.default_rng(0)
    X = rng.uniform(-2, 2, (n, 1))
    X = X + 0.3 * np.sign(X) if separated else X
    first = X[:, 0] > 0 if separated else rng.random(n) < 1 / (1 + np.exp(-2 * X[:, 0]))
    y = np.where(first, 3 + X[:, 0], -3 - X[:, 0]) + 0.3 * rng.standard_normal(n)
    return X, y, np.where(first, 0, 1)


def fit(X, y, z, expert=None, gate=None, **options):
    start = np.eye(z.max() + 1)[z] + 0.01
    expert = expert or LinearExpert(**FREE)
    options = dict(expert=expert, gate=gate or SoftmaxGate(alpha=0), init_params=start) | options
    return MixtureOfExpertsRegressor(z.max() + 1, **options).fit(X, y)


def lost(found):
    """The names without a standard error, which are those with a reason."""
    bad = {n for n, e in zip(found.names, found.standard_errors, strict=True) if np.isnan(e)}
    assert bad == set(found.reasons)
    j = [found.names.index(name) for name in bad]
    assert np.isnan(found.covariance[j]).all() and np.isnan(found.lower[j]).all()
    kept = [i for i in range(len(found.names)) if i not in j]
    assert np.isfinite(found.covariance[np.ix_(kept, kept)]).all()
    assert all(name in str(found) for name in sorted(bad)[:8])
    return bad


@pytest.mark.parametrize("alpha", [0.0, 1e-3])
def test_a_separated_gate(alpha):
    X, y, _ = rows(separated=True)
    z = np.where(X[:, 0] > 0, 0, 1)
    found = infer(fit(X, y, z, gate=SoftmaxGate(alpha=alpha)), X, y)
    assert {"gate 0: x0"} <= lost(found) <= {"gate 0: intercept", "gate 0: x0"}


def test_a_copied_column_takes_its_own_slopes_alone():
    X, y, z = rows()
    found = infer(fit(np.column_stack([X, 2 * X]), y, z), np.column_stack([X, 2 * X]), y)
    owners = ("expert 0", "expert 1", "gate 0")
    assert lost(found) == {f"{owner}: x{j}" for owner in owners for j in (0, 1)}
    plain = infer(fit(X, y, z), X, y)
    j, k = (f.names.index("expert 0: intercept") for f in (found, plain))
    np.testing.assert_allclose(found.standard_errors[j], plain.standard_errors[k], rtol=1e-5)


def test_a_weak_penalty_is_no_information():
    X, y, z = rows()
    both = np.column_stack([X, X])
    found = infer(fit(both, y, z, LinearExpert(alpha=1e-3), SoftmaxGate()), both, y)
    assert "expert 0: x0" in lost(found)
    assert "the penalty sets its size" in found.reasons["expert 0: x0"]


def test_a_parameter_at_its_bound():
    X, y, z = rows(400)
    found = infer(fit(X, y, z, StudentTExpert(min_df=50, **FREE)), X, y)
    at = [j for j, name in enumerate(found.names) if name.endswith("df")]
    assert {found.names[j] for j in at if found.estimates[j] in (50, 200)} == lost(found) != set()


def test_an_expert_with_few_rows():
    X, y, z = rows()
    z[:2], y[:2] = 2, [40, 41]
    model = fit(X, y, z, LinearExpert(alpha=0, variance_prior=0.01), "constant")
    found = infer(model, X, y)
    few = np.argmin(model.weights_)
    assert {n for n in found.names if n.startswith(f"expert {few}")} <= lost(found)
    assert "effective rows for 3 parameters" in found.reasons[f"expert {few}: x0"]


def test_a_fit_that_is_no_maximum_has_no_errors_at_all():
    X, y, z = rows()
    for found in (
        infer(fit(X, y, z, max_iter=1, solver="em"), X, y),
        infer(fit(X, y, z), X[:100], y[:100]),
        infer(fit(X, y, z), X, y, sample_weight=np.arange(200)),
    ):
        assert lost(found) == set(found.names)
        assert "no maximum on these rows" in str(found)


def test_a_saddle_has_no_errors():
    X, y, _ = rows()
    start = np.full((200, 2), 0.5)  # both experts alike: EM never leaves
    model = MixtureOfExpertsRegressor(
        2, init_params=start, solver="em", expert=LinearExpert(**FREE)
    )
    found = infer(model.fit(X, y), X, y)
    assert lost(found) == set(found.names)


def test_a_gate_without_information_is_no_saddle():
    """Without a penalty the information of a separated gate is rounding, of either sign."""
    X = np.r_[np.random.default_rng(0).uniform(-3, -1, 100), np.linspace(1, 3, 100)][:, None]
    y = np.where(X[:, 0] < 0, 5 - X[:, 0], -5 + 2 * X[:, 0]) + 0.1 * np.sin(np.arange(200) ** 2)
    model = MixtureOfExpertsRegressor(2, gate=SoftmaxGate(alpha=0), random_state=0).fit(X, y)
    found = infer(model, X, y)
    assert lost(found) == {"gate 0: intercept", "gate 0: x0"}
    assert "flat" in found.reasons["gate 0: x0"]


@pytest.mark.parametrize(
    "expert, y, words",
    [
        ("linear", np.full(60, 2.0), "y is constant"),
        ("linear", np.arange(60.0), "variance from the prior alone"),
        (LinearExpert(**FREE), np.arange(60.0), "sits at the variance bound"),
    ],
)
def test_an_expert_whose_scale_is_not_that_of_the_data(expert, y, words):
    X = np.arange(60.0)[:, None]
    found = infer(MixtureOfExpertsRegressor(1, expert=expert).fit(X, y), X, y)
    assert lost(found) == set(found.names)
    assert words in found.reasons["expert 0: x0"]


@pytest.mark.parametrize(
    "options, words",
    [
        (dict(expert="laplace"), "LaplaceExpert, has no second derivatives"),
        (dict(expert="mlp"), "MLPExpert, has no derivatives row by row"),
        (dict(expert=LinearRegression()), "EstimatorExpert, has no derivatives row by row"),
    ],
)
def test_what_has_no_second_derivatives_is_refused(options, words):
    X, y, _ = rows(60)
    model = MixtureOfExpertsRegressor(2, max_iter=3, n_init=1, random_state=0, **options).fit(X, y)
    with pytest.raises(ValueError, match=words) as caught:
        infer(model, X, y)
    assert "bootstrap" in str(caught.value)
    told = model.summary(X, y)
    assert "parameters" not in told.tables and "No standard errors" in str(told)


def test_other_refusals_take_one_sentence():
    X, y, z = rows(60)
    model, groups = fit(X, y, z), np.arange(60) // 2
    wide = np.random.default_rng(0).standard_normal((60, 90))
    short = dict(max_iter=2, n_init=1, random_state=0)
    numbers = MixtureOfExpertsClassifier(2, expert="linear", random_state=0).fit(X, y > 0)
    grouped = MixtureOfExpertsRegressor(2, gate="constant", **short).fit(X, y, groups=groups)
    for call, words in (
        (lambda: infer(model, X, y, covariance="robust"), "use one of 'observed'"),
        (lambda: infer(model, X, y, confidence=95), "between 0 and 1"),
        (lambda: infer(model, X, y, groups=groups), "the fit had no groups"),
        (lambda: infer(model, X, y, covariance="cluster"), "needs groups"),
        (lambda: infer(model, X, y, covariance="cluster", groups=0 * groups), "in one cluster"),
        (lambda: infer(grouped, X, y), "the fit had groups"),
        (lambda: infer(fit(wide, y, z, max_iter=2), wide, y), "more columns than rows"),
        (lambda: infer(numbers, X, y > 0), "no likelihood of classes"),
    ):
        with pytest.raises(ValueError, match=words) as caught:
            call()
        assert str(caught.value).count(". ") <= 1
    with pytest.raises(TypeError, match="needs a mixture of experts"):
        infer(LinearRegression(), X, y)
    assert np.isfinite(infer(numbers, X, y > 0, covariance="sandwich").standard_errors).any()
