"""Sparse X: the same bits as dense, by every estimator and method, and never all of it dense."""

import tracemalloc
import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.compose import make_column_transformer
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import get_tags

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
from classic_moe.data import batches, units
from classic_moe.estimators import _prepare
from classic_moe.experts import LinearExpert, MLPExpert
from classic_moe.inspection import ExpertCurvesDisplay, GateRegionDisplay, TreeDisplay
from classic_moe.parts import storage
from classic_moe.parts.params import leaves
from classic_moe.solvers import Adam, OnlineEM

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

QUICK = dict(n_init=2, max_iter=5, random_state=0)
R, C = MixtureOfExpertsRegressor, MixtureOfExpertsClassifier


def sparse_rows(n, p=6, seed=0):
    """About a third of the entries other than 0; every column has some, and one row has none."""
    rng = np.random.default_rng(seed)
    X = np.where(rng.random((n, p)) < 0.3, rng.normal(1.0, 1.0, (n, p)), 0.0)
    X[0] = 0.0
    return X


def targets(X, kind, seed=1):
    """A y that the kind of target takes."""
    rng = np.random.default_rng(seed)
    eta = np.where(X[:, 0] > 0, X[:, 1], 1.0 - X[:, 2])
    noisy = eta + 0.3 * rng.standard_normal(len(X))
    return {
        "real": lambda: noisy,
        "two": lambda: np.column_stack([noisy, -noisy + X[:, 3]]),
        "count": lambda: rng.poisson(np.exp(0.5 * eta)).astype(float),
        "positive": lambda: np.exp(0.3 * noisy),
        "share": lambda: (noisy > 0.5).astype(float),
        "class": lambda: np.array(["high", "low", "middle"])[np.digitize(noisy, [0.0, 1.0])],
        "two classes": lambda: np.where(noisy > 0.5, "high", "low"),
    }[kind]()


CASES = {
    "linear": (R(2, **QUICK), "real"),
    "constant gate": (R(2, gate="constant", **QUICK), "real"),
    "constant experts": (R(3, expert="gaussian", **QUICK), "real"),
    "two outputs": (R(2, **QUICK), "two"),
    "raw units": (R(2, standardize=False, **QUICK), "real"),
    "columns": (R(2, gate_features=[0, 1], expert_features=[4, 2], **QUICK), "real"),
    "threads": (R(2, n_jobs=2, **QUICK), "real"),
    "student": (R(2, expert="student_t", **QUICK), "real"),
    "laplace": (R(2, expert="laplace", **QUICK), "real"),
    "poisson": (R(2, expert="poisson", offset_feature=5, **QUICK), "count"),
    "negative binomial": (R(2, expert="negative_binomial", **QUICK), "count"),
    "gamma": (R(2, expert="gamma", **QUICK), "positive"),
    "binomial": (R(2, expert="binomial", **QUICK), "share"),
    "network": (R(2, expert=MLPExpert((3,), max_iter=5), **QUICK), "real"),
    "union": (R(expert=["linear", "noise"], **QUICK), "real"),
    "gaussian gate": (R(2, gate="gaussian", **QUICK), "real"),
    "families gate": (R(2, gate="exponential_family", **QUICK), "real"),
    "black box experts": (R(2, expert=Ridge(), **QUICK), "real"),
    "black box gate": (R(2, gate=DecisionTreeClassifier(max_depth=2), **QUICK), "real"),
    "hard": (R(2, assignment="hard", solver="cem", **QUICK), "real"),
    "random starts": (R(2, init_params="random", solver="sem", **QUICK), "real"),
    "kmeans": (R(2, init_params="kmeans", solver="em", **QUICK), "real"),
    "lbfgs": (R(2, solver="lbfgs", **QUICK), "real"),
    "adam": (R(2, solver=Adam(early_stopping=True), **QUICK), "real"),
    "online": (R(2, solver=OnlineEM(), **QUICK), "real"),
    "gradient": (AdaptiveLocalExpertsRegressor(2, objective="blended_error", **QUICK), "real"),
    "tree": (HierarchicalMixtureOfExpertsRegressor(2, 2, **QUICK), "real"),
    "meta-pi": (MetaPiRegressor([LinearRegression(), Ridge()], max_iter=5), "real"),
    "softmax": (C(2, **QUICK), "class"),
    "balanced": (C(2, class_weight="balanced", **QUICK), "class"),
    "logistic": (C(2, expert="logistic", **QUICK), "two classes"),
    "codes": (C(2, expert="linear", **QUICK), "class"),
    "classes by gradient": (AdaptiveLocalExpertsClassifier(2, **QUICK), "class"),
    "tree of classes": (HierarchicalMixtureOfExpertsClassifier(2, 2, **QUICK), "class"),
    "meta-pi of classes": (
        MetaPiClassifier([LogisticRegression(), DecisionTreeClassifier(max_depth=2)], max_iter=5),
        "class",
    ),
}
COMPILED = ["linear", "constant experts", "columns", "threads", "poisson", "softmax", "tree"]
METHODS = (
    "predict predict_proba predict_log_proba predict_experts gate_proba assign node_proba"
).split()
WITH_Y = "responsibilities log_prob score node_responsibilities aic bic icl".split()


