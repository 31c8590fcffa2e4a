"""Python source and LaTeX: what is written says what the package says."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_iris
from sklearn.linear_model import Ridge

from classic_moe import (
    DeepMixtureOfExpertsRegressor,
    HierarchicalMixtureOfExpertsClassifier,
    HierarchicalMixtureOfExpertsRegressor,
    MixtureOfExpertsClassifier,
    MixtureOfExpertsRegressor,
    MixtureOfSoftmaxesClassifier,
    SparseMixtureOfExpertsClassifier,
    SparseMixtureOfExpertsRegressor,
)
from classic_moe.experts import MLPExpert
from classic_moe.export import to_latex, to_python

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SAME = 1e-12
"""The same sums of a few terms in another order."""
SHORT = dict(random_state=0, n_init=2, max_iter=20)


@pytest.fixture(scope="module")
def rows():
    X, y = load_diabetes(return_X_y=True)
    return 20 * X[:300, :4], y[:300]


@pytest.fixture(scope="module")
def flowers():
    X, y = load_iris(return_X_y=True)
    return X, np.array(["setosa", "versi", "virginica"])[y]


def written(model):
    """What the source defines, by name; nothing but numpy is there."""
    space = {}
    exec(to_python(model), space)
    return space


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=SAME, atol=SAME)


REGRESSORS = {
    "linear": MixtureOfExpertsRegressor(3),
    "gaussian gate": MixtureOfExpertsRegressor(2, gate="gaussian"),
    "mlp": MixtureOfExpertsRegressor(2, expert=MLPExpert((3,))),
    "union": MixtureOfExpertsRegressor(3, expert=["linear", "gaussian", "noise"]),
    "own columns": MixtureOfExpertsRegressor(2, gate_features=[0], expert_features=[]),
    "hard": MixtureOfExpertsRegressor(3, assignment="hard"),
    "tree of depth 3": HierarchicalMixtureOfExpertsRegressor(branching=2, depth=3),
    "two of six": SparseMixtureOfExpertsRegressor(6, k=2),
    "blend": SparseMixtureOfExpertsRegressor(4, k=2, combine="blend", n_shared=1),
    "deep": DeepMixtureOfExpertsRegressor(),
}


@pytest.mark.parametrize("model", REGRESSORS.values(), ids=REGRESSORS)
def test_regressors(rows, model):
    X, y = rows
    model.set_params(random_state=0, max_iter=5).fit(X, y)
    space = written(model)
    far = np.vstack([X, 1e6 * X[:4], -1e6 * X[:4]])
    close(space["predict"](far), model.predict(far))
    if "gate_proba" in space:
        close(space["gate_proba"](far), model.gate_proba(far))
    with pytest.raises(ValueError, match="X needs 4 columns"):
        space["predict"](X[:, :3])


def test_several_outputs_and_counts(rows):
    X, y = rows
    both = np.column_stack([y, X[:, 0] ** 2])
    model = MixtureOfExpertsRegressor(2, **SHORT).fit(X, both)
    close(written(model)["predict"](X), model.predict(X))
    counts = np.floor(y / 50)
    options = dict(expert="poisson", offset_feature=3)
    model = MixtureOfExpertsRegressor(2, **options, **SHORT).fit(X, counts)
    close(written(model)["predict"](X), model.predict(X))


CLASSIFIERS = {
    "softmax": MixtureOfExpertsClassifier(2),
    "tree of depth 3": HierarchicalMixtureOfExpertsClassifier(branching=2, depth=3),
    "two of five": SparseMixtureOfExpertsClassifier(5, k=2),
    "softmaxes": MixtureOfSoftmaxesClassifier(3),
}


@pytest.mark.parametrize("model", CLASSIFIERS.values(), ids=CLASSIFIERS)
def test_classifiers(flowers, model):
    X, y = flowers
    model.set_params(random_state=0, max_iter=5).fit(X, y)
    space = written(model)
    close(space["predict_proba"](X), model.predict_proba(X))
    assert space["predict"](X).tolist() == model.predict(X).tolist()


def test_columns_of_any_name(rows):
    pd = pytest.importorskip("pandas")
    X, y = rows
    names = ["age (years)", "1st", "np", 'class"\\ X\n']
    frame = pd.DataFrame(X, columns=names)
    model = MixtureOfExpertsRegressor(2, **SHORT).fit(frame, y)
    space = written(model)
    close(space["predict"](frame), model.predict(frame))
    close(space["predict"](frame[names[::-1]]), model.predict(frame))  # by their names
    assert "age__years" in to_python(model)


def test_it_runs_where_the_package_is_not(rows, tmp_path):
    X, y = rows
    model = MixtureOfExpertsRegressor(2, **SHORT).fit(X, y)
    (tmp_path / "model.py").write_text(to_python(model), encoding="utf-8")
    code = "import model, sys; print(float(model.predict([[0, 1, 0, 1]])[0]), *sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    value, *modules = run.stdout.split()
    close(float(value), model.predict([[0, 1, 0, 1]])[0])
    assert "numpy" in modules and not {"classic_moe", "scipy", "sklearn"} & set(modules)


def test_what_has_no_formula_is_refused(rows):
    model = MixtureOfExpertsRegressor(2, expert=Ridge(), **SHORT).fit(*rows)
    with pytest.raises(ValueError, match="a Ridge cannot be written as Python source; use to_onnx"):
        to_python(model)
    with pytest.raises(ValueError, match="not fitted; call fit first"):
        to_python(MixtureOfExpertsRegressor(2))
    with pytest.raises(TypeError, match="Ridge is no estimator of classic_moe"):
        to_latex(Ridge().fit(*rows))


def test_latex_has_the_numbers_of_the_equations(rows):
    pd = pytest.importorskip("pandas")
    X, y = rows
    frame = pd.DataFrame(X, columns=["a_1", "b%", "c", "d"])
    model = MixtureOfExpertsRegressor(2, **SHORT).fit(frame, y)
    text = to_latex(model)
    lines = text.splitlines()
    assert lines[0] == r"\begin{align*}" and lines[-1] == r"\end{align*}"
    assert len(lines) == 5  # two experts, and the gate's log-odds of one against the other
    assert r"\text{a\_1}" in text and r"\text{b\%}" in text
    for k, view in enumerate(model.experts_):
        assert f"{view.intercept_:.4g}" in lines[1 + k]
        assert all(f"{abs(b):.4g}" in lines[1 + k] for b in view.coef_ if 1e-4 < abs(b) < 1e4)
    assert f"{model.gate_.intercept_[0]:.4g}".lstrip("-") in lines[3]
    tiny = MixtureOfExpertsRegressor(1, **SHORT).fit(1e9 * X, y)
    assert r"\cdot 10^{-" in to_latex(tiny)


def test_latex_of_trees_classes_and_networks(rows, flowers):
    X, y = flowers
    text = to_latex(MixtureOfExpertsClassifier(2, **SHORT).fit(X, y))
    assert text.count("log-odds") == 4
    tree = HierarchicalMixtureOfExpertsRegressor(branching=2, depth=2, **SHORT).fit(*rows)
    text = to_latex(tree)
    assert len(text.splitlines()) == 9  # four experts, three nodes
    root = tree.gate_.nodes_["root"]
    assert r"\log \frac{g^{\text{root}}_{0}(x)}{g^{\text{root}}_{1}(x)}" in text
    assert f"{abs(root.intercept_[0]):.4g}" in text
    where = MixtureOfExpertsRegressor(2, gate="gaussian", **SHORT).fit(*rows)
    text = to_latex(where)
    assert len(text.splitlines()) == 7  # and the shares with the means of x
    assert f"{where.gate_.means_[1, 3]:.4g}" in text
    network = MixtureOfExpertsRegressor(2, expert=MLPExpert((3,)), **SHORT).fit(*rows)
    assert "MLP" in to_latex(network)
    with pytest.raises(ValueError, match="has no experts whose equations"):
        to_latex(DeepMixtureOfExpertsRegressor(random_state=0, max_iter=1).fit(*rows))
