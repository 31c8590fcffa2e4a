"""Graphs of ONNX: onnxruntime says of them what the package says."""

import numpy as np
import pytest
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_diabetes, load_iris
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, PolynomialFeatures, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from classic_moe import (
    AdaptiveLocalExpertsClassifier,
    DeepMixtureOfExpertsClassifier,
    DeepMixtureOfExpertsRegressor,
    HierarchicalMixtureOfExpertsClassifier,
    HierarchicalMixtureOfExpertsRegressor,
    MetaPiRegressor,
    MixtureOfExpertsClassifier,
    MixtureOfExpertsRegressor,
    MixtureOfSoftmaxesClassifier,
    SparseMixtureOfExpertsClassifier,
    SparseMixtureOfExpertsRegressor,
)
from classic_moe.experts import GammaExpert, MLPExpert, StudentTExpert
from classic_moe.export import to_onnx
from classic_moe.gates import ExponentialFamilyGate
from classic_moe.routing import ExpertChoiceRouter, TopKRouter

why = "is not installed: pip install 'classic-moe[onnx]'"
pytest.importorskip("onnx", reason=f"onnx {why}")
runtime = pytest.importorskip("onnxruntime", reason=f"onnxruntime {why}")
pytest.importorskip("skl2onnx", reason=f"skl2onnx {why}")

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning", "ignore::DeprecationWarning"
)

SAME = 1e-10
"""Both compute in double precision, sums of a few terms; the promise is 1e-6."""
OF_TREES = 1e-6
"""Trees of ONNX hold their leaves in single precision."""
SHORT = dict(random_state=0, n_init=2, max_iter=20)


@pytest.fixture(scope="module")
def rows():
    """X (n, 4), of unit spread or so, and y."""
    X, y = load_diabetes(return_X_y=True)
    return 20 * X[:300, :4], y[:300]


@pytest.fixture(scope="module")
def flowers():
    X, y = load_iris(return_X_y=True)
    return X, np.array(["setosa", "versi", "virginica"])[y]


def said(model, X, *, sample=None, feed=None, **options):
    """What onnxruntime says, a dict by the name of the output."""
    graph = to_onnx(model, sample, **options)
    session = runtime.InferenceSession(graph.SerializeToString())
    dtype = options.get("dtype", "float64")
    given = {"X": np.asarray(X).astype(dtype)} if feed is None else feed
    return dict(zip((o.name for o in session.get_outputs()), session.run(None, given), strict=True))


def close(found, expected, tolerance=SAME):
    expected = np.asarray(expected)
    np.testing.assert_allclose(
        np.reshape(found, expected.shape), expected, rtol=tolerance, atol=tolerance
    )


REGRESSORS = {
    "linear": MixtureOfExpertsRegressor(3),
    "gaussian": MixtureOfExpertsRegressor(2, expert="gaussian"),
    "student_t": MixtureOfExpertsRegressor(2, expert="student_t"),
    "laplace": MixtureOfExpertsRegressor(2, expert="laplace"),
    "mlp": MixtureOfExpertsRegressor(2, expert=MLPExpert((3,))),
    "union": MixtureOfExpertsRegressor(3, expert=["linear", "gaussian", "noise"]),
    "constant gate": MixtureOfExpertsRegressor(2, gate="constant"),
    "gaussian gate": MixtureOfExpertsRegressor(2, gate="gaussian"),
    "not standardised": MixtureOfExpertsRegressor(2, standardize=False),
    "own columns": MixtureOfExpertsRegressor(2, gate_features=[0], expert_features=[1, 2]),
    "hard": MixtureOfExpertsRegressor(3, assignment="hard"),
    "tree of depth 3": HierarchicalMixtureOfExpertsRegressor(branching=2, depth=3),
    "two of six": SparseMixtureOfExpertsRegressor(6, k=2),
}


