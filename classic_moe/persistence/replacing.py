"""Writing a file whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path, check=lambda: None):
    """Give a path to write to; at the end of the block what was written takes its place at once.

    If the block fails, the file is as it was. A link stays a link, to the new file, and a file that
    is replaced hands on its permissions.

    Parameters
    ----------
    path : str or PathLike
    check : callable, default=None
        Called before the file is replaced; if it raises, nothing is.
    """
    target = Path(os.path.realpath(path))
    new = beside(target)
    try:
        yield new
        check()
        if target.exists():
            shutil.copymode(target, new)
        os.replace(new, target)
    finally:
        new.unlink(missing_ok=True)


def beside(path):
    """Return the path of a file that is not there, in the same folder and of the same suffix."""
    return Path(path.parent, f".classic_moe-{secrets.token_hex(8)}{path.suffix}")
