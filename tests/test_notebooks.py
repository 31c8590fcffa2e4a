"""The lectures: sources that run, pages that show what the sources do, exercises that check."""

import ast
import importlib.util
import json
import re
import sys
import types
from pathlib import Path

import nbformat
import numpy as np
import pytest

ROOT = Path(__file__).parents[1]


def module(path):
    "A module that is no part of the package."
    spec = importlib.util.spec_from_file_location(path.stem, path)
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


@pytest.fixture
def lecture(monkeypatch):
    "notebooks/lecture.py, as a notebook imports it."
    monkeypatch.syspath_prepend(str(ROOT / "notebooks"))
    return module(ROOT / "notebooks" / "lecture.py")


notebooks = module(ROOT / "scripts" / "notebooks.py")
SOURCES = notebooks.sources()
every_lecture = pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
CHECK = re.compile(r'check\("(\d\d\.\d)", answer\)')
SOLUTION = re.compile(r"<details>.*?```python\n(.*?)```.*?</details>", re.DOTALL)


def exercises(notebook):
    "Positions of the cells that check: {'NN.1': position}."
    found = {}
    for position, cell in enumerate(notebook.cells):
        asked = CHECK.fullmatch(cell.source) if cell.cell_type == "code" else None
        if asked:
            found[asked[1]] = position
    return found


def test_lectures_are_text_and_numbered_once():
    numbers = [source.stem[:2] for source in SOURCES]
    assert len(numbers) >= 8 and len(set(numbers)) == len(numbers)
    assert not list((ROOT / "notebooks").glob("*.ipynb"))


@every_lecture
def test_source_is_a_notebook_in_percent_format(source):
    text = source.read_text(encoding="utf-8")
    assert "format_name: percent" in text and "jupytext_version" not in text
    notebook = notebooks.read(source)
    nbformat.validate(notebook)
    assert notebook.cells[0].cell_type == "markdown"
    assert re.match(r"# \S.*\n", notebook.cells[0].source)
    assert re.search(r"[Aa]bout \d+ minutes", notebook.cells[0].source)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            ast.parse(cell.source)


@every_lecture
def test_exercises_have_a_place_for_the_answer_a_check_and_a_hidden_solution(source, lecture):
    notebook = notebooks.read(source)
    found = exercises(notebook)
    assert list(found) == [f"{source.stem[:2]}.{i + 1}" for i in range(len(found))]
    assert len(found) in (2, 3)
    for name, position in found.items():
        question, place, _, solution = notebook.cells[position - 2 : position + 2]
        assert f"**Exercise {name[-1]}.**" in question.source
        assert place.source == "answer = ..."
        assert "answer =" in SOLUTION.fullmatch(solution.source)[1]
        assert name in lecture.CHECKS and name in lecture.SOLUTIONS


@every_lecture
def test_page_has_the_cells_of_its_source(source):
    page = notebooks.page_of(source)
    again = f"run sh scripts/notebooks.sh {source.stem[:2]}"
    assert page.exists(), again
    stored, fresh = nbformat.read(page, as_version=4), notebooks.read(source)
    nbformat.validate(stored)
    assert [(cell.cell_type, cell.source) for cell in stored.cells] == [
        (cell.cell_type, cell.source) for cell in fresh.cells
    ], again


@every_lecture
def test_page_is_the_same_on_every_run_and_light(source):
    text = notebooks.page_of(source).read_text(encoding="utf-8")
    assert len(text) < notebooks.LARGEST
    page = json.loads(text)
    assert set(page["metadata"]) == {"kernelspec", "language_info"}
    for number, cell in enumerate(page["cells"]):
        assert cell["id"] == f"cell-{number}" and cell["metadata"] == {}
        for output in cell.get("outputs", []):
            assert output["output_type"] in ("stream", "display_data", "execute_result")
            assert "image/png" in output.get("data", {}) or " at 0x" not in json.dumps(output)
            assert "widget" not in "".join(output.get("data", {}))


@every_lecture
def test_answers_cannot_be_read_in_the_page(source):
    page = nbformat.read(notebooks.page_of(source), as_version=4)
    for cell in page.cells:
        shown = SOLUTION.sub("", cell.source)
        assert re.findall(r"^answer = (.*)$", shown, re.MULTILINE) in ([], ["..."])
        for output in cell.get("outputs", []):
            assert "CHECKS" not in str(output)
    for position in exercises(page).values():
        (output,) = page.cells[position].outputs
        assert output.text.endswith("is not answered yet.\n")


def pictures(cell):
    return sum("image/png" in output.get("data", {}) for output in cell.get("outputs", []))


