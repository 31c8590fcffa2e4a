"""Predictions of sparse mixtures: one row says the same in any company, to the last bit."""

import numpy as np
import pytest

from classic_moe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from classic_moe.experts import LinearExpert, MLPExpert, PoissonExpert, SoftmaxExpert
from classic_moe.gates import SoftmaxGate, TopKGate, TreeGate

GATE = SoftmaxGate(alpha=1e-2, top_k=2)
MODELS = {
    "lines": (LinearExpert(1e-6, 1e-2), GATE),
    "two outputs": (LinearExpert(1e-6, 1e-2), GATE),
    "lines in a tree": (LinearExpert(1e-6, 1e-2), TreeGate(SoftmaxGate(1e-2), top_k=2)),
    "localised": (LinearExpert(1e-6, 1e-2), TopKGate("gaussian", 1)),
    "counts": (PoissonExpert(alpha=1e-2), GATE),
    "Student": ("student_t", GATE),
    "networks": (MLPExpert((5,), alpha=1.0, max_iter=2), GATE),
    "classes": (SoftmaxExpert(alpha=1e-2), GATE),
    "networks for classes": (MLPExpert((5,), alpha=1.0, max_iter=2), GATE),
}


def fitted(name):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((1500, 5))
    y = np.abs(X[:, 0]) + X[:, 1] + 0.2 * rng.standard_normal(1500)
    expert, gate = MODELS[name]
    classes = "classes" in name
    y = (
        np.digitize(y, [0.0, 1.0])
        if classes
        else np.round(np.exp(y / 2))
        if name == "counts"
        else y
    )
    y = np.column_stack([y, X[:, 2]]) if name == "two outputs" else y
    kind = MixtureOfExpertsClassifier if classes else MixtureOfExpertsRegressor
    options = dict(n_init=1, max_iter=3, solver="em", random_state=0)
    return kind(4, expert=expert, gate=gate, **options).fit(X, y), X, y


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", MODELS)
def test_what_is_said_of_a_row_has_the_same_bits_in_any_company(name):
    model, X, y = fitted(name)
    said = {
        "predict": lambda X, y: model.predict(X),
        "gate_proba": lambda X, y: model.gate_proba(X),
        "log_prob": model.log_prob,
        "responsibilities": model.responsibilities,
    }
    if hasattr(model, "predict_proba"):
        said["predict_proba"] = lambda X, y: model.predict_proba(X)
    order = np.random.default_rng(1).permutation(len(X))
    for verb, say in said.items():
        whole = say(X, y)
        np.testing.assert_array_equal(say(X[order], y[order]), whole[order], err_msg=verb)
        twice = np.repeat(np.arange(700), 2)
        np.testing.assert_array_equal(say(X[twice], y[twice]), whole[twice], err_msg=verb)
        for i in (0, 7, 1499):
            alone = say(X[i : i + 1], y[i : i + 1])
            np.testing.assert_array_equal(alone[0], whole[i], err_msg=f"{verb} of row {i}")


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_experts_that_are_not_kept_are_not_evaluated(monkeypatch):
    model, X, _ = fitted("counts")
    asked, mean = [], PoissonExpert.mean

    def counted(self, params, X, **options):
        asked.append((len(params["coef"]), len(X)))
        return mean(self, params, X, **options)

    monkeypatch.setattr(PoissonExpert, "mean", counted)
    model.predict(X)
    pairs = sum(experts * rows for experts, rows in asked)
    assert pairs <= 2 * len(X) + 64 * len(asked)  # filled up to multiples of 64 rows
