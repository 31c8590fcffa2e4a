"""TreeDisplay draws every node, edge and leaf, with as many words as there is room for."""

import itertools
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from classic_moe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from classic_moe.datasets import make_piecewise_regression
from classic_moe.gates import TreeGate
from classic_moe.inspection import TreeDisplay
from classic_moe.inspection._layout import text_width
from classic_moe.inspection._words import short
from classic_moe.inspection.tree import SIZES


@pytest.fixture(autouse=True)
def no_figure_left_open():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def data():
    return make_piecewise_regression(200, n_features=2, n_pieces=4, random_state=1)


def fit(gate, X, y, model=MixtureOfExpertsRegressor, **options):
    options = dict(n_init=1, max_iter=5, random_state=0) | options
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a few steps are enough to draw
        return model(gate.n_experts, gate=gate, **options).fit(X, y)


@pytest.fixture(scope="module")
def model(data):
    return fit(TreeGate(), *data)


def boxes(display):
    """Extents of all boxes on the screen."""
    display.figure_.canvas.draw()
    texts = [*display.nodes_.values(), *display.leaves_.values()]
    return [text.get_bbox_patch().get_window_extent() for text in texts]


def test_every_node_leaf_and_edge_is_drawn(model):
    display = TreeDisplay.from_estimator(model)
    assert list(display.nodes_) == ["root", "0", "1"]
    assert list(display.leaves_) == [0, 1, 2, 3]
    assert list(display.edges_) == [
        ("root", "0"), ("root", "1"), ("0", 0), ("0", 1), ("1", 2), ("1", 3)
    ]  # fmt: skip
    assert display.figure_ is display.ax_.figure
    assert not display.ax_.axison


def test_children_hang_below_their_parents_from_left_to_right(model):
    display = TreeDisplay.from_estimator(model)
    where = {i: t.get_position() for i, t in {**display.nodes_, **display.leaves_}.items()}
    for name, children in display.children.items():
        x = [where[child][0] for child in children]
        assert x == sorted(x)
        assert where[name][0] == pytest.approx(np.mean(x))
        assert all(where[child][1] < where[name][1] for child in children)


def test_a_node_shows_its_gate_in_the_caller_s_units(model):
    display = TreeDisplay.from_estimator(model)
    view = model.gate_.nodes_["0"]
    first, *equation = display.nodes_["0"].get_text().split("\n")
    text = " ".join(equation)
    assert first == "0"
    assert text.startswith(short(view.intercept_[0], 3))
    for name, slope in zip(("x0", "x1"), view.coef_[0], strict=True):
        assert f"{'−' if slope < 0 else '+'} {short(abs(slope), 3)} {name}" in text


def test_a_leaf_shows_weight_equation_and_scale(model):
    display = TreeDisplay.from_estimator(model)
    text = " ".join(display.leaves_[2].get_text().split("\n"))
    expert = model.experts_[2]
    assert text.startswith(f"expert 2 weight {model.weights_[2]:.2f} y = ")
    assert text.endswith(f"sd {short(expert.scale_, 3)}")
    assert f"{short(abs(expert.coef_[0]), 3)} x0" in text


def test_an_edge_shows_the_share_of_the_node_s_rows(model):
    display = TreeDisplay.from_estimator(model)
    below = model.weights_[2:].sum()
    assert display.shares_["root", "1"].get_text() == f"{100 * below:.0f} %"
    assert display.shares_["1", 3].get_text() == f"{100 * model.weights_[3] / below:.0f} %"
    widths = [display.edges_[edge].get_linewidth() for edge in (("root", "1"), ("1", 3))]
    assert widths[0] > widths[1]


@pytest.mark.parametrize("branching, depth", [*itertools.product([2, 3], [1, 2, 3]), (2, 4)])
def test_no_two_boxes_touch_and_none_leaves_the_picture(data, branching, depth):
    display = TreeDisplay.from_estimator(fit(TreeGate(branching=branching, depth=depth), *data))
    found, frame = boxes(display), display.figure_.bbox
    for a, b in itertools.combinations(found, 2):
        assert not a.overlaps(b)
    for box in found:
        assert box.x0 >= frame.x0 and box.x1 <= frame.x1
        assert box.y0 >= frame.y0 and box.y1 <= frame.y1


