"""The record of estimates, Wald's test, and the names of parameters."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.stats import chi2, norm

from classic_moe import HierarchicalMixtureOfExpertsRegressor, MixtureOfExpertsRegressor
from classic_moe.experts import LinearExpert
from classic_moe.inference import Inference, named_parameters, wald_test

V = np.array([[0.25, 0.1, 0.0], [0.1, 0.5, 0.0], [0.0, 0.0, np.nan]])
FOUND = Inference.of(["a", "b<", "c"], [1.0, 3.0, 2.0], V, confidence=0.9, reasons={"c": "flat"})


def test_intervals_and_tests_follow_from_the_covariance():
    error = np.sqrt(0.5)
    assert_allclose(FOUND.standard_errors[1], error)
    assert_allclose(FOUND.z[1], 3 / error)
    assert_allclose(FOUND.p_values[1], 2 * norm.sf(3 / error))
    assert_allclose(FOUND.upper[1] - FOUND.lower[1], 2 * norm.ppf(0.95) * error)
    assert np.isnan([FOUND.z[2], FOUND.p_values[2], FOUND.lower[2], FOUND.upper[2]]).all()


def test_text_html_and_frame_say_the_same():
    frame = FOUND.to_frame()
    assert isinstance(frame, pd.DataFrame) and list(frame.index) == FOUND.names
    assert_allclose(frame["standard_error"], FOUND.standard_errors)
    assert frame.loc["c", "reason"] == "flat"
    assert "No standard error: flat (c)." in str(FOUND) and repr(FOUND) == str(FOUND)
    html = FOUND._repr_html_()
    assert "b&lt;" in html and "<table>" in html and "flat" in html


@pytest.mark.parametrize(
    "hypothesis, R",
    [
        ("b<", [[0, 1, 0]]),
        ({"a": 2, "b<": -1}, [[2, -1, 0]]),
        (["a", {"b<": 1}], [[1, 0, 0], [0, 1, 0]]),
        ([[1, 1, 0], [1, -1, 0]], [[1, 1, 0], [1, -1, 0]]),
    ],
)
def test_wald_is_the_quadratic_form(hypothesis, R):
    R, value = np.array(R, dtype=float)[:, :2], 0.5
    gap = R @ FOUND.estimates[:2] - value
    expected = gap @ np.linalg.solve(R @ V[:2, :2] @ R.T, gap)
    found = FOUND.wald(hypothesis, value)
    assert_allclose([found.statistic, found.df], [expected, len(R)])
    assert_allclose(found.pvalue, chi2.sf(expected, len(R)))


def test_wald_says_what_is_wrong():
    lost = FOUND.wald(["a", "c"])
    assert np.isnan(lost.pvalue) and lost.reason == "c: flat"
    for wrong in ("d", [[1.0, 2.0]], [["a", 1]], {"a": 0.0}, ["a", "a"]):
        with pytest.raises(ValueError):
            FOUND.wald(wrong)


def data():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"age": rng.standard_normal(60), "scale": rng.standard_normal(60), "one": 1.0})
    return X, pd.DataFrame({"wage": np.abs(X.age), "hours": X.scale}) + rng.normal(size=(60, 2))


@pytest.mark.parametrize("value", [[1, 2], np.nan])
def test_wald_refuses_values_that_are_not_those_of_its_rows(value):
    found = Inference.of(["a", "b"], [1.0, 3.0], np.eye(2))
    with pytest.raises(ValueError, match=r"wald: value=.*finite number, or one for each row"):
        found.wald("a", value)


@pytest.mark.parametrize("kind", ["diag", "spherical"])
def test_covariances_that_are_none_are_no_parameters(kind):
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(80, 1)), rng.normal(size=(80, 2))
    names = named_parameters(
        MixtureOfExpertsRegressor(1, expert=LinearExpert(covariance_type=kind)).fit(X, Y)
    )[0]
    assert "expert 0: scale -> y1" in names
    assert not [name for name in names if "covariance" in name]


@pytest.mark.filterwarnings("ignore")
def test_names_say_owner_column_and_output():
    X, Y = data()
    short = dict(max_iter=2, n_init=1, random_state=0)
    model = MixtureOfExpertsRegressor(2, expert_features=["age"], **short).fit(X, Y)
    names, values = named_parameters(model)
    of_expert = ["intercept -> wage", "age -> wage", "intercept -> hours", "age -> hours"]
    of_expert += ["scale -> wage", "scale -> hours", "covariance wage, hours"]
    assert names[:7] == [f"expert 0: {name}" for name in of_expert]
    assert names[14:] == ["gate 0: intercept", "gate 0: age", "gate 0: scale"]
    view = model.experts_[1]
    assert_allclose(values[7:11], np.column_stack([view.intercept_, view.coef_]).ravel())
    assert_allclose(values[13], view.covariance_[0, 1])
    assert_allclose(values[14:], [model.gate_.intercept_[0], *model.gate_.coef_[0, :2]])
    assert len(names) == model.n_parameters_

    tree = HierarchicalMixtureOfExpertsRegressor(**short).fit(X, Y.wage)
    names, values = named_parameters(tree)
    assert "expert 3: column scale" in names and "node 1, child 0: age" in names
    assert values[names.index("node 1, child 0: age")] == tree.gate_.nodes_["1"].coef_[0, 0]
    assert len(names) == len(set(names)) == tree.n_parameters_


def test_wald_test_is_the_method_as_a_function():
    assert wald_test(FOUND, ["a", "b<"], 1.0) == FOUND.wald(["a", "b<"], 1.0)
    with pytest.raises(TypeError, match="no estimates with a covariance"):
        wald_test(MixtureOfExpertsRegressor(), "a")


def test_records_can_be_compared_and_put_into_sets():
    one, other = (Inference.of(["a", "b"], [1.0, 3.0], np.eye(2)) for _ in range(2))
    assert one == one and one != other and len({one, other}) == 2
