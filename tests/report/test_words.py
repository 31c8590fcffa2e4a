"""What is said of a fitted model in words: true, short, whatever the estimator and its parts."""

import re

import numpy as np
import pairs
import pandas as pd
import polars as pl
import pytest
from scipy.sparse import csr_matrix
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from weak import WEAK

from classic_moe import (
    AdaptiveLocalExpertsClassifier,
    AdaptiveLocalExpertsRegressor,
    HierarchicalMixtureOfExpertsClassifier,
    HierarchicalMixtureOfExpertsRegressor,
    MetaPiClassifier,
    MetaPiRegressor,
    MixtureOfExpertsClassifier,
    MixtureOfExpertsRegressor,
)
from classic_moe.cli.demo import _experts_in_words
from classic_moe.cli.report import print_paragraph, print_table
from classic_moe.datasets import load_motorcycle
from classic_moe.experts import GammaExpert, LinearExpert, NoiseExpert
from classic_moe.report.columns import Column
from classic_moe.report.effects import _factor
from classic_moe.report.regions import Rows, best_range, gate_movement
from classic_moe.report.table import Table, alike, number_text
from classic_moe.report.words import cautions, describe

QUICK = dict(n_init=1, random_state=0)
NAMES = ["age", "dose", "height", "pace", "mood"]
BORDER = 0.2


@pytest.fixture(scope="module")
def X():
    return pd.DataFrame(np.random.default_rng(0).uniform(-1, 1, (400, 5)), columns=NAMES)


@pytest.fixture(scope="module")
def y(X):
    """Two lines in age, one up to a dose of 0.2 and one above."""
    noise = np.random.default_rng(1).normal(size=400)
    return pd.Series(
        np.where(X.dose <= BORDER, 2 * X.age, 5 - 3 * X.age) + 0.2 * noise, name="pulse"
    )


@pytest.fixture(scope="module")
def labels(X):
    return pd.Series(np.where(X.age + X.dose > 0, "yes", "no"), name="ill")


@pytest.fixture(scope="module")
def model(X, y):
    return MixtureOfExpertsRegressor(2, n_init=2, random_state=0).fit(X, y)


def text_of(said):
    return "\n".join(part for part in said if isinstance(part, str))


def tables_of(said):
    return [part for part in said if isinstance(part, Table)]


def paragraph(said, start):
    (found,) = [part for part in said if isinstance(part, str) and part.startswith(start)]
    return found


def printed(said, capsys):
    """What the command line prints, each line fit for the screen and without a number missing."""
    for part in said:
        print_paragraph(part) if isinstance(part, str) else print_table(part)
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 100
    assert not re.search(r"\b(nan|inf|None|array)\b", out)
    return out


# -- where experts hold ----------------------------------------------------------------------------


def test_the_column_that_decides_is_named_with_the_range(model, X, y):
    said = describe(model, X, y)
    for k, view in enumerate(model.experts_):
        own = paragraph(said, f"Expert {k} holds")
        first, rest = own.split(". ", 1)
        below = view.coef_[0] > 0
        share = round(100 * float(np.mean((X.dose <= BORDER) == below)))
        assert (
            f"holds {share} % of the rows, mostly where dose is {'up to' if below else 'above'}"
            in first
        )
        end = float(re.search(r"(?:up to|above) (-?[\d.]+)", first)[1])
        # no row is between the border and the end, but for those that the noise made doubtful
        assert abs(np.mean(X.dose <= end) - np.mean(X.dose <= BORDER)) < 0.01
        assert not any(name in first for name in NAMES if name != "dose")
        assert rest.startswith("For eight in ten of them it predicts pulse from ")


def test_shares_of_a_place_are_those_of_the_range_that_is_printed(model, X, y):
    resp = model.responsibilities(X, y)
    for k in range(2):
        own = paragraph(describe(model, X, y), f"Expert {k} holds")
        side, end, of_own, of_all = re.search(
            r"dose is (up to|above) ([\d.]+) \(([>\d]+) % of its rows, (\d+) % of all\)", own
        ).groups()
        inside = X.dose <= float(end) if side == "up to" else X.dose > float(end)
        assert round(100 * inside.mean()) == int(of_all)
        held = resp[inside, k].sum() / resp[:, k].sum()
        assert held > 0.995 if of_own == ">99" else round(100 * held) == int(of_own)


