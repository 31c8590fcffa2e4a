"""What comes back from a device in a fit: sums, and the sample of the search."""

import pickle

import numpy as np
import pytest
from elsewhere import inputs, target

from classic_moe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from classic_moe._kernels import array
from classic_moe.data.device_batches import DeviceBatches

TIMES = 4
"""Bytes that come down in a pass are at most so many times those of its statistics, pickled: some
are worked out from what comes down, as Böhning's Gram is one block of many."""


class Count:
    """Notes what comes down: shapes and bytes in all, and of every pass its bytes and result."""

    def __init__(self, monkeypatch):
        self.shapes, self.bytes, self.passes, self.sampled = [], 0, [], False
        known = array.LIBRARIES["array_api_strict"]

        def brought(values):
            found = known.brought(values)
            self.bytes += found.nbytes
            self.shapes.append((self.sampled, found.shape))
            return found

        counted = known._replace(brought=brought)
        monkeypatch.setitem(array.LIBRARIES, "array_api_strict", counted)
        whole, sample = DeviceBatches.map_sum, DeviceBatches.sample

        def map_sum(batches, function, params, scaled=False):
            before = self.bytes
            found = whole(batches, function, params, scaled)
            self.passes.append((self.bytes - before, found))
            return found

        def sampling(batches, n, rng):
            found = sample(batches, n, rng)
            self.sampled = True
            return found

        monkeypatch.setattr(DeviceBatches, "map_sum", map_sum)
        monkeypatch.setattr(DeviceBatches, "sample", sampling)


CASES = [
    (MixtureOfExpertsRegressor, "linear", "softmax"),
    (MixtureOfExpertsRegressor, "poisson", "softmax"),
    (MixtureOfExpertsRegressor, "linear", "gaussian"),
    (MixtureOfExpertsClassifier, "softmax", "softmax"),
]


@pytest.mark.parametrize(("kind", "expert", "gate"), CASES, ids=str)
def test_a_pass_brings_its_statistics_and_nothing_with_a_row(
    device1, monkeypatch, kind, expert, gate
):
    rng, X, f = inputs(6007)
    y = target(expert, f, rng)
    count = Count(monkeypatch)
    model = kind(2, expert=expert, gate=gate, n_init=1, random_state=0).fit(device1(X), y)
    assert len(count.passes) > model.n_iter_
    assert sum(taken > 0 for taken, _ in count.passes) > model.n_iter_
    for taken, found in count.passes:
        assert taken <= TIMES * len(pickle.dumps(found))
    samples = [shape for _, shape in count.shapes if max(shape, default=0) >= 1000]
    # X, y and weight of the search's sample, and of one for the posterior of numbers
    assert len(samples) == (6 if kind is MixtureOfExpertsRegressor else 3)
    assert all(shape[0] <= 5000 for shape in samples)
    assert not [shape for _, shape in count.shapes if len(X) in shape]
    sums = [shape for sampled, shape in count.shapes if sampled and shape not in samples]
    assert max(np.prod(shape, dtype=int) for shape in sums) < len(X)


def test_the_sum_of_the_weights_is_known_without_a_look(device1, monkeypatch):
    _, X, f = inputs(50)
    batches = DeviceBatches(device1(X), f, np.full(50, 2.0), prepare=lambda X: X)
    count = Count(monkeypatch)
    assert batches.total_weight == 100.0 and batches.n == 50 and count.bytes == 0
