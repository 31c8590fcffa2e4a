"""Whole fits where X lies are those of numpy, and so are predictions."""

import numpy as np
import pytest
from elsewhere import host, inputs, mixed_columns, target

from classic_moe import (
    AdaptiveLocalExpertsRegressor,
    HierarchicalMixtureOfExpertsRegressor,
    MixtureOfExpertsClassifier,
    MixtureOfExpertsRegressor,
)
from classic_moe.data.device_batches import DeviceBatches
from classic_moe.gates import ExponentialFamilyGate, GaussianGate, TreeGate
from classic_moe.model.fused_climb import CHUNK

LIKELIHOOD, SAID = 1e-10, 1e-8
"""Relative, of log-likelihoods; of predictions, in units of y: what rounding becomes in the
iterations of a fit."""

FAMILIES = ["linear", "gaussian", "student_t", "laplace", "poisson", "negative_binomial", "gamma"]
FAMILIES += ["binomial", "softmax", "logistic"]
GATES = ["constant", "gaussian", GaussianGate("diag"), "exponential_family", "tree"]
GATES += ["least_squares"]
GATES += [ExponentialFamilyGate(["gaussian", "poisson", "categorical"])]
PAIRS = [("softmax", family) for family in FAMILIES]
PAIRS += [(gate, family) for gate in GATES for family in ("linear", "poisson")]
PAIRS += [("tree", "softmax"), ("gaussian", "softmax")]
METHODS = ["predict", "predict_experts", "gate_proba", "predict_proba", "predict_log_proba"]


def pair(gate, family, n=700, **options):
    """Return an estimator with two experts and its data."""
    rng, X, f = inputs(n)
    y = target(family, f, rng)
    if isinstance(gate, ExponentialFamilyGate) and not isinstance(gate.families, str):
        X = mixed_columns(X, rng)
    kind = MixtureOfExpertsRegressor
    if family in ("softmax", "logistic"):
        kind = MixtureOfExpertsClassifier
    gate = TreeGate(branching=2, depth=1) if gate == "tree" else gate
    options = dict(n_init=1, random_state=0) | options
    return kind(2, expert=family, gate=gate, **options), X, y


def assert_one_fit(found, expected, X, y, there, said=SAID, likelihood=LIKELIHOOD):
    assert abs(found.log_likelihood_ / expected.log_likelihood_ - 1) <= likelihood
    if likelihood == LIKELIHOOD:
        assert found.n_iter_ == expected.n_iter_
        assert found.converged_ == expected.converged_
    assert (np.diff(found.lower_bounds_) >= -1e-10 * abs(found.lower_bounds_[0])).all()
    moved = there(X)
    for name in METHODS:
        if not hasattr(expected, name):
            continue
        values = getattr(found, name)(moved)
        assert type(values) is type(moved) and values.device == moved.device, name
        assert values.dtype == moved.dtype or "int" in str(values.dtype)
        np.testing.assert_allclose(host(values), getattr(expected, name)(X), atol=said, rtol=said)
    log_prob, resp = found.log_prob(moved, y), found.responsibilities(moved, there(y))
    np.testing.assert_allclose(host(log_prob), expected.log_prob(X, y), atol=said, rtol=said)
    np.testing.assert_allclose(host(resp), expected.responsibilities(X, y), atol=said, rtol=said)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("gate", "family"), PAIRS, ids=str)
def test_every_summing_family_and_gate(there, gate, family):
    few = isinstance(gate, str) and gate in ("softmax", "constant")
    few = few and family in ("linear", "gaussian")  # few rows of these are climbed in one kernel,
    # which is quick enough to go on longer before Newton takes over
    model, X, y = pair(gate, family, n=CHUNK + 1 if few else 500, max_iter=25)
    expected = model.fit(X, y)
    found = pair(gate, family, n=500, max_iter=25)[0].fit(there(X), there(y))
    if family == "laplace":  # a step past a kink tells the last bits of the units of X apart
        assert_one_fit(found, expected, X, y, there, said=1e-2, likelihood=1e-5)
    else:
        assert_one_fit(found, expected, X, y, there)


def test_laplace_experts_end_at_the_same_maximum(there):
    model, X, y = pair("softmax", "laplace", n=150, tol=1e-8)
    found = pair("softmax", "laplace", tol=1e-8)[0].fit(there(X), y)
    # What `tol` leaves: past kinks gains are no series that tells what is still to come. 3e-7 seen.
    assert abs(found.log_likelihood_ / model.fit(X, y).log_likelihood_ - 1) <= 1e-6