@pytest.mark.parametrize("model", REGRESSORS.values(), ids=REGRESSORS)
def test_regressors(rows, model):
    X, y = rows
    model.set_params(**SHORT).fit(X, y)
    found = said(model, X, extra_outputs=["gate_proba", "experts", "std"])
    assert found["variable"].shape == (len(X), 1)
    close(found["variable"], model.predict(X))
    close(found["gate_proba"], model.gate_proba(X))
    close(found["experts"], model.predict_experts(X))
    if model.assignment != "hard":
        close(found["std"], model.predict_dist(X).std())
    far = np.vstack([1e6 * X[:4], -1e6 * X[:4]])
    close(said(model, far)["variable"], model.predict(far))
    # float32: sums of terms of the size of y, to 1e-7 of their size each
    found = said(model, X, dtype="float32")["variable"]
    assert found.dtype == np.float32
    close(found, model.predict(X), 1e-4)


def test_any_number_of_rows(rows):
    X, y = rows
    model = MixtureOfExpertsRegressor(2, **SHORT).fit(X, y)
    for n in (0, 1, 7):
        assert said(model, X[:n])["variable"].shape == (n, 1)


def targets(X):
    rng = np.random.default_rng(0)
    counts = rng.poisson(np.exp(X[:, 0] / 2)).astype(float)
    return {
        "poisson": ("poisson", counts),
        "negative binomial": ("negative_binomial", counts),
        "gamma": ("gamma", 0.1 + rng.gamma(2.0, np.exp(X[:, 1] / 2))),
        "gamma of the inverse link": (
            GammaExpert(link="inverse"),
            0.1 + rng.gamma(2.0, 1 + 0 * X[:, 0]),
        ),
        "binomial": ("binomial", np.column_stack([counts, counts + 1])),
        "two outputs": ("linear", np.column_stack([X[:, 0] ** 2, X[:, 1] - counts])),
    }


@pytest.mark.parametrize("name", targets(np.zeros((1, 4))))
def test_families(rows, name):
    X = rows[0]
    expert, y = targets(X)[name]
    model = MixtureOfExpertsRegressor(2, expert=expert, **SHORT).fit(X, y)
    found = said(model, X, extra_outputs=["experts", "std"])
    close(found["variable"], model.predict(X))
    close(found["experts"], model.predict_experts(X))
    if name != "binomial":  # there y is a number of successes, here a share
        close(found["std"], model.predict_dist(X).std())


@pytest.mark.parametrize("name", ["poisson", "negative binomial", "gamma"])
def test_the_spread_far_from_the_data(rows, name):
    X = rows[0]
    expert, y = targets(X)[name]
    model = MixtureOfExpertsRegressor(2, expert=expert, **SHORT).fit(X, y)
    # means up to exp(500), whose squares are no numbers, also of experts of weight 0
    far = np.vstack([1e6 * X[:4], -1e6 * X[:4]])
    found, expected = said(model, far, extra_outputs=["std"]), model.predict(far, return_std=True)
    assert np.log(expected[0].max()) > 300
    close(found["std"], expected[1])


def test_a_spread_that_is_infinite(rows):
    X, y = rows
    experts = [StudentTExpert(df=2), "linear"]
    model = MixtureOfExpertsRegressor(2, expert=experts, **SHORT).fit(X, y)
    expected = model.predict(X, return_std=True)[1]
    assert np.isinf(expected).all()
    close(said(model, X, extra_outputs="std")["std"], expected)
    far = np.vstack([1e6 * X[:4], -1e6 * X[:4]])  # where one of them has no weight at all
    expected = model.predict(far, return_std=True)[1]
    assert np.isinf(expected).any() and np.isfinite(expected).any()
    close(said(model, far, extra_outputs="std")["std"], expected)


def test_an_offset(rows):
    X, _ = rows
    y = targets(X)["poisson"][1]
    model = MixtureOfExpertsRegressor(2, expert="poisson", offset_feature=3, **SHORT).fit(X, y)
    close(said(model, X)["variable"], model.predict(X))


def test_gates_of_mixed_columns():
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.poisson(3, 300), rng.integers(0, 3, 300), rng.normal(size=300)])
    gate = ExponentialFamilyGate(["poisson", "categorical", "gaussian"])
    model = MixtureOfExpertsRegressor(2, gate=gate, **SHORT).fit(X, X[:, 2] * (X[:, 1] - 1))
    X[:3, :2] = [[2.5, 1], [-1, 7], [3, 0.5]]  # what is no count and no level says nothing
    close(said(model, X, extra_outputs="gate_proba")["gate_proba"], model.gate_proba(X))


