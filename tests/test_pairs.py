"""Every gate with every expert (see `helpers/pairs.py`)."""

import pairs
import pytest
from sklearn.exceptions import ConvergenceWarning

pytestmark = [pytest.mark.weak_penalties, pytest.mark.slow]


@pytest.mark.parametrize("gate", pairs.GATES)
@pytest.mark.parametrize("expert", pairs.EXPERTS)
def test_every_pair_keeps_its_promises(gate, expert):
    # nearly every pair converges; the promises hold for any fit, whatever optimum it is near
    broken, caught, _ = pairs.examine(gate, expert, n_init=2, max_iter=60)
    assert not broken
    categories = [warning.category for warning in caught]
    assert all(issubclass(category, ConvergenceWarning) for category in categories), caught
    assert len(set(categories)) == len(categories)  # each at most once a fit
