"""Every example of the gallery runs without a warning and leaves pictures with labelled axes."""

import ast
import re
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

from classic_moe import inspection

FOLDER = Path(__file__).parents[1] / "docs" / "gallery"
EXAMPLES = sorted(FOLDER.rglob("plot_*.py"))
MOST_PICTURES = 2
LENGTHS = range(8, 51)
"""Lines of code that an example may have."""


def blocks_of(path):
    """Return the docstring, and the text and the code of every block after it, (str, list)."""
    source = path.read_text(encoding="utf-8")
    docstring = ast.get_docstring(ast.parse(source), clean=True)
    found = []
    for block in re.split(r"^# %%\n", source, flags=re.MULTILINE)[1:]:
        text = re.match(r"(?:# .*\n|#\n)*", block)[0]
        found.append((text.replace("# ", ""), block[len(text) :]))
    return docstring, found


def names(path):
    return f"{path.parent.name}/{path.stem}"


def test_there_are_examples_in_every_section_and_a_heading():
    assert len(EXAMPLES) >= 22
    sections = {path.parent for path in EXAMPLES}
    assert sections == {path for path in FOLDER.iterdir() if path.is_dir()} - {FOLDER}
    for folder in (FOLDER, *sections):
        title, line = (folder / "GALLERY_HEADER.rst").read_text(encoding="utf-8").split("\n")[:2]
        assert title and set(line) in ({"="}, {"-"}) and len(line) >= len(title)


def test_every_public_picture_occurs():
    everything = "\n".join(path.read_text(encoding="utf-8") for path in EXAMPLES)
    assert not [name for name in inspection.__all__ if not re.search(rf"\b{name}[.(]", everything)]


@pytest.mark.parametrize("path", EXAMPLES, ids=names)
def test_an_example_has_a_title_a_paragraph_and_a_sentence_before_every_block(path):
    docstring, blocks = blocks_of(path)
    title, line, empty, *paragraph = docstring.split("\n")
    assert len(line) >= len(title) and set(line) == {"="} and empty == ""
    assert 150 < len(" ".join(paragraph)) < 600 and "" not in paragraph
    assert len(blocks) >= 2
    assert all(text.strip().endswith((".", "?")) for text, _ in blocks)
    for _, block in blocks:  # what a block ends in is shown below it, if it has a value
        last = ast.parse(block).body[-1]
        assert not isinstance(last, ast.Expr) or ast.unparse(last).startswith("print(")
    code = [row for _, block in blocks for row in block.split("\n") if row.strip()]
    assert len(code) in LENGTHS, len(code)


@pytest.mark.slow
@pytest.mark.parametrize("path", EXAMPLES, ids=names)
def test_an_example_runs_without_a_warning_and_its_axes_are_labelled(path):
    plt.close("all")
    plt.switch_backend("Agg")
    code = compile(path.read_text(encoding="utf-8"), path.name, "exec")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            exec(code, {"__name__": "__main__"})
            figures = [plt.figure(number) for number in plt.get_fignums()]
            assert 1 <= len(figures) <= MOST_PICTURES
            for figure in figures:
                figure.canvas.draw()
                check_axes(figure)
    finally:
        plt.close("all")


def check_axes(figure):
    """Assert that every axes of a figure shows something, and says what is along it."""
    drawn = [ax for ax in figure.get_axes() if ax.axison and ax.get_visible()]
    assert figure.get_axes()
    for ax in drawn:
        assert ax.has_data() or ax.images, "an empty picture"
    shared = [figure, *figure.subfigs]
    of_all = {text for part in shared for text in (part.get_supxlabel(), part.get_supylabel())}
    for axis in ("xaxis", "yaxis"):
        labels = of_all | {getattr(ax, axis).get_label_text() for ax in figure.get_axes()}
        # The axes of a tree are off, and those of an expert a row have names in place of numbers.
        assert any(labels) or not drawn or (axis == "yaxis" and ticks_are_words(drawn))


def ticks_are_words(drawn):
    """Tell whether an axis has names at its ticks, which need no label."""
    words = [text.get_text() for ax in drawn for text in ax.get_yticklabels()]
    return any(re.search("[a-z]", word) for word in words)
