"""The passes of rows on a device are the compiled ones, to rounding, in both of their forms."""

import numpy as np
import pytest
from elsewhere import host, inputs

from classic_moe._kernels import array, device
from classic_moe.experts import GaussianExpert, LinearExpert, LogisticExpert, SoftmaxExpert
from classic_moe.gates import ConstantGate, GaussianGate, SoftmaxGate, TreeGate
from classic_moe.model import fused_pass
from classic_moe.model.mixture import MixtureModel

K = 4
EQUAL = 1e-12
"""Sums of 700 rows, of which each has about ten roundings."""
GATES = {
    "softmax": SoftmaxGate(),
    "constant": ConstantGate(),
    "tree": TreeGate(branching=2, depth=2),
    "gaussian": GaussianGate(),
}
PAIRS = [(gate, expert, q) for gate in GATES for expert in (LinearExpert(),) for q in (1, 2)]
PAIRS += [("softmax", GaussianExpert(), 1)]
PAIRS += [(gate, SoftmaxExpert(), 3) for gate in ("softmax", "constant", "tree")]
PAIRS += [("softmax", LogisticExpert(), 2)]


def problem(gate, expert, q):
    """Return a model, params of it, and rows X, y, weight."""
    rng, X, f = inputs(700)
    resp, weight = rng.dirichlet(np.ones(K), len(X)), rng.uniform(0.1, 2, len(X))
    classes = None
    if expert.target.task == "classification":
        y, classes = rng.integers(0, q, len(X)), np.arange(q)
    else:
        y = np.stack([f + rng.normal(size=len(X)), -f][:q], axis=1)
    model = MixtureModel(GATES[gate], expert, compiled=True)
    params = model.init(X, y, resp * weight[:, None], np.random.RandomState(0), classes)
    for _ in range(2):
        params = model.maximize(params, model.statistics(params, X, y, weight))
    return model, params, X, y, weight


def assert_equal_sums(found, expected, where=""):
    assert found.keys() == expected.keys(), where
    for name, value in expected.items():
        if isinstance(value, dict):
            assert_equal_sums(found[name], value, f"{where}{name}.")
            continue
        size = np.abs(value).max() if np.size(value) else 0.0
        assert isinstance(found[name], (np.ndarray, float, np.floating)), where + name
        np.testing.assert_allclose(
            found[name], value, rtol=0, atol=EQUAL * max(size, 1.0), err_msg=where + name
        )


@pytest.mark.parametrize("form", device.FORMS)
@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize(("gate", "expert", "q"), PAIRS, ids=str)
def test_the_sums_are_those_of_the_compiled_pass(there, monkeypatch, gate, expert, q, order, form):
    monkeypatch.setattr(device, "FORM", form)
    model, params, X, y, weight = problem(gate, expert, q)
    moved = [there(each) for each in (X, y, weight)]
    assert fused_pass.lookup(model, moved[0], moved[1]) is not None
    found = model.statistics(params, *moved, order)
    assert_equal_sums(found, model.statistics(params, X, y, weight, order))


@pytest.mark.parametrize("form", device.FORMS)
def test_float32_rows_are_summed_in_double_precision(there, monkeypatch, form):
    monkeypatch.setattr(device, "FORM", form)
    model, params, X, y, weight = problem("softmax", LinearExpert(), 1)
    X = X.astype(np.float32)
    found = model.statistics(params, *(there(each) for each in (X, y, weight)))
    assert_equal_sums(found, model.statistics(params, X, y, weight))


def test_parts_that_see_some_of_the_columns(there):
    model, params, X, y, weight = problem("softmax", LinearExpert(), 1)
    seen = dict(gate_columns=np.array([2, 0]), expert_columns=np.array([1]))
    model = MixtureModel(SoftmaxGate(), LinearExpert(), compiled=True, **seen)
    resp = np.random.default_rng(1).dirichlet(np.ones(K), len(X))
    params = model.init(X, y, resp, np.random.RandomState(0))
    found = model.statistics(params, *(there(each) for each in (X, y, weight)))
    assert_equal_sums(found, model.statistics(params, X, y, weight))


def test_blocks_of_a_large_hessian(device1, monkeypatch):
    """Of more than eight classes the Hessian's blocks on the diagonal alone are summed."""
    for form in device.FORMS:
        monkeypatch.setattr(device, "FORM", form)
        rng, X, _ = inputs(400)
        y, weight = rng.integers(0, 9, len(X)), np.ones(len(X))
        model = MixtureModel(SoftmaxGate(), SoftmaxExpert(), compiled=True)
        resp = rng.dirichlet(np.ones(2), len(X))
        params = model.init(X, y, resp, np.random.RandomState(0), np.arange(9))
        expected = model.statistics(params, X, y, weight)
        assert "blocks" in expected["expert"]
        found = model.statistics(params, *(device1(each) for each in (X, y, weight)))
        assert_equal_sums(found, expected)


def test_small_arrays_go_up_and_sums_come_down_as_numpys(device1):
    _, X, _ = inputs(5)
    up = array.like(device1(X), X[:2].T)
    assert up.device == device1(X).device and host(up).flags.c_contiguous
    assert isinstance(host({"sums": (up, 1.0)})["sums"][0], np.ndarray)
