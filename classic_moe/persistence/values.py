"""From objects to what JSON holds, with arrays beside it, and back.

A JSON number, text, truth value, null or list stands for itself. All else is an object of one key,
the kind of thing it is: one of `KINDS`, or the name of a class in the table.
"""

from __future__ import annotations

import math

import numpy as np

from ..parts.names import printable
from ..parts.registry import is_estimator
from ..parts.statistics import Statistics
from .table import ENTRIES, NAMED, WARNINGS, CannotKeep

DEEPEST = 100
"""Things inside one another that a file may hold."""
ADVICE = "use skops.io.dump, or joblib.dump for readers who trust you"
FUNCTION = (
    "a file keeps no code; give the parameter another value, for the fit has no more need of it, or"
    " use joblib.dump for readers who trust you"
)
SHOWN = 60


class Malformed(ValueError):
    """What is wrong with a file, for the rest of a sentence that begins with its name."""


def shown(text):
    """Return something from a file as a short text on one line."""
    text = printable(str(text))
    return repr(text if len(text) <= SHOWN else text[:SHOWN] + "...")


# -- to a file -------------------------------------------------------------------------------------


class Writer:
    """Encodes things; the arrays that it meets are in `arrays`, by number.

    Attributes
    ----------
    arrays : list of ndarray
    """

    def __init__(self):
        self.arrays = []
        self._numbers, self._turned, self._generators = {}, {}, set()

    def encode(self, thing, where):
        """Return a thing as JSON holds it.

        Parameters
        ----------
        thing : object
        where : tuple of str
            Names that lead to it.

        Raises
        ------
        CannotKeep
            With the sentence.
        """
        if len(where) > DEEPEST:
            raise CannotKeep(f"it is nested more than {DEEPEST} deep, {_place(where[:3])} ...")
        kind = type(thing)
        if thing is None or kind in (bool, int, str) or (kind is float and math.isfinite(thing)):
            return thing
        if kind is list:
            return [self.encode(each, (*where, f"[{i}]")) for i, each in enumerate(thing)]
        if isinstance(thing, np.generic):
            return {"scalar": self._array(np.asarray(thing), where)}
        known = _ENCODERS.get(kind)
        if known is not None:
            name, encode = known
            return {name: encode(self, thing, where)}
        return {self._name(thing, where): self._contents(thing, where)}

    def _name(self, thing, where):
        if isinstance(thing, type) and WARNINGS.get(thing.__name__) is thing:
            return "class"
        if type(thing) in ENTRIES:
            return type(thing).__name__
        kind = thing if isinstance(thing, type) else type(thing)
        if kind is not thing and (callable(thing) and not is_estimator(thing)):
            raise CannotKeep(f"{_place(where)} is a function, and {FUNCTION}")
        what = f"the class {thing.__qualname__}" if kind is thing else _article(kind.__qualname__)
        raise CannotKeep(
            f"{_place(where)} is {what} of {kind.__module__.partition('.')[0]}, and a file keeps"
            f" objects of this package's own classes only; {ADVICE}"
        )

    def _contents(self, thing, where):
        if isinstance(thing, type):
            return thing.__name__
        if type(thing) is np.random.RandomState:
            if id(thing) in self._generators:
                raise CannotKeep(
                    f"{_place(where)} is a RandomState that stands in the estimator twice, and a"
                    " file would part them; use integers"
                )
            self._generators.add(id(thing))
        try:
            contents = ENTRIES[type(thing)].contents(thing)
        except CannotKeep as error:
            raise CannotKeep(f"{_place(where)} {error}") from None
        return {name: self.encode(each, (*where, name)) for name, each in contents.items()}

    def _items(self, thing, where):
        return [
            [self.encode(key, (*where, "a key")), self.encode(each, (*where, str(key)))]
            for key, each in thing.items()
        ]

    def _array(self, array, where):
        """Return the number of an array; one that is met twice is kept once."""
        if id(array) not in self._numbers:
            check_dtype(array.dtype, CannotKeep, _place(where))
            self._numbers[id(array)] = len(self.arrays)
            self.arrays.append(array)  # kept alive, so that its id stays its own
        return self._numbers[id(array)]

    def _any_array(self, array, where):
        if array.dtype != object:
            return self._values(array, where)
        items = [self.encode(each, (*where, f"[{i}]")) for i, each in enumerate(array.flat)]
        return {"shape": list(array.shape), "objects": items}

    def _values(self, array, where):
        """Return an array's number, and the order of its axes in memory where that is not C's.

        Sums over it are taken in that order, down to their last bit.
        """
        axes = sorted(range(array.ndim), key=lambda axis: -abs(array.strides[axis]))
        if array.flags.c_contiguous or axes == list(range(array.ndim)):
            return {"values": self._array(array, where)}
        turned = self._turned.setdefault(id(array), (array.transpose(axes), array))
        return {"values": self._array(turned[0], where), "axes": axes}


def _place(where):
    """Return in words where a thing stands."""
    first, *names = (name for name in where if name != "parameters")
    path = "".join(name if name[0] == "[" else f".{name}" for name in names).lstrip(".")
    return f"{path} of {first}" if path else f"the {first}"


def _article(name):
    return f"{'an' if name[0] in 'AEIOUaeiou' else 'a'} {name}"


def _encode_tuple(writer, thing, where):
    return writer.encode(list(thing), where)


def _encode_slice(writer, thing, where):
    return writer.encode([thing.start, thing.stop, thing.step], where)


_ENCODERS = {
    float: ("float", lambda writer, thing, where: repr(thing)),
    tuple: ("tuple", _encode_tuple),
    dict: ("dict", Writer._items),
    Statistics: ("statistics", Writer._items),
    slice: ("slice", _encode_slice),
    np.ndarray: ("array", Writer._any_array),
    np.memmap: ("array", Writer._any_array),
}