CLASSIFIERS = {
    "softmax": MixtureOfExpertsClassifier(2),
    "mlp": MixtureOfExpertsClassifier(2, expert=MLPExpert((3,))),
    "tree of depth 3": HierarchicalMixtureOfExpertsClassifier(branching=2, depth=3),
    "two of five": SparseMixtureOfExpertsClassifier(5, k=2),
    "codes": AdaptiveLocalExpertsClassifier(2, expert="linear", objective="blended_error"),
    "blend": SparseMixtureOfExpertsClassifier(4, k=2, combine="blend"),
    "deep": DeepMixtureOfExpertsClassifier(),
    "softmaxes": MixtureOfSoftmaxesClassifier(3),
}


@pytest.mark.parametrize("model", CLASSIFIERS.values(), ids=CLASSIFIERS)
def test_classifiers(flowers, model):
    X, y = flowers
    model.set_params(random_state=0, max_iter=5).fit(X, y)
    found = said(model, X)
    close(found["probabilities"], model.predict_proba(X))
    assert found["label"].tolist() == model.predict(X).tolist()


@pytest.mark.parametrize(
    "labels", [np.array(["no", "yes"]), np.array([3, -1]), np.array([False, True])]
)
def test_labels_of_any_kind(flowers, labels):
    X, y = flowers
    model = MixtureOfExpertsClassifier(2, expert="logistic", **SHORT)
    model.fit(X, labels[(y == "versi").astype(int)])
    found = said(model, X)
    close(found["probabilities"], model.predict_proba(X))
    assert found["label"].tolist() == model.predict(X).tolist()


BLENDS = {
    "blend": SparseMixtureOfExpertsRegressor(4, k=2, combine="blend"),
    "shared": SparseMixtureOfExpertsRegressor(4, k=2, combine="blend", n_shared=1),
    "sigmoid": SparseMixtureOfExpertsRegressor(
        4, router=TopKRouter(2, score="sigmoid"), combine="blend"
    ),
    "experts choose": SparseMixtureOfExpertsRegressor(
        4, router=ExpertChoiceRouter(), combine="blend"
    ),
    "routed mixture": SparseMixtureOfExpertsRegressor(4, router=TopKRouter(2)),
    "deep": DeepMixtureOfExpertsRegressor(),
}


@pytest.mark.parametrize("model", BLENDS.values(), ids=BLENDS)
def test_routed_and_deep(rows, model):
    X, y = rows
    model.set_params(random_state=0, max_iter=3).fit(X, y)
    deep = isinstance(model, DeepMixtureOfExpertsRegressor)
    extra = ["std"] if deep else ["gate_proba", "experts", "std"]
    found = said(model, X, extra_outputs=extra)
    close(found["variable"], model.predict(X))
    close(found["std"], model.predict(X, return_std=True)[1])
    if not deep:
        close(found["gate_proba"], model.gate_proba(X))
        close(found["experts"], model.predict_experts(X))


PARTS = {
    "a ridge": dict(expert=Ridge()),
    "a pipeline": dict(expert=make_pipeline(StandardScaler(), Ridge())),
    "a tree": dict(expert=DecisionTreeRegressor(max_depth=2)),
    "a tree as gate": dict(gate=DecisionTreeClassifier(max_depth=2)),
    "a gate of some columns": dict(gate=LogisticRegression(), gate_features=[1, 2]),
}


@pytest.mark.parametrize("parts", PARTS.values(), ids=PARTS)
def test_estimators_as_parts(rows, parts):
    X, y = rows
    model = MixtureOfExpertsRegressor(2, **parts, **SHORT).fit(X, y)
    found = said(model, X, extra_outputs=["gate_proba", "experts"])
    close(found["variable"], model.predict(X), OF_TREES)
    close(found["gate_proba"], model.gate_proba(X), OF_TREES)
    close(found["experts"], model.predict_experts(X), OF_TREES)