def said(model, X, y):
    """All that a fitted model says of X, dense or sparse, an array a name."""
    found = {f"params {i}": leaf for i, leaf in enumerate(leaves(model.params_)) if is_number(leaf)}
    for name in METHODS:
        if hasattr(model, name):
            found[name] = getattr(model, name)(X)
    if hasattr(model, "sample"):
        found["draws"], found["experts of draws"] = model.sample(X, random_state=0)
    for name in WITH_Y:
        if hasattr(model, name):
            found[name] = getattr(model, name)(X, y)
    if hasattr(model, "predict_dist"):
        distribution = model.predict_dist(X)
        found["std"], found["median"] = distribution.std(), distribution.ppf(0.5)
    found["expert 0"] = model.experts_[0].predict(X)
    return found


def is_number(leaf):
    return np.asarray(leaf).dtype.kind == "f"


def assert_says_the_same(one, other):
    assert one.keys() == other.keys()
    for name, value in one.items():
        if not isinstance(value, dict):
            assert_array_equal(value, other[name], err_msg=name)
            continue
        for key, part in value.items():  # of nodes
            assert_array_equal(part, other[name][key], err_msg=f"{name} {key}")


def assert_the_same_bits(model, X, S, y, **options):
    """Two fits, to dense and sparse X, say the same of dense and sparse X, to the last bit."""
    new = type(model)(**model.get_params(deep=False))
    dense, thin = model.fit(X, y, **options), new.fit(S, y, **options)
    assert_says_the_same(said(dense, X, y), said(thin, S, y))
    return thin


@pytest.mark.parametrize("name", CASES)
def test_every_fit_has_the_bits_of_the_dense_one(name):
    model, kind = CASES[name]
    X = sparse_rows(90)
    assert_the_same_bits(model, X, sparse.csr_array(X), targets(X, kind))


@pytest.mark.parametrize("name", COMPILED)
def test_so_it_has_by_the_compiled_passes(name):
    model, kind = CASES[name]
    X = sparse_rows(700)
    assert_the_same_bits(model, X, sparse.csr_array(X), targets(X, kind))


@pytest.mark.parametrize("name", ["linear", "two outputs", "poisson", "adam", "softmax", "columns"])
def test_so_it_does_where_every_block_is_made_anew_in_every_pass(name, monkeypatch):
    """As of large data: no dense copy is kept, and units and sums are of many blocks."""
    monkeypatch.setattr(_prepare, "SPARSE_KEPT", 0)
    monkeypatch.setattr(units, "BLOCK", 6 * 100)
    monkeypatch.setattr(batches, "CHUNK_BYTES", 8 * 6 * 150)
    monkeypatch.setattr(batches, "SAMPLE_BYTES", 8 * 6 * 400)
    monkeypatch.setattr(batches, "SAMPLE_ROWS", 1)
    model, kind = CASES[name]
    X = sparse_rows(700)
    weight = np.random.default_rng(2).integers(0, 3, 700)
    assert_the_same_bits(
        model, X, sparse.csr_array(X), targets(X, kind), sample_weight=weight.astype(float)
    )


