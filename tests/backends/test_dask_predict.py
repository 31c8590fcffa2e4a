"""Predictions of collections of dask are lazy, and what they say is what arrays are told."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from classic_moe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor, inference, inspection
from classic_moe.model_selection import log_likelihood_scorer

dask = pytest.importorskip("dask", reason="dask is not installed: pip install 'classic-moe[dask]'")
da = pytest.importorskip("dask.array", reason="dask.array is not installed")
dd = pytest.importorskip("dask.dataframe", reason="dask.dataframe is not installed")
pd = pytest.importorskip("pandas", reason="pandas is not installed")

pytestmark = pytest.mark.dask

N = 300
RNG = np.random.default_rng(0)
X = RNG.standard_normal((N, 3))
Y = np.where(X[:, 0] > 0, X[:, 1], 2 - X[:, 1]) + 0.3 * RNG.standard_normal(N)
LABELS = np.array(["no", "maybe"])[(X[:, 0] * X[:, 1] > 0).astype(int)]
NAMES = ["a", "b", "c"]
METHODS = ["predict", "gate_proba", "predict_experts", "assign"]
METHODS_OF_Y = ["log_prob", "responsibilities", "assign"]


@pytest.fixture(scope="module")
def regressor():
    return MixtureOfExpertsRegressor(2, random_state=0, n_init=1).fit(X, Y)


@pytest.fixture(scope="module")
def classifier():
    return MixtureOfExpertsClassifier(2, random_state=0, n_init=1).fit(X, LABELS)


@pytest.fixture(autouse=True)
def threads():
    """Compute in this process."""
    with dask.config.set(scheduler="threads"):
        yield


def lazy(values, size=100):
    return da.from_array(values, chunks=(size, *values.shape[1:]))


def check(found, expected):
    assert isinstance(found, da.Array)
    assert found.dtype == expected.dtype
    if expected.dtype.kind == "f":  # products of few rows round otherwise than those of many
        assert_allclose(found.compute(), expected, rtol=1e-12, atol=1e-12)
    else:
        assert_array_equal(found.compute(), expected)


@pytest.mark.parametrize("name", METHODS)
def test_a_regressor_says_it_block_by_block(regressor, name):
    found = getattr(regressor, name)(lazy(X))
    assert found.shape == getattr(regressor, name)(X).shape
    assert found.chunks[0] == (100, 100, 100)
    check(found, getattr(regressor, name)(X))


@pytest.mark.parametrize("name", [*METHODS, "predict_proba", "predict_log_proba"])
def test_a_classifier_says_it_block_by_block(classifier, name):
    check(getattr(classifier, name)(lazy(X)), getattr(classifier, name)(X))


@pytest.mark.parametrize("name", METHODS_OF_Y)
def test_what_is_said_of_y_is_lazy_too(regressor, classifier, name):
    check(getattr(regressor, name)(lazy(X), lazy(Y)), getattr(regressor, name)(X, Y))
    found = getattr(classifier, name)(lazy(X), lazy(LABELS))
    check(found, getattr(classifier, name)(X, LABELS))


def test_nothing_is_computed_before_it_is_asked_for(regressor):
    def never(block):
        raise AssertionError("computed")

    X_lazy = lazy(X).map_blocks(never, dtype=float, meta=np.empty((0, 3)))
    found = regressor.predict(X_lazy)
    with pytest.raises(AssertionError, match="computed"):
        found.compute()


def test_what_is_asked_is_the_fit_of_that_moment():
    model = MixtureOfExpertsRegressor(2, random_state=0, n_init=1).fit(X, Y)
    expected, found = model.predict(X), model.predict(lazy(X))
    model.fit(X, -Y)
    check(found, expected)


def test_a_dataframe_with_empty_partitions_and_names():
    frame = pd.DataFrame(X, columns=NAMES).assign(y=Y, i=np.arange(N))
    model = MixtureOfExpertsRegressor(2, random_state=0, n_init=1).fit(frame[NAMES], Y)
    part = dd.from_pandas(frame, npartitions=4)
    part = part[part["i"] >= N // 2]
    rows = frame[frame["i"] >= N // 2]
    check(model.predict(part[NAMES]), model.predict(rows[NAMES]))
    check(model.log_prob(part[NAMES], part["y"]), model.log_prob(rows[NAMES], rows["y"]))
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(part[["b", "a", "c"]])


def test_unknown_sizes_and_columns_in_pieces(regressor):
    kept = X[:, 0] > 0
    cut = da.from_array(X, chunks=(100, 2))
    check(regressor.predict(cut[lazy(kept)]), regressor.predict(X[kept]))
    few = cut[lazy(np.arange(N) < 50)]  # two blocks of three have no rows
    check(regressor.gate_proba(few), regressor.gate_proba(X[:50]))


@pytest.mark.parametrize(
    "ask, sentence",
    [
        (lambda m, X, y: m.predict_dist(X), "predict_dist needs X in memory; pass X.compute"),
        (lambda m, X, y: m.sample(X), "sample needs X in memory; pass X.compute"),
        (lambda m, X, y: m.summary(X, y), "summary needs X in memory; pass X.compute"),
        (lambda m, X, y: m.score(X, y), "score needs X in memory; pass X.compute"),
        (lambda m, X, y: m.bic(X, y), "An information criterion needs X in memory; pass"),
        (lambda m, X, y: m.aic(X, y), "An information criterion needs X in memory; pass"),
        (lambda m, X, y: m.icl(X, y), "An information criterion needs X in memory; pass"),
        (lambda m, X, y: m.log_evidence(X, y), "log_evidence needs X in memory; pass X"),
        (lambda m, X, y: m.predict(X, return_std=True), "return_std=True needs X in memory"),
        (lambda m, X, y: m.log_prob(X, Y), "X is a collection of dask and y a ndarray"),
        (lambda m, X, y: m.log_prob(X.compute(), y), "y is a collection of dask, and is needed in"),
    ],
)
def test_what_needs_rows_in_memory_is_refused(regressor, ask, sentence):
    with pytest.raises(TypeError, match=sentence):
        ask(regressor, lazy(X), lazy(Y))


@pytest.mark.parametrize(
    "draw",
    [
        lambda m, X, y: inspection.ExpertUsageDisplay.from_estimator(m, X),
        lambda m, X, y: inspection.MeanDependenceDisplay.from_estimator(m, X),
        lambda m, X, y: inspection.CalibrationDisplay.from_estimator(m, X, Y),
        lambda m, X, y: inspection.CalibrationDisplay.from_estimator(m, X.compute(), y),
        lambda m, X, y: inference.infer(m, X, y),
    ],
)
def test_pictures_and_inference_load_nothing(regressor, draw):
    with pytest.raises(TypeError, match=r"in memory.*; pass [Xy].compute"):
        draw(regressor, lazy(X), lazy(Y))


def test_the_mean_log_likelihood_is_a_sum_over_blocks(regressor):
    found = log_likelihood_scorer(regressor, lazy(X), lazy(Y))
    assert found == pytest.approx(log_likelihood_scorer(regressor, X, Y), rel=1e-12)


def test_other_refusals(regressor, classifier):
    with pytest.raises(ValueError, match="groups need rows that stand together"):
        regressor.log_prob(lazy(X), lazy(Y), groups=lazy(Y))
    with pytest.raises(ValueError, match="X has 2 features, but MixtureOfExp"):
        regressor.predict(lazy(X)[:, :2])
    with pytest.raises(TypeError, match="score needs X in memory"):
        classifier.score(lazy(X), lazy(LABELS))
    with pytest.raises(ValueError, match="X has 3 blocks of rows and y 6"):
        regressor.log_prob(lazy(X), lazy(Y, 50))