@pytest.mark.parametrize("dpi", [70, 100, 150])
def test_a_text_is_no_wider_on_a_screen_than_was_reckoned(dpi):
    texts = ["+ 1.3 passengerClass_2nd", "- 0.0857 sepal length (cm)", "- 44.1 depth - 5.81 table"]
    figure = plt.figure(dpi=dpi)
    for text, size in itertools.product(texts, SIZES):
        drawn = figure.text(0, 0, text, fontsize=size, parse_math=False)
        assert drawn.get_window_extent().width / dpi <= text_width(text, size)


def test_no_label_of_an_edge_touches_a_box_or_another_label(data):
    display = TreeDisplay.from_estimator(fit(TreeGate(depth=4), *data))
    found = boxes(display)
    labels = [text.get_window_extent() for text in display.shares_.values()]
    for label, box in itertools.product(labels, found):
        assert not label.overlaps(box)
    for a, b in itertools.combinations(labels, 2):
        assert not a.overlaps(b)


def test_a_large_tree_says_less(data):
    words = [
        len(TreeDisplay.from_estimator(fit(TreeGate(branching=b, depth=d), *data)).leaves_[0]
            .get_text())
        for b, d in ((2, 2), (3, 3))
    ]  # fmt: skip
    assert words[0] > 3 * words[1]


def test_even_of_81_leaves_each_shows_its_number(data):
    gate = TreeGate(branching=3, depth=4)
    display = TreeDisplay.from_estimator(fit(gate, *data, max_iter=1))
    assert [text.get_text().split("\n")[0] for text in display.leaves_.values()] == [
        str(k) for k in range(81)
    ]
    for a, b in itertools.pairwise(boxes(display)[-81:]):
        assert not a.overlaps(b)


def test_where_no_word_fits_the_boxes_are_still_there(data):
    _, ax = plt.subplots(figsize=(3, 3))
    display = TreeDisplay.from_estimator(fit(TreeGate(depth=4), *data), ax=ax)
    assert all(box.width > 0 for box in boxes(display))


def test_small_axes_get_a_smaller_font_and_fewer_words(model):
    large = TreeDisplay.from_estimator(model)
    _, ax = plt.subplots(figsize=(3, 2.4))
    small = large.plot(ax=ax)
    found = boxes(small)
    for a, b in itertools.combinations(found, 2):
        assert not a.overlaps(b)


def test_an_unbalanced_tree_of_mixed_branching_is_drawn(data):
    display = TreeDisplay.from_estimator(fit(TreeGate(structure=((0, 1, 2), 3)), *data))
    height = {i: t.get_position()[1] for i, t in display.leaves_.items()}
    assert height[3] > height[0] == height[1] == height[2]
    # a node of three branches has two log-odds
    assert display.nodes_["0"].get_text().count("x0") == 2
    assert "each branch against the last" in display.note


def test_names_of_features_are_used_and_the_terms_that_matter_stay(data):
    rng = np.random.default_rng(0)
    names = [f"a rather long name {j}" for j in range(6)]
    X = pd.DataFrame(rng.normal(size=(200, 6)), columns=names)
    X[names[5]] = 1e4 * data[0][:, 0]
    model = fit(TreeGate(), X, data[1], max_iter=20)
    with_data = TreeDisplay.from_estimator(model, X)
    assert names[5] in with_data.nodes_["root"].get_text()
    # its coefficient is the smallest: without the data it cannot be known to matter
    assert names[5] not in TreeDisplay.from_estimator(model).nodes_["root"].get_text()


def test_a_name_is_no_formula(data):
    X = pd.DataFrame(data[0], columns=["price ($)", "cost ($)"])
    display = TreeDisplay.from_estimator(fit(TreeGate(depth=1), X, data[1]))
    display.figure_.canvas.draw()
    assert "price ($)" in display.nodes_["root"].get_text()


