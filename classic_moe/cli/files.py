"""Writing results: never over the data, nor over another file unless told to, and whole or not."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from ..persistence.replacing import beside
from ..persistence.replacing import replacing as replacing_any


def check_input(path):
    """OSError unless a file is there to be read.

    Parameters
    ----------
    path : Path
    """
    os.stat(path)  # which names the file in its error
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not os.access(path, os.R_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))


def check_picture(option, path):
    """ValueError unless a picture can be written to a file of this suffix.

    Parameters
    ----------
    option : str
    path : Path or None
    """
    if path is None:
        return
    from ..inspection._pictures import can_be_written  # which brings scikit-learn

    if not can_be_written(path):
        raise ValueError(f"{option} {str(path)!r}: a picture ends in .png, .svg, .pdf or such")


def check_page(option, path):
    """ValueError unless a page can be read from a file of this suffix.

    Parameters
    ----------
    option : str
    path : Path or None
    """
    if path is not None and path.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"{option} {str(path)!r}: a page ends in .html")


def check_outputs(outputs, *, force, data=None):
    """ValueError or OSError unless every file can be written, before any work is done.

    Parameters
    ----------
    outputs : dict of str to Path or None
        By the option that names it.
    force : bool
        Whether files that exist may be replaced.
    data : Path, default=None
        What is read. It is never replaced, whatever leads to it: another name of the same file is
        the same file.
    """
    wanted = {option: path for option, path in outputs.items() if path is not None}
    for option, path in wanted.items():
        if data is not None and _same(path, data):
            raise ValueError(
                f"{option} {str(path)!r} is the file that is read, {str(data)!r}; name another"
            )
        for other in list(wanted)[: list(wanted).index(option)]:
            if _same(path, wanted[other]):
                raise ValueError(f"{other} and {option} name one file, {str(path)!r}; name two")
        _check_place(option, path, force)
        _check_folder(option, Path(os.path.realpath(path)).parent)


def _same(path, other):
    """Tell whether two paths lead to one file, by links of whatever kind."""
    if path.exists() and other.exists():
        return path.samefile(other)
    return os.path.realpath(path) == os.path.realpath(other)


def _check_place(option, path, force):
    """ValueError if what is in the way must not be replaced."""
    if path.is_symlink() and not path.exists():
        raise ValueError(f"{option} {str(path)!r} is a link that leads nowhere; name a file")
    if not path.exists():
        return
    if not path.is_file():
        raise ValueError(f"{option} {str(path)!r} is no ordinary file; name another")
    if not force:
        raise ValueError(
            f"{option} {str(path)!r} exists; name another file, or give --force to replace it"
        )


def _check_folder(option, folder):
    """ValueError unless a file can be made in a folder, which only making one tells."""
    trial = beside(folder / "trial")
    try:
        trial.touch(exist_ok=False)
        trial.unlink()
    except OSError as error:
        raise ValueError(
            f"{option}: no file can be written in {str(folder)!r} ({error.strerror}); name another"
            " folder"
        ) from None


def replacing(path, *, force):
    """Give a path to write to; at the end of the block what was written takes its place at once.

    If the block fails, or another has made the file meanwhile, the file is as it was.
    """
    return replacing_any(path, lambda: _check_place("the file", path, force))