def test_rows_of_weight_0_groups_and_labels():
    X = sparse_rows(120)
    X[:, 0] = np.repeat(X[::3, 0], 3)
    y, groups = targets(X, "real"), np.repeat(np.arange(40), 3)
    model = R(2, gate_features=[0], **QUICK)
    labels = np.where(np.arange(120) < 6, 1, -1)
    weight = np.arange(120) % 4 * 1.0
    options = dict(groups=groups, expert_labels=labels, sample_weight=weight)
    S = sparse.csr_array(X)
    thin = assert_the_same_bits(model, X, S, y, **options)
    for name in ("log_prob", "responsibilities", "bic"):
        one, other = (getattr(thin, name)(Z, y, groups=groups) for Z in (X, S))
        assert_array_equal(one, other)
    with pytest.raises(ValueError, match="column 1 is not constant within group"):
        R(2, gate_features=[1], **QUICK).fit(S, y, groups=groups)


def test_going_on_from_a_fit_and_learning_row_by_row():
    X = sparse_rows(300)
    y, S = targets(X, "real"), sparse.csr_array(X)
    for steps in (("fit", "fit"), ("fit", "partial_fit"), ("partial_fit", "partial_fit")):
        found = []
        for Z in (X, S):
            model = R(2, warm_start=True, **QUICK)
            for step, rows in zip(steps, (slice(0, 200), slice(100, 300)), strict=True):
                getattr(model, step)(Z[rows], y[rows])
            found.append(said(model, Z, y))
        assert_says_the_same(*found)


def test_starts_that_the_caller_gives():
    X = sparse_rows(100)
    y, S = targets(X, "real"), sparse.csr_array(X)
    side = np.where(X[:, :1] > 0, [0.9, 0.1], [0.1, 0.9])
    assert_the_same_bits(R(2, init_params=side, max_iter=5), X, S, y)
    seen = []

    def start(X, y, n_experts, random_state):
        seen.append(X)
        return side

    R(2, init_params=start, max_iter=5).fit(S, y)
    assert all(sparse.issparse(Z) for Z in seen)  # the caller's X as it was given


# -- kinds of storage ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["matrix", "array"])
@pytest.mark.parametrize("format", ["csr", "csc", "coo", "bsr", "lil", "dok", "dia"])
def test_every_format(format, kind):
    X = sparse_rows(60)
    y, S = targets(X, "real"), getattr(sparse, f"{format}_{kind}")(X)
    before = S.copy()
    model = R(2, **QUICK).fit(S, y)
    assert_says_the_same(said(model, X, y), said(R(2, **QUICK).fit(X, y), S, y))
    assert type(S) is type(before) and (S != before).nnz == 0


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.int8, bool, ">f8", ">f4"])
def test_every_kind_of_number(dtype):
    X = np.sign(sparse_rows(80)).astype(dtype)
    y = targets(X.astype(float), "real")
    S = sparse.csr_array(X.astype(X.dtype.newbyteorder("=")))
    S.data = S.data.astype(dtype)  # scipy makes none in another order of bytes, but a file may hold
    assert_the_same_bits(R(2, **QUICK), X, S, y)