def test_leaves_of_a_classifier_show_the_classes_of_their_rows(data):
    X, y = data
    labels = np.where(y > np.median(y), "high", "low")
    model = fit(TreeGate(), X, labels, MixtureOfExpertsClassifier)
    display = TreeDisplay.from_estimator(model)
    assert "log-odds 'low'" in display.leaves_[0].get_text()
    assert display.note.endswith("\nat a leaf: log-odds of 'low' against 'high'")
    display.figure_.canvas.draw()
    box = display.ax_.texts[-1].get_window_extent()  # of the note
    assert display.figure_.bbox.x0 < box.x0 and box.x1 < display.figure_.bbox.x1
    assert box.y1 < display.leaves_[0].get_bbox_patch().get_window_extent().y0
    display = TreeDisplay.from_estimator(model, X)
    gate, proba = model.gate_proba(X), model.predict_experts(X)
    mean = (gate[:, [0]] * proba[:, 0]).sum(axis=0) / gate[:, 0].sum()
    for name, p in zip(model.classes_, mean, strict=True):
        assert (f"{name} {p:.2f}" in display.leaves_[0].get_text()) == (p >= 0.005)


def test_classes_that_do_not_depend_on_x_need_no_data(data):
    X, y = data
    model = fit(TreeGate(), X, y > 0, MixtureOfExpertsClassifier, expert_features=[])
    proba = model.predict_experts(X[:1])[0, 0]
    text = TreeDisplay.from_estimator(model).leaves_[0].get_text()
    assert f"{model.classes_[proba.argmax()]} {proba.max():.2f}" in text


def test_gates_and_experts_without_coefficients_go_by_their_kind(data):
    X, y = data
    gate = TreeGate(gate=DecisionTreeClassifier(max_depth=2, random_state=0), depth=1)
    model = fit(gate, X, y, expert=LinearRegression())
    display = TreeDisplay.from_estimator(model, X)
    assert "DecisionTreeClassifier" in display.nodes_["root"].get_text()
    assert "LinearRegression" in display.leaves_[0].get_text()
    assert "log-odds" not in display.note


def test_several_outputs_have_an_equation_each(data):
    X, y = data
    display = TreeDisplay.from_estimator(fit(TreeGate(depth=1), X, np.column_stack([y, -y])))
    text = display.leaves_[0].get_text()
    assert "y0 = " in text
    assert "y1 = " in text


def test_one_axes_is_drawn_on_and_no_figure_is_made(model):
    figure, (left, right) = plt.subplots(1, 2)
    before = plt.get_fignums()
    display = TreeDisplay.from_estimator(model, ax=left)
    assert (display.ax_, display.figure_) == (left, figure)
    assert plt.get_fignums() == before
    assert plt.gca() is right


def test_styles_go_to_matplotlib(model):
    display = TreeDisplay.from_estimator(
        model,
        colors=["red"] * 4,
        node_kw={"color": "blue"},
        leaf_kw={"style": "italic"},
        edge_kw={"linestyle": "--"},
        share_kw={"color": "green"},
    )
    assert display.nodes_["root"].get_color() == "blue"
    assert display.leaves_[0].get_style() == "italic"
    assert display.edges_["root", "0"].get_linestyle() == "--"
    assert display.shares_["root", "0"].get_color() == "green"
    assert display.leaves_[0].get_bbox_patch().get_edgecolor()[:3] == (1, 0, 0)


def test_the_tree_in_a_pipeline_is_drawn(data):
    X, y = data
    model = MixtureOfExpertsRegressor(4, gate=TreeGate(), n_init=1, random_state=0)
    pipe = make_pipeline(StandardScaler(), model).fit(X, y)
    assert len(TreeDisplay.from_estimator(pipe, X).leaves_) == 4


def test_a_flat_gate_is_refused(data):
    model = MixtureOfExpertsRegressor(2, n_init=1).fit(*data)
    with pytest.raises(ValueError, match="gate of this MixtureOfExpertsRegressor is flat"):
        TreeDisplay.from_estimator(model)
    with pytest.raises(
        ValueError, match=r"TreeDisplay draws mixtures .*; LinearRegression is none"
    ):
        TreeDisplay.from_estimator(LinearRegression().fit(*data))


@pytest.mark.parametrize(
    "value, text",
    [(0.0, "0"), (104.6, "105"), (-0.5, "−0.5"), (0.012345, "0.0123"), (1e-7, "1.00e−07")],
)
def test_numbers_are_short(value, text):
    assert short(value, 3) == text
