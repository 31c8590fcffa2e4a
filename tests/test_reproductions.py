"""Every reproduction runs, and its claim holds on a small case."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[1] / "docs" / "reproductions"
SCRIPTS = sorted(path.stem for path in FOLDER.glob("[!_]*.py"))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # of runs that are stopped early on purpose
]


@pytest.fixture
def run(monkeypatch):
    """Run the `main` of a script, in this process."""
    monkeypatch.syspath_prepend(str(FOLDER))

    def run(name, **arguments):
        try:
            return importlib.import_module(name).main(**arguments)
        finally:
            for module in (*SCRIPTS, "_report"):
                sys.modules.pop(module, None)

    return run


def test_every_reproduction_is_on_the_page():
    page = (FOLDER / "index.md").read_text(encoding="utf-8")
    for name in SCRIPTS:
        assert f"python docs/reproductions/{name}.py" in page
        own = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
        assert f"python docs/reproductions/{name}.py" in own


def test_block_irls_swings_for_ever_and_newton_arrives(run, capsys):
    results = run("inner_loop", seeds=1, rows=200)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert set(lines[1]) == {"|", "-"}  # Markdown
    assert {line.count("|") for line in lines} == {7}
    swinging = results[2, "block IRLS"]
    assert np.isinf(swinging["steps"]).all()
    np.testing.assert_allclose(swinging["multiplier"], -1, atol=0.01)  # errors of size 1e-3
    for n_classes in (2, 3, 5):
        assert (results[n_classes, "exact Newton"]["steps"] <= 15).all()
        for name in ("half a block step", "Böhning's bound"):
            assert results[n_classes, name]["rises"] == 1
            assert np.isfinite(results[n_classes, name]["steps"]).all()


def test_student_t_keeps_the_lines_that_normal_experts_lose(run):
    results = run("tone", seeds=1, max_iter=300, families=("normal", "Student-t, ν = 2"))
    normal = results["normal"]["clean"]
    assert abs(normal.log_likelihood_ - 141.20) < 0.05  # of mixtools
    scales = sorted(float(view.scale_) for view in normal.experts_)
    np.testing.assert_allclose(scales, [0.046, 0.133], atol=0.001)
    kept = {name: result["kept"] for name, result in results.items()}
    assert kept["Student-t, ν = 2"]
    assert not kept["normal"]


def test_the_motorcycle_band_covers_and_bic_takes_three(run):
    results = run("motorcycle", seeds=1, most=4, families=("normal",))
    assert results["BIC"]["normal"] == [3]
    assert 90 <= results["normal", 3]["inside"].min() <= 98


def test_the_gate_finds_the_regimes_of_a_series(run):
    results = run("switching", seeds=1, rows=1200)
    assert results["gate finds the regime"][0] > 0.9
    assert results["gate and y find the regime"][0] > 0.97
    gain = np.subtract(results["gated experts, nats a row"], results["polynomial, nats a row"])
    assert gain[0] > 1


def test_the_localised_gate_never_falls_and_costs_little_accuracy(run):
    results = run("localised", seeds=2, rows=600)
    own, plain = results["localised"], results["softmax"]
    assert max(result["largest fall"] for result in own) < 1e-9
    errors = [np.median([result["error"] for result in of]) for of in (own, plain)]
    assert errors[0] < 1.5 * errors[1]


def test_local_experts_learn_the_vowels_and_em_needs_fewer_passes(run):
    small = {"seeds": 1, "epochs": 120, "tuning": 1, "systems": ("4 experts",), "steps": (1.0, 1.5)}
    first, second = run("vowels", **small)
    _, train, test, _ = first["4 experts"]["runs"][0]
    assert train > 0.8
    assert test > 0.8
    assert second[1.0]["ratio"].min() > 2
    assert second[1.0]["fall"] < 1e-9


def test_a_step_with_which_any_run_swings_or_stalls_is_left_out(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    vowels = importlib.import_module("vowels")

    def train(size, step, split, seed, epochs):
        return np.inf if step > 3 else 10 / step, 1.0, 1.0, step > 2 and split == 4

    assert vowels.best_step(train, 4, range(5), 100, (1.0, 2.0, 3.0, 4.0)) == 2.0
    with pytest.raises(ValueError, match=r"no step of .* gets to 0\.08 on all splits"):
        vowels.best_step(train, 4, range(5), 100, (3.0, 4.0))
    for module in ("vowels", "_report"):
        sys.modules.pop(module)


def test_meta_pi_beats_one_model(run):
    kinds, six = run("meta_pi", seeds=1, rows=120)
    assert kinds["Meta-Pi"][0] > kinds["one model, F1 and F2"][0] + 0.03
    assert six["Meta-Pi"][0] > six["one linear model"][0] + 0.2
    assert six["sixth speaker: weight of the men"][0] > 0.9


@pytest.mark.parametrize("part", ["batch", "online", "depth"])
def test_trees_beat_a_line_on_the_robot_arm(run, part):
    results = run("robot_arm", seeds=1, rows=1500, epochs=12, depth=2, part=part)
    errors = {name: runs[0]["error"] for name, runs in results.items()}
    line = errors.pop("linear regression", 0.3)
    for name, error in errors.items():
        if "HME" in name or "experts" in name:
            assert error < line


def test_the_test_of_one_expert_more_rejects_where_there_are_two(run):
    found = run("expert_count_test", simulations=3, power=2, resamples=19, designs=("one", "gap 4"))
    assert found["gap 4"] == (2, 2)
    assert found["one"][0] < 3


def test_superfluous_experts_vanish(run):
    assert run("superfluous_experts", simulations=2, ways=("auto",)) == {"auto": [3, 3]}


def test_copies_of_a_network_leave_it_behind(run):
    found = run("upcycling", seeds=1, rows=1000, dense_epochs=60, further=(30,))
    assert found["upcycled + 30"][0] < 0.8 * min(found["dense + 30"][0], found["scratch + 30"][0])


def test_few_lines_a_row_lose_next_to_nothing(run):
    """Four of eight within 0.02 nats; truncated EM never falls and ends as high as EM."""
    found = run("few_experts", seeds=1, experts=8, rows=800, iterations=40, starts=1)
    assert found["nll", 4][0] <= found["nll", 8][0] + 0.02
    assert found["error", 4][0] <= 1.02 * found["error", 8][0]
    assert found["kept_mass", 4][0] >= 0.99 > found["kept_mass", 1][0]
    assert found["below"][0] <= 0.05
    assert found["least gain"][0] >= 0


def test_every_preset_fits_and_balancing_evens_out_the_loads(run):
    names = ("shazeer", "deepseek_v3", "hash")
    found = run("presets", rows=600, epochs=12, names=names)
    assert len(found) == 12 and np.isfinite(list(found.values())).all()
    before, after = (found["deepseek_v3", "regression", which] for which in ("free", "balanced"))
    assert after[0] < before[0] and before[1] < 1 and after[1] < 1
    same = [found["hash", "classification", which] for which in ("free", "balanced")]
    assert same[0] == same[1]  # it has nothing to leave out


def test_experts_starve_without_balancing(run, capsys):
    rules = ("no balancing", "noise, importance .1, load .1")
    results = run("starvation", seeds=1, rows=2000, epochs=20, rules=rules, em=0)
    (starved,), (balanced,) = (results[name] for name in rules)
    assert starved[2] > 2.5 and starved[3] >= 4  # load, unused
    assert balanced[2] < 2 and balanced[3] == 0
    assert balanced[0] < starved[0]
    assert "| noise, importance .1, load .1 |" in capsys.readouterr().out