def check_dtype(dtype, error, what):
    """Raise an error unless arrays of a type are kept: they hold numbers, texts or times.

    Not extended precision, which other machines do not have.
    """
    known = dtype.kind in "biuUSMm" or dtype in (np.float16, np.float32, np.float64)
    if not (known and dtype.itemsize):
        raise error(f"{what} is an array of {dtype}; a file keeps numbers of up to 8 bytes")


# -- from a file -----------------------------------------------------------------------------------


class Reader:
    """Decodes what a `Writer` has made.

    Parameters
    ----------
    arrays : list of ndarray
    """

    def __init__(self, arrays):
        self._arrays, self._used, self._turned = arrays, set(), {}

    def decode(self, tree, depth=0):
        """Return the thing that a JSON value stands for; `Malformed` if it stands for none."""
        if depth > DEEPEST:
            raise Malformed(f"its values are nested more than {DEEPEST} deep")
        if isinstance(tree, list):
            return [self.decode(each, depth + 1) for each in tree]
        if not isinstance(tree, dict):
            return tree
        if len(tree) != 1:
            raise Malformed(f"it has {len(tree)} names where the one of a kind is due")
        ((name, contents),) = tree.items()
        if name in _DECODERS:
            return _DECODERS[name](self, contents, depth)
        if name not in NAMED:
            raise Malformed(f"it holds a {shown(name)}, which this version does not know")
        if not isinstance(contents, dict):
            raise Malformed(f"a {name} in it has no names")
        contents = {key: self.decode(each, depth + 1) for key, each in contents.items()}
        try:
            return NAMED[name].make(**contents)
        except Malformed:
            raise
        except Exception as error:  # of values that no object of ours ever has
            raise Malformed(f"a {name} in it is none: {said(error)}") from error

    def check_all_used(self):
        """Raise `Malformed` if there is an array that nothing refers to."""
        spare = sorted(set(range(len(self._arrays))) - self._used)
        if spare:
            raise Malformed(f"it holds the array {spare[0]}, which belongs to nothing")

    def _array(self, number, depth):
        if type(number) is not int or not 0 <= number < len(self._arrays):
            raise Malformed(f"it refers to an array {shown(number)}, which is not there")
        self._used.add(number)
        return self._arrays[number]

    def _scalar(self, number, depth):
        array = self._array(number, depth)
        if array.shape != ():
            raise Malformed("it has an array where a single value is due")
        return array[()]

    def _any_array(self, contents, depth):
        if isinstance(contents, dict) and set(contents) <= {"values", "axes"}:
            return self._values(contents.get("values"), contents.get("axes"), depth)
        if not isinstance(contents, dict) or set(contents) != {"shape", "objects"}:
            raise Malformed("an array in it has neither values nor objects")
        shape, objects = contents["shape"], self._list(contents["objects"], depth)
        whole = isinstance(shape, list) and all(type(m) is int and 0 <= m < 2**31 for m in shape)
        if not whole or len(shape) > 2 or math.prod(shape) != len(objects):
            raise Malformed(f"an array of objects in it has not the shape {shown(shape)}")
        array = np.empty(len(objects), dtype=object)
        for i, each in enumerate(objects):
            array[i] = each
        return array.reshape(shape)

    def _values(self, number, axes, depth):
        array = self._array(number, depth)
        if axes is None:
            return array
        known = isinstance(axes, list) and all(type(axis) is int for axis in axes)
        if not known or sorted(axes) != list(range(array.ndim)):
            raise Malformed(f"the axes of an array in it are {shown(axes)}")
        key = number, tuple(axes)
        return self._turned.setdefault(key, array.transpose(np.argsort(axes)))

    def _list(self, contents, depth, length=None):
        if not isinstance(contents, list) or length not in (None, len(contents)):
            raise Malformed("it has something else where a list is due")
        return self.decode(contents, depth)

    def _tuple(self, contents, depth):
        return tuple(self._list(contents, depth))

    def _slice(self, contents, depth):
        return slice(*self._list(contents, depth, 3))

    def _dict(self, contents, depth):
        pairs = [self._list(pair, depth + 1, 2) for pair in self._plain_list(contents)]
        try:
            found = dict(pairs)
        except TypeError:
            raise Malformed("a dict in it has a key that is none") from None
        if len(found) != len(pairs):
            raise Malformed("a dict in it has a key twice")
        return found

    def _plain_list(self, contents):
        if not isinstance(contents, list):
            raise Malformed("it has something else where a list is due")
        return contents

    def _statistics(self, contents, depth):
        return Statistics(self._dict(contents, depth))

    def _float(self, contents, depth):
        if contents not in ("nan", "inf", "-inf"):
            raise Malformed(f"it has a number {shown(contents)}")
        return float(contents)

    def _class(self, contents, depth):
        if not isinstance(contents, str) or contents not in WARNINGS:
            raise Malformed(f"it names a class {shown(contents)}, which this version does not know")
        return WARNINGS[contents]


_DECODERS = {
    "array": Reader._any_array,
    "scalar": Reader._scalar,
    "tuple": Reader._tuple,
    "slice": Reader._slice,
    "dict": Reader._dict,
    "statistics": Reader._statistics,
    "float": Reader._float,
    "class": Reader._class,
}


def said(error):
    """Return what an error says, on one line, a str."""
    text = printable(" ".join(str(error).split())).rstrip(".")
    return f"{text[: 3 * SHOWN]} ({type(error).__name__})" if text else type(error).__name__