def test_what_moves_the_gate_is_measured_and_no_coefficient(X, y):
    """A column of tiny numbers has a huge coefficient, and moves the gate no more than others."""
    small = X.assign(pace=1e-9 * X.pace, dose=1e6 * X.dose)
    model = MixtureOfExpertsRegressor(2, n_init=2, random_state=0).fit(small, y)
    assert abs(model.gate_.coef_[0, 3]) > 1e3 * abs(model.gate_.coef_[0, 1])
    first = paragraph(describe(model, small, y), "Expert 0 holds").split(". ")[0]
    assert "dose is" in first
    assert "pace" not in first


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_an_indicator_is_told_by_its_name_and_a_date_as_a_date(X):
    rng = np.random.default_rng(2)
    day = rng.integers(0, 4000, 400).astype(float)
    X = X.assign(female=rng.integers(0, 2, 400))[["age", "female"]]
    X = X.rename(columns={"female": "sex = female"})
    X["visit (days since 2001-01-01)"] = day
    late = day > 3652
    by_sex = 3.0 * X["sex = female"] * X.age - 3 * (1 - X["sex = female"]) * X.age
    model = MixtureOfExpertsRegressor(2, expert_features=["age"], **QUICK)
    y = by_sex + 0.1 * rng.normal(size=400)
    said = text_of(describe(model.fit(X, y), X, y))
    assert re.search(r"mostly where sex is female \(>99 % of its rows, \d\d % of all\)", said)
    assert re.search(r"mostly where sex is not female \(>99 % of its rows, \d\d % of all\)", said)
    y = np.where(late, 5.0, 0.0) + X.age + 0.1 * rng.normal(size=400)
    said = text_of(describe(model.fit(X, y), X, y))
    assert re.search(r"visit is from 2011-0\d-\d\d up \(", said)
    assert re.search(r"visit is up to 201[01]-\d\d-\d\d \(", said)


def test_a_gate_that_does_not_matter_is_said_to(X, y):
    constant = MixtureOfExpertsRegressor(2, gate="constant", **QUICK).fit(X, y)
    said = describe(constant, X, y)
    assert "The gate does not look at x: the experts' shares are the same everywhere." in said
    assert " where " not in text_of(said)
    blind = MixtureOfExpertsRegressor(2, **QUICK).fit(0 * X, y)
    said = describe(blind, 0 * X, y)
    assert (
        "The gate hardly depends on x: the experts' shares are about the same everywhere." in said
    )
    assert " where " not in text_of(said)


def test_a_gate_that_follows_no_single_column_says_so():
    """Along the difference of two columns that go together; neither says on which side a row is."""
    rng = np.random.default_rng(3)
    common = rng.normal(size=600)
    X = pd.DataFrame({"left": common, "right": common + 0.05 * rng.normal(size=600)})
    y = np.where(X.left > X.right, 4 + common, -4 - common) + 0.2 * rng.normal(size=600)
    model = MixtureOfExpertsRegressor(2, tol=1e-3, **QUICK).fit(X, y)
    own = paragraph(describe(model, X, y), "Expert 0 holds")
    assert re.search(r"its gate moves with (left and right|right and left), but in no range", own)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_branches_of_a_tree_hold_what_their_experts_hold(X, y):
    noisy = y + np.random.default_rng(13).normal(size=400)
    model = HierarchicalMixtureOfExpertsRegressor(depth=2, max_iter=20, tol=1e-3, **QUICK)
    said = describe(model.fit(X, noisy), X, noisy)
    share = 100 * model.responsibilities(X, noisy)[:, :2].sum(axis=1).mean()
    branch = paragraph(said, "The branch of experts 0 and 1 holds")
    assert f"holds {share:.0f} % of the rows, mostly where dose is" in branch
    assert sum(part.startswith("The branch") for part in said if isinstance(part, str)) == 2


def test_names_of_experts_are_used(X, y):
    experts = [("low", LinearExpert()), ("rest", NoiseExpert())]
    model = MixtureOfExpertsRegressor(2, expert=experts, **QUICK).fit(X, y)
    said = describe(model, X, y)
    assert paragraph(said, "Expert 'low' holds")
    noise = paragraph(said, "Expert 'rest' holds")
    assert "Whatever x is, it takes what the others do not explain" in noise
    assert f"with noise of sd {model.experts_[1].scale_:.3g}" in noise


