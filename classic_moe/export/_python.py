"""A fitted model as Python source: `to_python`."""

from __future__ import annotations

import keyword
import re
import unicodedata
from typing import Any

import numpy as np

from .._version import __version__
from ..parts import black_box
from ..parts.checks import fitted_fact
from ..parts.names import printable
from ._recipe import write
from ._writer import Writer

WIDTH = 96
"""Longest line that is broken where it may be."""
RESERVED = {"np", "X", "FEATURES", "CLASSES", "mixture", "predict", "predict_proba", "gate_proba"}
HELPERS = {
    "log_softmax": '''
def log_softmax(scores):
    """Return the scores less the logarithm of the sum of exp(scores) of their row."""
    scores = scores - scores.max(axis=1, keepdims=True)
    return scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
''',
    "sigmoid": '''
def sigmoid(scores):
    """Return 1 / (1 + exp(-scores)) without overflow."""
    e = np.exp(-np.abs(scores))
    return np.where(scores >= 0, 1.0, e) / (1.0 + e)
''',
    "largest": '''
def largest(values, k):
    """Return 1.0 at the k largest of every row, of equals the first, and 0.0 elsewhere."""
    found = np.zeros(values.shape)
    np.put_along_axis(found, np.argsort(-values, axis=1, kind="stable")[:, :k], 1.0, axis=1)
    return found
''',
}
"""Functions that a source has where it calls them."""
FUNCTIONS = {
    "exp": "np.exp({})",
    "log": "np.log({})",
    "sigmoid": "sigmoid({})",
    "tanh": "np.tanh({})",
    "relu": "np.maximum({}, 0.0)",
    "square": "{} ** 2",
    "floor": "np.floor({})",
    "sqrt": "np.sqrt({})",
}


def to_python(model: Any) -> str:
    """Write the predictions of a fitted model as Python source that needs numpy alone.

    The source has a function `predict`, of the mean or of the most probable class, `gate_proba`
    unless there are gates in several layers, and of a classifier `predict_proba`. All numbers are
    written in full and in the caller's units, the columns of X by their names, and each expert has
    its equation in a comment. Rows may be an array (n, p) or a table with the columns by name.

    Parameters
    ----------
    model : estimator of classic_moe
        Fitted. Experts and gates of other packages cannot be written; a Pipeline neither: write its
        last step, ``to_python(pipe[-1])``, whose X is what the steps before make.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        For a part that has no formula, by name.
    TypeError
        For what is no estimator of this package.

    Examples
    --------
    >>> from classic_moe import MixtureOfExpertsRegressor
    >>> from classic_moe.datasets import load_motorcycle
    >>> from classic_moe.export import to_python
    >>> X, y = load_motorcycle(return_X_y=True)
    >>> model = MixtureOfExpertsRegressor(3, random_state=0).fit(X, y)
    >>> space = {}
    >>> exec(to_python(model), space)
    >>> bool(abs(space["predict"](X) - model.predict(X)).max() < 1e-10)
    True
    """
    w = PythonWriter(fitted_fact(model, "feature_names_in_"))
    deep = fitted_fact(model, "layers_") is not None
    found = write(w, model, () if deep else ("gate_proba",))
    return _source(w, model, found)


def _source(w, model, found):
    """Return the source of what a writer has written, whose results are `found` by name."""
    labels, p = fitted_fact(model, "classes_"), model.n_features_in_
    name = type(model).__name__
    parts = [f'"""Predictions of a {name}, written by classic_moe {__version__}."""\n']
    parts.append("import numpy as np\n")
    own = "" if w.names is None else ", whose columns are FEATURES"
    constants = []
    if w.names is not None:
        constants.append(f"FEATURES = {_list([ascii(str(each)) for each in w.names])}")
    if labels is not None:
        constants.append(f"CLASSES = np.array({_list(_labels(labels))})")
    parts += [*constants, *w.constants]
    parts += [HELPERS[helper] for helper in HELPERS if helper in w.helpers]
    table = 'X[FEATURES] if hasattr(X, "columns") else X' if w.names is not None else "X"
    said = ", ".join(f'"{key}": {value}' for key, value in found.items())
    body = [
        "\ndef mixture(X):",
        f'    """Return what there is to say of rows X (n, {p}){own}."""',
        f"    X = np.asarray({table}, dtype=float)",
        f"    if X.ndim != 2 or X.shape[1] != {p}:",
        f'        raise ValueError(f"X needs {p} column{"s" * (p > 1)}, got shape {{X.shape}}.")',
        *(f"    {variable} = X[:, {j}]" for j, variable in sorted(w.columns.items())),
        *(f"    {line}" if line else "" for line in w.lines),
        f"    return {{{said}}}\n",
    ]
    parts.append("\n".join(body))
    parts += _functions(model, found, labels)
    return "\n".join(parts)


