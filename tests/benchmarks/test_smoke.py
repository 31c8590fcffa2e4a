"""The benchmark scripts run, and compare like with like; nothing is asserted on time."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.slow
HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def siblings(monkeypatch):
    """Scripts import each other by name, as they do when run."""
    monkeypatch.syspath_prepend(HERE)


def script(name):
    path = HERE / f"{name}.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
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


def test_predictions_benchmark_compares_equal_predictions(capsys):
    predictions = script("predictions")
    predictions.FITTED = 800  # rows that find the parameters: any will do here
    found = predictions.main(["--rows", "1500", "--repeats", "1"])
    assert found["apart"] < 1e-11  # y is of size 10: both mix the same means, up to rounding
    assert "x numpy" in capsys.readouterr().out


def test_sparse_benchmark_times_few_experts_beside_all(capsys):
    sparse = script("sparse")
    sizes = "--rows 400 --fitted 200 --trained 200 --experts 3 4 --units 2 --leaves 4 8"
    found = sparse.main([*sizes.split(), *"--repeats 1 --passes 1 --epochs 2".split()])
    names = {(name, K, k) for name in ("mixture", "blend") for K in (3, 4) for k in KINDS}
    assert set(found["networks"]) == names
    assert {K for _, K, _ in found["trees"]} == {4, 8} and len(found["trees"]) == 12
    assert set(found["passes"]) == {"blend", "mixture"} and set(found["flat"]) == {3, 4}
    assert all(ratio > 0 for table in found.values() for ratio in table.values())
    assert capsys.readouterr().out.count("dense / sparse") == 3


KINDS = ("dense", "sparse")
"""All experts of a row, and few."""


def test_families_benchmark_times_every_case(capsys):
    families = script("families")
    ratios = families.main(["--rows", "600", "--repeats", "1", "--iterations", "1"])
    assert set(ratios) == set(families.cases(600)) - {"linear"}
    assert "ratio" in capsys.readouterr().out


def test_default_fits_benchmark_ends_near_the_exact_maximum(capsys):
    default_fits = script("default_fits")
    found = default_fits.main(["--rows", "2000", "--repeats", "1"])[2000]
    assert 0 <= found["left"] < 1e-7 * 2000  # what `tol` leaves
    exact = script("em_iteration").EXACT[2000]
    # The prior costs hundredths of a nat here, and no penalised fit lies above the maximum.
    assert exact - 0.1 < found["top"].log_likelihood_ <= exact + 1e-6
    assert found["textbook"] >= exact * (1 + 1.01 * default_fits.CLOSE)
    assert "ratio to classic_moe" in capsys.readouterr().out


def test_suite_counts_passes_and_measures_ends(capsys):
    suite = script("suite")
    problems = suite.problems()
    assert len(problems) == 12
    # Facts of the data: these must not drift, or earlier figures mean something else.
    X, y, K = problems["badly scaled"]
    assert (X.shape, K) == ((5000, 8), 3)
    arguments = ["--problems", "overlapping, p = 2", "--rows", "600", "--seeds", "2"]
    (found,) = suite.main(arguments).values()
    assert np.ptp(found["ends"]) < 1e-6
    assert found["slope"] < 1e-8
    assert len(found["ratios"]) == suite.STARTS
    start = suite.starts(X[:300, :2], y[:300], 2, 1)[0]
    counts = [suite.passes(solver(), *start) for solver in (suite.EMNewton, suite.AcceleratedEM)]
    assert counts[0][1] >= 1 and counts[1][1] == 0  # informations: Newton's alone
    assert all(passes > informations for passes, informations in counts)
    suite.main([*arguments[:4], "--restarts", "3"])
    printed = capsys.readouterr().out
    assert "geometric mean" in printed and "best of 3 starts" in printed


def test_slopes_are_those_of_the_reported_objective():
    measure, make = script("_measure"), script("em_iteration").make
    X, y = make(600, 2, 2)
    model = measure.MixtureOfExpertsRegressor(2, random_state=0)
    assert measure.slope_left(measure.fitted(model, X, y), X, y) < 1e-8
    measure.fitted(model.set_params(solver="em", max_iter=3, n_init=1), X, y)
    assert measure.slope_left(model, X, y) > 1e-5


def test_small_fits_benchmark_searches(capsys):
    arguments = "--rows 100 --experts 1 2 --folds 2 --repeats 1 --jobs 1".split()
    found = script("small_fits").main(arguments)
    assert found["fits"] == 5
    assert len(found["search"].cv_results_["params"]) == 2
    assert "grid search" in capsys.readouterr().out


def test_wide_benchmark_compares_numbers_of_columns(capsys):
    arguments = "--columns 3 4 --rows 1500 --experts 2 --repeats 1 --iterations 2".split()
    assert set(script("wide").main(arguments)["ratios"]) == {3, 4}
    assert "CPU ms an iteration" in capsys.readouterr().out


def test_streams_benchmark_learns_from_every_call(capsys):
    found = script("streams").main("--calls 2000 1000 --rows 4000".split())
    assert {size: len(each) for size, each in found["seconds"].items()} == {2000: 2, 1000: 4}
    assert all(found["best"] - density < 0.1 for density in found["density"].values())
    assert "rows a CPU second" in capsys.readouterr().out


def test_threads_benchmark_sees_the_same_bits(capsys):
    threads = script("threads")
    assert threads.main(["--rows", "2000", "--repeats", "1"])[2000]["same"]
    fits = [threads.MixtureOfExpertsRegressor(2, n_init=1, max_iter=n) for n in (3, 4)]
    assert not threads.is_same(*(threads.fitted(fit, *threads.make(200, 2, 2)) for fit in fits))
    assert "same bits" in capsys.readouterr().out


def test_cold_benchmark_finds_no_numba_in_an_import(capsys):
    found = script("cold").main(["--import-only"])
    assert not found["empty cache"]["numba"]
    assert "numba is not loaded" in capsys.readouterr().out


def few_rows(names):
    """Stands for the real tables."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 2))
    yield "few", X, np.abs(X[:, 0]) + 0.3 * rng.standard_normal(60)