# -- what experts do -------------------------------------------------------------------------------


def test_effects_are_large_by_the_spread_of_their_column(y):
    rng = np.random.default_rng(4)
    X = pd.DataFrame({"income": rng.uniform(1e4, 9e4, 300), "ratio": rng.uniform(0, 1e-3, 300)})
    y = 1e-3 * X.income + 50 * X.ratio + rng.normal(size=300)
    model = MixtureOfExpertsRegressor(1).fit(X, y)
    assert abs(model.experts_[0].coef_[1]) > abs(model.experts_[0].coef_[0])
    said = describe(model, X, y)
    low, high = np.quantile(X.income, [0.1, 0.9], method="inverted_cdf")
    change = model.experts_[0].coef_[0] * (high - low)
    slope = f"{model.experts_[0].coef_[0]:.3g}"
    assert f"Largest effects on y: income +{slope} a unit (+{change:.3g} from {low:.0f}" in said[0]
    assert "ratio" not in said[0]
    (table,) = tables_of(said)
    assert [row[0] for row in table.rows] == ["intercept", "income", "ratio", "noise (sd)"]


@pytest.mark.parametrize("expert", ["poisson", "negative_binomial", "gamma"])
def test_effects_on_a_logarithm_are_factors(X, expert):
    rng = np.random.default_rng(5)
    y = rng.poisson(np.exp(1 + 0.9 * X.age)) + (0.5 if expert == "gamma" else 0)
    y = pd.Series(1.0 * y, name="visits")
    model = MixtureOfExpertsRegressor(1, expert=expert).fit(X, y)
    said = describe(model, X, y)
    slope = model.experts_[0].coef_[0]
    start = "Largest effects on the mean of visits: each unit of age multiplies it by "
    assert f"{start}{np.exp(slope):.3g} (log {slope:.3g}; from " in said[0]
    (table,) = tables_of(said)
    assert table.title == "Effects per unit (logarithms: exp gives factors) on log E[visits]"
    cells = {row[0]: row[1:] for row in table.rows}
    assert table.head == ["", "effect", "factor"]
    assert float(cells["age"][1]) == pytest.approx(np.exp(float(cells["age"][0])), rel=1e-3)
    assert cells["intercept"][1] == ""


def test_small_logarithms_are_told_over_the_range(X):
    rng = np.random.default_rng(6)
    X = pd.DataFrame({"grams": rng.uniform(0, 5000, 300)})
    y = rng.poisson(np.exp(0.0005 * X.grams))
    model = MixtureOfExpertsRegressor(1, expert="poisson").set_params(**WEAK).fit(X, y)
    said = describe(model, X, y)
    slope = model.experts_[0].coef_[0]
    low, high = np.quantile(X.grams, [0.1, 0.9], method="inverted_cdf")
    assert f"multiplies it by {np.exp(slope * (high - low)):.3g} (log {slope:.2g}" in said[0]
    (table,) = tables_of(said)
    factor = dict(zip(table.head, table.rows[1], strict=True))["factor"]
    assert factor.startswith("1.000")
    assert factor.rstrip("0") != "1."


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_other_scales_are_said(X, y, labels):
    model = MixtureOfExpertsClassifier(1).fit(X, labels)
    said = describe(model, X, labels)
    assert "effects on the odds of ill: 'yes' against 'no': each unit of" in said[0]
    title = "Effects per unit (exp gives factors) on log-odds of ill: 'yes' against 'no'"
    assert tables_of(said)[0].title == title
    y = 1 + np.abs(y)
    model = MixtureOfExpertsRegressor(1, expert=GammaExpert(link="inverse")).fit(X, y)
    said = describe(model, X, y)
    assert "Largest effects on 1 / E[pulse]: dose -" in said[0]
    assert tables_of(said)[0].title == "Effects per unit on 1 / E[pulse]"


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    ("expert", "words"),
    [
        ("linear", "with noise of sd {scale_:.3g}"),
        ("student_t", "with noise of scale {scale_:.3g} (t distribution, {df_:.3g} degrees"),
        ("laplace", "with noise of scale {scale_:.3g} (Laplace distribution)"),
        ("gamma", "of the mean (shape {shape_:.3g}, dispersion"),
        ("negative_binomial", "with variance mean + {dispersion_:.3g} mean²"),
        ("poisson", "the variance being the mean (Poisson)"),
    ],
)
def test_the_size_of_the_noise_is_said_by_what_the_family_calls_it(X, expert, words):
    rng = np.random.default_rng(7)
    y = 1.0 * rng.negative_binomial(2, 0.3, 400) + (0.5 if expert == "gamma" else 0)
    y = y + np.exp(X.age.to_numpy()).round()
    model = MixtureOfExpertsRegressor(1, expert=expert, max_iter=50, tol=1e-3).fit(X, y)
    said = describe(model, X, y)[0]
    assert words.format(**vars(model.experts_[0])) in said
    error = np.sqrt(np.mean((y - model.predict(X)) ** 2))
    if expert in ("negative_binomial", "poisson"):
        assert f"with errors of {error:.3g} (root mean square)" in said


