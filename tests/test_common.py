"""scikit-learn's own checks, on every estimator, in configurations that cover every part."""

import contextlib
import os
import subprocess
import sys

import numpy as np
import pytest
import sklearn
from sklearn.base import BaseEstimator, is_classifier
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeRegressor
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.fixes import parse_version

import classic_moe
from classic_moe import (
    AdaptiveLocalExpertsClassifier,
    AdaptiveLocalExpertsRegressor,
    DeepMixtureOfExpertsClassifier,
    DeepMixtureOfExpertsRegressor,
    HierarchicalMixtureOfExpertsClassifier,
    HierarchicalMixtureOfExpertsRegressor,
    MetaPiClassifier,
    MetaPiRegressor,
    MixtureOfExpertsClassifier,
    MixtureOfExpertsRegressor,
    MixtureOfSoftmaxesClassifier,
    SparseMixtureOfExpertsClassifier,
    SparseMixtureOfExpertsRegressor,
)
from classic_moe.estimators._targets import RealTarget
from classic_moe.experts import (
    GammaExpert,
    GaussianExpert,
    LinearExpert,
    MLPExpert,
    NegativeBinomialExpert,
    NoiseExpert,
    PoissonExpert,
    SoftmaxExpert,
)
from classic_moe.gates import GaussianGate, SoftmaxGate, TopKGate, TreeGate
from classic_moe.solvers import LBFGS, AcceleratedEM, Adam


class Counts(RealTarget):
    """Units of whatever y the checks have: the families of counts refuse it."""

    @staticmethod
    def floats(y):
        return np.floor(np.abs(y.astype(float)))


class Successes(RealTarget):
    """One trial a row, a success where y is positive."""

    @staticmethod
    def floats(y):
        return 1.0 * (y > 0)


class CountsRegressor(MixtureOfExpertsRegressor):
    _target = Counts


class TrialsRegressor(MixtureOfExpertsRegressor):
    _target = Successes


