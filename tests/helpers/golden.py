"""The golden cases: data, model and reference parameters in the package's own terms.

Run as a script to print the table of all cases: ``python tests/helpers/golden.py``.
"""

from __future__ import annotations

import csv
import functools
import json
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from classic_moe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from classic_moe.experts import (
    BinomialExpert,
    GammaExpert,
    GaussianExpert,
    LinearExpert,
    LogisticExpert,
    PoissonExpert,
    SoftmaxExpert,
)
from classic_moe.gates import SoftmaxGate

FOLDER = Path(__file__).parent.parent / "golden"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))


@dataclass
class Case:
    """One golden case; `reference` is the JSON's best local maximum known."""

    name: str
    spec: dict
    X: np.ndarray
    y: np.ndarray
    expert_features: list[int]
    gate_features: list[int]

    @property
    def reference(self):
        return self.spec["reference"]

    @property
    def share(self):
        return self.spec["multistart"]["share_at_reference"]

    def model(self, **options):
        """The estimator of this case with penalties 0 (`shipped=True`: the default penalties)."""
        shipped = options.pop("shipped", False)
        family = self.spec["family"]
        constant = family == "gaussian" and not self.expert_features
        expert = {
            "gaussian": GaussianExpert if constant else LinearExpert,
            "mvgaussian": LinearExpert,
            "multinomial": SoftmaxExpert,
            "binomial": LogisticExpert if self.y.ndim == 1 else BinomialExpert,
            "poisson": PoissonExpert,
            "gamma_inverse": functools.partial(GammaExpert, link="inverse"),
        }[family]()
        gate = SoftmaxGate()
        if not shipped:
            penalties = {"alpha", "variance_prior"} & set(expert.get_params())
            expert.set_params(**dict.fromkeys(penalties, 0.0))
            gate.set_params(alpha=0.0)
        kind = (
            MixtureOfExpertsRegressor
            if expert.target.task == "regression"
            else MixtureOfExpertsClassifier
        )
        features = dict(gate_features=self.gate_features)
        if not constant:
            features["expert_features"] = self.expert_features
        return kind(self.spec["K"], expert=expert, gate=gate, **features, **options)

    def start(self):
        """The reference parameters as `init_params`."""
        gate = np.array(self.reference["gate_coef"])
        coef = np.array(self.reference["expert_coef"], dtype=float)
        family = self.spec["family"]
        if family == "multinomial":  # R's reference is the first class
            coef = np.concatenate([np.zeros_like(coef[:, :1]), coef], axis=1)
        expert = {"coef": coef[..., 1:], "intercept": coef[..., 0]}
        if family == "gaussian":
            expert["scale"] = np.array(self.reference["sigma"])
            if not self.expert_features:
                del expert["coef"]
        if family == "gamma_inverse":
            expert["shape"] = np.array(self.reference["shape"])
        if family == "mvgaussian":
            expert["covariance"] = np.array(self.reference["covariance"])
        return {"gate": {"coef": gate[:, 1:], "intercept": gate[:, 0]}, "expert": expert}


def load(name) -> Case:
    spec = json.loads((FOLDER / f"{name}.json").read_text())
    with open(FOLDER / spec["data"], newline="") as file:
        rows = list(csv.DictReader(file))
    terms = [t for t in dict.fromkeys(spec["expert_terms"] + spec["gate_terms"]) if "(" not in t]

    def column(term):
        return np.prod([[float(row[c]) for row in rows] for c in term.split(":")], axis=0)

    response = spec["response"]
    if spec["family"] == "binomial":
        y = np.column_stack([column(response["successes"]), column(response["failures"])])
        if (y.sum(axis=1) == 1).all():
            y = y[:, 0].astype(int)
    elif spec["family"] == "multinomial":
        y = column(response).astype(int)
    elif isinstance(response, list):
        y = np.column_stack([column(r) for r in response])
    else:
        y = column(response)
    return Case(
        name,
        spec,
        np.column_stack([column(t) for t in terms]),
        y,
        [terms.index(t) for t in spec["expert_terms"] if "(" not in t],
        [terms.index(t) for t in spec["gate_terms"] if "(" not in t],
    )


def regular(case, model):
    """The bounds within which golden/README calls a maximum regular."""
    X = case.X[:, case.gate_features]
    slopes = np.abs(model.gate_.coef_ * X.std(axis=0)).max(initial=0.0)
    rows = model.weights_.min() * len(X)
    spread = 1.0
    if case.spec["family"] == "gaussian":
        spread = min(expert.scale_ for expert in model.experts_) / case.y.std()
    return slopes <= 500 and spread > 0.0105 and rows > len(case.expert_features) + 2


def main():
    import time

    print(
        "case                reference   regular share   own starts   diff        warn  regular  "
        " default gap  at ref      stays     sec iter"
    )
    for name in NAMES:
        case = load(name)
        reference = case.reference["loglik"]
        tick = time.perf_counter()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model = case.model(n_init=30, tol=1e-12, max_iter=100_000, random_state=0)
            model.fit(case.X, case.y)
        seconds = time.perf_counter() - tick
        kinds = ",".join(w.category.__name__[:4] for w in caught) or "-"
        with warnings.catch_warnings(record=True) as caught_at:
            warnings.simplefilter("always")
            at = case.model(init_params=case.start(), tol=1e-12, max_iter=100_000)
            at.fit(case.X, case.y)
            shipped = case.model(shipped=True, n_init=30, random_state=0).fit(case.X, case.y)
        print(
            f"{name:19s} {reference:12.6f} {case.reference['regular']!s:6s} {case.share:.2f}"
            f" {model.log_likelihood_:13.6f} {model.log_likelihood_ - reference:11.2e} {kinds:6s}"
            f" {regular(case, model)!s:6s} {reference - shipped.log_likelihood_:9.4f}"
            f" {at.lower_bounds_[0] - reference:10.1e} {at.log_likelihood_ - reference:10.1e}"
            f" {seconds:6.1f} {model.n_iter_:5d} {[w.category.__name__[:4] for w in caught_at]}"
        )


if __name__ == "__main__":
    main()
