"""Time-delay networks: weights shared over time, honest gradients, the caller's units."""

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from scipy.special import log_softmax

from classic_moe import MetaPiClassifier, MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from classic_moe.datasets import make_six_speakers
from classic_moe.experts import MLPExpert, TimeDelayExpert
from classic_moe.parts.params import ravel, unravel

T, C_STEP = 6, 2


def problem(task, n=40, seed=0):
    rng = np.random.default_rng(seed)
    X = 5 + 3 * rng.normal(size=(n, T * C_STEP))
    y = rng.integers(3, size=n) if task == "classes" else rng.normal(size=(n, 2))
    return X, y, rng.dirichlet(np.ones(2), n)


def started(expert, X, y, resp):
    classes = np.arange(3) if y.ndim == 1 else None
    return expert.init(X, y, resp, np.random.RandomState(0), classes)


def by_a_loop(params, X, window):
    """Outputs (K, n, q): the equation, one position after another."""
    centre, unit = params["channels"][0]
    steps = (X.reshape(len(X), T, C_STEP) - centre) / unit
    found = []
    for U, V in zip(params["weights_0"], params["weights_1"], strict=True):
        total = 0.0
        for t in range(T - window + 1):
            seen = steps[:, t : t + window].reshape(len(X), -1)
            hidden = np.tanh(U[:, 0] + seen @ U[:, 1:].T)
            total = total + V[:, 0] + hidden @ V[:, 1:].T
        found.append(total)
    return np.array(found)


@pytest.mark.parametrize("window", [1, 3, T])
def test_the_density_is_that_of_the_equation(window):
    X, y, resp = problem("classes")
    expert = TimeDelayExpert(T, window, 3)
    params = started(expert, X, y, resp)
    log_p = log_softmax(by_a_loop(params, X, window), axis=2)
    expected = log_p[:, np.arange(len(y)), y].T
    assert np.allclose(expert.log_prob(params, X, y), expected, rtol=1e-10)


@pytest.mark.parametrize("task", ["classes", "numbers"])
def test_the_gradient_is_that_of_differences(task):
    X, y, resp = problem(task)
    expert = TimeDelayExpert(T, 2, 3, alpha=0.1)
    params = started(expert, X, y, resp)
    free = {name: leaf for name, leaf in params.items() if name != "channels"}

    def objective(vector):
        own = params | unravel(vector, free)
        return np.sum(resp * expert.log_prob(own, X, y)) + expert.log_prior(own)

    found = expert.gradient(params, expert.statistics(params, X, y, resp, 1))
    by_differences = approx_fprime(ravel(free), objective, 1e-7)
    assert np.allclose(ravel({name: found[name] for name in free}), by_differences, atol=1e-3)
    assert not found["channels"].any()


@pytest.mark.parametrize("task", ["classes", "numbers"])
def test_the_m_step_never_falls(task):
    X, y, resp = problem(task)
    expert = TimeDelayExpert(T, 2, 3)
    params, values = started(expert, X, y, resp), []
    for _ in range(3):
        values.append(np.sum(resp * expert.log_prob(params, X, y)) + expert.log_prior(params))
        params = expert.maximize(params, expert.statistics(params, X, y, resp))
    assert np.all(np.diff(values) > 0)


def test_it_does_not_matter_when():
    X, y, resp = problem("classes")
    expert = TimeDelayExpert(T, 2, 3)
    params = started(expert, X, y, resp)
    still = np.tile(params["channels"][0, 0], T)
    early, late = still.copy(), still.copy()
    early[1 * C_STEP : 2 * C_STEP] += 3.0
    late[4 * C_STEP : 5 * C_STEP] += 3.0
    both = expert.mean(params, np.stack([early, late]))
    assert np.allclose(both[0], both[1], rtol=1e-12)


def test_one_window_of_all_steps_is_a_network():
    X, y, resp = problem("classes")
    X = (X - 5) / 3
    own = TimeDelayExpert(T, T, 3)
    params = started(own, X, y, resp)
    params["channels"] = np.stack([np.zeros(C_STEP), np.ones(C_STEP)])[None]
    plain = {name: leaf for name, leaf in params.items() if name != "channels"}
    network = MLPExpert((3,))
    assert np.allclose(own.log_prob(params, X, y), network.log_prob(plain, X, y), rtol=1e-12)


@pytest.mark.parametrize("task", ["classes", "numbers"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_views_and_values_speak_in_the_callers_units(task):
    X, y, _ = problem(task, 60)
    kind = MixtureOfExpertsClassifier if task == "classes" else MixtureOfExpertsRegressor
    options = dict(expert=TimeDelayExpert(T, 2, 3, max_iter=1), tol=1)
    model = kind(2, n_init=1, max_iter=2, random_state=0, **options).fit(X, y)
    for k, view in enumerate(model.experts_):
        shown = view.predict_proba(X) if task == "classes" else view.predict(X)
        assert np.allclose(shown, model.predict_experts(X)[:, k], atol=1e-8)
    fitted = model._fitted
    values = fitted.model.expert.to_caller(fitted.params["expert"], fitted.units("expert"))
    start = {"expert": values}
    start["gate"] = {"coef": model.gate_.coef_, "intercept": model.gate_.intercept_}
    again = kind(2, init_params=start, max_iter=1, **options).fit(X, y)
    assert np.isclose(again.lower_bounds_[0], model.lower_bounds_[-1], rtol=1e-6)


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        (dict(n_steps=0), "n_steps=0 of TimeDelayExpert: needs an integer of at least 1"),
        (dict(hidden=1.5), "hidden=1.5 of TimeDelayExpert"),
        (dict(window=7), "window=7 of TimeDelayExpert is longer than the sequences of n_steps=6"),
        (dict(n_steps=5), "n_steps=5 of TimeDelayExpert: the expert sees 12 columns"),
    ],
)
def test_what_is_no_sequence_is_refused(bad, sentence):
    X, y, _ = problem("classes")
    expert = TimeDelayExpert(**dict(n_steps=T) | bad)
    with pytest.raises(ValueError, match=sentence):
        MixtureOfExpertsClassifier(2, expert=expert).fit(X, y)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_sixth_speaker_is_a_blend_of_the_other_men():
    names = ["f1", "f2", "m1", "m2", "m3"]
    X, y, who = make_six_speakers(150, sequences=True, random_state=0)
    X_new, y_new, who_new = make_six_speakers(150, sequences=True, random_state=100)
    formants = [j for j in range(X.shape[1]) if j % 3]
    expert = MixtureOfExpertsClassifier(
        1, expert=TimeDelayExpert(10, 5, 6), max_iter=10, tol=1e-4, random_state=0
    )
    model = MetaPiClassifier(
        [(name, expert) for name in names], expert_features=formants, max_iter=60, tol=1e-5
    ).fit(X, y, expert_groups=np.where(who == "m4", "-1", who))
    gate = model.gate_proba(X_new)
    for k, name in enumerate(names):  # five speakers get an expert
        assert gate[who_new == name, k].mean() > 0.7
    sixth = who_new == "m4"
    assert gate[sixth, 2:].sum(axis=1).mean() > 0.7
    assert np.sort(gate[sixth].mean(axis=0))[-1] < 0.7  # of no one man alone
    each = model.classes_[model.predict_experts(X_new[sixth]).argmax(axis=2)]
    best = (each == y_new[sixth, None]).mean(axis=0).max()
    assert model.score(X_new[sixth], y_new[sixth]) > best + 0.05