# Each part, penalty, kind of start and standardisation occurs at least once, and every class in six
# configurations or more; the first of each is the estimator as shipped. The others keep to few
# starts and iterations for the sake of time, and because without penalties separated classes have
# no maximum: rounding decides where a long fit ends.
QUICK = dict(n_init=2, max_iter=10)
SHORT = dict(n_init=1, max_iter=3)
SHIPPED = [
    MixtureOfExpertsRegressor(),
    MixtureOfExpertsClassifier(),
    HierarchicalMixtureOfExpertsRegressor(2, 2, n_init=2, max_iter=4),
    HierarchicalMixtureOfExpertsClassifier(2, 2, n_init=2, max_iter=4),
    AdaptiveLocalExpertsRegressor(2, **QUICK),
    AdaptiveLocalExpertsClassifier(2, **QUICK),
    MetaPiRegressor([LinearRegression(), DecisionTreeRegressor(max_depth=2)]),
    MetaPiClassifier([LogisticRegression(), GaussianNB()]),
    MixtureOfSoftmaxesClassifier(alpha=0.1, max_iter=3),  # more iterations amplify rounding
    DeepMixtureOfExpertsClassifier(),
    DeepMixtureOfExpertsRegressor(),
    SparseMixtureOfExpertsRegressor(3, **QUICK),
    SparseMixtureOfExpertsClassifier(3, **QUICK),
]
CONFIGURATIONS = [
    MixtureOfExpertsRegressor(1),
    MixtureOfExpertsRegressor(3, expert="gaussian", standardize=False, **QUICK),
    MixtureOfExpertsRegressor(2, gate="constant", init_params="random", **QUICK),
    MixtureOfExpertsRegressor(2, normalize_weights=False, solver="em", n_init=1, max_iter=4),
    MixtureOfExpertsRegressor(
        2,
        expert=LinearExpert(alpha=0, variance_prior=0),
        gate=SoftmaxGate(alpha=0),
        solver="em",
        n_jobs=2,
        **QUICK,
    ),
    MixtureOfExpertsRegressor(2, gate_features=[0], expert_features=slice(None), **QUICK),
    MixtureOfExpertsRegressor(2, assignment="hard", solver="cem", **QUICK),
    MixtureOfExpertsRegressor(2, expert=LinearExpert(covariance_type="diag"), **SHORT),
    # steps along the gradient amplify the rounding of 15 rows too: few of them
    MixtureOfExpertsRegressor(2, expert="gaussian", solver=LBFGS(warm_up=2), n_init=2, max_iter=4),
    MixtureOfExpertsRegressor(2, expert="gaussian", solver="gradient", **QUICK),
    # four iterations: with one scale on 15 rows the checks would amplify the rounding of more
    MixtureOfExpertsRegressor(2, expert=LinearExpert(covariance_type="tied"), n_init=1, max_iter=4),
    MixtureOfExpertsRegressor(2, expert="student_t", **QUICK),
    MixtureOfExpertsRegressor(2, expert="laplace", **QUICK),
    # weak: the checks want half of the variance of the rows of the fit, overfitted or not
    CountsRegressor(2, expert=PoissonExpert("weak"), **QUICK),
    CountsRegressor(2, expert=NegativeBinomialExpert("weak"), **QUICK),
    MixtureOfExpertsRegressor(2, expert=GammaExpert(alpha=1e-3), **QUICK),
    MixtureOfExpertsRegressor(2, expert=GammaExpert(link="inverse"), **QUICK | dict(max_iter=5)),
    TrialsRegressor(2, expert="binomial", **QUICK),
    MixtureOfExpertsRegressor(2, expert=MLPExpert((3,), max_iter=1), **SHORT),
    MixtureOfExpertsRegressor(2, expert=Ridge(), **SHORT),
    MixtureOfExpertsRegressor(2, expert=[LinearExpert(), NoiseExpert("normal")], **QUICK),
    MixtureOfExpertsRegressor(2, gate="gaussian", **QUICK),
    MixtureOfExpertsRegressor(2, gate=GaussianGate("tied"), n_init=1, max_iter=4),
    MixtureOfExpertsRegressor(2, gate="exponential_family", **QUICK),
    MixtureOfExpertsRegressor(2, gate=LogisticRegression(), **SHORT),
    MixtureOfExpertsRegressor(3, gate=TopKGate("gaussian", 2), **SHORT),
    SparseMixtureOfExpertsRegressor(3, k=1, router=TreeGate(structure=((0, 1), 2)), **SHORT),
    SparseMixtureOfExpertsRegressor(3, expert="gaussian", router="gaussian", **SHORT),
    SparseMixtureOfExpertsRegressor(2, expert="student_t", **SHORT),
    SparseMixtureOfExpertsRegressor(3, solver="truncated", assignment="hard", **SHORT),
    # lines through 15 rows leave no residuals, whose rounding the checks would amplify
    SparseMixtureOfExpertsRegressor(2, expert="gaussian", standardize=False, **SHORT),
    SparseMixtureOfExpertsClassifier(3, k=1, router="gaussian", expert="logistic", **SHORT),
    SparseMixtureOfExpertsClassifier(3, class_weight="balanced", standardize=False, **SHORT),
    SparseMixtureOfExpertsClassifier(3, router="constant", solver="em", **SHORT),
    SparseMixtureOfExpertsClassifier(2, k=1, expert="linear", **SHORT),
    SparseMixtureOfExpertsClassifier(2, gate_features=[0], assignment="hard", **SHORT),
    MixtureOfExpertsClassifier(1),
    MixtureOfExpertsClassifier(2, class_weight="balanced", gate="constant", **QUICK),
    MixtureOfExpertsClassifier(2, expert="logistic", **QUICK),
    MixtureOfExpertsClassifier(2, expert="linear", **QUICK),
    MixtureOfExpertsClassifier(2, solver=Adam(warm_up=2), **QUICK),
    # one start, and EM: without penalties the likelihood of separable classes is best where each
    # region has its class, whatever the classes weigh; a second start finds that, as Newton does
    MixtureOfExpertsClassifier(
        2,
        expert=SoftmaxExpert(alpha=0),
        gate=SoftmaxGate(alpha=0),
        solver=AcceleratedEM(),
        standardize=False,
        n_init=1,
        max_iter=10,
    ),
    MixtureOfExpertsClassifier(3, gate_features=[], init_params="random", **QUICK),
    MixtureOfExpertsClassifier(2, expert=MLPExpert((3,), max_iter=1), **SHORT),
    MixtureOfExpertsClassifier(2, expert=LogisticRegression(), **SHORT),
    MixtureOfExpertsClassifier(
        2, expert=[SoftmaxExpert(), LogisticRegression()], gate="gaussian", **SHORT
    ),
    HierarchicalMixtureOfExpertsRegressor(2, 1, gate="least_squares", **QUICK),
    HierarchicalMixtureOfExpertsRegressor(2, 1, solver="online", n_init=1, max_iter=2),
    HierarchicalMixtureOfExpertsRegressor((2, 3), 2, expert="gaussian", standardize=False, **SHORT),
    HierarchicalMixtureOfExpertsRegressor(2, 2, gate="constant", expert="student_t", **SHORT),
    HierarchicalMixtureOfExpertsRegressor(
        3, 1, assignment="hard", init_params="random", gate_features=[0], **SHORT
    ),
    HierarchicalMixtureOfExpertsClassifier(3, 1, gate="constant", **QUICK),
    HierarchicalMixtureOfExpertsClassifier(2, 2, class_weight="balanced", solver="em", **SHORT),
    HierarchicalMixtureOfExpertsClassifier(2, 2, expert="logistic", **SHORT),
    HierarchicalMixtureOfExpertsClassifier(2, 1, gate=SoftmaxGate(alpha=0.1), n_jobs=2, **SHORT),
    HierarchicalMixtureOfExpertsClassifier(2, 1, assignment="hard", standardize=False, **SHORT),
    AdaptiveLocalExpertsRegressor(2, objective="blended_error", solver="lbfgs", **QUICK),
    AdaptiveLocalExpertsRegressor(2, objective="expected_error", **SHORT),
    AdaptiveLocalExpertsRegressor(2, expert=LinearExpert(variance=1.0), gate="constant", **SHORT),
    AdaptiveLocalExpertsRegressor(2, expert=MLPExpert((3,)), init_params="random", **SHORT),
    AdaptiveLocalExpertsRegressor(2, solver="em", assignment="hard", **SHORT),
    AdaptiveLocalExpertsClassifier(
        2, expert=LinearExpert(variance=1.0), objective="expected_error", **QUICK
    ),
    AdaptiveLocalExpertsClassifier(2, objective="blended_error", solver="lbfgs", **SHORT),
    AdaptiveLocalExpertsClassifier(2, class_weight="balanced", standardize=False, **SHORT),
    AdaptiveLocalExpertsClassifier(2, expert=MLPExpert((3,)), init_params="random", **SHORT),
    AdaptiveLocalExpertsClassifier(2, expert="logistic", solver="em", gate="constant", **SHORT),
    MetaPiRegressor([("line", Ridge()), ("constant", GaussianExpert())], per_output=True, **QUICK),
    MetaPiRegressor("linear", n_experts=2, **SHORT),
    MetaPiRegressor([Ridge(), Ridge(10.0)], gate="constant", solver="gradient", **SHORT),
    MetaPiRegressor([Ridge(), LinearExpert()], gate_features=[0], standardize=False, **SHORT),
    MetaPiRegressor([LinearRegression()], n_jobs=2, **SHORT),
    MetaPiClassifier(
        [("line", LogisticRegression()), ("bayes", GaussianNB())], per_class=True, **QUICK
    ),
    MetaPiClassifier("softmax", n_experts=2, **SHORT),
    MetaPiClassifier([GaussianNB(), LogisticRegression(C=0.1)], gate="constant", **SHORT),
    MetaPiClassifier([LogisticRegression(), SoftmaxExpert()], solver="gradient", **SHORT),
    MetaPiClassifier([GaussianNB(), GaussianNB()], class_weight="balanced", **SHORT),
    MixtureOfSoftmaxesClassifier(
        2, rank=1, activation="identity", alpha=0.1, solver="em", n_init=1, max_iter=5
    ),
    MixtureOfSoftmaxesClassifier(class_weight="balanced", alpha=0.1, n_init=1, max_iter=4),
    MixtureOfSoftmaxesClassifier(alpha=0.1, init_params="random", n_init=1, max_iter=4),
    MixtureOfSoftmaxesClassifier(alpha=0.1, standardize=False, n_jobs=2, n_init=1, max_iter=4),
    MixtureOfSoftmaxesClassifier(alpha=0.1, solver="gradient", n_init=1, max_iter=30),
    DeepMixtureOfExpertsClassifier(n_experts=(3,), n_units=10, gate_units=5),
    DeepMixtureOfExpertsClassifier(class_weight="balanced", n_constrained=0, n_jobs=2),
    DeepMixtureOfExpertsClassifier(standardize=False, margin=10.0, n_init=2),
    DeepMixtureOfExpertsClassifier((2, 3), n_constrained=0, gate_units=5, alpha=0.01),
    DeepMixtureOfExpertsClassifier((2, 2, 2), n_units=9, gate_units=9, alpha=0.1),
    DeepMixtureOfExpertsRegressor(n_experts=(3,), n_units=10, gate_units=5, max_iter=80),
    DeepMixtureOfExpertsRegressor(variance_prior=0, n_constrained=0, n_jobs=2, max_iter=80),
    DeepMixtureOfExpertsRegressor(standardize=False, margin=10.0, n_init=2, max_iter=80),
    DeepMixtureOfExpertsRegressor(n_constrained=0, solver="lbfgs", max_iter=5),
    DeepMixtureOfExpertsRegressor((2, 2, 2), n_units=9, gate_units=9, max_iter=80),
]


