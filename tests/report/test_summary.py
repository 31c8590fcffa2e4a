"""summary() and equations(): the numbers of the fit, readable, in the caller's units."""

import html

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.tree import DecisionTreeClassifier

from classic_moe import (
    HierarchicalMixtureOfExpertsRegressor,
    MetaPiRegressor,
    MixtureOfExpertsClassifier,
    MixtureOfExpertsRegressor,
)
from classic_moe.experts import LinearExpert
from classic_moe.gates import SoftmaxGate, TreeGate
from classic_moe.report.summary import Summary
from classic_moe.report.table import cell_text


@pytest.fixture(scope="module")
def table():
    rng = np.random.RandomState(0)
    X = pd.DataFrame(rng.standard_normal((150, 2)) * [1.0, 20.0], columns=["age", "income <k>"])
    first = X["age"] + 0.4 * rng.logistic(size=150) < 0
    y = np.where(first, 1 + 0.1 * X["income <k>"], 2 - 0.2 * X["income <k>"])
    return X, y + 0.5 * rng.standard_normal(150)


@pytest.fixture(scope="module")
def regressor(table):
    return MixtureOfExpertsRegressor(2, n_init=3, random_state=0).fit(*table)


@pytest.fixture(scope="module")
def classifier(table):
    X, y = table
    labels = np.array(["low", "mid", "top"])[np.digitize(y, [0.5, 2.5])]
    return MixtureOfExpertsClassifier(2, n_init=3, random_state=0).fit(X, labels), labels


def rows(table):
    return {row[0]: row[1:] for row in table.rows}


def test_the_tables_hold_the_fitted_numbers(regressor):
    summary = regressor.summary()
    assert isinstance(summary, Summary)
    assert list(summary.tables) == ["fit", "experts", "gate"]
    fit = rows(summary.tables["fit"])
    assert fit["log-likelihood"] == [regressor.log_likelihood_]
    assert fit["parameters"] == [regressor.n_parameters_]
    assert fit["iterations"] == [regressor.n_iter_]
    assert fit["converged"] == ["yes"]
    assert "AIC" not in fit
    experts = rows(summary.tables["experts"])
    assert_allclose(experts["weight"], regressor.weights_)
    assert_allclose(experts["intercept"], [e.intercept_ for e in regressor.experts_])
    assert_allclose(experts["income <k>"], [e.coef_[1] for e in regressor.experts_])
    assert_allclose(experts["scale"], [e.scale_ for e in regressor.experts_])
    gate = rows(summary.tables["gate"])
    assert_allclose(gate["age"], regressor.gate_.coef_[:, 0])
    assert_allclose(gate["intercept"], regressor.gate_.intercept_)
    assert gate["age"][-1] == 0


def test_with_data_the_criteria_and_the_rows_of_each_expert_are_added(regressor, table):
    X, y = table
    summary = regressor.summary(X, y)
    fit = rows(summary.tables["fit"])
    assert fit["AIC"] == [regressor.aic(X, y)]
    assert fit["BIC"] == [regressor.bic(X, y)]
    assert fit["ICL"] == [regressor.icl(X, y)]
    shares = rows(summary.tables["experts"])["rows"]
    assert shares == np.bincount(regressor.assign(X, y)).tolist()
    assert sum(shares) == 150


def test_it_prints_as_text(regressor):
    text = str(regressor.summary())
    assert text == repr(regressor.summary())
    assert text.startswith("MixtureOfExpertsRegressor: 2 x LinearExpert, SoftmaxGate")
    for part in ("Fit", "Experts", "Gate: log-odds against the last expert", "income <k>"):
        assert part in text
    assert all(line == line.rstrip() for line in text.splitlines())
    assert f"{regressor.experts_[0].coef_[1]:.4g}" in text


def test_it_shows_as_html_with_names_escaped(regressor):
    shown = regressor.summary()._repr_html_()
    assert shown.count("<table>") == 3 == shown.count("</table>")
    assert "income &lt;k&gt;" in shown
    assert "income <k>" not in shown
    assert html.unescape(shown).count("income <k>") >= 3


def test_equations_are_one_line_an_expert(regressor):
    lines = regressor.equations().splitlines()
    assert len(lines) == 2
    expert = regressor.experts_[0]
    assert lines[0].startswith(f"expert 0 (weight {regressor.weights_[0]:.2f}): y = ")
    sign = "-" if expert.coef_[1] < 0 else "+"
    assert f" {sign} {abs(expert.coef_[1]):.4g} income <k>" in lines[0]
    assert lines[0].endswith(f", sd {expert.scale_:.4g}")
    assert regressor.equations() == regressor.summary().equations


