"""Run the lectures and write them, with what they show, as pages of the documentation.

The sources are `notebooks/NN_*.py` in jupytext's percent format. A page is the same on every run:
no times, no addresses, no random names; a sentence takes the place of a slider.
"""

import base64
import io
import os
import re
import sys
import time
from pathlib import Path

import jupytext
import nbclient
import nbformat
from PIL import Image  # comes with matplotlib

ROOT = Path(__file__).resolve().parents[1]
SOURCES, PAGES = ROOT / "notebooks", ROOT / "docs" / "notebooks"
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
LARGEST = 300_000
"""Bytes of a page: more makes the repository heavy and the page slow."""


def sources():
    """Return the paths of all lectures, in the order of their numbers."""
    return sorted(SOURCES.glob("[0-9][0-9]_*.py"))


def page_of(source):
    """Return where the page of a lecture is, a path."""
    return PAGES / f"{source.stem}.ipynb"


def read(source):
    """Return the notebook of a lecture, not run, with cells that have numbers for names."""
    notebook = jupytext.read(source)
    for number, cell in enumerate(notebook.cells):
        cell.id, cell.metadata = f"cell-{number}", nbformat.NotebookNode()
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNEL})
    return notebook


def run(notebook, timeout=300):
    """Execute a notebook where the lectures are and return it, as a page shows it."""
    client = nbclient.NotebookClient(
        notebook,
        timeout=timeout,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(SOURCES)}},
    )
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    # The kernel draws into the notebook, and nothing waits for a slider to be moved.
    env = {**os.environ, "CLASSIC_MOE_STATIC": "1", "PYTHONPATH": path}
    env.pop("MPLBACKEND", None)
    client.execute(env=env)
    notebook.metadata = nbformat.from_dict(
        {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    )
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [_tidy(each) for each in cell.outputs if not _is_notice(each)]
    return notebook


def _is_notice(output):
    """Return whether an output is the notice of a first compilation, which is of one machine."""
    return output.get("name") == "stderr" and "compiling its passes" in output.text


def _tidy(output):
    """Return an output without the text that stands for a picture, a table or a formatted one."""
    data = output.get("data", {})
    if set(data) - {"text/plain"}:
        data.pop("text/plain", None)
    if "image/png" in data:
        data["image/png"] = _lighter(data["image/png"])
    if output.get("name") == "stderr":  # where a warning comes from, in a file of the kernel's
        output.text = re.sub(r"\S*ipykernel_\S*:\d+: ", "", output.text)
    output.get("metadata", {}).clear()
    return output


def _lighter(png):
    """Return a picture in 256 colours, in base64: a third of the bytes, and no different to see."""
    file = io.BytesIO()
    picture = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    picture.quantize(256, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()


def chosen(names):
    """Return the paths of the lectures that the names are of; all without names."""
    found = {}
    for name in names:
        stem = Path(name).stem
        fitting = [source for source in sources() if source.stem.startswith(stem)]
        if not fitting:
            raise SystemExit(f"no lecture begins with {stem!r}: there are {_listed()}")
        found |= dict.fromkeys(fitting)
    return list(found) or sources()


def _listed():
    return ", ".join(source.stem for source in sources())


def main(names):
    """Write the pages of the lectures that are named, of all if none is."""
    PAGES.mkdir(exist_ok=True)
    for source in chosen(names):
        begun = time.monotonic()
        notebook = run(read(source))
        text = nbformat.writes(notebook) + "\n"
        page_of(source).write_text(text, encoding="utf-8")
        print(f"{source.stem}: {time.monotonic() - begun:.0f} s, {len(text) / 1000:.0f} kB")
        if len(text) > LARGEST:
            raise SystemExit(f"a page of more than {LARGEST / 1000:.0f} kB is too heavy")


if __name__ == "__main__":
    main(sys.argv[1:])