def weakly_penalised(estimator):
    """Return it with numbers where the evidence would find them: the shipped ones have that."""
    for part in ("expert", "gate"):
        given = estimator.get_params(deep=False).get(part)
        if isinstance(given, str) or estimator.get_params().get(f"{part}__alpha") == "auto":
            with contextlib.suppress(ValueError):  # a part without an alpha
                estimator.set_params(**{f"{part}__alpha": "weak"})
    return estimator


CONFIGURATIONS = [weakly_penalised(estimator) for estimator in CONFIGURATIONS]


def skip_what_scikit_learn_mistakes(estimator, check):
    """Skip a check that codes two classes by the first row of each of two orders of the rows."""
    two_classes = is_classifier(estimator) and not get_tags(estimator).classifier_tags.multi_class
    equivalence = "check_sample_weight_equivalence" in str(check)
    if two_classes and equivalence and parse_version(sklearn.__version__) < parse_version("1.7"):
        pytest.skip("scikit-learn before 1.7 gives weighted and repeated rows other classes")


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks(SHIPPED)
def test_scikit_learns_checks_pass(estimator, check):
    skip_what_scikit_learn_mistakes(estimator, check)
    check(estimator)


@pytest.mark.slow  # three thousand of them
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks(CONFIGURATIONS)
def test_scikit_learns_checks_pass_in_every_configuration(estimator, check):
    skip_what_scikit_learn_mistakes(estimator, check)
    check(estimator)


