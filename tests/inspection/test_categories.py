"""Pictures of models that code categories themselves: they take the table as it is."""

import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.pipeline import make_pipeline

from classic_moe import HierarchicalMixtureOfExpertsRegressor, MixtureOfExpertsRegressor
from classic_moe.inspection import (
    CoefficientDisplay,
    ConditionalDensityDisplay,
    ExpertCurvesDisplay,
    GateDependenceDisplay,
    GateRegionDisplay,
    MeanDependenceDisplay,
    TreeDisplay,
)

N = 120
pytestmark = pytest.mark.filterwarnings("error::classic_moe.exceptions.UnseenCategoryWarning")


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "age": rng.uniform(20, 70, N),
            "city": pd.Categorical(rng.choice(list("abc"), N), categories=list("cab")),
            "ward": rng.choice([1, 4, 8], N),
            "height": rng.normal(size=N),
        }
    )
    y = 4.0 * (table["ward"] == 4) - abs(table["age"] - 45) + (table["city"] == "b")
    return table, y + rng.normal(size=N)


def fit(X, y, given=("city", "ward"), kind=MixtureOfExpertsRegressor):
    model = kind(categorical_features=list(given), n_init=1, random_state=0, max_iter=50)
    return model.fit(X, y)


@pytest.fixture(scope="module")
def model(data):
    return fit(*data)


def expected(model, table, feature, levels):
    """The gate where all rows have each level in turn, averaged, (L, K)."""
    return [model.gate_proba(table.assign(**{feature: v})).mean(axis=0) for v in levels]


@pytest.mark.parametrize("feature, levels", [("city", list("cab")), ("ward", [1, 4, 8])])
def test_the_gate_along_a_category(model, data, feature, levels):
    table, _ = data
    display = GateDependenceDisplay.from_estimator(model, table, feature=feature)
    assert display.deciles is None and display.grid.tolist() == [str(v) for v in levels]
    assert [t.get_text() for t in display.ax_.get_xticklabels()] == [str(v) for v in levels]
    np.testing.assert_allclose(display.gate, expected(model, table, feature, levels), rtol=1e-10)


def test_tables_of_polars_arrays_and_pipelines_draw_the_same(model, data):
    table, y = data
    reference = expected(model, table, "ward", [1, 4, 8])
    columns = {name: table[name].to_list() for name in table}
    array = table.drop(columns="city").to_numpy()
    own = fit(array, y, [1])
    of_array = [own.gate_proba(np.c_[array[:, 0], np.full(N, v), array[:, 2]]) for v in (1, 4, 8)]
    for estimator, X, gate in (
        (model, pl.DataFrame(columns), reference),
        (make_pipeline(model), table, reference),
        (own, array, [each.mean(axis=0) for each in of_array]),
    ):
        feature = 1 if X is array else "ward"
        display = GateDependenceDisplay.from_estimator(estimator, X, feature=feature)
        assert display.grid.tolist() == ["1", "4", "8"]
        np.testing.assert_allclose(display.gate, gate, rtol=1e-10)
    assert (array == table.drop(columns="city").to_numpy()).all()


def test_the_mean_along_a_category(model, data):
    table, _ = data
    display = MeanDependenceDisplay.from_estimator(model, table, feature="city")
    means = [model.predict(table.assign(city=v)).mean() for v in "cab"]
    np.testing.assert_allclose(display.mean, means, rtol=1e-10)


def test_a_share_that_is_above_1_by_rounding_is_drawn(model, data):
    table, _ = data
    display = MeanDependenceDisplay.from_estimator(model, table, feature="city")
    gate = np.zeros_like(display.gate)
    gate[:, 0] = 1 + 2e-15  # as gates of densities give it
    display.gate = gate
    points = display.plot().expert_lines_[0]
    assert (points.get_facecolors()[:, 3] == 1).all()


def test_pictures_along_numbers_hold_categories_at_a_level(model, data):
    table, y = data
    curves = ExpertCurvesDisplay.from_estimator(model, table, y, feature="age")
    held = table.assign(
        city=table["city"].mode()[0], ward=table["ward"].mode()[0], height=table["height"].median()
    )
    nearest = np.abs(curves.grid[:, None] - held["age"].to_numpy()).argmin(axis=0)
    np.testing.assert_allclose(curves.mean[nearest], model.predict(held), atol=0.5)
    GateRegionDisplay.from_estimator(model, table, features=["age", "height"])
    ConditionalDensityDisplay.from_estimator(model, table, feature="city")
    for display, feature in ((ExpertCurvesDisplay, "feature"), (GateRegionDisplay, "features")):
        wanted = "city" if feature == "feature" else ["age", "city"]
        with pytest.raises(ValueError, match=r"not numeric.*GateDependenceDisplay"):
            display.from_estimator(model, table, **{feature: wanted})


@pytest.mark.filterwarnings("ignore::classic_moe.exceptions.ExpertCollapseWarning")
def test_coefficients_and_trees(model, data):
    table, y = data
    display = CoefficientDisplay.from_estimator(model, table, y)
    assert "ward_4" in list(display.coefficient_names)
    tree = fit(table, y, kind=HierarchicalMixtureOfExpertsRegressor)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        TreeDisplay.from_estimator(tree, table)
        TreeDisplay.from_estimator(tree)
