"""Predictions in chunks, by kernels and in threads say what the verbs of the parts say."""

import functools
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from sklearn.base import clone

from classic_moe import (
    HierarchicalMixtureOfExpertsRegressor,
    MixtureOfExpertsClassifier,
    MixtureOfExpertsRegressor,
)
from classic_moe.estimators import _rows
from classic_moe.experts import LinearExpert
from classic_moe.gates import TreeGate

R, C = MixtureOfExpertsRegressor, MixtureOfExpertsClassifier
QUICK = dict(n_init=1, max_iter=5, tol=1.0, random_state=0)
MIB = 2**20
CASES = {
    "default": (R(3, **QUICK), "real"),
    "constant gate": (R(3, gate="constant", **QUICK), "real"),
    "constant experts": (R(3, expert="gaussian", **QUICK), "real"),
    "two outputs": (R(3, **QUICK), "two"),
    "tied": (R(3, expert=LinearExpert(covariance_type="tied"), **QUICK), "two"),
    "columns": (R(3, gate_features=[0, 2], expert_features=[1, 3], **QUICK), "real"),
    "hard": (R(3, assignment="hard", **QUICK), "real"),
    "tree": (HierarchicalMixtureOfExpertsRegressor(2, 2, **QUICK), "real"),
    "pruned": (R(4, gate=TreeGate(prune=0.2), **QUICK), "real"),
    "raw units": (R(3, standardize=False, **QUICK), "real"),
    "student_t": (R(3, expert="student_t", **QUICK), "real"),
    "list": (R(2, expert=["linear", "laplace"], **QUICK), "real"),
    "poisson": (R(2, expert="poisson", **QUICK), "counts"),
    "classes": (C(3, **QUICK), "class"),
    "two classes": (C(2, expert="logistic", **QUICK), "class 2"),
    "hard classes": (C(3, assignment="hard", **QUICK), "class"),
    "codes": (C(2, expert="linear", **QUICK), "class"),
}
DISTRIBUTION = dict(mean=(), var=(), cdf=("y",), pdf=("y",), logpdf=("y",), ppf=(0.1,))
UNIT, ORIGIN = [1.0, 10.0, 1e3, 1e-3], [0, 5, -1e4, 0]


def rows(n, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 4)) * UNIT + ORIGIN


def targets(X, kind, seed=1):
    rng, Z = np.random.default_rng(seed), (X - ORIGIN) / UNIT
    y = np.where(Z[:, 0] > 0, Z[:, 1], 3 - Z[:, 2]) + 0.3 * rng.normal(size=len(X))
    if kind == "two":
        return np.column_stack([y, Z[:, 3] - y + rng.normal(size=len(X))])
    if kind == "counts":
        return rng.poisson(np.exp(np.clip(y, -2, 2)))
    classes = {"class": ["a", "b", "c"], "class 2": ["a", "b"]}.get(kind)
    return y if classes is None else np.array(classes)[np.digitize(y, [0.0, 2.5]) % len(classes)]


def said(model, X, y):
    """All that an estimator says of rows, by name."""
    found = {"predict": model.predict(X), "gate_proba": model.gate_proba(X)}
    found["predict_experts"] = model.predict_experts(X)
    found["log_prob"] = model.log_prob(X, y)
    found["responsibilities"] = model.responsibilities(X, y)
    if hasattr(model, "predict_proba"):
        found["predict_proba"] = model.predict_proba(X)
        found["predict_log_proba"] = model.predict_log_proba(X)
        return found
    dist = model.predict_dist(X)
    for name, arguments in DISTRIBUTION.items():
        found[name] = getattr(dist, name)(*(y if a == "y" else a for a in arguments))
    return found


def assert_said_alike(one, other, tolerance=1e-10):
    for name, value in one.items():
        if value.dtype.kind in "OU":
            np.testing.assert_array_equal(value, other[name], err_msg=name)
        else:
            scale = 1 + np.abs(value[np.isfinite(value)]).max(initial=0)
            limits = dict(rtol=tolerance, atol=tolerance * scale, err_msg=name)
            np.testing.assert_allclose(value, other[name], **limits)


def use_kernels(monkeypatch, whether):
    for home in ("model.reading", "distribution.mixture"):
        monkeypatch.setattr(f"classic_moe.{home}.pays", lambda rows: whether)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", CASES)
def test_kernels_say_what_the_verbs_say(name, dtype, monkeypatch):
    model, kind = CASES[name]
    X = rows(700)
    model = clone(model).fit(X, targets(X, kind))
    X = rows(1100, seed=2).astype(dtype)
    y = targets(X.astype(float), kind)
    use_kernels(monkeypatch, False)
    by_verbs = said(model, X, y)
    use_kernels(monkeypatch, True)
    assert_said_alike(by_verbs, said(model, X, y))


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_chunks_and_threads_change_no_bit_or_only_rounding(name, compiled, monkeypatch):
    model, kind = CASES[name]
    X = rows(700)
    model = clone(model).fit(X, targets(X, kind))
    X = rows(1003, seed=2)
    y = targets(X, kind)
    use_kernels(monkeypatch, compiled)
    whole = said(model, X, y)
    monkeypatch.setattr(_rows, "CHUNK_NUMBERS", 4 * 110)
    monkeypatch.setattr("classic_moe.distribution.mixture.BLOCK", 4 * 110)
    once = said(model, X, y)
    assert_said_alike(whole, once, 1e-12)  # products of other shapes round in another order
    shared = said(model.set_params(n_jobs=2), X, y)
    for name, value in once.items():
        np.testing.assert_array_equal(value, shared[name], err_msg=name)