@pytest.mark.parametrize("name, rows", [("penalties", 4), ("tables", 5), ("uncertainty", 2)])
def test_real_tables_are_compared_by_every_way(name, rows, monkeypatch, capsys):
    compared = script(name)
    folds = compared.folds
    monkeypatch.setattr(compared, "tables", few_rows)
    monkeypatch.setattr(compared, "folds", lambda X, y: list(folds(X, y))[:2])
    if name == "tables":
        monkeypatch.setattr(compared, "MOST_EXPERTS", 2)
        monkeypatch.setattr(compared.importlib.util, "find_spec", lambda name: None)
    compared.main([])
    told = capsys.readouterr().out
    assert told.count("±") == rows * {"tables": 1, "uncertainty": 2, "penalties": 3}[name]
    assert "nan" not in told


def test_classes_for_airspeed_velocity_run():
    fits = script("asv_suite/fits")
    tried = fits.DefaultFit()
    tried.setup(1000)
    tried.time_fit(1000)
    assert 0 <= tried.track_nats_below_the_maximum(1000) < 1e-7 * 1000
    assert tried.track_slope_left(1000) < 1e-8


def test_blocks_benchmark_reaches_one_fit_from_wherever_the_rows_are(capsys, tmp_path):
    blocks, found = script("blocks"), []
    for mode in blocks.MODES:
        arguments = ["--rows", "3000", "--columns", "4", "--max-iter", "2", "--block", "700"]
        blocks.main([*arguments, "--here", "--file", str(tmp_path / "table"), "--modes", mode])
        found.append(capsys.readouterr().out.rpartition("log-likelihood ")[2])
    assert len(set(found)) == 1 and float(found[0]) < 0
