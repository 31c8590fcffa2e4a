"""Where the boxes of a tree stand, and which texts fit into them."""

from __future__ import annotations

import numpy as np

ROOT = "root"
LINE = 1.25
"""Height of a line of text, in sizes of the font."""
PAD = 0.7
"""Room that a box takes on both sides of its text, in sizes of the font."""
MOST_LINES = 7
"""Lines a box may hold."""


def places(children):
    """Every node and leaf with (x, depth): leaves at 0.5, 1.5, ..., nodes over their children."""
    found, count = {}, [0.5]

    def put(item, depth):
        if not isinstance(item, str):
            found[item] = (count[0], depth)
            count[0] += 1
            return
        found[item] = (0.0, depth)  # so that parents come first
        for child in children[item]:
            put(child, depth + 1)
        found[item] = (float(np.mean([found[child][0] for child in children[item]])), depth)

    put(ROOT, 0)
    return found


def fit_texts(spots, node_texts, leaf_texts, slot, size):
    """The lines of every box, as many words as the room allows, and the height of every level.

    `spots` come from `places`; a leaf has `slot` inches, and `size` is that of the font in points.
    All leaves say the same things, and so do all nodes of a level.
    """
    depth = 1 + max(d for _, d in spots.values())
    levels = [[item for item in spots if spots[item][1] == d] for d in range(depth)]
    rooms, end = {}, len(leaf_texts)
    for level in levels:  # neighbours of the same level must not touch, nor what is outermost
        level.sort(key=lambda item: spots[item][0])
        x = np.array([spots[item][0] for item in level])
        apart = np.diff(x, prepend=-x[0], append=2 * end - x[-1])
        room = slot * np.minimum(apart[:-1], apart[1:]) - PAD * size / 72 - 0.05
        rooms |= dict(zip(level, room, strict=True))
    lines = _longest(leaf_texts, rooms, size)
    for level in levels:
        nodes = [item for item in level if isinstance(item, str)]
        lines |= _longest({name: node_texts[name] for name in nodes}, rooms, size)
    return lines, [max(box_height(lines[item], size) for item in level) for level in levels]


def _longest(texts, rooms, size):
    """The longest of the texts that fits everywhere, as lines: {item: list of str}."""
    if not texts:
        return {}
    for i in range(max(map(len, texts.values()))):
        chosen = {item: t[min(i, len(t) - 1)] for item, t in texts.items()}
        lines = {item: _wrapped(text, rooms[item], size) for item, text in chosen.items()}
        if all(found is not None and len(found) <= MOST_LINES for found in lines.values()):
            return lines
    return {item: [] for item in texts}


def _wrapped(text, room, size):
    """The lines of a text within the width, None if a piece is too long."""
    lines = []
    for paragraph in text:
        line = ""
        for piece in paragraph:
            if text_width(piece, size) > room:
                return None
            longer = f"{line} {piece}" if line else piece
            if line and text_width(longer, size) > room:
                lines.append(line)
                longer = piece
            line = longer
        lines.append(line)
    return lines


def box_height(lines, size):
    """Height of a box in inches."""
    return len(lines) * LINE * size / 72 + 0.1


def text_width(text, size):
    """Width of a text in inches."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(size=size)
    wide = text_to_path.get_text_width_height_descent(text, font, False)[0]
    return 1.06 * wide / 72  # on a screen letters are set on whole pixels, a little wider