@pytest.mark.filterwarnings("default")  # in the client that talks to the kernel
@pytest.mark.parametrize(
    "source",
    [
        pytest.param(source, marks=[] if source.stem.startswith("02") else pytest.mark.slow)
        for source in SOURCES
    ],
    ids=lambda path: path.stem,
)
def test_lecture_draws_the_pictures_of_its_page_and_solutions_pass(source):
    notebook = notebooks.read(source)
    plain = list(notebook.cells)
    for position in reversed(exercises(notebook).values()):
        solution = SOLUTION.fullmatch(plain[position + 1].source)[1]
        both = nbformat.v4.new_code_cell(solution + "\n" + plain[position].source)
        notebook.cells.insert(position + 2, both)
    notebooks.run(notebook)
    page = nbformat.read(notebooks.page_of(source), as_version=4)
    assert [pictures(cell) for cell in plain] == [pictures(cell) for cell in page.cells]
    assert sum(map(pictures, plain)) >= 1
    for cell in notebook.cells:
        if cell not in plain:
            assert "Right.\n" in "".join(output.get("text", "") for output in cell.outputs)


def solution_of(lecture, name):
    answer = lecture.SOLUTIONS[name]
    return answer() if callable(answer) else answer


def test_every_check_belongs_to_an_exercise(lecture):
    asked = [name for source in SOURCES for name in exercises(notebooks.read(source))]
    assert sorted(lecture.CHECKS) == sorted(lecture.SOLUTIONS) == sorted(asked)


def test_checks_tell_right_from_wrong_and_unanswered(lecture, capsys):
    for name in lecture.CHECKS:
        right = solution_of(lecture, name)
        lecture.check(name, right)
        assert capsys.readouterr().out == "Right.\n"
        lecture.check(name, ...)
        assert capsys.readouterr().out == f"Exercise {name} is not answered yet.\n"
        wrong = [
            "",
            "nothing of the kind",
            None,
            [],
            -12345.6,
            [1.0, 2.0],
            object(),
            {},
            np.nan,
            lambda: 0,
        ]
        if isinstance(right, (int, float)):
            wrong += [1.3 * right + 0.5, -right - 0.5, [right, right, right]]
        for answer in wrong:
            with pytest.raises(AssertionError, match=f"Exercise {name}: ") as failed:
                lecture.check(name, answer)
            # A hint gives no answer away: no sentence has the number or the word.
            if not isinstance(right, (int, list)):
                assert f"{right}" not in str(failed.value)
        assert capsys.readouterr().out == ""


def test_interact_runs_the_function_once_and_says_a_sentence_in_a_page(
    lecture, monkeypatch, capsys
):
    monkeypatch.setenv(lecture.STATIC, "1")
    called = []

    def draw(whole, broken, kind, ticked, known=3):
        called.append((whole, broken, kind, ticked, known))
        print("nothing of this is shown")

    controls = dict(whole=(0, 5, 1), broken=(0.0, 1.0, 0.1), kind=["a", "b"], ticked=True)
    lecture.interact(draw, **controls, known=(1, 9, 1))
    assert called == [(2, 0.5, "a", True, 3)]
    said = capsys.readouterr().out
    assert "nothing of this" not in said and "Markdown" in said


def test_interact_shows_sliders_that_wait_until_they_are_let_go(lecture, monkeypatch):
    display = pytest.importorskip("IPython.display")
    widgets = pytest.importorskip("ipywidgets")
    monkeypatch.delenv(lecture.STATIC, raising=False)
    shown = []
    monkeypatch.setattr(display, "display", shown.append)
    lecture.interact(lambda rate, rows: None, rate=(0.0, 1.0, 0.1), rows=(1, 9, 1))
    sliders = shown[0].children[:2]
    assert [type(slider) for slider in sliders] == [widgets.FloatSlider, widgets.IntSlider]
    assert not any(slider.continuous_update for slider in sliders)


def test_interact_without_widgets_says_what_could_be_moved(lecture, monkeypatch):
    display = pytest.importorskip("IPython.display")
    monkeypatch.delenv(lecture.STATIC, raising=False)
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    shown = []
    monkeypatch.setattr(display, "display", shown.append)
    lecture.interact(lambda rate, kind: pytest.fail("is not called"), rate=(0, 2, 1), kind=["a"])
    assert "`rate` from 0 to 2, `kind` to a" in shown[0].data


def test_checks_of_a_second_module_are_taken_up(monkeypatch):
    more = types.ModuleType("checks_new")
    more.CHECKS, more.SOLUTIONS = {"99.1": lambda answer: None}, {"99.1": 1}
    monkeypatch.setitem(sys.modules, "checks_new", more)
    assert "99.1" in module(ROOT / "notebooks" / "lecture.py").CHECKS


def test_lectures_are_chosen_by_number_name_or_path():
    assert notebooks.chosen([]) == SOURCES
    for name in ("02", "02_em", "notebooks/02_em_by_hand_on_thirty_points.py"):
        assert [source.stem[:2] for source in notebooks.chosen([name])] == ["02"]
    with pytest.raises(SystemExit, match="no lecture begins with '77': there are 01_why"):
        notebooks.chosen(["77"])
