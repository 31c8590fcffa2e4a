"""`categorical_features`: tables with text and categories in them, on every estimator."""

import pickle
import warnings
from datetime import date

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV

import classic_moe as moe
from classic_moe.data.categories import MOST
from classic_moe.exceptions import UnseenCategoryWarning
from classic_moe.inference import bootstrap, infer, marginal_effects
from classic_moe.model_selection import ExpertCountSearch

N = 160
FAST = dict(random_state=0, n_init=1)
SAME = 1e-10
"""Two fits of one X by the same steps: what the last digits of sums may differ by."""
REGRESSOR = moe.MixtureOfExpertsRegressor


@pytest.fixture(scope="module")
def data():
    """A table, y, and the same with its categories coded by hand."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "age": rng.uniform(20, 70, N),
            "sex": rng.choice(["f", "m"], N),
            "city": pd.Categorical(rng.choice(["a", "b", "c"], N), categories=list("cabz")),
        }
    )
    y = 5 * (table["sex"] == "m") - abs(table["age"] - 45) + 2 * (table["city"] == "b")
    y = (y + rng.normal(size=N)).rename("effect")
    coded = pd.DataFrame(
        {
            "age": table["age"],
            "sex_m": (table["sex"] == "m") * 1.0,
            "city_a": (table["city"] == "a") * 1.0,
            "city_b": (table["city"] == "b") * 1.0,
        }
    )
    return table, y, coded


@pytest.fixture(scope="module")
def fitted(data):
    table, y, _ = data
    return REGRESSOR(2, categorical_features="from_dtype", **FAST).fit(table, y)


def one_line(table, y, given="from_dtype", **options):
    """A single expert: quick to fit."""
    return REGRESSOR(1, categorical_features=given, **options).fit(table, y)


# -- the same as coded by hand --------------------------------------------------------------------


LINES = [LinearRegression(), LinearRegression(fit_intercept=False)]
CLASSIFIERS = [LogisticRegression(), LogisticRegression(C=0.01)]
ESTIMATORS = [
    (moe.MixtureOfExpertsRegressor, dict(n_experts=2, n_init=1)),
    (moe.MixtureOfExpertsClassifier, dict(n_experts=2, n_init=1)),
    (moe.HierarchicalMixtureOfExpertsRegressor, dict(n_init=1)),
    (moe.HierarchicalMixtureOfExpertsClassifier, dict(n_init=1)),
    (moe.AdaptiveLocalExpertsRegressor, dict(n_experts=2, n_init=1)),
    (moe.AdaptiveLocalExpertsClassifier, dict(n_experts=2, n_init=1)),
    (moe.MetaPiRegressor, dict(experts=LINES)),
    (moe.MetaPiClassifier, dict(experts=CLASSIFIERS)),
    (moe.SparseMixtureOfExpertsRegressor, dict(n_experts=3, n_init=1)),
    (moe.SparseMixtureOfExpertsClassifier, dict(n_experts=3, combine="blend", n_init=1)),
    (moe.DeepMixtureOfExpertsRegressor, dict(n_experts=(2,), n_units=4, gate_units=4)),
    (moe.DeepMixtureOfExpertsClassifier, dict(n_experts=(2,), n_units=4, gate_units=4)),
    (moe.MixtureOfSoftmaxesClassifier, dict(n_components=2, n_init=1)),
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind, options", ESTIMATORS, ids=[k.__name__ for k, _ in ESTIMATORS])
def test_every_estimator_codes_as_one_would_by_hand(kind, options, data, tmp_path):
    table, y, coded = data
    if hasattr(kind, "predict_proba"):
        y = np.digitize(y, np.quantile(y, [1 / 3, 2 / 3]))
    options = options | dict(max_iter=5, random_state=0)
    model = kind(**options, categorical_features="from_dtype").fit(table, y)
    by_hand = kind(**options).fit(coded, y)

    def says(model, X):
        return model.predict_proba(X) if hasattr(kind, "predict_proba") else model.predict(X)

    expected = says(by_hand, coded)
    np.testing.assert_allclose(says(model, table), expected, rtol=SAME, atol=SAME)
    assert model.n_features_in_ == 3
    assert model.feature_names_in_.tolist() == ["age", "sex", "city"]
    assert model.categories_ == {"sex": ["f", "m"], "city": ["c", "a", "b"]}
    np.testing.assert_array_equal(says(pickle.loads(pickle.dumps(model)), table), expected)
    if not kind.__name__.startswith("MetaPi"):  # whose experts of scikit-learn a file does not keep
        moe.save(model, tmp_path / "model.moe")
        loaded = moe.load(tmp_path / "model.moe")
        np.testing.assert_array_equal(says(loaded, table), says(model, table))
        assert loaded.categories_ == model.categories_
    if hasattr(model, "experts_"):
        views = model.experts_[0], by_hand.experts_[0]
        assert views[0].feature_names_in_.tolist() == coded.columns.tolist()
        np.testing.assert_allclose(views[0].predict(table), views[1].predict(coded))
    for layer in getattr(model, "layers_", []):
        assert layer.gate_proba(table).shape == (N, 2)
    model.set_params(categorical_features=None)
    with pytest.raises(ValueError, match="column 'sex' of X holds text"):
        model.fit(table, y)
    assert model.categories_ == {"sex": ["f", "m"], "city": ["c", "a", "b"]}


def test_likelihood_and_names_are_those_of_the_coding_by_hand(fitted, data):
    _, y, coded = data
    by_hand = REGRESSOR(2, **FAST).fit(coded, y)
    assert abs(fitted.log_likelihood_ - by_hand.log_likelihood_) < 1e-8
    assert fitted.equations() == by_hand.equations()
    assert "sex_m" in fitted.equations() and "city_b" in fitted.equations()
    assert fitted.gate_.feature_names_in_.tolist() == coded.columns.tolist()


def test_the_first_level_changes_the_likelihood_by_the_penalty_alone(data):
    table, y, _ = data
    other = table.assign(city=table["city"].cat.reorder_categories(list("bcaz")))
    options = dict(random_state=0, expert=moe.experts.LinearExpert(alpha=0, variance_prior=0))
    a, b = (REGRESSOR(1, categorical_features="from_dtype", **options) for _ in range(2))
    difference = a.fit(table, y).log_likelihood_ - b.fit(other, y).log_likelihood_
    assert abs(difference) < 1e-8
    np.testing.assert_allclose(a.predict(table), b.predict(table), rtol=1e-7)


# -- tables of all kinds --------------------------------------------------------------------------


def of_polars(table, city=None):
    columns = {name: table[name].to_list() for name in table}
    found = pl.DataFrame(columns)
    return found if city is None else found.with_columns(pl.col("city").cast(city))


def test_tables_and_arrays_of_the_same_cells_give_the_same_fit(data):
    table, y, _ = data
    text = table.assign(city=table["city"].astype(str))
    expected = one_line(text, y).predict(text)
    tables = [
        (text, "from_dtype"),
        (text.astype({"sex": "string"}), "from_dtype"),
        (text.astype({"sex": object, "city": object}), "from_dtype"),
        (text.astype({"sex": "category"}), "from_dtype"),
        (of_polars(text), "from_dtype"),
        (of_polars(text, pl.Categorical), "from_dtype"),
        (of_polars(text, pl.Enum(["a", "b", "c", "z"])), "from_dtype"),
        (text, ["sex", "city"]),
        (text, [2, 1]),
        (text, [False, True, True]),
        (text, slice("sex", "city")),
        (text, lambda X: [name for name in X if name != "age"]),
        (text.to_numpy(), [1, 2]),
        (text.to_numpy(), "from_dtype"),
        (text.to_numpy().tolist(), [False, True, True]),
    ]
    for X, given in tables:
        model = one_line(X, y, given)
        np.testing.assert_allclose(model.predict(X), expected, rtol=SAME)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of names that X has, or has not
            np.testing.assert_allclose(model.predict(text.to_numpy()), expected, rtol=SAME)
            np.testing.assert_allclose(model.predict(table), expected, rtol=SAME)


def test_without_names_columns_are_numbered(data):
    table, y, _ = data
    model = one_line(table.to_numpy(), y, [1, 2])
    assert model.experts_[0].feature_names_in_.tolist() == ["x0", "x1_m", "x2_b", "x2_c"]
    assert model.categories_ == {1: ["f", "m"], 2: ["a", "b", "c"]}
    assert not hasattr(model, "feature_names_in_")


def test_numbers_may_be_categories(data):
    table, y, _ = data
    codes = table["city"].map({"a": 1, "b": 2, "c": 3}).astype(int)
    numbers = pd.DataFrame({"age": table["age"], "city": codes})
    expected = one_line(numbers, y, ["city"])
    assert expected.experts_[0].feature_names_in_.tolist() == ["age", "city_2", "city_3"]
    for X in (
        numbers.astype({"city": float}),
        numbers.astype({"city": "Int64"}),
        numbers.astype({"city": "category"}),
        numbers.assign(city=codes.astype(str)),
        pl.DataFrame({"age": table["age"].to_numpy(), "city": codes.to_numpy()}),
    ):
        np.testing.assert_allclose(expected.predict(X), expected.predict(numbers), rtol=SAME)
        assert one_line(X, y, ["city"]).categories_["city"] in ([1, 2, 3], ["1", "2", "3"])
    array = numbers.to_numpy()
    model = one_line(array, y, [1])
    np.testing.assert_allclose(model.predict(array), expected.predict(numbers), rtol=SAME)
    assert (array == numbers.to_numpy()).all()  # the caller's array is as it was
    assert model._validate(array.astype(np.float32), reset=False).dtype == np.float32
    assert model._validate(array, reset=False).dtype == np.float64
    single = numbers.astype({"age": np.float32})
    assert expected._validate(single, reset=False).dtype == np.float32


def test_truth_values_are_numbers_unless_they_are_named(data):
    table, y, _ = data
    X = pd.DataFrame({"age": table["age"], "male": table["sex"] == "m"})
    as_number, as_category = one_line(X, y), one_line(X, y, ["male"])
    assert not hasattr(as_number, "categories_")
    assert as_category.categories_ == {"male": [False, True]}
    assert as_category.experts_[0].feature_names_in_.tolist() == ["age", "male_True"]
    np.testing.assert_allclose(as_number.predict(X), as_category.predict(X), rtol=SAME)
    np.testing.assert_allclose(as_category.predict(X.astype(float)), as_number.predict(X))


def test_intervals_are_called_as_they_print(data):
    table, y, _ = data
    X = table[["age"]].assign(band=pd.cut(table["age"], [0, 30, 50, 100]))
    model = one_line(X, y)
    assert model.categories_ == {"band": ["(0, 30]", "(30, 50]", "(50, 100]"]}
    np.testing.assert_allclose(
        model.predict(X.assign(band=X["band"].astype(str))), model.predict(X)
    )


def test_a_table_of_one_category(data):
    table, y, _ = data
    model = one_line(table[["city"]], y)
    expected = y.groupby(table["city"].astype(str)).transform("mean")
    np.testing.assert_allclose(model.predict(table[["city"]]), expected, rtol=1e-5)  # the penalty


def test_the_index_and_the_order_of_categories_mean_nothing(fitted, data):
    table, _, _ = data
    expected = fitted.predict(table)
    turned = table.set_index(np.arange(N)[::-1] * 7)
    turned["city"] = turned["city"].cat.set_categories(list("zabc"), ordered=True)
    np.testing.assert_array_equal(fitted.predict(turned), expected)
    np.testing.assert_array_equal(fitted.predict(table[60:70]), expected[60:70])


def test_columns_in_another_order_are_refused_as_scikit_learn_does(fitted, data):
    table, _, _ = data
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match="same order"):
            fitted.predict(table[["sex", "age", "city"]])
        with pytest.raises(ValueError, match=r"feature|expecting 3"):
            fitted.predict(table[["age", "sex"]])
    with pytest.raises(ValueError, match=r"2 features, but .* expecting 3 features"):
        fitted.predict(table.to_numpy()[:, :2])


# -- levels that are rare, missing, unseen --------------------------------------------------------


def test_an_unseen_level_has_the_average_effect_and_says_so_once(fitted, data):
    table, _, coded = data
    by_hand = REGRESSOR(2, **FAST).fit(coded, data[1])
    new, means = table.head(3).copy(), coded.head(3).copy()
    new["city"] = ["q", "z", "a"]  # "z" is a category of the type, without a row
    means.loc[:1, ["city_a", "city_b"]] = coded[["city_a", "city_b"]].mean().to_numpy()
    means.loc[2, ["city_a", "city_b"]] = [1.0, 0.0]
    with pytest.warns(UnseenCategoryWarning, match="column 'city': 'q', 'z'") as caught:
        found = fitted.predict(new)
    assert len(caught) == 1 and caught[0].filename == __file__
    np.testing.assert_allclose(found, by_hand.predict(means), rtol=SAME)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted.predict(new[2:])


def test_the_average_is_weighted(data):
    table, y, coded = data
    weight = np.arange(N) % 3
    model = REGRESSOR(1, categorical_features="from_dtype").fit(table, y, sample_weight=weight)
    by_hand = REGRESSOR(1).fit(coded, y, sample_weight=weight)
    means = coded.head(1).copy()
    means["sex_m"] = np.average(coded["sex_m"], weights=weight)
    with pytest.warns(UnseenCategoryWarning):
        found = model.predict(table.head(1).assign(sex="x"))
    np.testing.assert_allclose(found, by_hand.predict(means), rtol=SAME)


@pytest.mark.parametrize("gap", [None, np.nan, pd.NA])
def test_a_missing_cell_is_a_level_where_the_fit_has_seen_one(data, gap):
    table, y, coded = data
    holes = table.astype({"sex": object}).copy()
    holes.loc[::5, "sex"] = gap
    model = one_line(holes, y)
    assert model.categories_["sex"] == ["f", "m", None]
    expected = ["age", "sex_m", "sex_missing", "city_a", "city_b"]
    assert model.experts_[0].feature_names_in_.tolist() == expected
    by_hand = coded.copy()
    by_hand.insert(2, "sex_missing", (np.arange(N) % 5 == 0) * 1.0)
    by_hand["sex_m"] *= 1 - by_hand["sex_missing"]
    reference = REGRESSOR(1).fit(by_hand, y)
    np.testing.assert_allclose(model.predict(holes), reference.predict(by_hand), rtol=SAME)
    filled = holes.assign(sex=holes["sex"].astype("string"))
    np.testing.assert_allclose(model.predict(filled), model.predict(holes), rtol=SAME)


def test_a_missing_cell_that_the_fit_has_not_seen_is_an_unseen_level(fitted, data):
    table, _, _ = data
    with pytest.warns(UnseenCategoryWarning, match="column 'city': missing"):
        found = fitted.predict(table.head(1).assign(city=None))
    with pytest.warns(UnseenCategoryWarning):
        np.testing.assert_array_equal(fitted.predict(table.head(1).assign(city="q")), found)


def test_missing_numbers_are_refused_as_ever(data):
    table, y, _ = data
    with pytest.raises(ValueError, match="SimpleImputer"):
        one_line(table.assign(age=table["age"].where(table["age"] > 30)), y)


def test_levels_without_weight_are_no_levels(data):
    table, y, _ = data
    weight = (table["city"] != "c") * 1.0
    model = REGRESSOR(1, categorical_features="from_dtype")
    model.fit(table, y, sample_weight=weight)
    assert model.categories_["city"] == ["a", "b"]
    left = table[weight > 0], y[weight > 0]
    alone = clone(model).fit(*left)
    np.testing.assert_allclose(alone.predict(left[0]), model.predict(left[0]), rtol=SAME)


def test_levels_of_one_row_and_columns_of_one_level(data):
    table, y, _ = data
    rare = table["sex"].where(np.arange(N) != 7, "x")
    X = pd.DataFrame({"age": table["age"], "sex": rare, "same": "s"})
    model = REGRESSOR(2, categorical_features="from_dtype", **FAST).fit(X, y)
    assert model.categories_ == {"sex": ["f", "m", "x"], "same": ["s"]}
    assert model.experts_[0].feature_names_in_.tolist() == ["age", "sex_m", "sex_x"]
    assert np.isfinite(model.predict(X)).all()
    only = one_line(X[["same"]], y)
    np.testing.assert_allclose(only.predict(X[["same"]]), y.mean())
    with pytest.warns(UnseenCategoryWarning):
        np.testing.assert_allclose(only.predict(X[["same"]].assign(same="t")), y.mean())


def test_many_levels_are_coded_and_more_are_refused():
    rng = np.random.default_rng(0)
    codes = np.arange(4 * 200) % 200
    effect = rng.normal(size=200)
    X = pd.DataFrame({"id": [f"k{i}" for i in codes]})
    y = effect[codes] + 0.01 * rng.normal(size=800)
    assert len(one_line(X, y).categories_["id"]) == 200
    X = pd.DataFrame({"id": [f"k{i}" for i in range(MOST + 1)]})
    with pytest.raises(ValueError, match=r"column 'id' of X has 256 levels, and at most 255"):
        one_line(X, np.arange(MOST + 1.0))
    one_line(pd.concat([X[1:]] * 3), rng.normal(size=3 * MOST))


# -- columns of the parts -------------------------------------------------------------------------


def test_features_name_columns_of_the_table(data):
    table, y, _ = data
    model = REGRESSOR(
        2,
        categorical_features="from_dtype",
        gate_features=["city", "age"],
        expert_features=make_selector("sex"),
        **FAST,
    ).fit(table, y)
    assert model.gate_.feature_names_in_.tolist() == ["city_a", "city_b", "age"]
    assert model.experts_[0].feature_names_in_.tolist() == ["sex_m"]
    assert model.gate_.coef_.shape == (2, 3)
    np.testing.assert_allclose(
        model.experts_[0].predict(table),
        model.experts_[0].intercept_ + model.experts_[0].coef_[0] * (table["sex"] == "m"),
    )


def make_selector(*names):
    return lambda X: [name for name in X if name in names]


def test_an_offset_stands_where_its_column_stood(data):
    table, _, coded = data
    rng = np.random.default_rng(1)
    X = table[["city", "sex"]].assign(log_time=rng.uniform(0, 1, N), age=table["age"] / 50)
    counts = rng.poisson(np.exp(X["log_time"] + X["age"] + (X["city"] == "b")))
    options = dict(expert="poisson", offset_feature="log_time", **FAST)
    model = REGRESSOR(1, categorical_features="from_dtype", **options).fit(X, counts)
    by_hand = coded[["city_a", "city_b", "sex_m"]].assign(log_time=X["log_time"], age=X["age"])
    reference = REGRESSOR(1, **options).fit(by_hand, counts)
    np.testing.assert_allclose(model.predict(X), reference.predict(by_hand), rtol=1e-8)
    np.testing.assert_allclose(model.experts_[0].predict(X), model.predict(X), rtol=1e-8)
    with pytest.raises(ValueError, match="'sex', which is a category"):
        model.set_params(offset_feature="sex").fit(X, counts)


def test_groups_with_a_gate_of_categories(data):
    table, y, _ = data
    groups = np.arange(N) // 2
    shared = table.assign(city=table["city"].astype(str).to_numpy()[groups * 2])
    model = REGRESSOR(2, categorical_features="from_dtype", gate_features="city", **FAST)
    model.fit(shared, y, groups=groups)
    assert model.log_prob(shared, y, groups=groups).shape == (N // 2,)
    with pytest.raises(ValueError, match="city"):
        model.fit(table, y, groups=groups)


# -- rows that come later -------------------------------------------------------------------------


def test_blocks_of_declared_categories_give_the_fit_of_all_rows(data):
    table, y, _ = data
    table = table.astype({"sex": pd.CategoricalDtype(["f", "m", "x"])}).sort_values("city")
    y = y[table.index]
    model = REGRESSOR(2, categorical_features="from_dtype", **FAST)
    expected = clone(model).fit(table, y)

    def blocks():
        for start in range(0, N, 50):
            yield table[start : start + 50], y[start : start + 50]

    found = model.fit_blocks(blocks)
    assert found.categories_ == expected.categories_
    np.testing.assert_allclose(found.predict(table), expected.predict(table), rtol=1e-8)
    assert found.feature_names_in_.tolist() == ["age", "sex", "city"]


def test_blocks_of_text_are_refused(data):
    table, y, _ = data
    model = REGRESSOR(1, categorical_features="from_dtype")
    with pytest.raises(ValueError, match=r"'sex' of X is read in blocks.*CategoricalDtype"):
        model.fit_blocks(lambda: iter([(table, y)]))
    some = table[["city"]][table["city"] != "c"]
    some = some.assign(city=some["city"].cat.set_categories(["a", "b"]))
    blocks = [(some, y[some.index]), (table[["city"]], y)]
    with pytest.raises(ValueError, match=r"block 1: .*does not list, column 'city': 'c'"):
        model.fit_blocks(lambda: iter(blocks))


def test_partial_fit_knows_the_levels_of_its_first_rows(data):
    table, y, coded = data
    first, later = slice(0, 100), slice(100, N)
    model = REGRESSOR(1, categorical_features="from_dtype", random_state=0)
    by_hand = REGRESSOR(1, random_state=0)
    for rows in (first, later):
        model.partial_fit(table[rows], y[rows])
        by_hand.partial_fit(coded[rows], y[rows])
    np.testing.assert_allclose(model.predict(table), by_hand.predict(coded), rtol=1e-8)
    with pytest.warns(UnseenCategoryWarning, match="'new'"):
        model.partial_fit(table[:5].assign(sex="new"), y[:5])


def test_a_fit_that_goes_on_keeps_its_levels(data):
    table, y, _ = data
    model = one_line(table, y, warm_start=True)
    fewer = table["city"] != "c"  # "c" is the level that others are compared with
    model.fit(table[fewer], y[fewer])
    assert model.categories_["city"] == ["c", "a", "b"]
    with pytest.raises(ValueError, match="'q', which the fit to go on from has not seen"):
        model.fit(table.assign(city="q"), y)
    start = one_line(table, y)
    again = REGRESSOR(1, categorical_features="from_dtype", init_params=start)
    np.testing.assert_allclose(again.fit(table, y).predict(table), start.predict(table), rtol=1e-8)


def test_a_blend_begins_with_a_fit_of_the_same_table(data):
    table, y, _ = data
    start = one_line(table, y)
    model = moe.SparseMixtureOfExpertsRegressor(
        3,
        combine="blend",
        categorical_features="from_dtype",
        init_params=FrozenEstimator(start),
        max_iter=1,
        random_state=0,
    )
    assert model.fit(table, y).predict(table).shape == (N,)


def test_hashed_keys_may_be_categories(data):
    table, y, _ = data
    model = moe.SparseMixtureOfExpertsRegressor(
        2, combine="blend", router="hash", hash_features=["city"], max_iter=2, random_state=0
    )
    model.set_params(categorical_features="from_dtype").fit(table, y)
    sent = pd.Series(model.assign(table)).groupby(table["city"].to_numpy()).nunique()
    assert (sent == 1).all()


# -- what rests on a fit --------------------------------------------------------------------------


def test_all_that_is_asked_of_a_fit_takes_the_table(fitted, data):
    table, y, _ = data
    assert fitted.gate_proba(table).shape == (N, 2)
    assert fitted.responsibilities(table, y).shape == (N, 2)
    assert fitted.predict_dist(table).interval(0.9)[0].shape == (N,)
    assert fitted.sample(table, random_state=0)[0].shape == (N,)
    assert np.isfinite(fitted.log_prob(table, y)).all()
    assert np.isfinite([fitted.bic(table, y), fitted.log_evidence(table, y)]).all()
    assert "city_b" in str(fitted.summary(table, y))


def test_errors_are_those_of_the_coding_by_hand(data):
    table, y, coded = data
    options = dict(gate="constant", **FAST)
    model = REGRESSOR(2, categorical_features="from_dtype", **options).fit(table, y)
    by_hand = REGRESSOR(2, **options).fit(coded, y)
    found, expected = infer(model, table, y), infer(by_hand, coded, y)
    assert found.names == expected.names
    np.testing.assert_allclose(found.estimates, expected.estimates, rtol=1e-6, atol=1e-8)


def test_effects_of_a_category_go_from_its_first_level_to_the_others(data):
    table, y, _ = data
    model = one_line(table, y)
    effects = marginal_effects(model, table, y)
    assert effects.names == ["age", "sex_m", "city_a", "city_b"]
    expert = model.experts_[0]
    np.testing.assert_allclose(effects.estimates, expert.coef_, rtol=1e-7)
    assert marginal_effects(model, table, features=["city"]).names == ["city_a", "city_b"]
    classes = y > y.median()
    model = moe.MixtureOfExpertsClassifier(2, categorical_features="from_dtype", **FAST)
    model.fit(table, classes)
    found = marginal_effects(model, table, features="city").estimates[-2:]
    proba = [model.predict_proba(table.assign(city=level))[:, 1].mean() for level in "cab"]
    np.testing.assert_allclose(found, np.array(proba[1:]) - proba[0], atol=1e-10)


def test_a_resample_without_a_level_is_one(data):
    table, y, _ = data
    rare = table[["age"]].assign(
        city=np.where(np.arange(N) == 3, "rare", table["city"].astype(str))
    )
    model = one_line(rare, y)
    found = bootstrap(model, rare, y, n_resamples=20, random_state=0)
    assert np.isfinite(found.estimates).all()


def test_grid_search_over_the_parameter(data):
    table, y, _ = data
    grid = {"categorical_features": ["from_dtype", [1, 2]], "expert__alpha": [1e-6, 1.0]}
    search = GridSearchCV(REGRESSOR(1, random_state=0), grid, cv=3).fit(table, y)
    assert search.predict(table).shape == (N,)
    scores = search.cv_results_["mean_test_score"].reshape(2, 2)
    np.testing.assert_allclose(scores[0], scores[1])


@pytest.mark.filterwarnings("ignore::classic_moe.exceptions.ExpertCountWarning")
def test_expert_count_search_passes_the_table_on(data):
    table, y, _ = data
    estimator = REGRESSOR(categorical_features="from_dtype", **FAST)
    search = ExpertCountSearch(estimator, n_experts=[1, 2], criterion="bic").fit(table, y)
    assert search.predict(table).shape == (N,)
    assert search.best_estimator_.categories_["sex"] == ["f", "m"]
    assert search.feature_names_in_.tolist() == table.columns.tolist()


# -- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "column, match",
    [
        (pd.Series(["u", "v"] * (N // 2)), "column 'extra' of X holds text, such as 'u': set"),
        (pd.Series(["u", "v"] * (N // 2), dtype="category"), "column 'extra' of X holds text"),
        (pd.Series(pd.date_range("2020", periods=N)), "column 'extra' of X holds dates.*dt.days"),
        (pd.Series([date(2020, 1, 1)] * N), "column 'extra' of X holds dates"),
        (pd.Series(pd.to_timedelta(np.arange(N), "D")), "'extra' of X holds spans of time"),
        (pd.Series(pd.period_range("2020", periods=N)), "column 'extra' of X holds dates"),
    ],
)
def test_columns_that_are_no_numbers_are_named_with_the_cure(data, column, match):
    table, y, _ = data
    X = table[["age"]].assign(extra=column)
    with pytest.raises(ValueError, match=match):
        REGRESSOR(1).fit(X, y)
    if "text" not in match:
        with pytest.raises(ValueError, match=match):
            one_line(X, y)
    model = REGRESSOR(1).fit(X.assign(extra=1.0), y)
    with pytest.raises(ValueError, match=r"column 'extra' of X holds (text.*numbers|dates|spans)"):
        model.predict(X)


def test_columns_of_polars_and_arrays_are_named_too(data):
    table, y, _ = data
    ages = table["age"].to_list()
    with pytest.raises(ValueError, match="column 'd' of X holds dates"):
        REGRESSOR(1).fit(pl.DataFrame({"age": ages, "d": [date(2020, 1, 1)] * N}), y)
    with pytest.raises(ValueError, match="column 's' of X holds text, such as 'a': set"):
        REGRESSOR(1).fit(pl.DataFrame({"age": ages, "s": ["a"] * N}), y)
    with pytest.raises(ValueError, match=r"column 1 of X holds text, .*categorical_features=\[1\]"):
        REGRESSOR(1).fit(table[["age", "sex"]].to_numpy(), y)
    with pytest.raises(ValueError, match="column 0 of X holds dates"):
        REGRESSOR(1).fit(np.arange(N).astype("M8[D]")[:, None], y)


def test_a_category_that_is_not_named_is_named(data):
    table, y, _ = data
    with pytest.raises(ValueError, match=r"'sex' of X holds text, such as .*: name it in"):
        one_line(table, y, ["city"])


@pytest.mark.parametrize(
    "given, match",
    [
        ("dtype", "use None, 'from_dtype', or columns; X has age, sex, city"),
        (["size"], "names column 'size'"),
        ([7], "names column 7; X has 3 columns"),
        ([True, False], "mask of length 2"),
        (["sex", "sex"], "twice"),
    ],
)
def test_columns_that_are_none_are_refused(data, given, match):
    table, y, _ = data
    with pytest.raises(ValueError, match=match):
        one_line(table, y, given)


@pytest.mark.filterwarnings("ignore::polars.exceptions.PerformanceWarning")
def test_what_cannot_be_coded_is_refused_in_a_sentence(data):
    from scipy.sparse import csr_array

    table, y, _ = data
    age = table[["age"]]
    with pytest.raises(ValueError, match=r"mixes text .* and numbers"):
        one_line(age.assign(mixed=["a", 1] * (N // 2)), y)
    with pytest.raises(ValueError, match="would give the model two columns named 'a_b'"):
        one_line(pd.DataFrame({"a": ["a", "b"] * (N // 2), "a_b": age["age"]}), y)
    with pytest.raises(ValueError, match="an array of text, whose columns have no types"):
        one_line(table.to_numpy().astype(str), y)
    one_line(table.to_numpy().astype(str), y, [1, 2])
    with pytest.raises(ValueError, match="column 'b' of X holds cells that are no categories"):
        one_line(age.assign(b=[[1]] * N), y, ["b"])
    with pytest.raises(ValueError, match="X is a LazyFrame"):
        one_line(of_polars(table).lazy(), y)
    with pytest.raises(
        ValueError, match=r"several columns of one name \('age' 2 times, .*'city' 2"
    ):
        one_line(pd.concat([table, table], axis=1), y)
    with pytest.raises(ValueError, match="Expected 2D array, got 1D array instead"):
        one_line(table, y).predict(table.iloc[0])
    sparse = csr_array(np.eye(N)[:, :3])
    with pytest.raises(ValueError, match="for tables and arrays in memory"):
        one_line(sparse, y, [0])
    one_line(sparse, y, "from_dtype")
    one_line(age, y, [])


def test_a_column_that_is_coded_is_not_blamed_for_another(data):
    table, y, _ = data
    X = table.assign(extra=[b"a", b"b"] * (N // 2))
    with pytest.raises(ValueError) as caught:
        one_line(X, y)
    assert "'sex'" not in str(caught.value) and "b'a'" in str(caught.value)
    with pytest.raises(ValueError, match="column 'name' of X holds text"):
        one_line(table.assign(name="n"), y, ["sex", "city"])


def test_whole_numbers_that_a_float_does_not_tell_apart_are_levels_of_their_own(data, tmp_path):
    table, y, _ = data
    ids = [2**60, 2**60 + 1, 10**400, 1]  # the third is beyond any float
    X = table[["age"]].assign(id=pd.Series(ids * (N // 4), dtype=object))
    model = one_line(X, y, ["id"])
    assert model.categories_ == {"id": sorted(ids)}
    moe.save(model, tmp_path / "ids.moe")
    kept = moe.load(tmp_path / "ids.moe")
    assert kept.categories_ == model.categories_
    np.testing.assert_array_equal(kept.predict(X), model.predict(X))


def test_a_sparse_matrix_is_no_table_of_categories(fitted):
    from scipy.sparse import csr_array

    with pytest.raises(ValueError, match=r"X is sparse, and .* was fitted to categories"):
        fitted.predict(csr_array(np.ones((2, 3))))


def test_a_failed_fit_changes_nothing(fitted, data):
    table, y, _ = data
    before = dict(vars(fitted))
    with pytest.raises(ValueError, match="mixes"):
        fitted.fit(table.assign(sex=["a", 1] * (N // 2)), y)
    assert vars(fitted) == before


def test_a_later_fit_without_categories_forgets_them(data):
    table, y, coded = data
    model = one_line(table, y)
    model.fit(coded, y)
    assert not hasattr(model, "categories_") and model.n_features_in_ == 4
