"""Files of this format stay readable, and nothing is kept that nobody has thought of."""

import gc
import importlib.util
import io
import json
import re
import types
from pathlib import Path

import numpy as np
import pytest
from kept_models import KEPT

from classic_moe import load, save
from classic_moe.persistence.table import ENTRIES

HERE = Path(__file__).parent


def script():
    spec = importlib.util.spec_from_file_location("make_format_1", HERE / "make_format_1.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["stream", "labels"])
def test_files_of_format_1_are_read(name):
    """They are at most 40 kB; see `make_format_1.py`."""
    model = load(HERE / f"{name}.moe")
    expected = json.loads((HERE / "expected.json").read_text())[name]
    found = script().predicted(model)
    assert found.keys() == expected.keys()
    for what, values in expected.items():
        if what == "labels":
            assert found[what] == values
        else:  # rounding of other processors
            np.testing.assert_allclose(found[what], values, rtol=1e-10)
    if name == "stream":
        model.partial_fit(script().X, [0.0, 1.0, 2.0])


def test_what_is_kept_was_thought_of():
    """Where this fails, read the head of `make_format_1.py`."""
    known = json.loads((HERE / "format_1.json").read_text())
    assert script().listing() == known


OURS = "classic_moe"
LEAVES = (type, types.FunctionType, types.MethodType, types.ModuleType)


def classes_in(thing, seen, found):
    """Collect the classes of this package of all objects that a thing leads to."""
    if id(thing) in seen or isinstance(thing, LEAVES):
        return
    seen[id(thing)] = thing
    if type(thing).__module__.startswith(OURS):
        found.add(type(thing))
    for each in gc.get_referents(thing):
        classes_in(each, seen, found)


def test_every_class_that_a_fit_leads_to_is_in_the_table():
    """Views are made anew, and statistics are a kind of their own."""
    found = set()
    for make in KEPT.values():
        model = make()[0]
        classes_in([model.get_params(deep=False), model._fitted], {}, found)
    unknown = {kind.__name__ for kind in found - set(ENTRIES)}
    assert unknown == {
        "Statistics",
        "GateView",
        "RegressionView",
    }  # the views of a fit to start from


def test_no_class_of_the_table_is_there_for_nothing():
    """Each is met in some file of the models that the tests keep, or stands for itself."""
    text = ""
    for make in KEPT.values():
        file = io.BytesIO()
        save(make()[0], file)
        text += file.getvalue().decode("latin-1")
    met = set(re.findall(r'\{"([A-Z]\w+)":', text))
    assert {
        "Blended",
        "Fitted",
        "Factor",
        "Memory",
        "Finding",
        "RandomState",
        "PerOutputGate",
    } <= met
    records = {kind.__name__ for kind in ENTRIES if kind.__module__.startswith(OURS)}
    spare = {name for name in records - met if not name.endswith(("Expert", "Gate"))}
    solvers = {"AcceleratedEM", "Adam", "CEM", "EMNewton", "GradientAscent", "LBFGS", "Newton"}
    assert spare <= solvers | {"SEM", "SGD", "TruncatedEM", "ExpertUnion"}


def test_skops_keeps_a_fit_and_asks_for_our_classes_alone():
    skops = pytest.importorskip("skops.io", reason="a file of another package")
    model, X, _ = KEPT["one expert"]()
    data = skops.dumps(model)
    unknown = skops.get_untrusted_types(data=data)
    assert unknown and all(name.startswith("classic_moe.") for name in unknown), unknown
    again = skops.loads(data, trusted=unknown)
    assert (again.predict(X) == model.predict(X)).all()
