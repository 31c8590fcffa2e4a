"""Gates that keep the k best experts of a row, and how mixtures with them are fitted."""

import numpy as np
import pytest
from scipy.special import logsumexp
from sklearn.tree import DecisionTreeClassifier

from classic_moe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from classic_moe._kernels import array, compiled
from classic_moe.experts import LinearExpert, SoftmaxExpert
from classic_moe.gates import GaussianGate, SoftmaxGate, TopKGate, TreeGate
from classic_moe.inference import infer
from classic_moe.parts import kept
from classic_moe.testing import check_gate

GATES = {
    "softmax, 1": SoftmaxGate(alpha=1e-3, top_k=1),
    "softmax, 2": SoftmaxGate(alpha=1e-1, top_k=2),
    "softmax, more than all": SoftmaxGate(alpha=1e-3, top_k=7),
    "tree, 1": TreeGate(SoftmaxGate(alpha=1e-3), top_k=1),
    "tree, 2": TreeGate(SoftmaxGate(alpha=1e-3), top_k=2),
    "tree of constants": TreeGate("constant", structure=((0, 1), 2), top_k=2),
    "tree of regressions": TreeGate("least_squares", top_k=3),
    "wrapped constant": TopKGate("constant", 2),
    "wrapped Gaussian": TopKGate("gaussian", 2),
    "wrapped exponential family, 1": TopKGate("exponential_family", 1),
    "wrapped least squares": TopKGate("least_squares", 2),
    "wrapped tree": TopKGate(TreeGate(SoftmaxGate(alpha=1e-3)), 3),
    "wrapped estimator": TopKGate(DecisionTreeClassifier(max_depth=2), 2),
}


@pytest.mark.parametrize("gate", GATES.values(), ids=GATES)
def test_gates_that_keep_some_keep_the_promises_of_a_gate(gate):
    check_gate(gate)


def pieces(n=600, K=6, seed=0, noise=0.1):
    """Local lines with noise in the cells nearest to K random points of a square."""
    rng = np.random.default_rng(seed)
    centres, coef = rng.uniform(-1, 1, (K, 2)), 2 * rng.standard_normal((K, 3))
    X = rng.uniform(-1, 1, (n, 2))
    own = coef[((X[:, None] - centres) ** 2).sum(axis=2).argmin(axis=1)]
    return X, own[:, 0] + (own[:, 1:] * X).sum(axis=1) + noise * rng.standard_normal(n)


def regressor(gate, K=4, **options):
    options = dict(n_init=2, max_iter=60, tol=1e-5, random_state=0) | options
    expert = options.pop("expert", LinearExpert(alpha=1e-6, variance_prior=1e-2))
    return MixtureOfExpertsRegressor(K, expert=expert, gate=gate, **options)


# -- which are kept ------------------------------------------------------------------------------


def test_of_equals_the_expert_of_lower_number_is_kept():
    values = np.array([[1.0, 3.0, 3.0, 3.0], [0.0, 0.0, 0.0, 0.0], [-np.inf, 2.0, -np.inf, 2.0]])
    for best in (array.best, compiled.best):
        assert best(values, 2).tolist() == [[1, 2], [0, 1], [1, 3]]
    params = {"coef": np.zeros((4, 3))}
    proba = np.exp(SoftmaxGate(top_k=2).log_prob(params, np.ones((1, 2))))
    np.testing.assert_array_equal(proba, [[0.5, 0.5, 0.0, 0.0]])


def test_compiled_selection_is_a_stable_sort():
    rng = np.random.default_rng(0)
    for n_experts, k in ((1, 1), (5, 1), (7, 3), (40, 8), (6, 6)):
        values = rng.integers(0, 6, (200, n_experts)).astype(float)  # with many ties
        np.testing.assert_array_equal(compiled.best(values, k), array.best(values, k))


@pytest.mark.parametrize("structure", [((0, 1), 2), (((0, 1), (2, 3, 4)), 5, (6, 7)), (0, 1, 2)])
@pytest.mark.parametrize("size", [0.0, 0.3, 5.0])
def test_a_tree_that_opens_few_branches_finds_the_best_leaves(structure, size):
    gate, rng = TreeGate(SoftmaxGate(alpha=1e-3), structure=structure), np.random.default_rng(1)
    K, X = gate.n_experts, rng.standard_normal((300, 2))
    resp = rng.dirichlet(np.ones(K), size=300)
    params = gate.init(X, resp, None)
    for node in params.values():
        node["coef"] = size * rng.standard_normal(node["coef"].shape)
    dense = gate.log_prob(params, X)
    for k in range(1, K + 1):
        sparse = TreeGate(SoftmaxGate(alpha=1e-3), structure=structure, top_k=k)
        experts, log_weight = sparse.route(params, X)
        expected, own = kept.route(dense, k)
        np.testing.assert_array_equal(experts, expected)
        np.testing.assert_allclose(log_weight, own, atol=1e-12)


