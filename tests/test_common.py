"""scikit-learn's own checks, on every estimator, in configurations that cover every part."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest
import sklearn
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator, clone, is_classifier
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeRegressor
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import estimator_checks_generator
from sklearn.utils.fixes import parse_version
from weak import weakly_penalised

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
# configurations or more; the first of each, which passes every check, is near the estimator as
# shipped. All but few keep to few starts and iterations for the sake of time, and because without
# penalties separated classes have no maximum: rounding decides where a long fit ends.
QUICK = dict(n_init=2, max_iter=10)
SHORT = dict(n_init=1, max_iter=3)
AS_SHIPPED = [MixtureOfExpertsRegressor(), MixtureOfExpertsClassifier()]  # dozens of starts a fit
SHIPPED = [
    MixtureOfExpertsRegressor(**QUICK),
    MixtureOfExpertsClassifier(**QUICK),
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


CONFIGURATIONS = [weakly_penalised(estimator) for estimator in CONFIGURATIONS]


def skip_what_scikit_learn_mistakes(estimator, check):
    """Skip a check that codes two classes by the first row of each of two orders of the rows."""
    two_classes = is_classifier(estimator) and not get_tags(estimator).classifier_tags.multi_class
    equivalence = "check_sample_weight_equivalence" in str(check)
    if two_classes and equivalence and parse_version(sklearn.__version__) < parse_version("1.7"):
        pytest.skip("scikit-learn before 1.7 gives weighted and repeated rows other classes")


# What is the same in every configuration of a class, since no part has a say in it: its parameters
# and tags, and what `RowsMixin._validate` and the target make of X, y and weights before any part
# sees them (numpy arrays and CSR). The first configuration of each class passes these checks too;
# the others do, twice as long, if CLASSIC_MOE_EVERY_CHECK is set, as scripts/nightly.sh sets it.
OF_THE_CLASS = set(
    """
    check_all_zero_sample_weights_error
    check_classifier_data_not_an_array check_classifiers_classes
    check_classifiers_regression_target check_classifiers_train
    check_classifiers_train(readonly_memmap=True) check_complex_data
    check_do_not_raise_errors_in_init_or_set_params check_dtype_object
    check_estimator_sparse_array check_estimator_sparse_matrix check_estimator_sparse_tag
    check_estimator_tags_renamed check_estimators_dtypes check_estimators_empty_data_messages
    check_estimators_fit_returns_self check_estimators_nan_inf
    check_estimators_partial_fit_n_features check_estimators_pickle(readonly_memmap=True)
    check_estimators_unfitted check_fit1d check_fit2d_predict1d check_fit_check_is_fitted
    check_fit_score_takes_y check_mixin_order check_n_features_in
    check_n_features_in_after_fitting check_no_attributes_set_in_init
    check_parameters_default_constructible check_pipeline_consistency
    check_positive_only_tag_during_fit check_regressor_data_not_an_array
    check_regressors_int check_regressors_no_decision_function check_regressors_train
    check_regressors_train(readonly_memmap=True) check_requires_y_none
    check_sample_weights_list check_sample_weights_not_an_array
    check_sample_weights_pandas_series check_sample_weights_shape check_supervised_y_2d
    check_supervised_y_no_nan check_valid_tag_types
    """.split()
)
EVERY_CHECK = bool(os.environ.get("CLASSIC_MOE_EVERY_CHECK"))


def name_of(check):
    """Return the name of a check with its options, as in "check_estimators_pickle"."""
    options = ",".join(f"{key}={value}" for key, value in check.keywords.items())
    return check.func.__name__ + (f"({options})" if options else "")


def parametrize_with_checks(estimators, leave_out=()):
    """Do as scikit-learn's decorator does, which writes each estimator anew for each check."""
    parameters = []
    for estimator in estimators:
        written = re.sub(r"\s", "", str(estimator))
        for instance, check in estimator_checks_generator(estimator):
            name = name_of(check)
            if name not in leave_out:
                parameters.append(pytest.param(instance, check, id=f"{written}-{name}"))
    return pytest.mark.parametrize("estimator, check", parameters)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks(SHIPPED)
def test_scikit_learns_checks_pass(estimator, check):
    skip_what_scikit_learn_mistakes(estimator, check)
    check(estimator)


@pytest.mark.slow  # two thousand of them
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks(AS_SHIPPED + CONFIGURATIONS, () if EVERY_CHECK else OF_THE_CLASS)
def test_scikit_learns_checks_pass_in_every_configuration(estimator, check):
    skip_what_scikit_learn_mistakes(estimator, check)
    check(estimator)


def test_checks_of_the_class_are_checks_and_every_class_passes_them():
    """A name that scikit-learn changes is noticed; versions before 1.9 lack some."""
    kinds = {type(estimator): estimator for estimator in SHIPPED}
    found = {name_of(check) for e in kinds.values() for _, check in estimator_checks_generator(e)}
    if parse_version(sklearn.__version__) >= parse_version("1.9"):
        assert found >= OF_THE_CLASS
    assert len(found & OF_THE_CLASS) > 40 and len(found - OF_THE_CLASS) > 20
    assert {type(e) for e in CONFIGURATIONS + AS_SHIPPED} - set(kinds) == {
        CountsRegressor,
        TrialsRegressor,
    }


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("estimator", CONFIGURATIONS, ids=lambda e: re.sub(r"\s", "", str(e)))
def test_sparse_rows_are_fitted_as_dense_ones(estimator):
    """scikit-learn's checks of sparse X fit ten formats, which validation makes one: CSR."""
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(40, 3))
    X[X < 0.6] = 0
    y = np.abs(X.sum(axis=1) + 0.3 * rng.standard_normal(40)) + 0.1
    y = (y > np.median(y)) * 1 if is_classifier(estimator) else y
    dense, sparse = (
        clone(estimator).set_params(random_state=0).fit(kind(X), y)
        for kind in (np.array, csr_array)
    )
    # The same numbers block by block: rounding alone, which few iterations amplify by 1e8 at most.
    np.testing.assert_allclose(sparse.predict(csr_array(X)), dense.predict(X), rtol=1e-6)


def test_every_class_is_checked_in_six_configurations_or_more():
    public = {getattr(classic_moe, name) for name in classic_moe.__all__}
    estimators = {thing for thing in public if isinstance(thing, type)}
    estimators = {thing for thing in estimators if issubclass(thing, BaseEstimator)}
    for kind in estimators:
        configurations = [e for e in SHIPPED + AS_SHIPPED + CONFIGURATIONS if type(e) is kind]
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
