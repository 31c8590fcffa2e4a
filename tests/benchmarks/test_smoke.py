"""The benchmark scripts run, and compare like with like; nothing is asserted on time."""

import importlib.util
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


def script(name):
    path = Path(__file__).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_em_benchmark_compares_equal_work_and_reaches_the_exact_maximum(capsys):
    em_iteration = script("em_iteration")
    found = em_iteration.main(["--rows", "2000", "--repeats", "1", "--iterations", "2"])
    # Both sides maximise the same function by the same steps: equal up to rounding of sums of 2000.
    assert found["apart"] < 1e-6
    # The exact maximum is known to six decimals.
    assert found["model"].log_likelihood_ == pytest.approx(em_iteration.EXACT[2000], abs=2e-6)
    assert "ratio" in capsys.readouterr().out


def test_tree_benchmark_compares_equal_work(capsys):
    arguments = ["--rows", "1500", "--depth", "2", "--repeats", "1", "--iterations", "2"]
    found = script("tree_iteration").main(arguments)
    # Both passes maximise the same function by the same steps: equal up to rounding.
    assert found["apart"] < 1e-9 * abs(found["objective"])
    assert "ratios" in capsys.readouterr().out


def test_staged_pass_benchmark_compares_equal_work(capsys):
    found = script("staged_pass").main(["--rows", "1500", "--repeats", "1"])
    assert found["apart"] < 1e-12  # both passes sum the same terms: equal up to rounding
    assert "ratio" in capsys.readouterr().out


def test_predictions_benchmark_compares_equal_predictions(capsys, monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parent)
    found = script("predictions").main(["--rows", "1500", "--repeats", "1"])
    assert found["apart"] < 1e-11  # y is of size 10: both mix the same means, up to rounding
    assert "x numpy" in capsys.readouterr().out


def test_families_benchmark_times_every_case(capsys):
    families = script("families")
    ratios = families.main(["--rows", "600", "--repeats", "1", "--iterations", "1"])
    assert set(ratios) == set(families.cases(600)) - {"linear"}
    assert "ratio" in capsys.readouterr().out
