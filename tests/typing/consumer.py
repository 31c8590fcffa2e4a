"""What a type checker sees of the package, from outside: mypy checks this file, and a test runs it.

`assert_type` does nothing when the file runs, so every function also looks at what it was given.
"""

from __future__ import annotations

import io
from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray

from classic_moe import (
    HierarchicalMixtureOfExpertsRegressor,
    MixtureOfExpertsClassifier,
    MixtureOfExpertsRegressor,
    SparseMixtureOfExpertsRegressor,
    diagnose,
    load,
    save,
)
from classic_moe.datasets import make_crossing_lines
from classic_moe.distribution import MixtureDistribution
from classic_moe.inference import (
    Inference,
    TestResult,
    infer,
    likelihood_ratio_test,
    marginal_effects,
)
from classic_moe.inference.diagnosis import Diagnosis
from classic_moe.inspection import CalibrationDisplay, ExpertCurvesDisplay, match_experts
from classic_moe.metrics import crps_score, interval_coverage, pit_values
from classic_moe.model_selection import ExpertCountSearch
from classic_moe.report.summary import Summary

Array = NDArray[Any]


def data() -> tuple[Array, Array]:
    """Return X (120, 1) and y (120,)."""
    X, y = make_crossing_lines(120, random_state=0)
    return np.asarray(X), np.asarray(y)


def regressor() -> MixtureOfExpertsRegressor:
    """Return a fitted mixture of two lines."""
    model = MixtureOfExpertsRegressor(2, n_init=2, random_state=0).fit(*data())
    return assert_type(model, MixtureOfExpertsRegressor)


def predictions() -> None:
    """Look at what a regressor says of rows."""
    model, (X, y) = regressor(), data()
    assert_type(model.predict(X), Array)
    mean, std = model.predict(X, return_std=True)
    assert_type(std, Array)
    assert mean.shape == std.shape == (120,)
    proba, resp = model.gate_proba(X), model.responsibilities(X, y)
    assert_type(proba, Array)
    assert_type(resp, Array)
    assert proba.shape == resp.shape == model.predict_experts(X).shape == (120, 2)
    assert_type(model.assign(X, y), Array)
    assert_type(model.log_prob(X, y), Array)
    drawn, expert = model.sample(X, random_state=0)
    assert_type(drawn, Array)
    assert expert.shape == (120,)
    for number in (
        assert_type(model.aic(X, y), float),
        assert_type(model.bic(X, y), float),
        assert_type(model.icl(X, y), float),
        assert_type(model.score(X, y), float),
    ):
        assert isinstance(number, float)
    assert_type(model.equations(), str)
    assert isinstance(assert_type(model.summary(X, y), Summary), Summary)


def distributions() -> None:
    """Look at a predicted distribution, and score it."""
    model, (X, y) = regressor(), data()
    dist = model.predict_dist(X)
    assert isinstance(assert_type(dist, MixtureDistribution), MixtureDistribution)
    low, high = dist.interval(0.9)
    assert_type(low, Array)
    assert (low < high).all()
    for rows in (dist.mean(), dist.std(), dist.ppf(0.5), dist.cdf(y), dist.pit(y)):
        assert_type(rows, Array)
        assert rows.shape == (120,)
    assert_type(dist.rvs(3, random_state=0), Array)
    assert_type(crps_score(y, dist), float | Array)
    assert_type(interval_coverage(y, dist, 0.9), float | Array)
    assert_type(pit_values(y, dist), Array)


def classes() -> None:
    """Look at what a classifier says of rows."""
    X, y = data()
    model = MixtureOfExpertsClassifier(1, random_state=0)
    model.fit(X, np.where(y > 0, "up", "down"))
    assert_type(model.predict(X), Array)
    assert_type(model.predict_proba(X), Array)
    assert model.predict_proba(X).shape == (120, 2)


def others() -> None:
    """Look at trees and at sparse mixtures."""
    X, y = data()
    tree = HierarchicalMixtureOfExpertsRegressor(depth=1, n_init=1, random_state=0)
    tree.fit(X, y)
    assert_type(tree.node_proba(X), dict[str, Array])
    assert_type(tree.export_text(), str)
    sparse = SparseMixtureOfExpertsRegressor(3, k=2, n_init=1, random_state=0)
    sparse.fit(X, y)
    assert_type(sparse.gate_proba(X), Array)
    assert_type(sparse.predict_dist(X), MixtureDistribution)


def inferences() -> None:
    """Look at standard errors, effects and tests."""
    model, (X, y) = regressor(), data()
    found = infer(model, X, y)
    assert isinstance(assert_type(found, Inference), Inference)
    assert_type(found.standard_errors, Array)
    assert isinstance(assert_type(found.wald("expert 0: x0"), TestResult), TestResult)
    assert_type(marginal_effects(model, X, y), Inference)
    assert isinstance(assert_type(diagnose(model, X, y), Diagnosis), Diagnosis)
    one = MixtureOfExpertsRegressor(1, random_state=0)
    one.fit(X, y)
    try:
        assert_type(likelihood_ratio_test(one, model, X, y), TestResult)
    except ValueError:  # more experts are no case of fewer, at run time
        pass


def searches() -> None:
    """Look at a search for the number of experts."""
    X, y = data()
    counts = [1, 2, 3]  # two lines are there
    search = ExpertCountSearch(MixtureOfExpertsRegressor(n_init=1, random_state=0), counts)
    search.fit(X, y)
    assert_type(search.score(X, y), float)
    assert_type(search.equations(), str)


def files() -> None:
    """Look at what is kept in a file: nobody knows which estimator comes out."""
    model = regressor()
    file = io.BytesIO()
    save(model, file)
    file.seek(0)
    again = load(file)
    assert_type(again, Any)
    assert again.equations() == model.equations()


def pictures() -> None:
    """Look at pictures."""
    model, (X, y) = regressor(), data()
    display = ExpertCurvesDisplay.from_estimator(model, X, y)
    assert isinstance(assert_type(display, ExpertCurvesDisplay), ExpertCurvesDisplay)
    assert_type(display.plot(), ExpertCurvesDisplay)
    calibration = CalibrationDisplay.from_estimator(model, X, y, kind="coverage")
    nominal, observed = calibration.coverage()
    assert_type(nominal, Array)
    assert nominal.shape == observed.shape
    assert type(match_experts(model, model, X)) is MixtureOfExpertsRegressor


EVERYTHING = (
    *(predictions, distributions, classes, others, inferences, searches, files, pictures),
)
"""What a test runs."""
