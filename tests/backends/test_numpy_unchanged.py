"""With dispatch on, fits to arrays of numpy have the bits that they have without."""

import hashlib
import os
import pickle
import subprocess
import sys

import pytest
import sklearn
from elsewhere import inputs, target

from classic_moe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from classic_moe.gates import ExponentialFamilyGate

FAMILIES = ["linear", "student_t", "poisson", "gamma", "binomial", "softmax", "logistic"]
GATES = ["constant", "gaussian", ExponentialFamilyGate(["poisson", "gaussian", "bernoulli"])]


def bits(family, gate):
    """Return a digest of all numbers of a fit and of what it predicts."""
    rng, X, f = inputs(400)
    y = target(family, f, rng)
    if isinstance(gate, ExponentialFamilyGate):
        X[:, 0], X[:, 2] = rng.poisson(2.0, size=400), X[:, 2] > 0
    kind = MixtureOfExpertsRegressor
    if family in ("softmax", "logistic"):
        kind = MixtureOfExpertsClassifier
    model = kind(2, expert=family, gate=gate, n_init=2, max_iter=30, random_state=0).fit(X, y)
    said = model.params_, model.lower_bounds_, model.predict(X), model.log_prob(X, y)
    return hashlib.sha256(pickle.dumps(said)).hexdigest()


PAIRS = [(family, "softmax") for family in FAMILIES] + [("linear", gate) for gate in GATES]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("family", "gate"), PAIRS, ids=str)
def test_the_bits_are_the_same(family, gate):
    with sklearn.config_context(array_api_dispatch=False):
        expected = bits(family, gate)
    assert bits(family, gate) == expected


PROGRAM = """
import warnings
import sklearn
from sklearn.exceptions import ConvergenceWarning
import test_numpy_unchanged

import classic_moe._kernels.compiled
warnings.simplefilter("ignore", ConvergenceWarning)
sklearn.set_config(array_api_dispatch=DISPATCH)
print(*(test_numpy_unchanged.bits(family, "softmax") for family in ("linear", "softmax")))
"""


def test_the_bits_are_the_same_where_scipy_dispatches_too():
    """scipy reads the variable when it is imported."""
    here = os.path.dirname(__file__)
    path = os.pathsep.join([here, os.path.join(here, "..", "helpers"), *sys.path])
    found = []
    for value in ("0", "1"):
        run = subprocess.run(
            [sys.executable, "-c", PROGRAM.replace("DISPATCH", str(value == "1"))],
            env={**os.environ, "SCIPY_ARRAY_API": value, "PYTHONPATH": path},
            capture_output=True,
            text=True,
        )
        assert run.returncode == 0, run.stderr
        found.append(run.stdout.split())
    assert len(found[0]) == 2 and found[0] == found[1]
