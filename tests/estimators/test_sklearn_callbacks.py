"""scikit-learn's callbacks, where it has them, hear of fits."""

import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from classic_moe import (
    DeepMixtureOfExpertsRegressor,
    MetaPiRegressor,
    MixtureOfExpertsRegressor,
    SparseMixtureOfExpertsRegressor,
)

pytest.importorskip("sklearn.callback", reason="scikit-learn before 1.9 has no callbacks")
pytestmark = [pytest.mark.weak_penalties, pytest.mark.filterwarnings("ignore::UserWarning")]

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 2))
Y = abs(X[:, 0]) + 0.3 * RNG.normal(size=120)


class Heard:
    """A callback that notes what it hears, and asks for the end after some iterations."""

    max_propagation_depth = None

    def __init__(self, most=np.inf):
        self.most, self.said, self.fits = most, [], []

    def setup(self, estimator, context):
        self.said.append("setup")

    def on_fit_task_begin(self, estimator, context):
        self.said.append(f"begin {context.task_name}")

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        self.said.append(f"end {context.task_name}")
        if fitted_estimator is not None:
            self.fits.append((context, fitted_estimator))
        return sum(said.startswith("end iteration") for said in self.said) >= self.most

    def teardown(self, estimator, context):
        self.said.append("teardown")


def quick(**more):
    return MixtureOfExpertsRegressor(2, n_init=2, random_state=0, **more)


def test_a_fit_is_a_tree_of_climbs_and_iterations():
    heard = Heard()
    plain, model = quick().fit(X, Y), quick().set_callbacks(heard)
    model.fit(X, Y)
    np.testing.assert_array_equal(model.lower_bounds_, plain.lower_bounds_)
    said = heard.said
    assert said[:2] == ["setup", "begin fit"] and said[-2:] == ["end fit", "teardown"]
    climbs = [one for one in said if one.startswith("begin ") and " of " in one]
    assert {"begin start 1 of 2", "begin start 2 of 2"} <= {*climbs}
    assert any(one.startswith("begin run") for one in climbs)
    for one in climbs:
        assert said.count(one) == said.count(one.replace("begin", "end")) == 1
    iterations = [one for one in said if "iteration" in one]
    assert len(iterations) >= 4 and len(iterations) % 2 == 0
    assert iterations[1] == iterations[0].replace("begin", "end")
    ((context, fitted),) = heard.fits
    assert context.parent is None
    np.testing.assert_array_equal(fitted.predict(X), plain.predict(X))
    assert not any(name.startswith("_callback") for name in vars(model))


def test_a_callback_may_end_a_fit():
    model = quick().set_callbacks(Heard(most=3)).fit(X, Y)
    assert not model.converged_ and model.n_iter_ < quick().fit(X, Y).n_iter_


def test_a_failed_fit_changes_nothing_and_takes_the_callbacks_down():
    heard = Heard()
    model = quick().fit(X, Y).set_callbacks(heard)
    before = dict(vars(model))
    with pytest.raises(ValueError):
        model.set_params(max_iter=-1).fit(X, Y)
    with pytest.raises(ValueError):
        model.set_params(max_iter=500).fit(X, np.full(120, np.nan))
    assert heard.said.count("setup") == heard.said.count("teardown") == 2
    assert vars(model).keys() == before.keys() and model._fitted is before["_fitted"]


def test_pipelines_pass_callbacks_on_and_clones_keep_them():
    heard = Heard()
    pipeline = make_pipeline(StandardScaler(), quick()).set_callbacks(heard)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pipeline.fit(X, Y)
    assert "begin start 1 of 2" in heard.said and heard.said.count("setup") == 1
    assert "_skl_callbacks" not in vars(pipeline[-1])
    other = Heard()
    clone(quick().set_callbacks(other)).fit(X, Y)
    assert "begin start 1 of 2" in other.said


@pytest.mark.parametrize(
    "model",
    [
        DeepMixtureOfExpertsRegressor((2, 2), max_iter=3, random_state=0),
        MetaPiRegressor(["linear", "linear"], max_iter=3, random_state=0),
        SparseMixtureOfExpertsRegressor(3, max_iter=3, random_state=0),
        SparseMixtureOfExpertsRegressor(3, combine="blend", max_iter=3, random_state=0),
    ],
    ids=["deep", "meta-pi", "sparse", "blend"],
)
def test_every_estimator_tells_of_its_fit(model):
    heard = Heard()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.set_callbacks(heard).fit(X, Y)
    assert heard.said[0] == "setup" and heard.said[-2:] == ["end fit", "teardown"]
    assert len(heard.fits) == 1


def test_warnings_name_the_line_of_the_caller():
    with pytest.warns(UserWarning) as caught:
        quick(max_iter=1).fit(X, Y)
    assert {one.filename for one in caught} == {__file__}