def test_rows_far_outside_are_left_to_the_formulas_that_know_them(monkeypatch):
    X = rows(700)
    model, labels = R(3, **QUICK).fit(X, targets(X, "real")), targets(X, "class")
    classifier = C(3, **QUICK).fit(X, labels)
    far = rows(400, seed=3) * np.array([1e10, 1e5, 1.0, 1e100])
    y = np.linspace(-1e200, 1e200, 400)
    found = []
    for compiled in (False, True):
        use_kernels(monkeypatch, compiled)
        found.append(
            {
                "predict": model.predict(far),
                "gate_proba": model.gate_proba(far),
                "log_prob": model.log_prob(far, y),
                "responsibilities": model.responsibilities(far, y),
                "predict_log_proba": classifier.predict_log_proba(far),
                "log_prob of classes": classifier.log_prob(far, labels[:400]),
            }
        )
    for name, value in found[0].items():
        assert np.isfinite(found[1][name]).all()
        np.testing.assert_allclose(found[1][name], value, rtol=1e-9, atol=1e-12, err_msg=name)


def test_probabilities_too_small_for_a_kernel_keep_their_logarithms(monkeypatch):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 1))
    model = C(1).fit(X, X[:, 0] + 0.3 * rng.normal(size=600) > 0)
    far = np.linspace(-400, 400, 500)[:, None]
    use_kernels(monkeypatch, False)
    by_verbs = model.predict_log_proba(far)
    assert by_verbs.min() < -650  # beyond what products of probabilities hold
    use_kernels(monkeypatch, True)
    np.testing.assert_allclose(model.predict_log_proba(far), by_verbs, rtol=1e-12)


# -- memory ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def large():
    """Fits, and 400,000 rows, of which a copy has 12 MiB and a number a component 9 MiB."""
    X = rows(2000)
    fits = {"real": R(3, **QUICK).fit(X, targets(X, "real"))}
    fits["student_t"] = R(3, expert="student_t", **QUICK).fit(X, targets(X, "real"))
    fits["class"] = C(3, **QUICK).fit(X, targets(X, "class"))
    X = rows(400_000, seed=2)
    return fits, X, targets(X, "real"), targets(X, "class")


def beside(function):
    """Peak memory of a call in MiB, less what it returns; one before it loads what it needs."""
    function()
    tracemalloc.start()
    kept = function()
    now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del kept
    return (peak - now) / MIB


@pytest.mark.parametrize(
    "name, methods",
    {
        "real": "predict gate_proba predict_experts log_prob responsibilities predict_dist",
        "student_t": "predict log_prob predict_dist",
        "class": "predict_proba predict_log_proba predict_experts",
    }.items(),
)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_predictions_need_little_memory_beside_their_result(large, name, methods, dtype):
    fits, X, y, _ = large
    X = X.astype(dtype)
    for method in methods.split():
        arguments = (X, y) if method in ("log_prob", "responsibilities") else (X,)
        assert beside(functools.partial(getattr(fits[name], method), *arguments)) < 16, method


def test_labels_and_their_densities_need_little_memory_too(large):
    fits, X, _, labels = large
    assert beside(lambda: fits["class"].log_prob(X, labels)) < 16
    assert beside(lambda: fits["class"].predict(X)) < 16


@pytest.mark.parametrize("name", ["real", "student_t"])
@pytest.mark.parametrize("method", ["mean", "var", "std", "cdf", "pdf", "sf"])
def test_distributions_need_little_memory_beside_their_result(large, name, method):
    fits, X, y, _ = large
    n = 400_000 if name == "real" else 100_000
    dist = fits[name].predict_dist(X[:n])
    arguments = () if method in ("mean", "var", "std") else (y[:n],)
    assert beside(lambda: getattr(dist, method)(*arguments)) < 16
    if method == "mean" and name == "real":
        assert beside(lambda: dist.ppf(0.1)) < 16


# -- what is loaded, and what is checked ---------------------------------------------------------


def test_small_predictions_do_not_load_numba():
    program = """
import sys
import numpy as np
from classic_moe import MixtureOfExpertsRegressor
rng = np.random.default_rng(0)
X = rng.normal(size=(400, 2))
model = MixtureOfExpertsRegressor(2, n_init=1, random_state=0).fit(X, X[:, 0])
X = rng.normal(size=(20_000, 2))
model.predict(X), model.log_prob(X, X[:, 0]), model.predict_dist(X).ppf(0.1)
print("numba" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr


def test_numbers_that_are_none_are_refused_wherever_they_stand():
    X = rows(700)
    y = targets(X, "real")
    model = R(2, **QUICK).fit(X, y)
    for dtype in (np.float64, np.float32):
        for bad, word in ((np.nan, "NaN"), (np.inf, "infinity")):
            spoiled = X.astype(dtype)
            spoiled[650, 2] = bad
            with pytest.raises(ValueError, match=word):
                model.predict(spoiled)
            with pytest.raises(ValueError, match=word):
                model.log_prob(X, np.where(np.arange(700) == 699, bad, y))
    assert np.isfinite(model.predict(np.full((3, 4), 1.7e308))).all()  # whose sum is infinite
    with pytest.raises(ValueError, match="has 3 features"):
        model.predict(X[:, :3])
    with pytest.raises(ValueError, match="Expected 2D array"):
        model.predict(X[0])
    with pytest.raises(ValueError, match="0 sample"):
        model.predict(X[:0])


def test_columns_of_names_are_asked_for():
    pandas = pytest.importorskip("pandas")
    X = rows(700)
    model = R(2, **QUICK).fit(pandas.DataFrame(X, columns=list("abcd")), targets(X, "real"))
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.predict(X)
