"""Every hyper-parameter of every public class: junk is refused in a sentence that names it."""

import inspect

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

import classic_moe
from classic_moe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from classic_moe import experts as expert_room
from classic_moe import gates as gate_room
from classic_moe import solvers as solver_room
from classic_moe.solvers import LBFGS, SEM, SGD, Adam, GradientAscent, OnlineEM

JUNK = {
    "an object": object(),
    "a word": "junk",
    "NaN": float("nan"),
    "minus": -1,
    "half": 10.5,
    "True": True,
    "a list": [],
    "an array": np.arange(3.0),
    "infinity": np.inf,
}
FITTING = {  # what of the above makes sense, and for which parameters
    "True": "standardize normalize_weights warm_start per_output per_class verbose early_stopping"
    " shuffle",
    "half": "alpha variance_prior prior variance learning_rate learning_rate_init margin df min_df"
    " shape dispersion tol capacity_factor",
    "infinity": "tol",
    "minus": "n_jobs gate_features expert_features categorical_features",  # all; the last column
    "a list": "gate_features expert_features categorical_features hidden_layer_sizes balance",
}
X = np.random.default_rng(0).uniform(-1, 1, (40, 2))
Y = np.abs(X[:, 0]) + 0.3 + 0.2 * np.random.default_rng(1).uniform(-1, 1, 40)
LABELS = (X[:, 0] > 0).astype(int)
NEEDED = {
    "EstimatorExpert": dict(estimator=LinearRegression()),
    "EstimatorGate": dict(estimator=LogisticRegression()),
    "TimeDelayExpert": dict(n_steps=2, window=2),
    "ExpertUnion": dict(experts=["linear", "laplace"]),
    "MetaPiRegressor": dict(experts=[LinearRegression(), LinearRegression()]),
    "MetaPiClassifier": dict(experts=[LogisticRegression(), LogisticRegression()]),
}
ROOMS = {"expert": expert_room, "gate": gate_room, "solver": solver_room}


def classes(room):
    """Return the public classes of a room that a user makes objects of."""
    found = (getattr(room, name) for name in room.__all__)
    return [
        kind
        for kind in found
        if inspect.isclass(kind) and hasattr(kind, "get_params") and not inspect.isabstract(kind)
    ]


def cases():
    """Yield (class, its role, name of a parameter) of all there are."""
    for role, room in {"estimator": classic_moe, **ROOMS}.items():
        for kind in classes(room):
            for name in inspect.signature(kind).parameters:
                yield pytest.param(kind, role, name, id=f"{kind.__name__}.{name}")


def fit(kind, role, **parameters):
    """Fit an estimator of a class, or one that has a part of the class."""
    given = kind(**{**NEEDED.get(kind.__name__, {}), **parameters})
    if role == "estimator":
        return given.fit(X, LABELS if "Classifier" in kind.__name__ else Y)
    if kind.__name__ in ("SoftmaxExpert", "LogisticExpert"):
        return MixtureOfExpertsClassifier(2, expert=given).fit(X, LABELS)
    return MixtureOfExpertsRegressor(2, **{role: given}).fit(X, Y)


@pytest.mark.parametrize("kind, role, name", list(cases()))
def test_junk_is_refused_in_a_sentence_that_names_the_parameter(kind, role, name):
    for what, value in JUNK.items():
        if name in FITTING.get(what, "").split():
            continue
        with pytest.raises((ValueError, TypeError)) as refused:
            fit(kind, role, **{name: value})
        message = str(refused.value)
        assert name in message and "ambiguous" not in message and message.endswith("."), what
        assert not isinstance(refused.value.__context__, (AttributeError, IndexError)), what


@pytest.mark.parametrize(
    "model",
    [
        MixtureOfExpertsRegressor(max_iter=10.5),
        MixtureOfExpertsRegressor(n_init=True),
        MixtureOfExpertsRegressor(n_init=0),
        MixtureOfExpertsRegressor(n_jobs="two"),
        MixtureOfExpertsRegressor(n_jobs=0),
        MixtureOfExpertsRegressor(n_jobs=True),
        MixtureOfExpertsRegressor(verbose="a"),
        MixtureOfExpertsRegressor(verbose=0.5),
        MixtureOfExpertsRegressor(warm_start="yes"),
        MixtureOfExpertsRegressor(warm_start=1),
        MixtureOfExpertsRegressor(random_state="a"),
        MixtureOfExpertsRegressor(random_state=True),
        MixtureOfExpertsRegressor(random_state=2**32),
        MixtureOfExpertsRegressor(random_state=np.random.default_rng(0)),
        MixtureOfExpertsRegressor(solver=LBFGS(early_stopping="no")),
        MixtureOfExpertsRegressor(solver=LBFGS(memory=2.0)),
        MixtureOfExpertsRegressor(solver=SGD(batch_size=None)),
        MixtureOfExpertsRegressor(solver=SGD(momentum="auto")),
        MixtureOfExpertsRegressor(solver=Adam(learning_rate="auto")),
        MixtureOfExpertsRegressor(solver=GradientAscent(momentum=1.0)),
        MixtureOfExpertsRegressor(solver=OnlineEM(shuffle=None)),
        MixtureOfExpertsRegressor(solver=SEM(random_state=-1)),
    ],
    ids=lambda model: str(model).partition(" at 0x")[0],
)
def test_what_is_of_the_wrong_kind_is_refused_at_fit(model):
    with pytest.raises(ValueError, match=r"needs|use") as refused:
        model.fit(X, Y)
    assert (
        len(str(refused.value)) < 200 and vars(model).keys() == model.get_params(deep=False).keys()
    )


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("solver", [OnlineEM, SGD])
def test_numpy_numbers_and_flags_are_as_good(solver, capsys):
    options = dict(n_iter_no_change=np.int8(2), batch_size=np.int64(20), random_state=np.int32(0))
    if solver is OnlineEM:
        options |= dict(shuffle=np.False_, settling=np.float32(0.5))
    else:
        options |= dict(early_stopping=np.True_, validation_fraction=np.float32(0.25))
    model = MixtureOfExpertsRegressor(
        np.int64(2),
        solver=solver(**options),
        max_iter=np.int32(2),
        tol=np.float32(1e-3),
        n_init=np.uint8(1),
        standardize=np.True_,
        warm_start=np.False_,
        verbose=np.True_,
        n_jobs=np.int64(1),
        random_state=np.uint32(3),
    )
    assert model.fit(X, Y).n_experts_ == 2
    assert capsys.readouterr().out
