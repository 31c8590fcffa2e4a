"""A fit made on a device is read where the library of its arrays is not installed."""

import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from elsewhere import inputs, library_of, target

from classic_moe import MixtureOfExpertsRegressor, load, save

PROGRAM = """
import importlib.abc, pickle, sys
import numpy as np


class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("array_api_strict", "array_api_compat", "cupy", "torch"):
            raise ImportError(name + " is not installed")


sys.meta_path.insert(0, Missing())
with open(sys.argv[1], "rb") as file:
    model, X = pickle.load(file)
said = model.predict(X)
model.partial_fit(X, said)
assert isinstance(said, np.ndarray)
print(float(said.sum()))
"""


def fitted():
    rng, X, f = inputs(300)
    there = library_of("strict")
    model = MixtureOfExpertsRegressor(2, n_init=1, random_state=0)
    return model.fit(there(X), there(target("linear", f, rng))), X


def test_a_pickle(tmp_path):
    model, X = fitted()
    path = tmp_path / "model.pickle"
    path.write_bytes(pickle.dumps((model, X)))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(path)], env=environment, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    # that process predicts by numpy's formulas, without having loaded the compiled ones
    assert float(run.stdout) == pytest.approx(model.predict(X).sum(), rel=1e-12)


def test_a_file_without_code(tmp_path):
    model, X = fitted()
    save(model, tmp_path / "model.moe")
    np.testing.assert_array_equal(load(tmp_path / "model.moe").predict(X), model.predict(X))