def test_the_gradient_of_the_sparse_log_likelihood_in_the_scores_is_h_minus_g_on_the_kept_set():
    rng = np.random.default_rng(0)
    scores, log_p = rng.standard_normal((2, 50, 6))

    def value(scores):
        return logsumexp(kept.keep(scores, 3) + log_p, axis=1)

    g = np.exp(kept.keep(scores, 3))
    h = g * np.exp(log_p - value(scores)[:, None])
    for j in range(6):
        step = 1e-6 * np.eye(6)[j]
        slope = (value(scores + step) - value(scores - step)) / 2e-6
        np.testing.assert_allclose(slope, (h - g)[:, j], atol=1e-8)  # of differences


# -- the fit -------------------------------------------------------------------------------------


def test_keeping_all_experts_is_the_dense_fit_bit_for_bit():
    X, y = pieces()
    dense = regressor(SoftmaxGate(alpha=1e-3)).fit(X, y)
    for gate in (SoftmaxGate(alpha=1e-3, top_k=4), TopKGate(SoftmaxGate(alpha=1e-3), 9)):
        sparse = regressor(gate).fit(X, y)
        np.testing.assert_array_equal(sparse.predict(X), dense.predict(X))
        assert sparse.log_likelihood_ == dense.log_likelihood_
        np.testing.assert_array_equal(sparse.lower_bounds_, dense.lower_bounds_)


def start_of_tuning(dense, k, X, y):
    """Return the penalised log-likelihood of a dense fit of which only the k best are kept."""
    model, schema, inner = dense._fitted.model, dense._fitted.schema, dense._check_X(X)[:]
    log_gate = kept.keep(model.log_gate(dense.params_, inner), k)
    log_p = model.log_density(dense.params_, inner, (y[:, None] - schema.y.origin) / schema.y.unit)
    value = logsumexp(log_gate + log_p, axis=1).sum() + len(y) * schema.y.log_volume()
    if dense._fitted.model.models_x:
        value += dense.joint_log_likelihood_ - dense.log_likelihood_
    return value + model.log_prior(dense.params_)


SPARSE = {
    "softmax": SoftmaxGate(alpha=1e-3, top_k=2),
    "one expert": SoftmaxGate(alpha=1e-3, top_k=1),
    "tree": TreeGate(SoftmaxGate(alpha=1e-3), top_k=2),
    "Gaussian": TopKGate(GaussianGate(), 2),
    "estimator": TopKGate(DecisionTreeClassifier(max_depth=3, random_state=0), 2),
}