def test_classes_are_log_odds_against_the_last(classifier, table):
    model, labels = classifier
    lines = model.equations().splitlines()
    assert len(lines) == 4  # two experts, two log-odds each
    assert "log-odds of 'low' against 'top' = " in lines[0]
    assert "log-odds of 'mid' against 'top' = " in lines[1]
    assert " sd " not in lines[0]
    shown = model.summary(table[0], labels).tables["experts"]
    assert shown.title == "Experts: log-odds of each against 'top'"
    assert shown.head[1:] == [f"expert {k}, {c!r}" for k in (0, 1) for c in ("low", "mid")]
    experts = rows(shown)
    assert_allclose(experts["age"], [c for e in model.experts_ for c in e.coef_[:2, 0]])
    assert "scale" not in experts


@pytest.mark.parametrize("expert", ["softmax", "logistic"])
def test_two_classes_are_the_log_odds_of_the_second(table, expert):
    X, y = table
    model = MixtureOfExpertsClassifier(2, expert=expert, n_init=2, random_state=0)
    model.fit(X, np.where(y > 1.5, "yes", "no"))
    lines = model.equations().splitlines()
    assert len(lines) == 2
    assert "log-odds of 'yes' against 'no' = " in lines[0]
    shown = model.summary().tables["experts"]
    assert shown.title == "Experts: log-odds of 'yes' against 'no'"
    assert_allclose(rows(shown)["age"], [view.coef_[0, 0] for view in model.experts_])
    rising = np.argmax([view.coef_[0, 0] for view in model.experts_])
    proba = model.predict_experts(X)[:, rising, 1]
    assert np.corrcoef(proba, X["age"])[0, 1] * model.experts_[rising].coef_[0, 0] > 0


def test_codes_of_classes_are_no_log_odds_and_say_so(table):
    X, y = table
    model = MixtureOfExpertsClassifier(2, expert="linear", n_init=1, tol=1e-3, random_state=0)
    model.fit(X, np.where(y > 1.5, "yes", "no"))
    shown = model.summary().tables["experts"]
    assert shown.title == "Experts: one-hot codes of y"
    assert shown.head[1:3] == ["expert 0, 'no'", "expert 0, 'yes'"]
    assert_allclose(rows(shown)["age"][:2], model.experts_[0].coef_[:, 0])
    assert "1[y = 'yes'] = " in model.equations()


def test_columns_called_like_parameters_do_not_take_their_place(table):
    X, y = table
    X = X.set_axis(["intercept", "scale"], axis=1)
    model = MixtureOfExpertsRegressor(1).fit(X, y)
    (view,) = model.experts_
    body = model.summary().tables["experts"].rows
    names = ["weight", "intercept", "intercept", "scale", "scale"]
    assert [row[0] for row in body] == names
    assert_allclose([row[1] for row in body[1:]], [view.intercept_, *view.coef_, view.scale_])


def test_several_outputs_are_named_and_columns_without_names_numbered(table):
    X, y = table
    Y = np.column_stack([y, -y + np.sin(np.arange(150))])
    model = MixtureOfExpertsRegressor(2, expert_features=[1], n_init=2, random_state=0)
    model.fit(X.to_numpy(), Y)
    lines = model.equations().splitlines()
    assert len(lines) == 4
    assert ": y0 = " in lines[0]
    assert ": y1 = " in lines[1]
    assert " x1" in lines[0]
    assert " x0" not in lines[0]  # experts see the second column only
    assert "x0" in rows(model.summary().tables["gate"])


def test_parts_that_ignore_x_are_said_to(table):
    X, y = table
    model = MixtureOfExpertsRegressor(
        2, expert="gaussian", gate="constant", n_init=2, random_state=0
    )
    text = str(model.fit(X, y).summary())
    assert "GaussianExpert ignores x." in text
    assert "ConstantGate ignores x." in text
    assert len(model.summary().tables["gate"].rows) == 1


@pytest.mark.parametrize(
    "gate", [DecisionTreeClassifier(max_depth=1), TreeGate(depth=1)], ids=["classifier", "tree"]
)
def test_a_gate_without_coefficients_is_summarised_for_a_table_with_names(table, gate):
    model = MixtureOfExpertsRegressor(2, gate=gate, n_init=1, tol=1e-3, random_state=0).fit(*table)
    assert rows(model.summary().tables["gate"])["proportion"] == list(model.weights_)


