"""The benchmark scripts run, and compare like with like; nothing is asserted on time."""

import importlib.util
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def em_iteration():
    path = Path(__file__).with_name("em_iteration.py")
    spec = importlib.util.spec_from_file_location("em_iteration", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_em_benchmark_compares_equal_work_and_reaches_the_exact_maximum(em_iteration, capsys):
    found = em_iteration.main(["--rows", "2000", "--repeats", "1", "--iterations", "2"])
    # Both sides maximise the same function by the same steps: equal up to rounding of sums of 2000.
    assert found["apart"] < 1e-6
    # The exact maximum is known to six decimals.
    assert found["model"].log_likelihood_ == pytest.approx(em_iteration.EXACT[2000], abs=2e-6)
    assert "ratio" in capsys.readouterr().out
