"""A listener hears every iteration of every start, and its word ends the fit."""

import numpy as np
import pytest

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.datasets import load_motorcycle
from classic_moe.starts.listening import listening

pytestmark = pytest.mark.weak_penalties


@pytest.fixture(scope="module")
def data():
    return load_motorcycle(return_X_y=True)


def heard(model, data, answer=lambda step: False):
    steps = []

    def listen(step):
        steps.append(step)
        return answer(step)

    with listening(listen):
        model.fit(*data)
    return steps


def test_every_start_and_run_is_heard_and_nothing_changes(data):
    model = MixtureOfExpertsRegressor(2, n_init=4, random_state=0)
    alone = model.fit(*data).lower_bounds_.copy()
    steps = heard(model, data)
    np.testing.assert_array_equal(model.lower_bounds_, alone)
    starts = [(step.number, step.of) for step in steps if step.kind == "start"]
    assert sorted(set(starts)) == [(number, 4) for number in range(1, 5)]
    runs = [step for step in steps if step.kind == "run"]
    assert {step.of for step in runs} == {max(step.number for step in runs)}
    assert steps.index(runs[0]) == len(starts)
    assert model.lower_bounds_[-1] in [step.objective for step in runs]  # in the caller's units


def test_a_fit_of_one_start_is_one_run(data):
    steps = heard(MixtureOfExpertsRegressor(1), data)
    assert {step[:3] for step in steps} == {("run", 1, 1)}


@pytest.mark.parametrize("kind", ["start", "run"])
def test_true_ends_the_fit_with_the_values_reached(data, kind):
    model = MixtureOfExpertsRegressor(3, random_state=0)
    steps = heard(model, data, lambda step: step.kind == kind and step.iteration >= 2)
    first = next(step for step in steps if step.kind == kind and step.iteration >= 2)
    after = steps[steps.index(first) + 1 :]
    if kind == "start":  # no other start; the one that was running goes on for a single iteration
        assert first.number == 1
        after = [step for step in after if step.kind == "start"]
    assert not after
    assert model.predict(data[0]).shape == data[1].shape


def test_a_number_ends_nothing(data):
    steps = heard(MixtureOfExpertsRegressor(2, n_init=2, random_state=0), data, lambda step: 1)
    assert len({step[:3] for step in steps}) > 2


def test_the_callback_of_the_user_is_told_and_obeyed_as_before(data):
    told = []
    with listening(lambda step: False):
        model = MixtureOfExpertsRegressor(2, random_state=0)
        model.fit(*data, callback=lambda *now: told.append(now) or len(told) == 3)
    assert len(told) == 3


def test_after_the_block_the_former_listener_hears_and_then_nobody(data):
    outer, inner = [], []
    with listening(lambda step: bool(outer.append(step))):
        with listening(lambda step: bool(inner.append(step))):
            MixtureOfExpertsRegressor(1).fit(*data)
        assert inner and not outer
        MixtureOfExpertsRegressor(1).fit(*data)
    assert len(outer) == len(inner)
    MixtureOfExpertsRegressor(1).fit(*data)
    assert len(outer) == len(inner)
