"""The compiled climb takes the steps of `solvers.em`, and says when it cannot."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.data.batches import ArrayBatches
from classic_moe.experts import GaussianExpert, LinearExpert
from classic_moe.gates import ConstantGate, SoftmaxGate
from classic_moe.model import fused_climb
from classic_moe.model.fused_climb import FusedClimb
from classic_moe.model.mixture import MixtureModel
from classic_moe.parts.params import leaves
from classic_moe.solvers import AcceleratedEM


def data(n=700, p=3, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p))
    y = np.where(X[:, 0] + 0.3 * rng.normal(size=n) > 0, X @ rng.normal(size=p), 2 - X[:, -1])
    return X, y + 0.3 * rng.normal(size=n), rng.uniform(0.2, 2, size=n)


def start(n, K, seed=1):
    return np.random.default_rng(seed).dirichlet(np.ones(K), size=n)


CASES = {
    "softmax": dict(),
    "constant gate": dict(gate="constant"),
    "constant experts": dict(expert="gaussian"),
    "both constant": dict(gate="constant", expert=GaussianExpert(variance_prior=0.5)),
    "own columns": dict(gate_features=[2, 0], expert_features=[1]),
    "columns in any order": dict(gate_features=[1, 0], expert_features=[2, 0, 1]),
    "penalties": dict(gate=SoftmaxGate(alpha=2.0), expert=LinearExpert(alpha=3.0)),
    "none": dict(gate=SoftmaxGate(alpha=0), expert=LinearExpert(alpha=0, variance_prior=0)),
    "two experts": dict(n_experts=2),
}


@pytest.fixture
def calls(monkeypatch):
    """Return the list of the iterations made in every call of the compiled climb."""
    made, run = [], FusedClimb.run

    def counted(self, *args, **options):
        climbed = run(self, *args, **options)
        made.append(len(climbed.values))
        return climbed

    monkeypatch.setattr(FusedClimb, "run", counted)
    return made


@pytest.mark.parametrize("solver", ["em", AcceleratedEM()], ids=["em", "squarem"])
@pytest.mark.parametrize("case", CASES)
def test_a_compiled_climb_takes_the_steps_of_em(case, solver, calls, monkeypatch):
    X, y, weight = data()
    options = dict(n_experts=3, solver=solver, max_iter=25, tol=1e-9) | CASES[case]
    options["init_params"] = start(len(X), options["n_experts"])
    with no_matter():
        fused = MixtureOfExpertsRegressor(**options).fit(X, y, sample_weight=weight)
    assert sum(calls) >= 10
    calls.clear()
    monkeypatch.setattr(fused_climb, "lookup", lambda model, batches: None)
    with no_matter():
        stepwise = MixtureOfExpertsRegressor(**options).fit(X, y, sample_weight=weight)
    assert not calls
    # Sums in another order: last digits, which ten or twenty steps may blow up a thousandfold.
    m = min(len(fused.lower_bounds_), len(stepwise.lower_bounds_))
    assert_allclose(fused.lower_bounds_[:m], stepwise.lower_bounds_[:m], rtol=1e-9)
    for one, other in zip(leaves(fused.params_), leaves(stepwise.params_), strict=True):
        assert_allclose(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("expert", ["gaussian", "linear"])
def test_a_mixture_of_y_alone_climbs_in_compiled_code(expert, calls, monkeypatch):
    _, y, weight = data()
    options = dict(n_experts=2, gate="constant", expert=expert, random_state=0, n_init=2)
    options |= dict(expert_features=[]) if expert == "linear" else {}
    with no_matter():
        fused = MixtureOfExpertsRegressor(**options).fit(None, y, sample_weight=weight)
        assert sum(calls) >= 5
        monkeypatch.setattr(fused_climb, "lookup", lambda model, batches: None)
        stepwise = MixtureOfExpertsRegressor(**options).fit(None, y, sample_weight=weight)
    assert fused.lower_bounds_[-1] == pytest.approx(stepwise.lower_bounds_[-1], rel=1e-9)


@pytest.mark.parametrize("n", [400, 900])  # of more than 500 rows the gate looks at some
@pytest.mark.parametrize("case", CASES)
def test_a_start_is_that_of_the_model(case, n, monkeypatch):
    X, y, weight = data(n)
    made, start_here = [], FusedClimb.start

    def started(self, target):
        found = start_here(self, target)
        made.append((found, self.model.init(*self._rows[:2], target, None)))
        return found

    monkeypatch.setattr(FusedClimb, "start", started)
    options = dict(n_experts=3, n_init=1, max_iter=1) | CASES[case]
    options["init_params"] = start(n, options["n_experts"])
    with no_matter():
        MixtureOfExpertsRegressor(**options).fit(X, y, sample_weight=weight)
    assert len(made) == 1
    for one, other in zip(*map(leaves, made[0]), strict=True):
        assert_allclose(one, other, rtol=1e-11, atol=1e-12)


def looked_up(X, y, weight):
    """Return what a default model and its rows have in common, and the batches."""
    model = MixtureModel(SoftmaxGate(), LinearExpert(), compiled=True)
    batches = ArrayBatches(X, y[:, None], weight)
    return model, batches


def test_a_start_of_no_numbers_is_left_to_the_model():
    X, y, weight = data(100)
    fused = fused_climb.lookup(*looked_up(X, y, weight))
    target = weight[:, None] * start(100, 3)
    assert fused.start(target) is not None
    assert fused.start(np.full_like(target, np.nan)) is None
    assert fused.start(np.zeros_like(target)) is None


def test_climbs_of_one_model_share_what_they_have_in_common():
    model, batches = looked_up(*data(100))
    one, other = (fused_climb.lookup(model, batches) for _ in range(2))
    assert one is not other and one._rows is other._rows
    another = replace(model, gate=SoftmaxGate(alpha=2.0))
    assert fused_climb.lookup(another, batches).model is another


@pytest.mark.parametrize("K", [2, 5])
def test_a_callback_is_told_of_every_iterate_and_changes_no_bit(K):
    X, y, _ = data()
    seen = []
    options = dict(init_params=start(len(X), K))
    quiet = MixtureOfExpertsRegressor(K, **options).fit(X, y)
    told = MixtureOfExpertsRegressor(K, **options)
    told.fit(X, y, callback=lambda *step: seen.append(step))
    assert_array_equal(told.lower_bounds_, quiet.lower_bounds_)
    for one, other in zip(leaves(told.params_), leaves(quiet.params_), strict=True):
        assert_array_equal(one, other)
    assert [iteration for iteration, _, _ in seen] == list(range(1, told.n_iter_ + 1))
    assert_array_equal([value for _, _, value in seen], told.lower_bounds_[1:])


class no_matter:
    """Whether the climb has converged after so few steps does not matter: warnings are let be."""

    def __enter__(self):
        import warnings

        self.caught = warnings.catch_warnings()
        self.caught.__enter__()
        warnings.simplefilter("ignore")

    def __exit__(self, *error):
        self.caught.__exit__(*error)


def test_statistics_of_a_climb_are_those_of_its_end(monkeypatch):
    X, y, weight = data()
    ends, run = [], FusedClimb.run

    def kept(self, *args, **options):
        climbed = run(self, *args, **options)
        ends.append((self.model, climbed))
        return climbed

    monkeypatch.setattr(FusedClimb, "run", kept)
    rows = []
    statistics = MixtureOfExpertsRegressor(3, init_params=start(len(X), 3))
    monkeypatch.setattr(fused_climb, "lookup", _remembering(fused_climb.lookup, rows))
    statistics.fit(X, y, sample_weight=weight)
    model, climbed = ends[0]
    (block,) = rows[:1]
    expected = model.statistics(climbed.params, block.X, block.y, block.weight)
    assert_allclose(climbed.stats["objective"], expected["objective"], rtol=1e-11)
    for part in ("gate", "expert"):
        for name, value in expected[part].items():
            size = np.abs(value).max()
            # sums of 700 terms in another order; a gradient is what is left of them
            assert_allclose(climbed.stats[part][name], value, rtol=1e-9, atol=1e-9 * max(size, 700))
    value = climbed.stats["objective"] + model.log_prior(climbed.params)
    assert_allclose(climbed.values[-1], value, rtol=1e-12)


def _remembering(lookup, rows):
    from classic_moe.data.batches import whole

    def looked_up(model, batches):
        rows.append(whole(batches))
        return lookup(model, batches)

    return looked_up


class Damped(LinearExpert):
    """An M-step of its own, which no compiled climb knows."""

    def maximize(self, params, stats, cautious=False):
        step = super().maximize(params, stats, cautious)
        return {name: 0.5 * (params[name] + step[name]) for name in step}


@pytest.mark.parametrize(
    "options",
    [
        dict(expert=Damped()),
        dict(expert=LinearExpert(variance=0.1)),
        dict(expert=LinearExpert(covariance_type="tied")),
        dict(gate="gaussian"),
        dict(expert="student_t"),
        dict(n_experts=9),
    ],
    ids=lambda options: str(options),
)
def test_what_the_compiled_climb_does_not_know_it_leaves_alone(options, calls):
    X, y, _ = data()
    model = MixtureOfExpertsRegressor(**dict(n_experts=2) | options, n_init=1, max_iter=3)
    with no_matter():
        model.fit(X, y)
    assert not calls


def test_groups_and_known_experts_climb_step_by_step(calls):
    X, y, _ = data()
    labels = np.where(np.arange(len(X)) < 5, 0, -1)
    with no_matter():
        MixtureOfExpertsRegressor(2, n_init=1, max_iter=3).fit(X, y, expert_labels=labels)
        MixtureOfExpertsRegressor(2, gate=ConstantGate(), n_init=1, max_iter=3).fit(
            X, y, groups=np.arange(len(X)) // 7
        )
    assert not calls


def test_a_singular_system_is_handed_back(monkeypatch):
    """A column twice, without a penalty: the compiled solve gives up, and EM goes on."""
    X, y, _ = data()
    X = np.column_stack([X, X[:, 0]])
    options = dict(gate=SoftmaxGate(alpha=0), expert=LinearExpert(alpha=0), n_init=1)
    model = MixtureOfExpertsRegressor(2, random_state=0, **options).fit(X, y)
    plain = MixtureOfExpertsRegressor(2, random_state=0, **options)
    monkeypatch.setattr(fused_climb, "lookup", lambda model, batches: None)
    plain.fit(X, y)
    assert model.converged_
    assert_allclose(model.log_likelihood_, plain.log_likelihood_, atol=1e-3)
    assert (np.diff(model.lower_bounds_) >= 0).all()