def test_an_expert_that_hardly_changes_is_said_to_and_has_no_largest_effects(X):
    y = 3 + np.random.default_rng(8).normal(size=400)
    said = describe(MixtureOfExpertsRegressor(1).set_params(**WEAK).fit(X, y), X, y)[0]
    assert "it predicts, nearly the same, y from 2." in said
    assert "Largest" not in said


def test_the_classes_of_an_expert_and_how_often_it_is_right(X, labels):
    model = MixtureOfExpertsClassifier(1).fit(X, labels)
    said = describe(model, X, labels)[0]
    shares = {c: 100 * np.mean(labels == c) for c in ("yes", "no")}
    first = max(shares, key=shares.get)
    assert f"Of these, {shares[first]:.0f} % are {first!r}, " in said
    assert f"is the right one for {100 * model.score(X, labels):.0f} %" in said


def test_experts_without_coefficients_are_measured(X, y):
    model = MixtureOfExpertsRegressor(1, expert=DecisionTreeRegressor(max_depth=6)).fit(X, y)
    linear = MixtureOfExpertsRegressor(1, expert=LinearRegression()).fit(X, y)
    said = describe(linear, X, y)
    low, high = np.quantile(X.dose, [0.1, 0.9], method="inverted_cdf")
    change = linear.experts_[0].estimator_.coef_[1] * (high - low)  # exact for a straight line
    assert f"from {low:.4g} to {high:.4g} changes it by +{change:.3g} on average" in said[0]
    (table,) = tables_of(said)
    assert table.title == "Changes from a column's 10 % to its 90 % quantile: pulse"
    assert float(dict(row[:2] for row in table.rows)["dose"]) == pytest.approx(change, rel=1e-3)
    assert "Largest effects on pulse: dose from" in describe(model, X, y)[0]


def test_a_measured_change_is_between_the_two_quantiles(X):
    """Of a step: the change is its height, from wherever the rows are."""
    model = MixtureOfExpertsRegressor(1, expert=DecisionTreeRegressor(max_depth=1))
    y = np.where(X.age > 0, 7.0, 4.0) + 0.5 * X.dose
    said = describe(model.fit(X, y), X, y)
    low, high = model.experts_[0].predict(
        pd.DataFrame(np.array([[-0.5], [0.5]]) * np.ones(5), columns=NAMES)
    )
    assert f"changes it by +{high - low:.3g} on average" in said[0]
    assert high - low == pytest.approx(3, abs=0.1)  # the mean of dose on either side


def test_the_range_of_an_effect_is_that_of_the_rows_of_its_expert():
    X, y = load_motorcycle(return_X_y=True)
    model = MixtureOfExpertsRegressor(4, **QUICK).fit(X, y)
    resp, said, order = model.responsibilities(X, y), describe(model, X, y), np.argsort(X[:, 0])
    for k, view in enumerate(model.experts_[:2]):
        reached = np.cumsum(resp[order, k]) / resp[:, k].sum()
        low, high = (X[order[np.argmax(reached >= level)], 0] for level in (0.1, 0.9))
        own = paragraph(said, f"Expert {k} holds")
        change = f"{view.coef_[0] * (high - low):+.3g}"
        assert f"({change} from {low:g} to {high:g})" in own


# -- short, and in full ----------------------------------------------------------------------------


def test_one_expert_has_no_gate_no_region_and_no_share(X, y):
    for full in (False, True):
        said = describe(MixtureOfExpertsRegressor(1).fit(X, y), X, y, full=full)
        text = text_of(said) + "".join(map(str, tables_of(said)))
        assert said[0].startswith("One linear expert predicts pulse, for all 400 rows.")
        assert not re.search("gate|Gate|holds|share|expert 0", text)
        assert len(said) == 2


