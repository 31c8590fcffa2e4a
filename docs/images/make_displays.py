"""Draws the pictures of docs/displays.md; run it from anywhere: python docs/images/make_displays.py

It runs the code of the page from above, and at every picture saves what was drawn last.
"""

import doctest
import re
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

HERE = Path(__file__)
PAGE = HERE.parents[1] / "displays.md"
PIECE = re.compile(
    r"```python\n(?P<code>.*?)```|!\[[^]]*\]\(images/(?P<picture>[^)]+)\)", re.DOTALL
)


def main():
    names = {}
    for piece in PIECE.finditer(PAGE.read_text(encoding="utf-8")):
        if piece["code"] is not None:
            for example in doctest.DocTestParser().get_examples(piece["code"]):
                exec(compile(example.source, PAGE.name, "exec"), names)
        elif piece["picture"].endswith(".gif"):
            names["animation"].save(HERE.with_name(piece["picture"]), writer="pillow", dpi=60)
        else:
            names["display"].figure_.savefig(HERE.with_name(piece["picture"]), dpi=70)


if __name__ == "__main__":
    main()
