"""Six mixtures of regressions: the standard errors of R's flexmix, and of the exact maximum."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.experts import GammaExpert, LinearExpert, PoissonExpert
from classic_moe.gates import ConstantGate, SoftmaxGate
from classic_moe.inference import infer
from classic_moe.model.scores import scores

FOLDER = Path(__file__).parent / "figures" / "refit"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))
EXPERTS = {
    "gaussian": LinearExpert(alpha=0, variance_prior=0),
    "poisson": PoissonExpert(alpha=0),
    "Gamma": GammaExpert("inverse", alpha=0, variance_prior=0),
}
SPREADS = {"gaussian": "scale", "Gamma": "shape"}
DIFFERENCES = 1e-4
"""Relative error of `se` and `sandwich_se`, which come from a numerical Hessian: up to 7e-5 on the
proportions of the gamma model, whose standard error is 1/√(18/4) to six digits."""


def listed(value):
    return [value] if isinstance(value, str) else list(value or [])


def load(name):
    """The figures, and X, y, groups."""
    told = json.loads((FOLDER / f"{name}.json").read_text())
    data = FOLDER / "data" / f"{name.replace('npreg_poisson', 'npreg_gauss')}.csv"
    with data.open() as file:
        rows = list(csv.DictReader(file))
    told["X"], told["Z"] = listed(told["X"]), listed(told["Z"])
    columns = list(dict.fromkeys(told["X"] + told["Z"]))
    X = np.array([[float(row[name]) for name in columns] for row in rows])
    y = np.array([float(row[told["y"]]) for row in rows])
    groups = None if told["groups"] is None else [row[told["groups"]] for row in rows]
    features = [[columns.index(n) for n in told[part]] for part in ("X", "Z")]
    return told, X, y, groups, features


def fitted(told, X, y, groups, features):
    """The fit that starts at R's maximum."""
    at = dict(zip(told["ml"]["names"], told["ml"]["theta"], strict=True))
    K, family = told["K"], told["family"]

    def of(owner, columns):
        return [[at.get(f"{owner}[{k}].{name}", 0.0) for name in columns] for k in range(K)]

    expert = {"coef": of("expert", told["X"]), "intercept": of("expert", ["(Intercept)"])}
    if family in SPREADS:
        expert[SPREADS[family]] = np.exp(of("expert", [f"log_{SPREADS[family]}"]))[:, 0]
    expert["intercept"] = np.ravel(expert["intercept"])
    gate = {"intercept": np.ravel(of("gate", ["(Intercept)"]))}
    if told["Z"]:
        gate["coef"] = of("gate", told["Z"])
    options = dict(expert_features=features[0], gate_features=features[1], tol=1e-14)
    options["gate"] = SoftmaxGate(alpha=0) if told["Z"] else ConstantGate()
    start = {"gate": gate, "expert": expert}
    model = MixtureOfExpertsRegressor(K, expert=EXPERTS[family], init_params=start, **options)
    return model.fit(X, y, groups=groups)


def numbers(found, told):
    """Standard errors by R's names; of logarithms as R has them."""
    errors = dict(zip(found.names, found.standard_errors, strict=True))
    estimates = dict(zip(found.names, found.estimates, strict=True))
    at = dict(zip(told["ml"]["names"], told["ml"]["theta"], strict=True))
    every = sorted({*told["X"], *told["Z"]}, key=[*told["X"], *told["Z"]].index)
    owner = {}
    for k in range(told["K"]):
        gaps = [
            abs(estimates[f"expert {j}: intercept"] - at[f"expert[{k}].(Intercept)"])
            for j in range(told["K"])
        ]
        owner[f"expert[{k}]"] = f"expert {np.argmin(gaps)}"
    by_name = {}
    for name in told["ml"]["names"]:
        part, what = name.split("].")
        what = {"(Intercept)": "intercept"}.get(what, what)
        what = f"x{every.index(what)}" if what in every else what
        whose = owner.get(part + "]", "gate 0")
        if what.startswith("log_"):
            own = f"{whose}: {what[4:]}"
            by_name[name] = errors[own] / estimates[own]
        else:
            by_name[name] = errors[f"{whose}: {what}"]
    return by_name


@pytest.mark.filterwarnings("ignore")  # of the separated gate
@pytest.mark.parametrize("name", NAMES)
def test_standard_errors_are_those_of_r(name, monkeypatch):
    # R's sandwich is White's; ours is that of scores at the fit without a row, which
    # tests/model/test_information.py looks at
    monkeypatch.setattr(
        "classic_moe.estimators._uncertainty.scores_left_out",
        lambda model, params, batches, layout, *rest: scores(model, params, batches, layout),
    )
    told, X, y, groups, features = load(name)
    model = fitted(told, X, y, groups, features)
    assert abs(model.log_likelihood_ - told["ml"]["loglik"]) < 1e-8
    for kind, key in (("observed", "se"), ("sandwich", "sandwich_se"), ("opg", "opg_se")):
        found = infer(model, X, y, groups=groups, covariance=kind)
        if not told["ml"]["regular"]:
            bad = {"gate 0: x4", "gate 0: x3", "gate 1: x4", "gate 1: x3"}
            assert set(found.reasons) == bad
            continue
        ours = numbers(found, told)
        theirs = dict(zip(told["ml"]["names"], told["ml"][key], strict=True))
        rtol = 1e-6 if kind == "opg" else DIFFERENCES  # no differences in products of scores
        assert_allclose(list(ours.values()), list(theirs.values()), rtol=rtol)