def test_long_indices_explicit_zeros_duplicates_and_rows_in_disorder():
    X = sparse_rows(80)
    X[:, 5] = np.sign(X[:, 5]) * 3.0
    y = targets(X, "real")
    plain = said(R(2, **QUICK).fit(X, y), X, y)
    row, column = np.nonzero(X)
    value = X[row, column]
    more = column == 5  # 3 = 1 + 1 + 1, a fact that rounding leaves alone
    zeros = np.argwhere(X == 0)[:50]
    data = np.r_[value[~more], np.tile(value[more] / 3, 3), np.zeros(50)]
    rows = np.r_[row[~more], np.tile(row[more], 3), zeros[:, 0]]
    columns = np.r_[column[~more], np.tile(column[more], 3), zeros[:, 1]]
    order = np.random.default_rng(0).permutation(len(data))
    S = sparse.coo_array((data[order], (rows[order], columns[order])), X.shape)
    assert S.nnz > np.count_nonzero(X) + 50
    for Z in (S, S.tocsr()):
        assert_says_the_same(plain, said(R(2, **QUICK).fit(Z, y), Z, y))
    long = sparse.csr_array(X)
    long.indices, long.indptr = long.indices.astype(np.int64), long.indptr.astype(np.int64)
    assert_says_the_same(plain, said(R(2, **QUICK).fit(long, y), long, y))


def test_rows_without_an_entry_and_a_column_without_any():
    X = sparse_rows(80)
    X[::3] = 0.0
    X[:, 4] = 0.0
    assert_the_same_bits(R(2, **QUICK), X, sparse.csr_array(X), targets(X, "real"))


def test_a_table_of_sparse_columns_keeps_its_names():
    X = sparse_rows(80)
    names = list("abcdef")
    table = pd.DataFrame.sparse.from_spmatrix(sparse.csr_matrix(X), columns=names)
    y = targets(X, "real")
    model = R(2, gate_features=["b", "a"], **QUICK).fit(table, y)
    assert list(model.feature_names_in_) == names
    dense = R(2, gate_features=["b", "a"], **QUICK).fit(pd.DataFrame(X, columns=names), y)
    assert_array_equal(model.predict(table), dense.predict(pd.DataFrame(X, columns=names)))


# -- more columns than rows ------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [R, C])
def test_more_columns_than_rows(kind):
    X = sparse_rows(80, p=300)
    y = targets(X, "real" if kind is R else "class")
    assert_the_same_bits(kind(2, **QUICK), X, sparse.csr_array(X), y)


def test_twenty_thousand_words_and_few_texts():
    """A CountVectorizer has very many columns, of which each text fills few."""
    rng = np.random.default_rng(0)
    words = np.array([f"w{i}" for i in range(5000)])
    texts = [" ".join(rng.choice(words, 40)) + (" good" if i % 2 else " bad") for i in range(120)]
    model = make_pipeline(CountVectorizer(), C(2, **QUICK)).fit(texts, np.arange(120) % 2)
    assert model[0].transform(texts).shape[1] > 2000
    assert model.score(texts, np.arange(120) % 2) == 1.0


# -- in a Pipeline ---------------------------------------------------------------------------------


@pytest.mark.parametrize("levels", [5, 200])
def test_a_one_hot_encoder_before_the_estimator(levels):
    """The encoder's output is sparse once there are many levels, and nobody asked for that."""
    rng = np.random.default_rng(0)
    zip_code = rng.integers(0, levels, 400).astype(str)
    table = pd.DataFrame({"zip": zip_code, "v": rng.normal(size=400)})
    encoder = make_column_transformer((OneHotEncoder(), ["zip"]), (StandardScaler(), ["v"]))
    model = make_pipeline(encoder, R(2, **QUICK | {"max_iter": 30})).fit(table, np.abs(table["v"]))
    assert sparse.issparse(model[0].transform(table)) == (levels == 200)
    assert model.score(table, np.abs(table["v"])) > 0.7  # a line explains nothing


def test_the_tag_says_so():
    for model in (R(), C(), MetaPiRegressor([Ridge()]), HierarchicalMixtureOfExpertsClassifier()):
        assert get_tags(model).input_tags.sparse


# -- memory ----------------------------------------------------------------------------------------


def peak(function):
    """Return the most memory in use while a function runs, in bytes."""
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def thin_rows(n, p, density, seed=0):
    rng = np.random.default_rng(seed)
    S = sparse.random_array((n, p), density=density, format="csr", random_state=rng)
    return S, S[:, [0, 1]].toarray() @ [1.0, -2.0] + 0.1 * rng.standard_normal(n)


