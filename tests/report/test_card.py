"""The card of a fitted estimator in a notebook, and what becomes of its tables."""

import re
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor
from sklearn.utils import estimator_html_repr

from classic_moe import (
    DeepMixtureOfExpertsRegressor,
    HierarchicalMixtureOfExpertsRegressor,
    MetaPiRegressor,
    MixtureOfExpertsClassifier,
    MixtureOfExpertsRegressor,
    SparseMixtureOfExpertsRegressor,
)
from classic_moe.inference import infer
from classic_moe.inspection._palette import OKABE_ITO
from classic_moe.model_selection import ExpertCountSearch
from classic_moe.report.card import ROWS, TERMS
from classic_moe.report.table import Table

pytestmark = pytest.mark.weak_penalties

FAST = dict(random_state=0, max_iter=5)
EVIL = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(120, 3)), columns=["age", EVIL, "weight & size"])
    y = np.where(X["age"] > 0, 2 * X[EVIL], -1 - X["weight & size"]) + 0.3 * rng.normal(size=120)
    return X, pd.Series(y, name="body <mass>")


MODELS = {
    "flat": MixtureOfExpertsRegressor(2, n_init=1, **FAST),
    "gaussian gate, networks": MixtureOfExpertsRegressor(
        2, gate="gaussian", expert="mlp", n_init=1, **FAST
    ),
    "one": MixtureOfExpertsRegressor(1, **FAST),
    "tree": HierarchicalMixtureOfExpertsRegressor(depth=2, n_init=1, **FAST),
    "sparse": SparseMixtureOfExpertsRegressor(3, **FAST),
    "blend": SparseMixtureOfExpertsRegressor(3, combine="blend", **FAST),
    "deep": DeepMixtureOfExpertsRegressor((2, 3), **FAST),
    "meta-pi": MetaPiRegressor(
        [("line", LinearRegression()), ("tree", DecisionTreeRegressor(max_depth=2))], **FAST
    ),
    "search": ExpertCountSearch(MixtureOfExpertsRegressor(n_init=1, **FAST), (1, 2)),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", MODELS)
def test_every_estimator_has_a_card_above_its_diagram(data, name):
    model = MODELS[name]
    plain = model._repr_html_()
    assert '<div class="moe">' not in plain and "sk-top-container" in plain
    model.fit(*data)
    card, _, diagram = model._repr_html_().partition("Parameters (scikit-learn")
    assert "sk-top-container" in diagram and "sk-top-container" not in card
    assert EVIL not in card and "body <mass>" not in card
    # nothing is loaded from anywhere, and the tags are closed
    assert not re.search(r"(src|href)=|url\(|@import", card)
    for tag in ("table", "tr", "td", "th", "div", "details", "span", "p", "b"):
        assert len(re.findall(rf"<{tag}[ >]", card)) - card.count(f"</{tag}>") == (
            1 if tag == "details" else 0
        ), tag
    best = getattr(model, "best_estimator_", model)
    if name not in ("deep",):
        assert f"K <b>{best.n_experts_}</b>" in card
    assert ("<b>yes</b>" if best.converged_ else "<b>no</b>") in card
    bundle = model._repr_mimebundle_()
    assert bundle["text/plain"] == repr(model) and '<div class="moe">' in bundle["text/html"]


@pytest.mark.filterwarnings("ignore")
def test_the_card_says_the_numbers_of_the_fit(data):
    X, y = data
    model = MixtureOfExpertsRegressor(2, n_init=1, **FAST).fit(X, y)
    card = model._repr_html_()
    shares = re.findall(r"</span></span>(\d\.\d\d)</td>", card)
    assert shares == [f"{share:.2f}" for share in model.weights_]
    for share, color in zip(model.weights_, OKABE_ITO, strict=False):
        assert f"width: {100 * share:.1f}%; background: {color}" in card
    assert f"log-likelihood <b>{model.log_likelihood_:.4g}</b>" in card
    coefficient = abs(model.experts_[0].coef_[0])
    assert f"{coefficient:.4g} age" in card and "&lt;script&gt;" in card
    assert "<caption>Gate: log-odds against the last expert</caption>" in card


@pytest.mark.filterwarnings("ignore")
def test_a_tree_stands_indented_with_what_its_gates_say(data):
    model = HierarchicalMixtureOfExpertsRegressor(depth=2, n_init=1, **FAST).fit(*data)
    rows = re.findall(
        r'<tr><td class="name"(?: style="padding-left: ([\d.]+)em")?>.*?</span> ([^<]+)</td>',
        model._repr_html_(),
    )
    assert [name for _, name in rows][:4] == ["root", "node 0", "expert 0", "expert 1"]
    indents = [float(indent or 0) for indent, _ in rows]
    assert indents[0] == 0 and indents[1] == indents[4] and indents[2] == indents[3] > indents[1]


@pytest.mark.filterwarnings("ignore")
def test_large_models_show_what_matters_most():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 50)) * np.r_[np.full(25, 1e-3), np.full(25, 1e3)]
    y = 1e-3 * X[:, 40] + rng.normal(size=400) * 0.1  # small slopes make the difference
    model = MixtureOfExpertsRegressor(32, n_init=1, random_state=0, max_iter=1).fit(X, y)
    card = model._repr_html_()
    opened, hidden = card.split("and 20 more")
    assert opened.count("<tr><td") == ROWS and hidden.count("<tr><td") == 20
    first = re.search(r'<td class="says"[^>]*>(.*?)</td>', card)[1]
    assert "(44 more)" in first and len(re.findall(r"x\d+", first)) == TERMS
    assert "x40" in re.findall(r"x\d+", first)
    assert "38 more columns" in card


