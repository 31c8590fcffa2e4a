"""`Finding`: what a part has to say about a fit that is not healthy."""

from __future__ import annotations

from typing import NamedTuple


class Finding(NamedTuple):
    """One remark about a fit.

    category : warning class
    message : str
    severe : bool, whether a start with this finding loses to any start without
    """

    category: type[Warning]
    message: str
    severe: bool
