"""Every worked example runs, its page names it, and what the page claims holds on a small case."""

import importlib
import re
import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[1] / "docs" / "examples"
SCRIPTS = sorted(path.stem for path in FOLDER.glob("[!_]*.py"))


@pytest.fixture
def load(monkeypatch):
    """Import a script, and forget it and what it shares with others afterwards."""
    monkeypatch.setattr(sys, "path", [str(FOLDER), *sys.path])
    yield importlib.import_module
    for module in (*SCRIPTS, "_compare", "_report"):
        sys.modules.pop(module, None)


def test_every_script_has_a_page_that_names_it_and_is_in_the_index():
    assert len(SCRIPTS) == 5
    index = (FOLDER / "index.md").read_text(encoding="utf-8")
    for name in SCRIPTS:
        command = f"python docs/examples/{name}.py"
        assert command in (FOLDER / f"{name}.md").read_text(encoding="utf-8")
        assert command in (FOLDER / f"{name}.py").read_text(encoding="utf-8")
        assert f"]({name}.md)" in index


def test_the_pages_show_pictures_that_are_there():
    shown = []
    for page in FOLDER.glob("*.md"):
        found = re.findall(r"!\[[^]]+\]\(([^)]+)\)", page.read_text(encoding="utf-8"))
        shown += [FOLDER / picture for picture in found]
    assert len(shown) >= 5
    assert not [picture for picture in shown if not picture.is_file()]


def test_the_error_of_repeated_folds_is_that_of_nadeau_and_bengio(load):
    ahead = load("_compare").ahead
    splits = [(np.arange(80), np.arange(20))] * 4
    mean, error = ahead([1.0, 1.0, 1.0, 1.0], [1.0, 2.0, 3.0, 4.0], splits)
    assert mean == 1.5
    np.testing.assert_allclose(error**2, (1 / 4 + 20 / 80) * np.var([0, 1, 2, 3], ddof=1))


def test_experts_for_two_kinds_of_customers_beat_one_rule(load):
    script = load("card_default")
    X, y, truth = script.make_card_default(8_000, random_state=1, return_truth=True)
    train, test = np.arange(4_000), np.arange(4_000, 8_000)
    Z = script.take_logs(X)
    models = script.models()
    kept = {name: models[name] for name in ("logistic regression", "mixture of 2, weak")}
    kept["the rule itself"] = script.Rule(truth)
    results = script.compare(kept, [(train, test)], Z, y, script.scores)
    line, mixture, rule = (found["log loss"][0] for found in results.values())
    assert rule < mixture < line


def test_a_table_says_how_far_the_reference_is_ahead(load, capsys):
    show = load("_compare").show
    splits = [(np.arange(80), np.arange(20))] * 2
    first = {"loss": np.array([1.0, 2.0]), "CPU s": np.array([0.1, 0.1])}
    second = {"loss": np.array([1.5, 2.5]), "CPU s": np.array([0.2, 0.2])}
    show("two", {"ours": first, "other": second}, splits, "ours", digits=2)
    printed = capsys.readouterr().out
    assert "| ours | 1.50 |  | 0.1 |" in printed
    assert "| other | 2.00 | +0.50 ± 0.00 | 0.2 |" in printed


def test_reliability_counts_defaults_between_quantiles(load):
    script = load("card_default")
    proba = np.arange(100) / 100
    predicted, observed = script.reliability((proba >= 0.9).astype(int), proba)
    np.testing.assert_allclose(predicted, np.arange(10) / 10 + 0.045)
    np.testing.assert_array_equal(observed, [0] * 9 + [1])


def test_garch_has_the_densities_of_a_student_t_of_its_variance(load):
    from scipy.stats import t

    script = load("market_regimes")
    returns, _ = script.make_daily_returns(300, random_state=0)
    model = script.Garch().fit(returns)
    df, h = 2 + np.exp(model.found[4]), model.variances(returns)
    expected = t.logpdf(returns, df, model.found[0], np.sqrt(h * (df - 2) / df))
    np.testing.assert_allclose(model.densities(returns), expected, rtol=1e-10)  # two formulas


def test_features_of_a_day_do_not_look_at_it(load):
    script = load("market_regimes")
    returns, _ = script.make_daily_returns(200, random_state=0)
    changed = returns.copy()
    changed[150:] += 5.0
    before, after = script.features(returns), script.features(changed)
    np.testing.assert_array_equal(before[:151], after[:151])
    assert (before[151] != after[151]).all()


def test_regimes_beat_one_student_t_where_there_are_regimes(load):
    script = load("market_regimes")
    returns, _ = script.make_daily_returns(1_100, random_state=1)
    results, _ = script.run(returns, ("one Student t", "mixture of 2"))
    assert len(results["mixture of 2"]) == len(returns) - script.FIRST
    gain, _ = script.ahead(results["mixture of 2"], results["one Student t"])
    assert gain > 0.02


@pytest.mark.filterwarnings("ignore:node ")  # some gates are separated, as the page says
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")  # 200 epochs on purpose
def test_a_tree_of_lines_and_a_network_beat_a_line_on_the_arm(load):
    names = ("linear regression", "tree of 16 lines", "one network of 64")
    results = load("sensors").compare(1_000, 1, names)
    line, tree, network = (results[name][0, 0] for name in names)
    assert max(tree, network) < 0.7 * line


def test_the_gate_hears_the_kind_of_speaker(load):
    found, model = load("speakers").gate_and_kinds(40)
    men, women = found["men"], found["women"]
    assert model.n_experts == 2
    assert men.argmax() != women.argmax()
    assert men.max() > 0.8
    assert women.max() > 0.8


def test_a_line_with_noise_and_one_with_a_spread_are_densities(load):
    script = load("subgroups")
    X, y = script.load_diabetes(return_X_y=True, scaled=False)
    grid = np.linspace(-400, 800, 2_401)
    for model in (script.WithNoise().fit(X, y), script.LineForTheSpread().fit(X, y)):
        density = np.exp(model.log_prob(np.repeat(X[:1], len(grid), axis=0), grid))
        np.testing.assert_allclose(density.sum() * 0.5, 1, rtol=1e-3)  # the tails beyond the grid