def _functions(model, found, labels):
    """Return the functions that are called, texts."""
    wanted = []
    if labels is None:
        single = fitted_fact(model, "_fitted").schema.target.single_output
        shape, first = ("(n,)", "[:, 0]") if single else ("(n, q)", "")
        wanted.append(("predict", f"the mean of y, {shape}", f'mixture(X)["mean"]{first}'))
    else:
        most = 'CLASSES[mixture(X)["proba"].argmax(axis=1)]'
        wanted.append(("predict", "the most probable class, (n,)", most))
        wanted.append(("predict_proba", "the probabilities of CLASSES", 'mixture(X)["proba"]'))
    if "gate_proba" in found:
        text = "the probabilities of the experts, before y is seen"
        wanted.append(("gate_proba", text, 'mixture(X)["gate_proba"]'))
    return [
        f'\ndef {name}(X):\n    """Return {text}."""\n    return {value}\n'
        for name, text, value in wanted
    ]


def _labels(labels):
    """Return labels of classes as Python writes them; a ValueError for other than plain ones."""
    values = labels.tolist()
    if not all(isinstance(label, (bool, int, float, str)) for label in values):
        raise ValueError(
            f"classes {values!r} cannot be written as Python source; use text or numbers as labels."
        )
    return [ascii(label) for label in values]


def number(value):
    """Return a number in full, as Python reads it; str."""
    value = float(value)
    return repr(value) if np.isfinite(value) else f"{'-' if value < 0 else ''}np.inf"


def _list(items, indent=""):
    """Return items as a list, broken into lines where it is long; str."""
    text = f"[{', '.join(items)}]"
    if len(text) + len(indent) <= WIDTH - 20:
        return text
    lines, line = [], ""
    for item in items:
        if line and len(line) + len(item) + 2 > WIDTH - len(indent) - 4:
            lines.append(line)
            line = ""
        line = f"{line} {item}," if line else f"{item},"
    inner = "".join(f"{indent}    {each}\n" for each in [*lines, line])
    return f"[\n{inner}{indent}]"


