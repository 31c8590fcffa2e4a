"""`Statistics` add and scale, nested or not, and never change what they are made of."""

import pickle

import numpy as np
import pytest

from classic_moe.parts.statistics import Statistics


def statistics(seed):
    rng = np.random.default_rng(seed)
    inner = Statistics(gram=rng.standard_normal((2, 3, 3)), n=rng.uniform(size=2))
    return Statistics(objective=float(rng.standard_normal()), expert=inner)


def numbers(stats):
    return np.concatenate(
        [[stats["objective"]], stats["expert"]["gram"].ravel(), stats["expert"]["n"]]
    )


def test_more_names_make_statistics_too():
    found = Statistics(n=1) | {"gate": Statistics(n=2)}
    assert type(found) is Statistics and found + found == {"n": 2, "gate": {"n": 4}}


def test_they_add_name_by_name():
    a, b = statistics(0), statistics(1)
    total = a + b
    assert isinstance(total, Statistics) and isinstance(total["expert"], Statistics)
    assert np.array_equal(numbers(total), numbers(a) + numbers(b))


def test_the_order_of_names_is_free():
    a, b = statistics(0), statistics(1)
    turned = Statistics(expert=b["expert"], objective=b["objective"])
    assert np.array_equal(numbers(a + turned), numbers(a + b))


@pytest.mark.parametrize("factor", [0.0, 0.25, 3])
def test_they_scale_from_either_side(factor):
    a = statistics(0)
    assert np.array_equal(numbers(factor * a), factor * numbers(a))
    assert np.array_equal(numbers(a * factor), factor * numbers(a))


def test_adding_and_scaling_leave_the_parts_as_they_were():
    a, b = statistics(0), statistics(1)
    a + b, 2 * a
    assert np.array_equal(numbers(a), numbers(statistics(0)))
    assert np.array_equal(numbers(b), numbers(statistics(1)))


def test_a_missing_name_is_an_error():
    with pytest.raises(KeyError, match="expert"):
        statistics(0) + Statistics(objective=1.0)


def test_they_survive_a_pickle():
    a = statistics(0)
    assert np.array_equal(numbers(pickle.loads(pickle.dumps(a)) + a), 2 * numbers(a))
