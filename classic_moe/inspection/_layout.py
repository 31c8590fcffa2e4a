"""Where the boxes of a tree stand, and which texts fit into them."""

from __future__ import annotations

import numpy as np

ROOT = "root"
LINE = 1.25
"""Height of a line of text, in sizes of the font (72 points are an inch)."""
PAD = 0.7
"""Room that a box takes on both sides of its text, in sizes of the font."""
MOST_LINES = 7
"""Lines a box may hold."""


def places(children):
    """Return the place (x, depth) of every node and leaf, a dict.

    Leaves stand at x = 0.5, 1.5, ..., nodes over the middle of their children.
    """
    found, n_leaves = {}, 0

    def place(item, depth):
        nonlocal n_leaves
        if not isinstance(item, str):
            found[item] = (n_leaves + 0.5, depth)
            n_leaves += 1
            return
        found[item] = (0.0, depth)  # so that parents come first
        for child in children[item]:
            place(child, depth + 1)
        found[item] = (float(np.mean([found[child][0] for child in children[item]])), depth)

    place(ROOT, 0)
    return found


def fit_texts(spots, node_texts, leaf_texts, slot, size):
    """Return the lines of every box, {item: list of str}, and the height of every level, a list.

    As many words as the room allows. `spots` come from `places`; a leaf has `slot` inches, and
    `size` is that of the font in points. All leaves have texts of one length, and so have all nodes
    of a level.
    """
    levels = _levels(spots)
    widths = _widths(spots, levels, len(leaf_texts), slot, size)
    lines = _longest_that_fit(leaf_texts, widths, size)
    for level in levels:
        nodes = [item for item in level if isinstance(item, str)]
        lines |= _longest_that_fit({name: node_texts[name] for name in nodes}, widths, size)
    return lines, [max(box_height(lines[item], size) for item in level) for level in levels]


def _levels(spots):
    """Return the items of every depth from left to right, a list of lists."""
    depth = 1 + max(d for _, d in spots.values())
    return [
        sorted((item for item in spots if spots[item][1] == d), key=lambda item: spots[item][0])
        for d in range(depth)
    ]


def _widths(spots, levels, n_leaves, slot, size):
    """Return the inches that the text of each box may take, {item: float}."""
    widths = {}
    for level in levels:
        # Neighbours must not touch, nor the outermost boxes reach over the edge, behind which their
        # mirror images count as neighbours: half the distance to the nearer one on either side.
        x = np.array([spots[item][0] for item in level])
        apart = np.diff(x, prepend=-x[0], append=2 * n_leaves - x[-1])
        width = slot * np.minimum(apart[:-1], apart[1:]) - PAD * size / 72 - 0.05
        widths |= dict(zip(level, width, strict=True))
    return widths


def _longest_that_fit(texts, widths, size):
    """Return the longest of the texts that fits everywhere as lines, {item: list of str}."""
    if not texts:
        return {}
    for i in range(max(map(len, texts.values()))):
        chosen = {item: text[min(i, len(text) - 1)] for item, text in texts.items()}
        lines = {item: _broken_lines(text, widths[item], size) for item, text in chosen.items()}
        if all(found is not None and len(found) <= MOST_LINES for found in lines.values()):
            return lines
    return {item: [] for item in texts}


def _broken_lines(text, width, size):
    """Return the lines of a text within the width, or None if a piece is too long."""
    lines = []
    for paragraph in text:
        line = ""
        for piece in paragraph:
            if text_width(piece, size) > width:
                return None
            longer = f"{line} {piece}" if line else piece
            if line and text_width(longer, size) > width:
                lines.append(line)
                longer = piece
            line = longer
        lines.append(line)
    return lines


def box_height(lines, size):
    """Return the height of a box in inches, a float."""
    return len(lines) * LINE * size / 72 + 0.1


def text_width(text, size):
    """Return the width of a text in inches, a float."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(size=size)
    points = text_to_path.get_text_width_height_descent(text, font, False)[0]
    # Letters are set on whole pixels, and so are wider: by a tenth at 70 dots an inch.
    return 1.12 * points / 72