def test_a_tree_has_a_row_for_every_branch_of_every_node(table):
    X, y = table
    gate, expert = TreeGate(SoftmaxGate("weak"), structure=((0, 1), 2)), LinearExpert("weak")
    model = MixtureOfExpertsRegressor(
        3,
        gate=gate,
        expert=expert,
        gate_features=["income <k>"],
        n_init=1,
        tol=1e-3,
        random_state=0,
    ).fit(X, y)
    summary, nodes = model.summary(), model.gate_.nodes_
    shown = summary.tables["nodes"]
    assert shown.head == ["", "to", "weight", "intercept", "income <k>"]
    branches = rows(shown)
    assert list(branches) == [f"{i}, branch {c}" for i in ("root", "0") for c in (0, 1)]
    assert [row[0] for row in branches.values()] == ["node 0", "expert 2", "expert 0", "expert 1"]
    weights = model.weights_
    numbers = {"root, branch 0": weights[:2].sum(), "0, branch 1": weights[1]}
    for name, weight in numbers.items():
        node, c = name.split(", branch ")
        view = nodes[node]
        assert_allclose(branches[name][1:], [weight, view.intercept_[int(c)], *view.coef_[int(c)]])
    assert f"{nodes['root'].coef_[0, 0]:.4g}" in str(summary)
    assert "income &lt;k&gt;" in summary._repr_html_()
    assert summary._repr_html_().count("<table>") == 4


def test_gates_at_the_nodes_that_have_no_coefficients_have_no_table(table):
    X, y = table
    options = dict(expert=LinearExpert("weak"), n_init=1, tol=1e-3, random_state=0)
    model = MixtureOfExpertsRegressor(4, gate=TreeGate("constant"), **options).fit(X, y)
    assert model.summary().tables["nodes"].head == ["", "to", "weight", "intercept"]
    gate = TreeGate(DecisionTreeClassifier(max_depth=1), depth=1)
    model = MixtureOfExpertsRegressor(2, gate=gate, **options).fit(X, y)
    assert "nodes" not in model.summary().tables


@pytest.mark.parametrize(
    "number, digits, text",
    [
        (12.3456789, 4, "12.35"),
        (-9999.4, 4, "-9999"),
        (12345.678, 4, "12345.68"),
        (12345.678, 3, "12345.68"),
        (12345.678901, 8, "12345.679"),
        (-9.9e9, 4, "-9900000000.00"),
        (1e10, 4, "1e+10"),
        (-1.23456e150, 4, "-1.235e+150"),
        (1.23456e150, 2, "1.2e+150"),
        (1.23456e-150, 4, "1.235e-150"),
        (0.0, 4, "0"),
        (np.inf, 4, "inf"),
        (np.nan, 4, "nan"),
        (10**6, 4, "1000000"),
    ],
)
def test_numbers_of_any_size_are_short(number, digits, text):
    assert cell_text(number, digits) == text


def test_the_text_of_a_tree_has_no_number_of_hundred_digits(table):
    X, y = table
    model = HierarchicalMixtureOfExpertsRegressor(depth=1, n_init=1, tol=1e-3, random_state=0)
    model.fit(X, 1e150 * y)
    lines = [*model.export_text(digits=3).splitlines(), *str(model.summary()).splitlines()]
    assert max(map(len, lines)) < 110
    assert "e+149" in model.export_text() or "e+150" in model.export_text()


def test_an_equation_has_the_offset(table):
    X = table[0].assign(exposure=1.0)
    y = np.random.RandomState(0).poisson(np.exp(1 + 0.5 * X["age"]))
    model = MixtureOfExpertsRegressor(1, expert="poisson", offset_feature="exposure")
    assert model.fit(X, y).equations().endswith(" income <k> + exposure")
    model.set_params(offset_feature=2).fit(X.to_numpy(), y)
    assert model.equations().endswith(" x1 + x2")


@pytest.mark.parametrize("expert", [Ridge(random_state=0), "mlp"])
def test_experts_without_coefficients_are_summarised_for_several_outputs(table, expert):
    Y = np.column_stack([table[1], -table[1]])
    model = MixtureOfExpertsRegressor(2, expert=expert, n_init=1, tol=1e-2, random_state=0)
    summary = model.fit(table[0], Y).summary()
    heads = [f"expert {k}, y{j}" for k in (0, 1) for j in (0, 1)]
    assert summary.tables["experts"].head == ["", *heads]
    assert rows(summary.tables["experts"])["scale"][:2] == list(model.experts_[0].scale_)


def test_an_equation_of_an_estimator_is_what_the_caller_gave(table):
    X, y = table
    line = LinearRegression(positive=True)
    model = MixtureOfExpertsRegressor(1, expert=line).fit(X, y)
    text, sd = "LinearRegression(positive=True)", model.experts_[0].scale_
    assert model.equations() == f"expert 0 (weight 1.00): {text}, sd {sd:.4g}"
    blend = MetaPiRegressor([FrozenEstimator(line.fit(X, y))] * 2).fit(X, y)
    # no spread: under the blended error none is estimated
    assert [row.split(": ")[1] for row in blend.equations().splitlines()] == [text] * 2