def test_predictions_hold_a_block_of_rows_at_a_time():
    S, y = thin_rows(60_000, 300, 0.005)
    model = R(1, expert="linear", max_iter=1, n_init=1).fit(S[:2000], y[:2000])
    dense = 8 * S.shape[0] * S.shape[1]
    for method in (model.predict, model.gate_proba, lambda S: model.log_prob(S, y)):
        # a block is 16 MiB, and a few copies of it are made on the way
        assert peak(lambda method=method: method(S)) < 0.6 * dense


def test_no_dense_copy_is_kept_of_what_is_large(monkeypatch):
    X = sparse_rows(80)
    y, S = targets(X, "real"), sparse.csr_array(X)
    monkeypatch.setattr(_prepare, "SPARSE_KEPT", 8 * 80 * 6 - 1)
    assert sparse.issparse(_prepare.prepare(R(2), S, y).batches._X)
    assert not sparse.issparse(_prepare.prepare(R(2), S[:79], y[:79]).batches._X)


@pytest.mark.slow
def test_a_fit_never_holds_all_of_a_large_x():
    S, y = thin_rows(160_000, 300, 0.005)
    model = R(1, solver="em", max_iter=1, random_state=0)
    # what it takes are blocks of 16 MiB and a sample of 32 MiB for the start, in a few copies
    assert peak(lambda: model.fit(S, y)) < 0.6 * 8 * S.shape[0] * S.shape[1]


# -- what needs all of it --------------------------------------------------------------------------


@pytest.fixture
def little_room(monkeypatch):
    monkeypatch.setattr(storage, "LARGEST", 8 * 80 * 6 - 1)


@pytest.mark.parametrize(
    "model, named",
    [
        (R(2, expert=Ridge(), **QUICK), r"^EstimatorExpert\(estimator=Ridge\(\)\) needs all rows"),
        (R(2, gate=LogisticRegression(), **QUICK), r"^EstimatorGate\(.*\) needs all rows"),
        (R(2, expert=MLPExpert((2,)), **QUICK), r"^MLPExpert\(.*\) needs all rows"),
        (R(expert=["linear", Ridge()], **QUICK), r"^ExpertUnion\(.*\) needs all rows"),
        (MetaPiRegressor([Ridge(), Ridge()]), "^Experts that are fitted alone need all rows"),
    ],
    ids=["expert", "gate", "network", "union", "meta-pi"],
)
def test_a_part_that_needs_all_rows_says_so_where_there_is_no_room(little_room, model, named):
    X = sparse_rows(80)
    y, S = targets(X, "real"), sparse.csr_array(X)
    with pytest.raises(ValueError, match=named) as caught:
        model.fit(S, y)
    assert "80 rows of 6 columns" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert vars(model).get("_fitted") is None
    model.fit(X, y)  # dense is the caller's own choice


def test_columns_that_the_part_does_not_see_take_no_room(little_room):
    X, options = sparse_rows(80), dict(expert=Ridge(), expert_features=[0, 1, 2], **QUICK)
    model = R(2, **options).fit(sparse.csr_array(X), targets(X, "real"))
    assert model.predict_experts(sparse.csr_array(X)).shape == (80, 2)


def test_other_steps_that_need_all_rows_say_so_too(monkeypatch):
    X = sparse_rows(80)
    y, S = targets(X, "real"), sparse.csr_array(X)
    model, groups = R(2, **QUICK).fit(S, y), np.arange(80)
    joint = R(2, **QUICK).fit(S, np.column_stack([y, -y + X[:, 0]]))
    wide = sparse.csr_array(sparse_rows(30, p=100))
    monkeypatch.setattr(storage, "LARGEST", 8 * 80 * 6 - 1)
    for call, what in (
        (lambda: joint.predict_dist(S), "predict_dist needs"),
        (lambda: model.log_prob(S, y, groups=groups), "What is asked of groups needs"),
        (lambda: model.experts_[0].predict(S), "RegressionView needs"),
        (lambda: ExpertCurvesDisplay.from_estimator(model, S), "A picture needs"),
        (lambda: R(2, **QUICK).fit(wide, y[:30]), "A fit to more columns than rows needs"),
    ):
        with pytest.raises(ValueError, match=f"^{what} all rows of X as one dense array"):
            call()
    assert model.predict(S).shape == (80,)
    assert joint.predict_dist(S[:79]).mean().shape == (79, 2)
    assert model.predict_dist(S).mean().shape == (80,)  # of one output, some rows at a time


