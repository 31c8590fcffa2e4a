"""ExpertLoadDisplay draws the loads that the fit and `route` know."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from classic_moe import (
    DeepMixtureOfExpertsRegressor,
    MixtureOfExpertsRegressor,
    SparseMixtureOfExpertsRegressor,
)
from classic_moe.datasets import make_voronoi_pieces
from classic_moe.inspection import ExpertLoadDisplay
from classic_moe.inspection._palette import OKABE_ITO

X, Y = make_voronoi_pieces(300, n_pieces=5, random_state=0)
SIDE = np.where(X[:, 0] < 0, "left", "right")


@pytest.fixture(autouse=True)
def no_figure_left_open():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def mixture():
    model = SparseMixtureOfExpertsRegressor(5, k=2, n_init=1, tol=10, random_state=0)
    return model.fit(X, Y)


@pytest.fixture(scope="module")
def blend():
    model = SparseMixtureOfExpertsRegressor(16, combine="blend", max_iter=15, random_state=0)
    return model.fit(X, Y)


def heights(display):
    return [bar.get_height() for bar in display.bars_]


@pytest.mark.parametrize("kind", ["mixture", "blend"])
def test_bars_are_the_usage_of_the_fit_beside_an_equal_share(kind, request):
    model = request.getfixturevalue(kind)
    display = ExpertLoadDisplay.from_estimator(model, X)
    np.testing.assert_allclose(heights(display), model.expert_usage_, rtol=1e-12)
    K = model.n_experts_
    assert list(display.line_.get_ydata()) == [1 / K, 1 / K]
    assert display.legend_.get_texts()[0].get_text() == f"equal share, 1/{K}"
    assert "pairs" in display.ax_.get_ylabel()


def test_experts_without_rows_have_a_zero_and_many_have_one_colour(blend, mixture):
    unused = np.flatnonzero(blend.expert_usage_ == 0)
    assert len(unused)  # 16 experts for five lines, and nothing that balances
    display = ExpertLoadDisplay.from_estimator(blend, X)
    assert [(t.get_text(), t.get_position()[0]) for t in display.texts_] == [
        ("0", k) for k in unused
    ]
    assert len({bar.get_facecolor() for bar in display.bars_}) == 1
    few = ExpertLoadDisplay.from_estimator(mixture, X)
    colors = [bar.get_facecolor()[:3] for bar in few.bars_]
    assert colors == [to_rgb(color) for color in OKABE_ITO[:5]]


def test_other_mixtures_show_the_mean_of_the_gate():
    model = MixtureOfExpertsRegressor(3, n_init=1, max_iter=5, tol=10, random_state=0).fit(X, Y)
    display = ExpertLoadDisplay.from_estimator(model, X)
    np.testing.assert_allclose(heights(display), model.gate_proba(X).mean(axis=0), rtol=1e-12)
    assert display.ax_.get_ylabel() == "mean gate probability"
    hard = ExpertLoadDisplay.from_estimator(model.set_params(assignment="hard"), X)
    np.testing.assert_allclose(heights(hard), np.bincount(model.assign(X), minlength=3) / 300)


def test_labels_make_a_heat_map_of_shares_within_each(mixture):
    display = ExpertLoadDisplay.from_estimator(mixture, X, by=pd.Series(SIDE, name="side"))
    sent = mixture.route(X).toarray() > 0
    for c, side in enumerate(("left", "right")):
        counts = sent[side == SIDE].sum(axis=0)
        np.testing.assert_allclose(display.image_.get_array()[:, c], counts / counts.sum())
    assert [t.get_text() for t in display.ax_.get_xticklabels()] == ["left", "right"]
    assert display.ax_.get_xlabel() == "side" and display.bars_ is None
    assert display.texts_[0].get_text() == f"{100 * display.load_by[0, 0]:.0f}"
    assert "side" in display.colorbar_.ax.get_ylabel()


def test_weights_count_rows(mixture):
    weight = np.where(SIDE == "left", 3, 1)
    shown = ExpertLoadDisplay.from_estimator(mixture, X, sample_weight=weight).load
    np.testing.assert_allclose(
        shown, ExpertLoadDisplay.from_estimator(mixture, np.repeat(X, weight, axis=0)).load
    )


def test_a_layer_of_a_deep_mixture_has_loads():
    deep = DeepMixtureOfExpertsRegressor((3, 2), n_units=4, gate_units=4, max_iter=2).fit(X, Y)
    display = ExpertLoadDisplay.from_estimator(deep.layers_[0], X)
    np.testing.assert_allclose(heights(display), deep.layers_[0].expert_usage_, rtol=1e-12)
    with pytest.raises(ValueError, match=r"a gate in each of its 2 layers; give one"):
        ExpertLoadDisplay.from_estimator(deep, X)


def test_pipelines_axes_and_styles(mixture):
    pipe = make_pipeline(StandardScaler(), mixture)
    pipe[0].fit(X)
    _, ax = plt.subplots()
    display = ExpertLoadDisplay.from_estimator(
        pipe, X, ax=ax, colors=["red"] * 5, bar_kw={"width": 0.5}, line_kw={"color": "blue"}
    )
    assert display.ax_ is ax and display.figure_ is ax.figure
    sent = mixture.route(StandardScaler().fit_transform(X)).toarray() > 0
    np.testing.assert_allclose(heights(display), sent.sum(axis=0) / sent.sum())
    assert display.bars_[0].get_width() == pytest.approx(0.5)
    assert display.line_.get_color() == "blue"


def test_what_cannot_be_drawn_is_refused(mixture):
    with pytest.raises(ValueError, match=r"by has 300 different values, .* into bins"):
        ExpertLoadDisplay.from_estimator(mixture, X, by=Y)
    with pytest.raises(ValueError, match=r"by has shape \(299,\) and X 300 rows"):
        ExpertLoadDisplay.from_estimator(mixture, X, by=SIDE[1:])
    with pytest.raises(ValueError, match="LinearRegression is none"):
        ExpertLoadDisplay.from_estimator(LinearRegression().fit(X, Y), X)
    with pytest.raises(ValueError, match="target=0: one gate serves all"):
        ExpertLoadDisplay.from_estimator(mixture, X, target=0)