@pytest.mark.parametrize("gate", SPARSE.values(), ids=SPARSE)
@pytest.mark.filterwarnings("ignore::classic_moe.exceptions.SeparationWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_fit_is_that_of_the_dense_mixture_tuned_without_a_fall(gate):
    X, y = pieces()
    dense = regressor(gate.dense()).fit(X, y)
    sparse = regressor(gate).fit(X, y)
    assert (np.diff(sparse.lower_bounds_) >= 0).all()
    assert len(sparse.lower_bounds_) == sparse.n_iter_ + 1
    k = gate.n_kept
    assert ((sparse.gate_proba(X) > 0).sum(axis=1) <= k).all()
    np.testing.assert_allclose(sparse.lower_bounds_[0], start_of_tuning(dense, k, X, y), rtol=1e-9)
    # What is reported is one density.
    np.testing.assert_allclose(sparse.log_prob(X, y).sum(), sparse.log_likelihood_, rtol=1e-10)
    resp = sparse.responsibilities(X, y)
    np.testing.assert_allclose(resp.sum(axis=1), 1.0, atol=1e-12)
    assert (resp[sparse.gate_proba(X) == 0] == 0).all()
    np.testing.assert_allclose(resp.mean(axis=0), sparse.weights_, atol=1e-9)
    mean = (sparse.gate_proba(X) * sparse.predict_experts(X)).sum(axis=1)
    np.testing.assert_allclose(sparse.predict(X), mean, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(sparse.predict_dist(X).logpdf(y), sparse.log_prob(X, y), atol=1e-8)
    aic = -2 * sparse.log_likelihood_ + 2 * sparse.n_parameters_
    np.testing.assert_allclose(sparse.aic(X, y), aic, rtol=1e-10)


def test_with_one_kept_expert_the_tuning_leaves_the_gate_as_the_dense_fit_made_it():
    X, y = pieces()
    options = dict(init_params=regressor(SoftmaxGate(alpha=1e-3)).fit(X, y))
    dense = regressor(SoftmaxGate(alpha=1e-3), **options).fit(X, y)
    sparse = regressor(SoftmaxGate(alpha=1e-3, top_k=1), **options).fit(X, y)
    np.testing.assert_allclose(sparse.gate_.coef_, dense.gate_.coef_)
    assert np.abs(sparse.experts_[0].coef_ - dense.experts_[0].coef_).max() > 1e-6


@pytest.mark.filterwarnings("ignore::classic_moe.SeparationWarning")  # sharp pieces
def test_penalties_found_by_the_evidence_are_those_of_the_dense_fit():
    X, y = pieces(150, 3, noise=0.5)
    expert = LinearExpert("auto", 1e-2)
    dense = regressor(SoftmaxGate("auto"), 3, expert=expert, n_init=1).fit(X, y)
    gates = {"gate__alpha": SoftmaxGate("auto", top_k=2)}
    gates["gate__gate__alpha"] = TopKGate(SoftmaxGate("auto"), 2)
    for name, gate in gates.items():
        sparse = regressor(gate, 3, expert=expert, n_init=1).fit(X, y)
        assert sparse.penalties_[name] == dense.penalties_["gate__alpha"]
        assert sparse.penalties_["expert__alpha"] == dense.penalties_["expert__alpha"]
        assert sparse._fitted.model.gate.words() == {}
    weak = regressor(TopKGate(SoftmaxGate("weak"), 2), 3, n_init=1).fit(X, y)
    assert weak._fitted.model.gate.gate.alpha == 1e-3


def test_classifiers_keep_k_too():
    X, y = pieces(noise=2.0)
    labels = (y + np.random.default_rng(1).logistic(size=len(y)) > 0).astype(int)
    parts = dict(gate=SoftmaxGate(alpha=1.0, top_k=2), expert=SoftmaxExpert(alpha=1.0))
    model = MixtureOfExpertsClassifier(4, **parts, n_init=1, max_iter=20, tol=1e-3, random_state=0)
    model.fit(X, labels)
    experts = model.predict_experts(X)
    proba = np.einsum("nk,nkc->nc", model.gate_proba(X), experts)
    np.testing.assert_allclose(model.predict_proba(X), proba, atol=1e-12)
    np.testing.assert_allclose(model.predict_log_proba(X), np.log(proba), atol=1e-9)
    own = np.take_along_axis(proba, labels[:, None], axis=1)[:, 0]
    np.testing.assert_allclose(model.log_prob(X, labels), np.log(own), atol=1e-9)


def test_groups_are_sent_to_their_kept_experts_alone():
    X, y = pieces(200)
    groups, X = np.arange(200) // 4, np.repeat(X[::4], 4, axis=0)
    model = regressor(SoftmaxGate(alpha=1e-2, top_k=2), 3).fit(X, y, groups=groups)
    assert (np.diff(model.lower_bounds_) >= 0).all()
    total = model.log_prob(X, y, groups=groups).sum()
    np.testing.assert_allclose(total, model.log_likelihood_, rtol=1e-10)


# -- what is refused -----------------------------------------------------------------------------

WRONG = [
    (SoftmaxGate(top_k=0), r"top_k=0 of SoftmaxGate: needs an integer of at least 1"),
    (TreeGate(top_k=1.5), r"top_k=1.5 of TreeGate: needs an integer of at least 1"),
    (TopKGate(k=0), r"k=0 of TopKGate: needs an integer of at least 1"),
    (TreeGate(prune=0.1, top_k=2), r"prune=0.1 and top_k=2 of TreeGate both leave experts out"),
    (TreeGate(SoftmaxGate(top_k=2)), r"keeps 2 children of a node; .* TreeGate\(..., top_k=2\)"),
    (TopKGate(SoftmaxGate(top_k=3)), r"keeps 3 experts already; use it alone"),
    (TopKGate(TreeGate(prune=0.1)), r"of TopKGate leaves branches out itself"),
    (TopKGate("hash"), r"gate='hash' of TopKGate is not known"),
]


@pytest.mark.parametrize("gate, message", WRONG, ids=[repr(gate) for gate, _ in WRONG])
def test_what_makes_no_sparse_gate_is_refused(gate, message):
    X, y = pieces(60)
    with pytest.raises(ValueError, match=message):
        regressor(gate).fit(X, y)


def test_known_experts_streams_and_standard_errors_are_refused():
    X, y = pieces(300, noise=0.5)
    model = regressor(SoftmaxGate(alpha=0.1, top_k=2), 3)
    with pytest.raises(ValueError, match="may not be among the 2 that SoftmaxGate keeps"):
        model.fit(X, y, expert_labels=np.zeros(300, dtype=int))
    with pytest.raises(AttributeError) as refused:
        model.partial_fit(X, y)
    assert "no partial_fit with a gate that keeps 2 experts" in str(refused.value.__cause__)
    with pytest.raises((TypeError, ValueError), match="SoftmaxGate"):
        infer(model.fit(X, y), X, y)
    assert "SoftmaxGate" in str(model.summary(X, y)) or model.summary(X, y).tables


def test_parameters_of_the_wrapped_gate_are_searchable():
    gate = TopKGate("softmax").set_params(gate__alpha=0.5, k=3)
    assert gate.gate.alpha == 0.5 and gate.k == 3
    model = MixtureOfExpertsRegressor(3, gate="softmax").set_params(gate__top_k=2)
    assert model.gate.top_k == 2
