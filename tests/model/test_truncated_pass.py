"""The compiled pass of the k most responsible experts against the generic one."""

from dataclasses import replace

import numpy as np
import pytest

from classic_moe.experts import GaussianExpert, LinearExpert
from classic_moe.gates import ConstantGate, SoftmaxGate, TreeGate
from classic_moe.model import fused_climb, fused_pass
from classic_moe.model.mixture import MixtureModel
from classic_moe.model.objectives import MixtureLikelihood, TruncatedLikelihood
from classic_moe.parts.params import leaves


def problem(n, p, K, q=1, seed=0, gate=None, expert=None, size=1.0, **columns):
    """A model under the truncated likelihood, params and rows; `size` is that of the gate's."""
    rng = np.random.default_rng(seed)
    X, y, weight = rng.normal(size=(n, p)), rng.normal(size=(n, q)), rng.uniform(0.2, 2, size=n)
    gate = SoftmaxGate(alpha=1e-3) if gate is None else gate
    expert = LinearExpert(alpha=1e-3, variance_prior=0.1) if expert is None else expert
    columns = {name: np.array(own) for name, own in columns.items()}
    model = MixtureModel(gate, expert, compiled=True, **columns)
    resp = rng.dirichlet(np.full(K, 0.3), size=n) * weight[:, None]
    params = model.init(X, y, resp, np.random.RandomState(0))
    if "coef" in params["gate"]:
        params["gate"]["coef"] = size * rng.normal(size=params["gate"]["coef"].shape)
    return model, params, (X, y, weight)


def flat(stats):
    """The numbers of statistics, which a tree has by node, in one list."""
    if hasattr(stats, "items"):
        return [number for name in sorted(stats) for number in flat(stats[name])]
    if isinstance(stats, (list, tuple)):
        return [number for own in stats for number in flat(own)]
    return [stats]


def compare(model, params, rows, k, tolerance=1e-12):
    model = model.with_objective(TruncatedLikelihood(k))
    assert fused_pass.lookup(model, *rows[:2]) is fused_pass.truncated_gaussian
    for order in (1, 2):
        got = model.statistics(params, *rows, order=order)
        expected = replace(model, compiled=False).statistics(params, *rows, order=order)
        assert got["objective"] == pytest.approx(expected["objective"], rel=1e-12)
        np.testing.assert_allclose(got["resp"], expected["resp"], atol=1e-9)
        scale = rows[2].sum()
        for part in ("gate", "expert"):
            each = zip(flat(got[part]), flat(expected[part]), strict=True)
            for ours, theirs in each:
                np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * scale * 30)
        step = model.maximize(params, got) if order == 2 else params
        assert all(np.isfinite(leaf).all() for leaf in leaves(step))


@pytest.mark.parametrize("k", [1, 2, 3, 7])
@pytest.mark.parametrize("K, p, q", [(2, 3, 1), (5, 2, 2), (9, 7, 1), (17, 1, 1), (64, 10, 1)])
def test_it_says_what_the_generic_pass_says(K, p, q, k):
    compare(*problem(700, p, K, q), k)


@pytest.mark.parametrize("n", [1, 511, 512, 513, 8192, 8200])
def test_rows_are_many_or_few(n):
    compare(*problem(n, 3, 6), 2)


@pytest.mark.parametrize("size", [0.1, 3.0, 10.0, 100.0])
def test_a_sharp_gate_s_curvature_is_that_of_the_pairs_that_have_any(size):
    """What is left out is g (1 - g) < 1e-9: of so many rows and |z|² of 30 it is no more."""
    compare(*problem(1500, 8, 20, size=size), 2, tolerance=1e-9)


@pytest.mark.parametrize(
    "options",
    [
        dict(gate=ConstantGate()),
        dict(expert=GaussianExpert()),
        dict(gate=TreeGate(SoftmaxGate(alpha=1e-3), (3, 4)), K=12),
        dict(gate=TreeGate(SoftmaxGate(alpha=1e-3), depth=3), K=8),
        dict(gate_columns=[1, 3], expert_columns=[0, 2, 3]),
        dict(gate_columns=[0, 1, 2, 3], K=12),
    ],
    ids=str,
)
def test_other_parts_and_columns(options):
    options = dict(K=6) | options
    compare(*problem(900, 4, **options), 2)


def test_all_experts_are_the_likelihood():
    model, params, rows = problem(300, 3, 4)
    for k in (4, 9):
        got = model.with_objective(TruncatedLikelihood(k)).statistics(params, *rows)
        assert got["objective"] == model.statistics(params, *rows)["objective"]


def test_of_equals_the_lower_number_is_kept():
    model, params, (X, y, weight) = problem(40, 2, 6)
    params["gate"]["coef"][:] = 0.0
    for leaf in leaves(params["expert"]):
        leaf[:] = leaf[:1]
    got = model.with_objective(TruncatedLikelihood(2)).statistics(params, X, y, weight)
    np.testing.assert_allclose(got["resp"], [weight.sum() / 2] * 2 + [0.0] * 4, atol=1e-12)


def test_there_is_no_compiled_climb_of_it():
    from classic_moe.data.batches import ArrayBatches

    model, _, rows = problem(900, 3, 4)
    with ArrayBatches(*rows) as batches:
        assert fused_climb.lookup(model, batches) is not None
        bound = model.with_objective(TruncatedLikelihood(2))
        assert fused_climb.lookup(bound, batches) is None
        assert type(model.objective) is MixtureLikelihood