@pytest.mark.parametrize("family", ["linear", "softmax"])
def test_more_rows_than_the_search_looks_at(there, family):
    model, X, y = pair("softmax", family, n=6000, n_init=3)
    found = pair("softmax", family, n_init=3)[0].fit(there(X), there(y))
    assert_one_fit(found, model.fit(X, y), X, y, there)


def test_the_rows_of_a_fit_stay_on_the_device(device1, monkeypatch):
    """It is the device's pass that is tested here, not numpy's in disguise."""
    passes, whole = [], DeviceBatches.map_sum

    def counted(self, function, params, scaled=False):
        passes.append(self.n)
        return whole(self, function, params, scaled)

    monkeypatch.setattr(DeviceBatches, "map_sum", counted)
    model, X, y = pair("softmax", "linear")
    model.fit(device1(X), y)
    assert len(passes) >= model.n_iter_ and set(passes) == {len(X)}


def test_blocks_add_to_the_whole(device1, monkeypatch):
    model, X, y = pair("softmax", "linear")
    expected = model.fit(X, y).log_likelihood_
    monkeypatch.setattr(DeviceBatches, "rows", 250)
    found = pair("softmax", "linear")[0].fit(device1(X), y)
    assert abs(found.log_likelihood_ / expected - 1) <= LIKELIHOOD


def test_float32_is_storage_alone(there):
    model, X, y = pair("softmax", "linear")
    X = X.astype(np.float32)
    expected = model.fit(X, y)
    found = pair("softmax", "linear")[0].fit(there(X), y)
    # X in internal units is rounded to float32, where the last bits of the units count
    assert abs(found.log_likelihood_ / expected.log_likelihood_ - 1) <= 1e-6
    said = found.predict(there(X))
    assert said.dtype == there(y).dtype
    np.testing.assert_allclose(host(said), expected.predict(X), atol=1e-3)


def test_columns_weights_and_an_offset(there):
    rng, X, f = inputs()
    y, weight = rng.poisson(np.exp(0.5 * f)).astype(float), rng.integers(0, 3, len(X)).astype(float)

    def fit(X, y, weight):
        model = MixtureOfExpertsRegressor(
            2,
            expert="poisson",
            gate_features=[0],
            expert_features=[1, 0],
            offset_feature=2,
            n_init=1,
            random_state=0,
        )
        return model.fit(X, y, sample_weight=weight)

    expected, found = fit(X, y, weight), fit(there(X), there(y), there(weight))
    assert_one_fit(found, expected, X, y, there)
    both = [model.bic(*rows, weight) for model, rows in ((expected, (X, y)), (found, (X, y)))]
    assert abs(both[0] / both[1] - 1) <= LIKELIHOOD
    assert abs(found.bic(there(X), there(y), there(weight)) / both[0] - 1) <= LIKELIHOOD


def test_several_outputs_and_constant_columns(there):
    rng, X, f = inputs()
    X = np.column_stack([X, np.full(len(X), 3.0), 1e-200 * X[:, 0], 1e150 * X[:, 1]])
    y = np.column_stack([f, -f]) + 0.3 * rng.normal(size=(len(X), 2))
    expected = MixtureOfExpertsRegressor(2, n_init=1, random_state=0).fit(X, y)
    found = MixtureOfExpertsRegressor(2, n_init=1, random_state=0).fit(there(X), y)
    assert_one_fit(found, expected, X, y, there)
    assert found.n_parameters_ == expected.n_parameters_


def test_more_columns_than_rows(device1):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 90))
    y = X[:, 0] + 0.1 * rng.normal(size=60)
    expected = MixtureOfExpertsRegressor(2, n_init=1, random_state=0, max_iter=10)
    found = MixtureOfExpertsRegressor(2, n_init=1, random_state=0, max_iter=10)
    with np.errstate(all="ignore"), pytest.warns(UserWarning):
        expected.fit(X, y)
        found.fit(device1(X), y)
    np.testing.assert_allclose(host(found.predict(device1(X))), expected.predict(X), atol=1e-6)


@pytest.mark.parametrize("prune", [0.0, 0.05])
def test_trees_and_branches_that_are_left_out(there, prune):
    rng, X, f = inputs()
    y = f + 0.3 * rng.normal(size=len(X))
    options = dict(gate=TreeGate(branching=2, depth=2, prune=prune), n_init=1, random_state=0)
    options["max_iter"] = 15
    with pytest.warns(UserWarning):
        expected = MixtureOfExpertsRegressor(4, **options).fit(X, y)
        found = MixtureOfExpertsRegressor(4, **options).fit(there(X), y)
    assert_one_fit(found, expected, X, y, there)
    assert (host(found.gate_proba(there(X))) == 0).any() == (prune > 0)