def test_every_class_is_checked_in_six_configurations_or_more():
    public = {getattr(classic_moe, name) for name in classic_moe.__all__}
    estimators = {thing for thing in public if isinstance(thing, type)}
    estimators = {thing for thing in estimators if issubclass(thing, BaseEstimator)}
    for kind in estimators:
        configurations = [e for e in SHIPPED + CONFIGURATIONS if type(e) is kind]
        assert len(configurations) >= 6, kind
        assert any(e for e in SHIPPED if type(e) is kind), kind
        assert len({str(e) for e in configurations}) == len(configurations)


def test_scikit_learns_checks_pass_with_the_array_api_switched_on():
    """Without the switch, which scipy reads when imported, some of the checks are skipped."""
    program = """
import warnings
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.estimator_checks import check_estimator
from classic_moe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor

warnings.simplefilter("error")
warnings.simplefilter("ignore", ConvergenceWarning)
for kind in (MixtureOfExpertsRegressor, MixtureOfExpertsClassifier):
    results = check_estimator(kind(n_init=1, max_iter=5), on_skip=None, on_fail="raise")
    skipped = [result["check_name"] for result in results if result["status"] == "skipped"]
    print(len(results), "checks,", "skipped:", *skipped)
"""
    run = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "SCIPY_ARRAY_API": "1"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    regressor, classifier = run.stdout.splitlines()
    assert regressor.endswith("checks, skipped:"), regressor
    assert classifier.endswith("checks, skipped:"), classifier
