"""`save` and `load`."""

from __future__ import annotations

import io
import os
from os import PathLike
from typing import Any

import numpy as np

from .._version import __version__
from ..parts.blas import one_blas_thread
from ..parts.checks import can
from ..parts.names import printable
from .container import read, write
from .replacing import replacing
from .table import ESTIMATORS, CannotKeep
from .values import ADVICE, Malformed, Reader, Writer, said, shown


def save(model: Any, path: str | PathLike[str] | Any) -> None:
    """Write an estimator to a file that holds numbers and texts, and no code.

    What `load` returns is the same to the last bit: parameters, fitted attributes, predictions,
    and how `partial_fit` goes on.

    Parameters
    ----------
    model : estimator of classic_moe, fitted or not
    path : str, PathLike or binary file
        Where to. The name is taken as it is; ``.moe`` is a good suffix. A file that exists is
        replaced, at once and only if all went well. A file object is written to, and stays open.

    Raises
    ------
    TypeError
        For what a file without code does not keep: estimators of scikit-learn and other packages,
        functions, objects of classes derived from those of the package. The sentence says where in
        the estimator it is, and what to do instead.
    OSError
        If the file cannot be written.

    See Also
    --------
    load : The way back.

    Notes
    -----
    The file is a zip archive, without compression: ``format.json`` with the number of the format
    and the version of the package, ``model.json``, and arrays in numpy's format. Equal estimators
    give equal files.

    Examples
    --------
    >>> import os, tempfile
    >>> import classic_moe
    >>> from classic_moe.datasets import load_motorcycle
    >>> X, y = load_motorcycle(return_X_y=True)
    >>> model = classic_moe.MixtureOfExpertsRegressor(4, random_state=0).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "motorcycle.moe")
    ...     classic_moe.save(model, path)
    ...     again = classic_moe.load(path)
    >>> bool((again.predict(X) == model.predict(X)).all())
    True
    """
    if type(model) not in ESTIMATORS:
        name = f"{type(model).__qualname__} of {type(model).__module__.partition('.')[0]}"
        raise TypeError(
            f"save keeps estimators of classic_moe, and no {name}; save the mixture in it if there"
            f" is one, or {ADVICE}."
        )
    _check_place("save", path, "write")
    writer = Writer()
    try:
        tree = writer.encode(model, (type(model).__name__,))
    except CannotKeep as error:
        raise TypeError(f"save: {error}.") from None
    if isinstance(path, (str, os.PathLike)):
        with replacing(path) as new, open(new, "xb") as file:
            write(file, tree, writer.arrays)
            file.flush()
            os.fsync(file.fileno())
    else:
        whole = io.BytesIO()
        write(whole, tree, writer.arrays)
        path.write(whole.getbuffer())


def load(path: str | PathLike[str] | Any) -> Any:
    """Return the estimator that `save` has written to a file.

    Nothing in the file is run, and no class is looked up by a name from it but in a fixed table of
    this package's own. So a file of a stranger can do no harm; that its model is any good, it
    cannot promise.

    Parameters
    ----------
    path : str, PathLike or binary file
        A file object is read from where it stands to its end.

    Returns
    -------
    estimator
        Equal to the one that was saved.

    Raises
    ------
    ValueError
        For a file that `save` has not written, or that has been damaged since, and for one that a
        later version has written in a newer format; in one sentence.
    OSError
        If the file cannot be read.

    See Also
    --------
    save : The way there, with an example.

    Notes
    -----
    What is made of a file takes a few times its size in memory, for nothing in it is compressed
    and no array is made before its bytes are there. Its text, ``model.json``, has 64 MiB at most
    and is nested at most a hundred deep.
    """
    if isinstance(path, (str, os.PathLike)):
        with open(path, "rb") as file:
            return _load(file, repr(printable(os.fspath(path))))
    _check_place("load", path, "read")
    data = path.read()
    if not isinstance(data, bytes):
        raise TypeError("load: the file is open for text; open it in mode 'rb'.")
    return _load(io.BytesIO(data), "the file")


def _check_place(function, path, method):
    """Raise a TypeError unless this is a path or a file."""
    if not (isinstance(path, (str, os.PathLike)) or can(path, method)):
        kind = type(path).__name__
        raise TypeError(
            f"{function}: path is of type {kind}; give a str, a PathLike or an open binary file."
        )


def _load(file, name):
    """Return the estimator in a binary file that can be read at any place."""
    other = ""
    try:
        version, tree, arrays = read(file)
        if version != __version__:
            other = f" (it was written by classic_moe {shown(version)}, this is {__version__})"
        reader = Reader(arrays)
        with one_blas_thread(), np.errstate(all="ignore"):  # as the fit had it
            model = reader.decode(tree)
        reader.check_all_used()
        if type(model) not in ESTIMATORS:
            raise Malformed(f"it holds no estimator, but a {type(model).__name__}")
        return model
    except (Malformed, RecursionError, MemoryError) as error:
        reason = error if isinstance(error, Malformed) else said(error)
        raise ValueError(f"load: {name} cannot be loaded: {reason}{other}.") from error
