"""What views say of themselves, for whoever prints or draws them."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

from classic_moe import MetaPiRegressor, MixtureOfExpertsRegressor
from classic_moe.gates import GaussianGate, TreeGate


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(60, 2)), columns=["a", "b"])
    return X, np.abs(X["a"]) + 0.1 * rng.normal(size=60)


def views(data, **parts):
    model = MixtureOfExpertsRegressor(2, random_state=0, solver="em", max_iter=5, **parts)
    model.fit(*data)
    return model.experts_[0], model.gate_


quick = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@quick
@pytest.mark.parametrize(
    ("parts", "expert", "gate"),
    [
        ({}, ("linear", True, True), ("linear", True, True)),
        (
            {"expert": "gaussian", "gate": "constant"},
            ("linear", True, False),
            ("linear", True, False),
        ),
        (
            {"expert": "mlp", "gate": "gaussian"},
            ("network", False, True),
            ("localised", False, True),
        ),
        (
            {"expert": Ridge(), "gate": LogisticRegression()},
            ("estimator", False, True),
            ("estimator", False, True),
        ),
        (
            {"gate": GaussianGate(covariance_type="tied")},
            ("linear", True, True),
            ("localised", True, True),
        ),
        ({"gate": TreeGate(depth=1)}, ("linear", True, True), ("tree", False, True)),
    ],
    ids=["linear", "constant", "network", "estimator", "tied", "tree"],
)
def test_a_view_says_what_it_is(data, parts, expert, gate):
    for view, (kind, linear, uses_x) in zip(views(data, **parts), (expert, gate), strict=True):
        assert (view.kind, view.linear, view.uses_x) == (kind, linear, uses_x)
        assert view.linear == hasattr(view, "coef_")


@quick
def test_gates_for_every_output_say_so(data):
    X, y = data
    Y = np.column_stack([y, -y])
    experts = [Ridge(alpha).fit(X, Y) for alpha in (0.1, 10)]
    assert MetaPiRegressor(experts, per_output=True).fit(X, Y).gate_.kind == "per output"


@quick
def test_a_part_without_equation_is_called_by_its_estimator(data):
    expert, gate = views(data, expert=Ridge(), gate="gaussian")
    assert (expert.title, gate.title) == ("Ridge", "GaussianGate")


@quick
def test_columns_have_their_names_or_their_positions_in_x(data):
    X, y = data
    expert, gate = views(data, expert_features=["b"])
    assert (expert.column_names(1), gate.column_names(2)) == (["b"], ["a", "b"])
    expert, gate = views((X.to_numpy(), y), expert_features=[1])
    assert (expert.column_names(1), gate.column_names(2)) == (["x1"], ["x0", "x1"])