@pytest.fixture(scope="module")
def many():
    """Ten classes, and thirty columns."""
    rng = np.random.default_rng(9)
    X = pd.DataFrame(rng.normal(size=(300, 30)), columns=[f"col{j}" for j in range(30)])
    y = pd.qcut(X.col3 + 0.3 * rng.normal(size=300), 10, labels=False)
    return MixtureOfExpertsClassifier(2, max_iter=5, tol=1e-2, **QUICK).fit(X, y), X, y


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_many_classes_and_columns_are_short_unless_all_is_asked_for(many, capsys):
    model, X, y = many
    short = printed(describe(model, X, y), capsys)
    assert len(short.splitlines()) < 60
    assert "These are the largest of 540 effects; --full shows all." in short
    assert "col3 " in short
    full = printed(describe(model, X, y, full=True), capsys)
    assert all(len(re.findall(rf"^{name} ", full, re.M)) > 1 for name in X.columns)
    assert "--full" not in full
    assert "Gate: log-odds against expert 1\n" in full
    assert "Gate" not in short


def test_many_columns_are_cut_to_the_largest_effects(many, capsys):
    _, X, _ = many
    y = X.col3 + 0.5 * X.col7 + np.random.default_rng(10).normal(size=300)
    model = MixtureOfExpertsRegressor(1).fit(X, y)
    said = describe(model, X, y)
    names = [row[0] for row in tables_of(said)[0].rows]
    assert names[:3] == ["intercept", "col3", "col7"]
    assert said[-1] == "18 more columns have smaller effects; --full shows them."
    full = describe(model, X, y, full=True)
    assert {row[0] for row in tables_of(full)[0].rows} >= set(X.columns)
    assert "--full" not in text_of(full)


def test_numbers_of_one_row_share_their_decimals(model, X, y):
    (table,) = tables_of(describe(model, X, y))
    for row in table.rows[1:]:
        assert len({len(cell.partition(".")[2]) for cell in row[1:]}) == 1 or "e" in "".join(
            row[1:]
        )
    coefs = {row[0]: list(map(float, row[1:])) for row in table.rows[1:]}
    expected = [view.coef_[0] for view in model.experts_]
    np.testing.assert_allclose(coefs["age"], expected, atol=5e-4)  # four digits of about 3


# -- everything ------------------------------------------------------------------------------------


CASES = [(expert, "softmax") for expert in pairs.EXPERTS]
CASES += [("linear", gate) for gate in pairs.GATES if gate != "softmax"]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("expert", "gate"), CASES)
def test_every_family_and_every_gate_is_described(expert, gate, capsys):
    kind, part = pairs.EXPERTS[expert]
    X, y = pairs.data(kind, np.random.default_rng(0))
    classes = kind in ("class", "binary")
    estimator = MixtureOfExpertsClassifier if classes else MixtureOfExpertsRegressor
    model = estimator(2, expert=part, gate=pairs.GATES[gate], max_iter=10, **QUICK).fit(X, y)
    with np.errstate(all="raise"):
        for full in (False, True):
            out = printed(describe(model, X, y, full=full), capsys)
    told = [line for line in out.splitlines() if line.startswith("Expert ")]
    assert len(told) == 2
    if gate == "softmax" and not classes and expert != "noise":
        assert "where x0 is " in out  # the truth: two regimes, left and right of x0 = 0


def meta_pi(X, y, **options):
    experts = [("low", LinearRegression()), ("high", DecisionTreeRegressor(max_depth=3))]
    groups = (X.dose > BORDER).astype(int).to_numpy()
    return MetaPiRegressor(experts, random_state=0, **options).fit(X, y, expert_groups=groups)


