"""Which penalties of a fit are on."""

from __future__ import annotations

import re

from ..parts.penalties import PseudoRows

PENALTY = re.compile(r"(^|_)(alpha|prior)$")
"""How hyper-parameters that are penalties are called."""


def penalties_of(fitted) -> list[str]:
    """Return the penalties of a fit that are on, such as "gate__alpha=0.001", a list of str."""
    found = []
    for part, own in fitted.model.parts.items():
        for name, value in sorted(own.get_params().items()):
            value = value.rows if isinstance(value, PseudoRows) else value
            is_one = PENALTY.search(name) and not isinstance(value, str)
            if is_one and value is not None and value > 0:
                found.append(f"{part}__{name}={value:g}")
    return found