def test_a_hierarchical_mixture(there):
    rng, X, f = inputs()
    y = f + 0.3 * rng.normal(size=len(X))
    kind, options = HierarchicalMixtureOfExpertsRegressor, dict(n_init=1, random_state=0)
    expected = kind(depth=1, **options).fit(X, y)
    assert_one_fit(kind(depth=1, **options).fit(there(X), y), expected, X, y, there)


@pytest.mark.parametrize("solver", ["em", "cem", "lbfgs", "newton"])
def test_solvers_that_look_at_all_rows(there, solver):
    model, X, y = pair("softmax", "linear", solver=solver)
    found = pair("softmax", "linear", solver=solver)[0].fit(there(X), y)
    expected = model.fit(X, y)
    assert abs(found.log_likelihood_ / expected.log_likelihood_ - 1) <= 1e-7  # within `tol`


def test_penalties_from_the_evidence(there):
    model, X, y = pair("softmax", "linear")
    twin = pair("softmax", "linear")[0]
    for each in (model, twin):
        each.set_params(expert__alpha="auto", gate__alpha="auto")
    expected, found = model.fit(X, y), twin.fit(there(X), y)
    assert abs(found.log_likelihood_ / expected.log_likelihood_ - 1) <= 1e-8
    for name in ("expert__alpha", "gate__alpha"):
        assert found.penalties_[name] == pytest.approx(expected.penalties_[name], rel=1e-4)


def test_lists_of_experts(there):
    rng, X, f = inputs(400)
    y = f + 0.3 * rng.normal(size=len(X))
    options = dict(expert=["linear", "student_t"], n_init=1, random_state=0)
    expected = MixtureOfExpertsRegressor(2, **options).fit(X, y)
    found = MixtureOfExpertsRegressor(2, **options).fit(there(X), y)
    assert_one_fit(found, expected, X, y, there)


def test_the_error_of_an_expert_that_the_gate_draws(there):
    rng, X, f = inputs(400)
    y = f + 0.3 * rng.normal(size=len(X))
    options = dict(objective="expected_error", n_init=1, random_state=0, max_iter=10)
    with pytest.warns(UserWarning):
        expected = AdaptiveLocalExpertsRegressor(2, **options).fit(X, y)
        found = AdaptiveLocalExpertsRegressor(2, **options).fit(there(X), y)
    np.testing.assert_allclose(found.lower_bounds_, expected.lower_bounds_, rtol=1e-8)


def test_known_experts_count(there):
    model, X, y = pair("softmax", "linear")
    labels = np.where(np.arange(len(X)) % 5 == 0, (X[:, 0] > 0) * 1, -1)
    expected = model.fit(X, y, expert_labels=labels)
    found = pair("softmax", "linear")[0].fit(there(X), y, expert_labels=there(labels))
    assert_one_fit(found, expected, X, y, there)


def test_a_fit_goes_on_from_another_and_from_values(there):
    model, X, y = pair("softmax", "linear")
    first = model.fit(X, y)
    for start in (first, {"gate": vars(first.gate_), "expert": None}):
        if isinstance(start, dict):
            gate = {"coef": first.gate_.coef_, "intercept": first.gate_.intercept_}
            own = [(e.coef_[None], [e.intercept_], [e.scale_]) for e in first.experts_]
            coef, intercept, scale = map(np.array, zip(*own, strict=True))
            start = {
                "gate": gate,
                "expert": {"coef": coef, "intercept": intercept, "scale": scale},
            }
        found = pair("softmax", "linear", init_params=start)[0].fit(there(X), y)
        assert found.n_iter_ <= 3
        assert abs(found.log_likelihood_ / first.log_likelihood_ - 1) <= 1e-9


def test_learning_row_by_row(there):
    model, X, y = pair("softmax", "linear")
    twin = pair("softmax", "linear")[0]
    for rows in (slice(0, 300), slice(300, 700)):
        model.partial_fit(X[rows], y[rows])
        twin.partial_fit(there(X[rows]), there(y[rows]))
    np.testing.assert_allclose(host(twin.predict(there(X))), model.predict(X), atol=SAID)
    twin.partial_fit(X[:100], y[:100])  # a fit made anywhere goes on anywhere
