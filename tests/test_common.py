"""scikit-learn's own checks, on both estimators, in configurations that cover every part."""

import os
import subprocess
import sys

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeRegressor
from sklearn.utils.estimator_checks import parametrize_with_checks

from classic_moe import (
    AdaptiveLocalExpertsClassifier,
    AdaptiveLocalExpertsRegressor,
    HierarchicalMixtureOfExpertsClassifier,
    HierarchicalMixtureOfExpertsRegressor,
    MetaPiClassifier,
    MetaPiRegressor,
    MixtureOfExpertsClassifier,
    MixtureOfExpertsRegressor,
)
from classic_moe.estimators._targets import RealTarget
from classic_moe.experts import (
    GammaExpert,
    GaussianExpert,
    LinearExpert,
    MLPExpert,
    NoiseExpert,
    SoftmaxExpert,
)
from classic_moe.gates import GaussianGate, SoftmaxGate
from classic_moe.solvers import LBFGS, Adam


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


# Each part, penalty, kind of start and standardisation occurs at least once; the first of each task
# is the estimator as shipped. The others keep to few starts and iterations for the sake of time,
# and because without penalties separated classes have no maximum: rounding decides where a long
# fit ends.
QUICK = dict(n_init=2, max_iter=10)
CONFIGURATIONS = [
    MixtureOfExpertsRegressor(),
    MixtureOfExpertsRegressor(1),
    MixtureOfExpertsRegressor(3, expert="gaussian", standardize=False, **QUICK),
    MixtureOfExpertsRegressor(2, gate="constant", init_params="random", **QUICK),
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
    # steps along the gradient amplify the rounding of 15 rows too: few of them
    MixtureOfExpertsRegressor(2, expert="gaussian", solver=LBFGS(warm_up=2), n_init=2, max_iter=4),
    MixtureOfExpertsRegressor(2, expert="gaussian", solver="gradient", **QUICK),
    # four iterations: with one scale on 15 rows the checks would amplify the rounding of more
    MixtureOfExpertsRegressor(2, expert=LinearExpert(covariance_type="tied"), n_init=1, max_iter=4),
    MixtureOfExpertsRegressor(2, expert="student_t", **QUICK),
    MixtureOfExpertsRegressor(2, expert="laplace", **QUICK),
    CountsRegressor(2, expert="poisson", **QUICK),
    CountsRegressor(2, expert="negative_binomial", **QUICK),
    MixtureOfExpertsRegressor(2, expert=GammaExpert(alpha=1e-3), **QUICK),
    MixtureOfExpertsRegressor(2, expert=GammaExpert(link="inverse"), **QUICK),
    TrialsRegressor(2, expert="binomial", **QUICK),
    MixtureOfExpertsRegressor(2, expert=MLPExpert((3,), max_iter=10), n_init=1, max_iter=3),
    MixtureOfExpertsRegressor(2, expert=Ridge(), n_init=1, max_iter=3),
    MixtureOfExpertsRegressor(2, expert=[LinearExpert(), NoiseExpert("normal")], **QUICK),
    MixtureOfExpertsRegressor(2, gate="gaussian", **QUICK),
    MixtureOfExpertsRegressor(2, gate=GaussianGate("tied"), n_init=1, max_iter=4),
    MixtureOfExpertsRegressor(2, gate="exponential_family", **QUICK),
    MixtureOfExpertsRegressor(2, gate=LogisticRegression(), n_init=1, max_iter=3),
    AdaptiveLocalExpertsRegressor(2, **QUICK),
    AdaptiveLocalExpertsRegressor(2, objective="blended_error", solver="lbfgs", **QUICK),
    MetaPiRegressor([LinearRegression(), DecisionTreeRegressor(max_depth=2)]),
    MetaPiRegressor([("line", Ridge()), ("constant", GaussianExpert())], per_output=True, **QUICK),
    MixtureOfExpertsClassifier(),
    MixtureOfExpertsClassifier(1),
    MixtureOfExpertsClassifier(2, class_weight="balanced", gate="constant", **QUICK),
    MixtureOfExpertsClassifier(2, expert="logistic", **QUICK),
    MixtureOfExpertsClassifier(2, expert="linear", **QUICK),
    AdaptiveLocalExpertsClassifier(2, **QUICK),
    AdaptiveLocalExpertsClassifier(
        2, expert=LinearExpert(variance=1.0), objective="expected_error", **QUICK
    ),
    MetaPiClassifier([LogisticRegression(), GaussianNB()]),
    MetaPiClassifier(
        [("line", LogisticRegression()), ("bayes", GaussianNB())], per_class=True, **QUICK
    ),
    MixtureOfExpertsClassifier(2, solver=Adam(warm_up=2), **QUICK),
    # one start: without penalties the likelihood of separable classes is best where each region has
    # its class, whatever the classes weigh, and a second start finds that
    MixtureOfExpertsClassifier(
        2,
        expert=SoftmaxExpert(alpha=0),
        gate=SoftmaxGate(alpha=0),
        standardize=False,
        n_init=1,
        max_iter=10,
    ),
    MixtureOfExpertsClassifier(3, gate_features=[], init_params="random", **QUICK),
    MixtureOfExpertsClassifier(2, expert=MLPExpert((3,), max_iter=10), n_init=1, max_iter=3),
    MixtureOfExpertsClassifier(2, expert=LogisticRegression(), n_init=1, max_iter=3),
    MixtureOfExpertsClassifier(
        2, expert=[SoftmaxExpert(), LogisticRegression()], gate="gaussian", n_init=1, max_iter=3
    ),
    HierarchicalMixtureOfExpertsRegressor(2, 2, n_init=2, max_iter=4),
    HierarchicalMixtureOfExpertsRegressor(2, 1, gate="least_squares", **QUICK),
    HierarchicalMixtureOfExpertsRegressor(2, 1, solver="online", n_init=1, max_iter=2),
    HierarchicalMixtureOfExpertsClassifier(2, 2, n_init=2, max_iter=4),
    HierarchicalMixtureOfExpertsClassifier(3, 1, gate="constant", **QUICK),
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks(CONFIGURATIONS)
def test_scikit_learns_checks_pass(estimator, check):
    check(estimator)


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
