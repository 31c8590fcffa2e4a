"""What blocks cannot be used for is refused in one sentence, and leaves the estimator as it was."""

import numpy as np
import pytest
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression

from classic_moe import (
    MetaPiRegressor,
    MixtureOfExpertsClassifier,
    MixtureOfExpertsRegressor,
    SparseMixtureOfExpertsRegressor,
)
from classic_moe.solvers import LBFGS, GradientAscent, OnlineEM

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((300, 2)), RNG.standard_normal(300)


def blocks():
    for start in range(0, 300, 100):
        yield X[start : start + 100], Y[start : start + 100]


class Sliced:
    shape, dtype = X.shape, X.dtype

    def __len__(self):
        return len(X)

    def __getitem__(self, rows):
        return X[rows]


@pytest.mark.parametrize(
    "options, error, sentence",
    [
        (dict(expert=LinearRegression()), TypeError, "LinearRegression.* learns from all rows"),
        (dict(expert="mlp"), TypeError, "MLPExpert.* learns from all rows at once, in memory"),
        (dict(solver="adam"), ValueError, "solver='adam' draws rows at random, .* partial_fit"),
        (dict(solver="sgd"), ValueError, "solver='sgd' draws rows at random"),
        (dict(solver="sem"), ValueError, "solver='sem' draws rows at random"),
        (dict(solver="online"), ValueError, "solver='online' draws rows at random"),
        (dict(solver=OnlineEM(shuffle=False)), ValueError, "OnlineEM.* learns from row after row"),
        (
            dict(solver=LBFGS(early_stopping=True)),
            ValueError,
            "solver=LBFGS.early_stopping=True. draws rows at random",
        ),
        (
            dict(solver=GradientAscent(early_stopping=True)),
            ValueError,
            "solver=GradientAscent.* draws rows at random",
        ),
        (
            dict(init_params=np.full((300, 2), 0.5)),
            ValueError,
            "init_params as an array needs all rows at once; give a fitted estimator, a dict or",
        ),
        (
            dict(init_params=lambda X, y, K, rng: np.full((len(X), K), 1 / K)),
            ValueError,
            "init_params as a callable needs all rows at once",
        ),
    ],
)
def test_what_needs_rows_in_memory_is_refused(options, error, sentence):
    model = MixtureOfExpertsRegressor(2, **options)
    for fit in (lambda: model.fit_blocks(blocks), lambda: model.fit(Sliced(), Y)):
        with pytest.raises(error, match=sentence):
            fit()
        assert set(vars(model)) == set(MixtureOfExpertsRegressor(2).__dict__)


def test_facts_of_single_rows_are_refused_beside_what_is_sliced():
    model = MixtureOfExpertsRegressor(2)
    with pytest.raises(ValueError, match="groups need rows that stand together, which blocks do"):
        model.fit(Sliced(), Y, groups=np.arange(300))
    with pytest.raises(ValueError, match="expert_labels belong to single rows, which blocks"):
        model.fit(Sliced(), Y, expert_labels=np.zeros(300, dtype=int))
    with pytest.raises(ValueError, match="X has 300 rows and y 299; they must match"):
        model.fit(Sliced(), Y[1:])


@pytest.mark.parametrize(
    "model, sentence",
    [
        (
            MetaPiRegressor([FrozenEstimator(LinearRegression().fit(X, Y))]),
            "MetaPiRegressor has no fit_blocks: its experts are fitted alone",
        ),
        (
            SparseMixtureOfExpertsRegressor(4, k=1, combine="blend"),
            "SparseMixtureOfExpertsRegressor has no fit_blocks: it is trained by minibatches",
        ),
    ],
    ids=["meta-pi", "blend"],
)
def test_an_estimator_that_is_no_sum_over_rows_has_no_fit_blocks(model, sentence):
    assert not hasattr(model, "fit_blocks")
    with pytest.raises(AttributeError) as caught:
        model.fit_blocks(blocks)
    causes = f"{caught.value} {caught.value.__cause__}"
    assert sentence in causes


def test_an_iterator_is_no_callable():
    with pytest.raises(TypeError, match="needs a callable that starts afresh, such as lambda: re"):
        MixtureOfExpertsRegressor(2).fit_blocks(blocks())


def test_blocks_that_change_between_passes_are_refused():
    once = blocks()
    with pytest.raises(ValueError, match="changed between passes: 300 rows, then 0"):
        # the first block is seen by the look at the columns, so that pass has what is left
        list(_twice(once))


def _twice(once):
    from classic_moe.data.sources import IterableSource

    rows = list(once)
    source = IterableSource(iter([iter(rows), iter([])]).__next__)
    yield from source.blocks()
    yield from source.blocks()


def test_an_iterator_in_disguise_is_refused():
    once = blocks()
    with pytest.raises(ValueError, match="changed between passes"):
        MixtureOfExpertsRegressor(2).fit_blocks(lambda: once)


@pytest.mark.parametrize(
    "make, error, sentence",
    [
        (lambda: iter([]), ValueError, "X has no rows"),
        (lambda: iter([(X[:0], Y[:0])]), ValueError, "X has no rows"),
        (lambda: iter([X]), TypeError, "block 0 is a ndarray; fit_blocks takes blocks .X, y."),
        (
            lambda: iter([(X, Y), (np.where(X > 2, np.nan, X), Y)]),
            ValueError,
            "block 1: Input X contains NaN",
        ),
        (lambda: iter([(X, Y), (X[:, :1], Y)]), ValueError, "block 1: X has 1 features, but"),
        (lambda: iter([(X, Y), (X[:, :, None], Y)]), ValueError, "block 1: Found array with dim 3"),
        (lambda: iter([(X, Y), (X, Y[1:])]), ValueError, "block 1: Found input variables with inc"),
        (
            lambda: iter([(X, Y), (X, ["a"] * 300)]),
            ValueError,
            "block 1: y holds 'a', which is",
        ),
        (lambda: iter([(X, Y, 0 * Y)]), ValueError, "Sample weights must contain at least one non"),
        (lambda: iter([(X, Y, -abs(Y))]), ValueError, "block 0: Negative values in data passed to"),
    ],
)
def test_blocks_that_cannot_be_fitted_are_named(make, error, sentence):
    model = MixtureOfExpertsRegressor(2)
    with pytest.raises(error, match=sentence):
        model.fit_blocks(make)
    assert not hasattr(model, "experts_")


def test_values_outside_the_support_name_their_block():
    counts = [(X, np.ones(300)), (X, np.full(300, -1.0))]
    with pytest.raises(ValueError, match=r"block 1: .*-1"):
        MixtureOfExpertsRegressor(2, expert="poisson").fit_blocks(lambda: iter(counts))


def test_labels_are_those_of_all_blocks_or_those_named():
    labels = np.where(Y > 0, "yes", "no")
    order = np.argsort(Y)  # the blocks have one class each

    def make():
        for rows in np.split(order, 2):
            yield X[rows], labels[rows]

    model = MixtureOfExpertsClassifier(2, random_state=0, n_init=1, max_iter=3)
    with pytest.warns(Warning):
        model.fit_blocks(make)
    assert model.classes_.tolist() == ["no", "yes"]
    with pytest.raises(ValueError, match="y holds the label 'no', which is not among classes"):
        model.fit_blocks(make, classes=["yes", "maybe"])
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        model.fit_blocks(blocks)
    with pytest.raises(TypeError, match="callback=3"):
        model.fit_blocks(make, callback=3)