def test_pictures_and_tables_take_sparse_x():
    X = sparse_rows(80)
    y, S = targets(X, "real"), sparse.csr_array(X)
    model = R(2, **QUICK).fit(S, y)
    for display in (ExpertCurvesDisplay, GateRegionDisplay):
        one, other = (display.from_estimator(model, Z, y) for Z in (X, S))
        assert_array_equal(one.responsibilities, other.responsibilities)
    assert str(model.summary(S, y)) == str(model.summary(X, y))
    tree = HierarchicalMixtureOfExpertsClassifier(2, 2, **QUICK).fit(S, targets(X, "class"))
    one, other = (TreeDisplay.from_estimator(tree, Z) for Z in (X, S))
    assert one.leaf_texts == other.leaf_texts


# -- refusals --------------------------------------------------------------------------------------


@pytest.mark.parametrize("value, match", [(np.nan, "contains NaN"), (np.inf, "contains infinity")])
def test_a_value_that_is_no_number_is_refused(value, match):
    X = sparse_rows(60)
    y, S = targets(X, "real"), sparse.csr_array(X)
    model = R(2, **QUICK).fit(S, y)
    S.data[3] = value
    for call in (lambda: model.fit(S, y), lambda: model.predict(S)):
        with pytest.raises(ValueError, match=match):
            call()


def test_names_of_columns_need_a_table():
    X = sparse_rows(60)
    with pytest.raises(ValueError, match=r"gate_features='a' is a name.*positions"):
        R(2, gate_features="a").fit(sparse.csr_array(X), targets(X, "real"))


def test_other_widths_are_refused_as_of_dense_x():
    X = sparse_rows(60)
    model = R(2, **QUICK).fit(sparse.csr_array(X), targets(X, "real"))
    with pytest.raises(ValueError, match="X has 5 features, but"):
        model.predict(sparse.csr_array(X[:, :5]))


def test_no_warning_comes_of_it():
    X = sparse_rows(200)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # the assertion
        warnings.simplefilter("ignore", ConvergenceWarning)  # after a few iterations
        R(2, **QUICK).fit(sparse.csr_matrix(X), targets(X, "real")).predict(sparse.coo_matrix(X))


def test_equal_units_of_dense_and_sparse_columns_in_many_blocks(monkeypatch):
    X = sparse_rows(500) * [1e-300, 1e300, 1.0, 1e9, 0.0, 1.0]
    weight = np.random.default_rng(0).uniform(0, 2, 500)
    once = units.Scaling.fit(X, weight)
    monkeypatch.setattr(units, "BLOCK", 6 * 64)
    one, other = (units.Scaling.fit(V, weight) for V in (X, sparse.csr_array(X)))
    assert_array_equal(one.center, other.center)
    assert_array_equal(one.factor, other.factor)
    # sums of 500 numbers in another order
    np.testing.assert_allclose(one.center, once.center, rtol=1e-13)
    np.testing.assert_allclose(one.factor, once.factor, rtol=1e-13)


def test_a_linear_expert_by_itself_is_least_squares_on_the_dense_columns():
    X = sparse_rows(200)
    y = targets(X, "real")
    expert = LinearExpert(alpha=0, variance_prior=0)
    ours = R(1, expert=expert).fit(sparse.csr_array(X), y).experts_[0]
    theirs = LinearRegression().fit(X, y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-9)  # condition about 10