def test_classifiers_as_experts_and_estimators_that_are_blended(rows, flowers):
    X, y = flowers
    model = MixtureOfExpertsClassifier(2, expert=DecisionTreeClassifier(max_depth=2), **SHORT)
    close(said(model.fit(X, y), X)["probabilities"], model.predict_proba(X), OF_TREES)
    X, y = rows
    each = [LinearRegression().fit(X, y), DecisionTreeRegressor(max_depth=2).fit(X, y)]
    model = MetaPiRegressor(each, random_state=0).fit(X, y)
    close(said(model, X)["variable"], model.predict(X), OF_TREES)


def table():
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"age": rng.uniform(20, 70, 200), "sex": rng.choice(["f", "m"], 200)})
    table["children"] = rng.integers(0, 5, 200)
    effect = 5 * (table["sex"] == "m") - abs(table["age"] - 45) + rng.normal(size=200)
    return table, effect.to_numpy()


def columns(table):
    kinds = {"sex": object}
    return {
        name: table[[name]].to_numpy().astype(kinds.get(name, table[name].dtype)) for name in table
    }


@pytest.mark.parametrize("classifies", [False, True])
def test_in_a_pipeline_of_a_table(classifies):
    frame, y = table()
    coded = make_column_transformer(
        (StandardScaler(), ["age"]),
        (OneHotEncoder(drop="first", sparse_output=False), ["sex"]),
        ("passthrough", ["children"]),
    )
    make = MixtureOfExpertsClassifier if classifies else MixtureOfExpertsRegressor
    y = np.where(y > -10, "high", "low") if classifies else y
    pipe = make_pipeline(coded, make(2, **SHORT)).fit(frame, y)
    found = said(pipe, None, sample=frame, feed=columns(frame), extra_outputs=["gate_proba"])
    gate = pipe[-1].gate_proba(pipe[:-1].transform(frame))
    close(found["gate_proba"], gate)
    if classifies:
        close(found["probabilities"], pipe.predict_proba(frame))
        assert found["label"].tolist() == pipe.predict(frame).tolist()
    else:
        close(found["variable"], pipe.predict(frame))


def test_in_a_pipeline_of_an_array(rows):
    X, y = rows
    steps = StandardScaler(), PolynomialFeatures(2, include_bias=False)
    pipe = make_pipeline(*steps, MixtureOfExpertsRegressor(2, **SHORT)).fit(X, y)
    close(said(pipe, X, sample=X)["variable"], pipe.predict(X))
    alone = make_pipeline(MixtureOfExpertsRegressor(2, **SHORT)).fit(X, y)
    close(said(alone, X)["variable"], alone.predict(X))
    with pytest.raises(ValueError, match="a Pipeline needs X, some rows"):
        to_onnx(pipe)


def test_the_graph_says_who_wrote_it(rows):
    graph = to_onnx(MixtureOfExpertsRegressor(2, **SHORT).fit(*rows))
    assert graph.producer_name == "classic_moe"
    assert "MixtureOfExpertsRegressor" in graph.doc_string
    assert {own.domain: own.version for own in graph.opset_import} == {"": 15}


@pytest.mark.parametrize(
    "make, sentence",
    [
        (lambda X, y: (Ridge().fit(X, y), {}), "Ridge is no estimator of classic_moe"),
        (lambda X, y: (MixtureOfExpertsRegressor(2), {}), "not fitted; call fit first"),
        (lambda X, y: (fitted(X, y), {"dtype": "float16"}), "dtype='float16': use"),
        (lambda X, y: (fitted(X, y), {"extra_outputs": ["mean"]}), "choose of 'gate_proba'"),
        (lambda X, y: (fitted(X, y), {"opset": 3}), "opset=3: use 15 to"),
    ],
)
def test_what_is_refused(rows, make, sentence):
    model, options = make(*rows)
    with pytest.raises((TypeError, ValueError), match=sentence):
        to_onnx(model, **options)


def fitted(X, y):
    return MixtureOfExpertsRegressor(2, **SHORT).fit(X, y)


def test_categories_that_are_coded_inside_are_refused():
    frame, y = table()
    model = MixtureOfExpertsRegressor(2, categorical_features="from_dtype", **SHORT).fit(frame, y)
    with pytest.raises(ValueError, match="codes categorical_features inside"):
        to_onnx(model)