ESTIMATORS = {
    "hierarchical": lambda X, y, c: HierarchicalMixtureOfExpertsRegressor(
        depth=2, max_iter=20, **QUICK
    ).fit(X, y),
    "hierarchical classes": lambda X, y, c: HierarchicalMixtureOfExpertsClassifier(
        depth=2, max_iter=5, **QUICK
    ).fit(X, c),
    "expected error": lambda X, y, c: AdaptiveLocalExpertsRegressor(
        2, objective="expected_error", max_iter=50, **QUICK
    ).fit(X, y),
    "blended error": lambda X, y, c: AdaptiveLocalExpertsRegressor(
        2, objective="blended_error", max_iter=50, **QUICK
    ).fit(X, y),
    "blended error of classes": lambda X, y, c: AdaptiveLocalExpertsClassifier(
        2, objective="blended_error", max_iter=50, **QUICK
    ).fit(X, c),
    "meta pi": lambda X, y, c: meta_pi(X, y),
    "meta pi, a gate for each output": lambda X, y, c: meta_pi(
        X, np.column_stack([y, -y]), per_output=True
    ),
    "meta pi classes": lambda X, y, c: MetaPiClassifier(
        [LogisticRegression(), DecisionTreeClassifier(max_depth=2)], per_class=True, random_state=0
    ).fit(X, c, expert_groups=(X.dose > 0).astype(int).to_numpy()),
    "codes": lambda X, y, c: MixtureOfExpertsClassifier(2, expert="linear", **QUICK).fit(X, c),
    "hard": lambda X, y, c: MixtureOfExpertsRegressor(2, assignment="hard", **QUICK).fit(X, y),
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", ESTIMATORS)
def test_every_estimator_is_described(name, X, y, labels, capsys):
    model = ESTIMATORS[name](X, y, labels)
    given = labels if hasattr(model, "classes_") else y
    given = np.column_stack([y, -y]) if "each output" in name else given
    for full in (False, True):
        out = printed(describe(model, X, given, full=full), capsys)
    assert len(re.findall("^Expert ", out, re.M)) == model.n_experts_
    if "classes" not in name and name != "codes":
        assert "mostly where dose is " in out


@pytest.mark.parametrize("kind", ["array", "sparse", "polars"])
def test_every_kind_of_table_is_described_alike(kind, X, y, model):
    make = {
        "array": np.asarray,
        "sparse": csr_matrix,
        "polars": lambda X: pl.DataFrame(X.to_dict("list")),
    }
    given = make[kind](X)
    fitted = MixtureOfExpertsRegressor(2, n_init=2, random_state=0).fit(given, y)
    text = str(describe(fitted, given, y))
    if kind != "polars":
        for j, name in enumerate(NAMES):
            text = re.sub(rf"\bx{j}\b", name, text)
    assert text == str(describe(model, X, y))


@pytest.mark.parametrize("scale", [1e-150, 1e150])
def test_numbers_of_any_size_are_told(scale, X, y, capsys):
    model = MixtureOfExpertsRegressor(2, n_init=2, random_state=0).fit(scale * X, scale * y)
    with np.errstate(all="raise"):
        out = printed(describe(model, scale * X, scale * y), capsys)
    end = float(re.search(r"dose is up to (\S+)", out)[1])
    assert end / scale == pytest.approx(BORDER, abs=0.02)


def test_degenerate_tables_are_described(X, y, capsys):
    one = pd.Series(np.full(400, 3.0), name="three")
    for table, target in [(X, one), (0 * X, y), (X[["age"]].round() * 0, one)]:
        model = MixtureOfExpertsRegressor(2, max_iter=5, tol=1e-2, **QUICK)
        with pytest.warns() if target is one else np.errstate():
            model.fit(table, target)
        printed(describe(model, table, target), capsys)
    model = MixtureOfExpertsRegressor(2, expert="gaussian", gate="constant", **QUICK).fit(X[[]], y)
    assert "Whatever x is, it predicts" in printed(describe(model, X[[]], y), capsys)


def test_names_are_harmless_to_a_terminal_and_cut(X, y, capsys):
    hostile = "a\x1b[2J\r\nb\u202e"
    X = X.rename(columns={"dose": hostile, "age": "length of " + "a" * 200 + " in cm"})
    y = y.rename("c\x07" * 60)
    out = printed(describe(MixtureOfExpertsRegressor(2, **QUICK).fit(X, y), X, y), capsys)
    assert "mostly where a\\x1b[2J\\r\\nb\\u202e is up to" in out
    assert not any(c in out for c in "\x1b\r\u202e\x07")
    assert "length of aaaaaa" in out
    assert re.search(r"…a+\s+in\s+cm\s+[+][12]", out)


def test_the_same_is_said_each_time(model, X, y):
    assert str(describe(model, X, y)) == str(describe(model, X, y))


def test_the_offset_is_named(X):
    y = np.random.default_rng(11).poisson(np.exp(1 + X.age))
    model = MixtureOfExpertsRegressor(1, expert="poisson", offset_feature="mood").fit(X, y)
    assert " Its offset is mood." in describe(model, X, y)[0]


def test_effects_that_hardly_any_row_has_are_not_named(X):
    rng = np.random.default_rng(14)
    X = X.assign(rare=(np.arange(400) < 12).astype(float))
    y = X.age + 40 * X.rare + rng.normal(size=400)
    said = describe(MixtureOfExpertsRegressor(1).fit(X, y), X, y)
    assert "Largest effects on y: age +" in said[0]
    assert "rare" not in said[0]
    assert "rare" in [row[0] for row in tables_of(said)[0].rows]


# -- what to beware of -----------------------------------------------------------------------------


def test_a_fit_to_rely_on_has_no_cautions(model, X, y):
    assert cautions(model, X, y, searched=range(1, 6)) == []


def test_more_parameters_than_a_fifth_of_the_rows_are_told(X, y):
    rows = slice(0, 60)
    model = MixtureOfExpertsRegressor(2, **QUICK).fit(X[rows], y[rows])
    said = cautions(model, X[rows], y[rows])
    assert said[0].startswith("The model has 20 parameters for 60 rows, more than one for every 5")
    assert not any("parameters" in s for s in cautions(model, X[:100], y[:100]))  # 20 is a fifth


def test_a_number_of_experts_at_the_end_of_the_range_is_told(model, X, y):
    (said,) = cautions(model, X, y, searched=range(1, 3))
    assert said.startswith("K = 2 is the largest number of experts that was tried")
    assert cautions(model, X, y, searched=[2]) == []
    assert cautions(model, X, y, searched=range(2, 4)) == []


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_experts_with_few_rows_for_their_coefficients_are_named(X, y):
    y = pd.Series(np.where(X.dose + 0.1 * X.mood > 0.9, 9 + 3 * X.age, 2 * X.age), name="pulse")
    y = y + np.random.default_rng(12).normal(size=400)
    model = MixtureOfExpertsRegressor(2, n_init=3, random_state=0).fit(X, y)
    held = model.responsibilities(X, y).sum(axis=0)
    (said,) = cautions(model, X, y)
    start = f"Expert 1 holds {held[1]:.0f} rows for 6 coefficients: "
    assert said == start + "its effects are hardly determined."


# -- the demo --------------------------------------------------------------------------------------


def test_the_demo_says_where_experts_hold_as_reports_do():
    X, y = load_motorcycle(return_X_y=True)
    model = MixtureOfExpertsRegressor(4, **QUICK).fit(X, y)
    said = describe(model, X, y)
    rows = _experts_in_words(model, X, y).rows
    assert len(rows) == 4
    assert rows[0][0].startswith("up to")
    assert rows[-1][0].startswith("above")
    for where, name, *_ in rows:
        own = paragraph(said, f"{name.capitalize()} holds")
        assert f"mostly where x0 is {where.removesuffix(' ms')} (" in own


# -- the pieces ------------------------------------------------------------------------------------


GRID = np.linspace(0, 1, 101)


@pytest.mark.parametrize(
    ("own", "words"),
    [
        (GRID <= 0.3, "up to 0.3"),
        (GRID > 0.3, "above 0.3"),
        ((GRID > 0.3) & (GRID <= 0.6), "between 0.3 and 0.6"),
        ((GRID <= 0.3) | (GRID > 0.7), "up to 0.3 or above 0.7"),
    ],
)
def test_a_range_is_where_the_rows_of_an_expert_are(own, words):
    soft = np.where(own, 0.9, 0.1)
    for shuffled in (np.arange(101), np.random.default_rng(0).permutation(101)):
        found = best_range(GRID[shuffled], soft[shuffled])
        assert str(found) == words
        np.testing.assert_array_equal(found.contains(GRID), own)


def test_two_ends_must_be_worth_it():
    """One row of another expert at the end of its range does not give an expert a second end."""
    own = (GRID > 0.3).astype(float)
    own[-3:] = 0.4
    assert str(best_range(GRID, own)) == "above 0.3"
    own[-20:] = 0
    assert str(best_range(GRID, own)).startswith("between 0.3 and 0.8")


@pytest.mark.parametrize(
    ("own", "words"),
    [
        ([1, 1, 0, 0], "up to 5"),
        ([0, 0, 1, 1], "from 8 up"),
        ([0, 1, 0, 0], "5"),
        ([0, 1, 1, 0], "from 5 to 8"),
        ([1, 0, 0, 1], "up to 4 or from 10 up"),
    ],
)
def test_ranges_of_whole_numbers_end_at_values_of_the_column(own, words):
    values = np.repeat([4, 5, 8, 10], 10)
    assert str(best_range(values, np.repeat(own, 10).astype(float))) == words


def test_there_is_no_range_where_nothing_tells_rows_apart():
    assert best_range(np.ones(9), np.linspace(0, 1, 9)) is None
    assert best_range(np.arange(9.0), np.ones(9)) is None
    assert best_range(np.arange(9.0), np.full(9, 0.5)) is None


def test_the_movement_of_a_gate_is_one_where_a_column_decides(X):
    rows = Rows.of(None, X)
    moved, together = gate_movement(
        rows, lambda X: np.column_stack([X.dose > 0.2, X.dose <= 0.2]).astype(float)
    )
    # a mean over five redraws of 400 rows: it scatters by about 1 / sqrt(2000)
    np.testing.assert_allclose(moved[1], 1, atol=0.07)
    np.testing.assert_allclose(together, 1, atol=0.07)
    assert not moved[[0, 2, 3, 4]].any()


def test_of_many_columns_those_that_matter_are_looked_at():
    X = np.random.default_rng(1).normal(size=(300, 150))
    rows = Rows.of(None, X)
    gate = lambda X: np.column_stack([X[:, 140] > 0, X[:, 140] <= 0]).astype(float)  # noqa: E731
    moved, _ = gate_movement(rows, gate)
    assert moved[:, 0].argmax() == 140


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([12.3456, 0.0123], ["12.346", "0.012"]),
        ([1.5, 2.25], ["1.500", "2.250"]),
        ([123456.7, 1.0], ["123457", "1"]),
        ([0.0, 3.0], ["0", "3.000"]),
        ([1000.0, 1e-9], ["1000", "1.00e-09"]),
        ([-1e150, 2.0], ["-1.00e+150", "2.000"]),
    ],
)
def test_numbers_of_one_unit_have_the_same_decimals(values, texts):
    assert alike(values) == texts


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2.5, "2.5"),
        (2003.0, "2003"),
        (1.23456, "1.235"),
        (1e-7, "1e-07"),
        (0.0, "0"),
        (1e6, "1000000"),
    ],
)
def test_a_number_in_a_sentence_has_no_zeros_at_its_end(value, text):
    assert number_text(value) == text