@pytest.mark.filterwarnings("ignore")
def test_scikit_learns_settings_are_respected(data):
    model = MixtureOfExpertsRegressor(2, n_init=1, **FAST).fit(*data)
    with config_context(display="text"):
        assert not hasattr(model, "_repr_html_")
        assert list(model._repr_mimebundle_()) == ["text/plain"]
    pipeline = make_pipeline(StandardScaler(), MixtureOfExpertsRegressor(2, n_init=1, **FAST))
    shown = pipeline.set_output(transform="pandas").fit(*data)._repr_html_()
    assert "StandardScaler" in shown and EVIL not in shown
    assert '<div class="moe">' in pipeline[-1]._repr_html_()
    assert '<div class="moe">' not in estimator_html_repr(model)


@pytest.mark.filterwarnings("ignore")
def test_classes_have_an_equation_each_and_long_lists_end():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(200, 2)), rng.integers(0, 8, 200)
    card = MixtureOfExpertsClassifier(2, n_init=1, **FAST).fit(X, y)._repr_html_()
    assert card.count("log-odds of 0 against 7") == 2 and card.count("… and 3 more") == 2


# -- tables ----------------------------------------------------------------------------------------

TABLE = Table(
    "Numbers & words",
    ["", "value_1", "why"],
    [["a < b", 1.5, "so"], ["50 %", -2e-7, "{x}"], ["n", 12, "^~\\"], ["z", float("nan"), "none"]],
)


def test_a_table_becomes_a_frame_with_its_numbers():
    frame = TABLE.to_frame()
    assert list(frame.columns) == ["value_1", "why"] and list(frame.index)[1] == "50 %"
    assert frame["value_1"].dtype == float and frame["value_1"].iloc[1] == -2e-7
    assert frame["why"].tolist() == ["so", "{x}", "^~\\", "none"]


@pytest.mark.filterwarnings("ignore")
def test_tables_of_fits_and_of_inference_become_frames(data):
    model = MixtureOfExpertsRegressor(2, n_init=1, **FAST).fit(*data)
    experts = model.summary().tables["experts"].to_frame()
    assert experts.loc["age", "expert 1"] == model.experts_[1].coef_[0]
    found = infer(model, *data)
    frame = found.table().to_frame()
    np.testing.assert_array_equal(frame["estimate"], found.estimates)
    assert found.table().to_latex().count("\\\\") == len(found.names) + 1


def test_without_pandas_a_frame_is_refused_in_words(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"Table.to_frame needs pandas; .*pip install pandas"):
        TABLE.to_frame()


def test_latex_is_escaped_and_numbers_are_formulas():
    lines = TABLE.to_latex().splitlines()
    assert lines[0] == r"\begin{tabular}{lrl}" and lines[1] == r"\toprule"
    assert lines[2] == r" & value\_1 & why \\"
    assert lines[4] == r"a \textless{} b & $1.5$ & so \\"
    assert lines[5] == r"50 \% & $-2 \times 10^{-7}$ & \{x\} \\"
    assert lines[6] == r"n & $12$ & \textasciicircum{}\textasciitilde{}\textbackslash{} \\"
    assert lines[7] == r"z & nan & none \\"
    whole = TABLE.to_latex(caption=True, label="tab:n")
    assert whole.startswith(
        "\\begin{table}\n\\centering\n\\caption{Numbers \\& words}\n\\label{tab:n}"
    )
    assert TABLE.to_latex(caption="Of mine").count(r"\caption{Of mine}") == 1


def test_in_html_numbers_line_up_at_their_points():
    table = Table("T", ["", "x"], [["a", 1.25], ["b", 10], ["c", 0.5]])
    cells = re.findall(r"<td[^>]*>([^<]*)</td>", table._repr_html_())
    assert [cell.partition("&")[0] for cell in cells] == ["1.25", "10", "0.5"]
    assert cells[1][2:] == "&#8200;&#8199;&#8199;" and cells[2][3:] == "&#8199;"
    assert table._repr_html_().count("text-align:right") == 4  # the head too
