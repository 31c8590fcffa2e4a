"""The file itself: a zip archive of one JSON text and of arrays as numpy writes them, unpacked.

Nothing in it is compressed, so what is made of it never takes more than its own size, and numpy can
read the arrays by itself (``numpy.load``). Reading trusts nothing: no member is read that is not
known, and no array is made whose bytes are not there.
"""

from __future__ import annotations

import io
import json
import math
import re
import zipfile

import numpy as np

from .._version import __version__
from .values import Malformed, check_dtype, shown

FORMAT = 1
"""What this version writes; it reads this and what is older."""
HEAD, MODEL = "format.json", "model.json"
LONGEST_HEAD, LONGEST_MODEL = 2**10, 2**26
"""Bytes of the two texts, at most."""
LONGEST_HEADER = 2**10
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of every member, so that equal models are equal files."""
HEADER = re.compile(
    rb"\{'descr': '([<>|][a-zA-Z]\d+(?:\[[0-9a-zA-Z]+\])?)', 'fortran_order': False,"
    rb" 'shape': \(((?:\d+, ?)*\d*)\), \} *\n"
)
"""What stands before an array of numpy, to the letter."""


# -- writing ---------------------------------------------------------------------------------------


def write(file, tree, arrays):
    """Write a JSON value and its arrays to an open binary file, or to a path."""
    head = {"format": FORMAT, "classic_moe": __version__}
    text = json.dumps(tree, allow_nan=False, separators=(",", ":")).encode()
    if len(text) > LONGEST_MODEL:
        raise ValueError(f"the texts in the model take more than {LONGEST_MODEL // 2**20} MiB")
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(_member(HEAD), json.dumps(head))
        archive.writestr(_member(MODEL), text)
        for number, array in enumerate(arrays):
            with archive.open(_member(_name(number)), "w", force_zip64=True) as member:
                whole = np.asarray(array, order="C")
                np.lib.format.write_array(member, whole, version=(1, 0), allow_pickle=False)


def _name(number):
    return f"{number}.npy"


def _member(name):
    return zipfile.ZipInfo(name, EPOCH)


# -- reading ---------------------------------------------------------------------------------------


def read(file):
    """Return what an open binary file holds, or raise `Malformed`.

    Returns
    -------
    version : str, of the package that wrote it
    tree : JSON value
    arrays : list of ndarray
    """
    try:
        with zipfile.ZipFile(file) as archive:
            return _read(archive, file.seek(0, io.SEEK_END))
    except Malformed:
        raise
    except Exception as error:  # zipfile raises errors of many kinds for what is no archive
        reason = str(error) or type(error).__name__
        raise Malformed(f"it is no whole file of classic_moe.save ({shown(reason)})") from error


def _read(archive, size):
    members = {}
    for info in archive.infolist():
        if info.filename in members:
            raise Malformed(f"it has two members {shown(info.filename)}")
        members[info.filename] = info
    if HEAD not in members:
        raise Malformed(f"it is no file of classic_moe.save: there is no {HEAD} in it")
    _check_members(members, size)
    version = _version(_json(archive, members.pop(HEAD), LONGEST_HEAD))
    if MODEL not in members:
        raise Malformed(f"there is no {MODEL} in it")
    tree = _json(archive, members.pop(MODEL), LONGEST_MODEL)
    arrays = []
    for number in range(len(members)):
        if _name(number) not in members:
            strange = next(name for name in members if not re.fullmatch(r"\d+\.npy", name))
            raise Malformed(f"it has a member {shown(strange)}, or one too few")
        arrays.append(_array(archive.read(members[_name(number)]), size))
    return version, tree, arrays


def _check_members(members, size):
    """Raise `Malformed` for members that are compressed, or larger together than the file."""
    for name, info in members.items():
        plain = info.compress_type == zipfile.ZIP_STORED and info.file_size == info.compress_size
        if not plain or info.flag_bits & 1:
            raise Malformed(f"its member {shown(name)} is compressed, which save never does")
    total = sum(info.file_size for info in members.values())
    if total > size:
        raise Malformed(f"its members claim {total} bytes, and it has {size}")


def _version(head):
    """Return the version that wrote a file; `Malformed` unless this one reads its format."""
    known = isinstance(head, dict) and isinstance(head.get("classic_moe"), str)
    number = head.get("format") if known else None
    if type(number) is not int or number < 1:
        raise Malformed(f"its {HEAD} names no format and version")
    if number > FORMAT:
        raise Malformed(
            f"its format is {number}, and classic_moe {__version__} reads formats up to {FORMAT};"
            f" use the version that wrote it, {shown(head['classic_moe'])}, or a later one"
        )
    return head["classic_moe"]


def _json(archive, info, longest):
    """Return what a JSON text holds: no name twice, no number that is none."""
    if info.file_size > longest:
        raise Malformed(f"its {info.filename} has more than {longest} bytes")
    try:
        return json.loads(
            archive.read(info).decode("utf-8"),
            object_pairs_hook=_named_once,
            parse_constant=_no_number,
            parse_float=_finite,
        )
    except Malformed as error:
        raise Malformed(f"its {info.filename} {error}") from None
    except RecursionError:
        raise Malformed(f"its {info.filename} is nested too deeply") from None
    except ValueError as error:
        raise Malformed(f"its {info.filename} is no JSON ({shown(error)})") from None


def _named_once(pairs):
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Malformed("has a name twice")
    return found


def _no_number(text):
    raise Malformed(f"has {text} for a number")


def _finite(text):
    if not math.isfinite(float(text)):
        raise Malformed(f"has {shown(text)} for a number")
    return float(text)


def _array(data, size):
    """Return the array that the bytes of a member hold, as numpy writes it."""
    if data[:8] != b"\x93NUMPY\x01\x00" or len(data) < 10:
        raise Malformed("an array in it does not begin as one of numpy")
    start = 10 + int.from_bytes(data[8:10], "little")
    header = HEADER.fullmatch(data[10:start]) if start <= 10 + LONGEST_HEADER else None
    if header is None:
        raise Malformed("an array in it has no header of numpy")
    dtype = np.dtype(header[1].decode())
    check_dtype(dtype, Malformed, "one of its members")
    shape = tuple(int(m) for m in header[2].decode().split(",") if m.strip())
    if len(shape) > 32 or any(m > size for m in shape):
        raise Malformed(f"an array in it has the shape {shown(shape)}, larger than the file")
    if math.prod(shape) * dtype.itemsize != len(data) - start:
        raise Malformed(f"an array in it has not the bytes for its shape {shown(shape)}")
    flat = np.frombuffer(data, dtype, offset=start) if len(data) > start else np.empty(0, dtype)
    _check_values(flat)
    return flat.astype(dtype.newbyteorder("=")).reshape(shape)


def _check_values(flat):
    """Raise `Malformed` for bytes that no value of their type has."""
    if flat.dtype.kind == "b" and (flat.view(np.uint8) > 1).any():
        raise Malformed("an array in it holds truth values that are neither true nor false")
    if flat.dtype.kind == "U" and flat.size:
        if (flat.view(flat.dtype.byteorder.replace("|", "=") + "u4") > 0x10FFFF).any():
            raise Malformed("an array in it holds texts of characters that do not exist")