class PythonWriter(Writer):
    """Writes the lines of a function of X.

    Attributes
    ----------
    names : ndarray of str or None, of the columns of X
    lines, constants : list of str, within the function and before it
    columns : dict of int to str, the columns that are used and their variables
    helpers : set of str, which functions of `HELPERS` are called
    """

    def __init__(self, names=None):
        self.names = names
        self.lines, self.constants, self.columns, self.helpers = [], [], {}, set()
        self._taken = {*RESERVED, *HELPERS, *keyword.kwlist, *dir(__builtins__), "hasattr"}
        n = 0 if names is None else len(names)
        self._variables = [self._free(identifier(name)) for name in (names if n else ())]

    def _free(self, wanted):
        """Return a name that is not taken yet, and take it."""
        name, count = wanted, 1
        while name in self._taken:
            count += 1
            name = f"{wanted}_{count}"
        self._taken.add(name)
        return name

    def _write(self, hint, expression):
        name = self._free(identifier(hint))
        self.lines.append(f"{name} = {expression}")
        return name

    def _column(self, j):
        """Return the variable of a column of X."""
        if j not in self.columns:
            known = self._variables[j] if self._variables else self._free(f"x{j}")
            self.columns[j] = known
        return self.columns[j]

    def _constant(self, hint, values):
        """Write an array before the function, and return its name."""
        name = self._free(identifier(hint).upper())
        if np.ndim(values) == 1:
            text = _list([number(value) for value in values])
        else:
            rows = [_list([number(v) for v in row], "    ") for row in values]
            text = "[\n" + "".join(f"    {row},\n" for row in rows) + "]"
        self.constants.append(f"{name} = np.array({text})")
        return name

    def note(self, text):
        self.lines += ["", f"# {printable(text)}"]

    def row(self, values, hint="constants"):
        if np.size(values) == 1:
            return number(np.ravel(values)[0])
        return self._constant(hint, np.asarray(values, dtype=float))

    def pick(self, a, ids, hint="columns"):
        if a != self.x:
            return f"{a}[:, {list(ids)}]"
        items = [self._column(j) for j in ids]
        return self._write(hint, f"np.column_stack({_list(items, '    ')})")

    def affine(self, a, coef, intercept, ids=None, hint="linear", notes=None):
        coef, intercept = np.asarray(coef, dtype=float), np.asarray(intercept, dtype=float)
        if a != self.x:
            matrix = self._constant(f"{hint}_weights", coef.T)
            added = self._constant(f"{hint}_biases", intercept) if intercept.any() else None
            return self._write(hint, f"{a} @ {matrix}" + (f" + {added}" if added else ""))
        ids = range(coef.shape[1]) if ids is None else ids
        rows = [self._sum(b, c, ids) for b, c in zip(intercept, coef, strict=True)]
        text = "".join(f"        {row},\n" for row in rows)
        return self._write(hint, f"np.column_stack([\n{text}    ])")

    def _sum(self, intercept, slopes, ids):
        """Return a + Σ b_j x_j with the names of the columns, broken into lines."""
        pairs = [(b, self._column(j)) for b, j in zip(slopes, ids, strict=True) if b != 0]
        if not pairs:
            return f"np.full(len(X), {number(intercept)})"
        lines, line = [], number(intercept)
        for b, name in pairs:
            term = f" {'-' if b < 0 else '+'} {number(abs(b))} * {name}"
            if len(line) + len(term) > WIDTH - 12:
                lines.append(line)
                line = term[1:]
            else:
                line += term
        return "\n        ".join([*lines, line])

    def binary(self, operator, a, b, hint="value"):
        return self._write(hint, f"{a} {operator} {b}")

    def function(self, name, a, hint="value"):
        if name in HELPERS:
            self.helpers.add(name)
        return self._write(hint, FUNCTIONS[name].format(a))

    def clip(self, a, low, high, hint="value"):
        low, high = ("None" if end is None else number(end) for end in (low, high))
        return self._write(hint, f"np.clip({a}, {low}, {high})")

    def log_softmax(self, a, hint="log_share"):
        self.helpers.add("log_softmax")
        return self._write(hint, f"log_softmax({a})")

    def best(self, a, k, hint="best"):
        self.helpers.add("largest")
        return self._write(hint, f"largest({a}, {k})")

    def compare(self, operator, a, b, hint="holds"):
        return self._write(hint, f"1.0 * ({a} {operator} {b})")

    def where(self, mask, a, b, hint="value"):
        return self._write(hint, f"np.where({mask} > 0.5, {a}, {b})")

    def row_sum(self, a, hint="total"):
        return self._write(hint, f"np.sum({a}, axis=1, keepdims=True)")

    def concat(self, values, hint="values"):
        return self._write(hint, f"np.column_stack({_list(values, '    ')})")

    def stack(self, values, axis, hint="values"):
        return self._write(hint, f"np.stack({_list(values, '    ')}, axis={axis})")

    def estimator(self, estimator, ids, classifies, hint="mean"):
        inner = estimator.estimator_
        inner = inner.estimator if black_box.is_frozen(inner) else inner
        raise ValueError(
            f"a {type(inner).__name__} cannot be written as Python source; use to_onnx, or parts of"
            " classic_moe."
        )


def identifier(name):
    """Return a name as a variable of Python: what cannot stand in one becomes "_"; str."""
    text = unicodedata.normalize("NFKC", str(name))
    text = re.sub(r"\W", "_", text).strip("_") or "column"
    text = f"x_{text}" if not text.isidentifier() else text
    return text if text.isidentifier() else "column"
