"""The fused passes equal the generic one: of wide data, of many experts, and for a gradient."""

import numpy as np
import pytest

from classic_moe._kernels import array, compiled
from classic_moe.experts import GaussianExpert, LinearExpert, LogisticExpert, SoftmaxExpert
from classic_moe.gates import ConstantGate, SoftmaxGate, TreeGate
from classic_moe.model import fused_pass
from classic_moe.model.mixture import MixtureModel
from classic_moe.parts import softmax_regression as sr
from classic_moe.parts.params import ravel

EQUAL = 1e-10  # relative to the largest of the numbers, which are sums over 700 rows


def started(gate, expert, p, K, C=None, **columns):
    """A generic and a compiled model, parameters away from every maximum, and rows."""
    rng, n = np.random.default_rng(0), 700
    X, weight = rng.standard_normal((n, p)), np.arange(n) % 4 / 2
    y = rng.standard_normal((n, 2)) if C is None else np.arange(n) % C
    resp = rng.dirichlet(np.full(K, 0.3), n) * weight[:, None]
    models = [MixtureModel(gate, expert, compiled=flag, **columns) for flag in (False, True)]
    classes = None if C is None else np.arange(C)
    params = models[0].init(X, y, resp, np.random.RandomState(0), classes)
    assert fused_pass.lookup(models[1], X, y) in (
        fused_pass.softmax_gaussian,
        fused_pass.softmax_softmax,
    )
    return *models, params, X, y, weight


def assert_equal(got, expected, where=""):
    assert set(got) == set(expected), where
    for name, value in expected.items():
        if isinstance(value, dict):
            assert_equal(got[name], value, f"{where}/{name}")
        else:
            atol, label = EQUAL * np.abs(value).max(), f"{where}/{name}"
            np.testing.assert_allclose(got[name], value, rtol=0, atol=atol, err_msg=label)


CASES = [
    (SoftmaxGate(), LinearExpert(), 47, 3, None),
    (SoftmaxGate(), LinearExpert(covariance_type="tied"), 130, 4, None),  # 524 coefficients
    (SoftmaxGate(), LinearExpert(), 160, 4, None),  # 644: blocks
    (SoftmaxGate(), GaussianExpert(), 5, sr.MOST_CLASSES + 4, None),
    (SoftmaxGate(), SoftmaxExpert(), 3, sr.MOST_CLASSES + 4, 3),
    (SoftmaxGate(), SoftmaxExpert(), 3, 2, sr.MOST_CLASSES + 2),
    (SoftmaxGate(), LogisticExpert(), 47, 2, 2),
    (ConstantGate(), LinearExpert(), 47, 12, None),
    (TreeGate(structure=(tuple(range(12)), 12)), LinearExpert(), 4, 13, None),  # of both kinds
]


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("gate, expert, p, K, C", CASES)
def test_wide_data_and_many_experts_have_the_statistics_of_the_generic_pass(
    gate, expert, p, K, C, order
):
    generic, fused, params, *rows = started(gate, expert, p, K, C)
    got, expected = (model.statistics(params, *rows, order) for model in (fused, generic))
    assert_equal(got, expected)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("expert, C", [(LinearExpert(), None), (SoftmaxExpert(), 12)])
def test_columns_of_each_part_are_those_of_the_generic_pass(expert, C, order):
    columns = dict(gate_columns=np.array([50, 3, 20]), expert_columns=np.array([7, 40]))
    generic, fused, params, *rows = started(SoftmaxGate(), expert, 60, 12, C, **columns)
    got, expected = (model.statistics(params, *rows, order) for model in (fused, generic))
    assert_equal(got, expected)


@pytest.mark.parametrize("gate, expert, p, K, C", CASES)
def test_the_gradient_of_a_pass_for_it_alone_is_that_of_a_whole_pass(gate, expert, p, K, C):
    models = started(gate, expert, p, K, C)
    for model in models[:2]:
        params, *rows = models[2:]
        first, second = (
            ravel(model.gradient(params, model.statistics(params, *rows, order)))
            for order in (1, 2)
        )
        np.testing.assert_allclose(first, second, rtol=0, atol=EQUAL * np.abs(second).max())


def test_a_pass_for_the_gradient_makes_no_gram_of_the_columns():
    for gate, expert, C in (
        (SoftmaxGate(), LinearExpert(), None),
        (TreeGate(), SoftmaxExpert(), 3),
    ):
        _, fused, params, *rows = started(gate, expert, 6, 4, C)
        found = {}
        for order in (1, 2):
            stats = fused.statistics(params, *rows, order)
            found[order] = [v.shape for v in leaves_of(stats) if v.shape[-2:] in ((7, 7), (9, 9))]
        assert found[2] and not found[1]


def leaves_of(stats):
    for value in stats.values():
        yield from leaves_of(value) if isinstance(value, dict) else [np.asarray(value)]


def test_twenty_experts_take_twenty_grams_for_the_gate_not_one_for_every_pair():
    for K, grams in ((4, 6), (20, 20)):
        tree = compiled._tree(array.Branches.flat(K), (sr.curvature(K, 11),))
        assert len(tree[-1]) == grams