@pytest.mark.parametrize(
    ("log", "text"),
    [(0.0, "1"), (0.5, "1.649"), (1e-5, "1.000010"), (21.0, "> 8103"), (-300.0, "< 0.0001")],
)
def test_a_factor_is_written_to_be_read(log, text):
    assert _factor(log) == text


def test_decimal_points_of_a_table_stand_below_each_other():
    table = Table("Title", ["", "number", "word"], [["a", "12.5", "left"], ["b", "-0.125", "on"]])
    lines = str(table).splitlines()
    assert lines[2].index(".") == lines[3].index(".")
    assert lines[2].index("left") == lines[3].index("on") == lines[1].index("word")
    assert all(line == line.rstrip() for line in lines)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("day (days since 2001-01-01)", 31.0, "2001-02-01"),
        ("at (hours since 2001-01-01 06:00:00)", 1.5, "2001-01-01 07:30"),
        ("at (seconds since 2001-01-01)", 90.0, "2001-01-01 00:01"),
        ("day (days since 2001-13-01)", 31.0, "31"),
        ("day (days since 2001-01-01)", 1e300, "1e+300"),
        ("days since then", 31.0, "31"),
    ],
)
def test_dates_are_told_as_dates(name, value, text):
    assert Column.of(name).text(value) == text


@pytest.mark.parametrize(
    ("name", "yes", "no"),
    [
        ("sex = female", "sex is female", "sex is not female"),
        ("age is missing", "age is missing", "age is not missing"),
        ("smoker", "smoker is 1", "smoker is 0"),
    ],
)
def test_indicators_are_told_by_their_names(name, yes, no):
    assert (Column.of(name).answer(True), Column.of(name).answer(False)) == (yes, no)
