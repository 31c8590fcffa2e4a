"""The script that measures the house, and what it must find."""

import importlib.util
from pathlib import Path

PATH = Path(__file__).parents[1] / "scripts" / "measure_house.py"


def script():
    spec = importlib.util.spec_from_file_location("measure_house", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_house_is_in_order(capsys):
    assert script().main() == 0, capsys.readouterr().out


def test_lengths_and_branches_are_counted():
    house = script()
    text = '''
def f(x):
    """Two

    lines."""
    if x:  # why
        return 1
    return 2
'''
    (function,) = house.functions(house.ast.parse(text))
    assert house.length(function) == 3 and house.branch_points(function) == 1
    assert abs(house.comment_density(text, function) - 1 / 3) < 1e-12
