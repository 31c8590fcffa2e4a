"""A fitted model as an ONNX graph: `to_onnx`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .._version import __version__
from ..parts.checks import fitted_fact
from ..parts.names import printable
from ._recipe import EXTRA, check_written, write
from ._writer import Writer

OPSET = 15
"""The version of the operators: the oldest in which all of them are as they are written here."""
DTYPES = {"float64": np.float64, "float32": np.float32}
OPERATORS = {"+": "Add", "-": "Sub", "*": "Mul", "/": "Div"}
COMPARISONS = {">=": "GreaterOrEqual", "==": "Equal"}
FUNCTIONS = {
    "exp": "Exp",
    "log": "Log",
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "relu": "Relu",
    "floor": "Floor",
    "sqrt": "Sqrt",
}


def to_onnx(
    model: Any,
    X: Any = None,
    *,
    extra_outputs: Sequence[str] = (),
    dtype: str = "float64",
    opset: int | None = None,
) -> Any:
    """Write the predictions of a fitted model as an ONNX graph.

    The graph takes any number of rows. A regressor's has the output "variable", (n, 1) or (n, q),
    a classifier's "label" (n,) and "probabilities" (n, C), as graphs of skl2onnx have. All experts
    are computed for all rows, also where a gate keeps a few of them.

    Parameters
    ----------
    model : estimator of classic_moe, or Pipeline
        Fitted. A Pipeline ends in such an estimator, and needs skl2onnx for the steps before; so
        do experts and gates that are estimators of scikit-learn.
    X : array-like or DataFrame of shape (n, p), default=None
        Some rows, which tell the types of a Pipeline's inputs; n may be 1. Needed for those alone.
        Of a DataFrame each column is an input by its name, else there is one input, "X".
    extra_outputs : sequence of {"gate_proba", "experts", "std"}, default=()
        What the graph shall give beside: gₖ(x), what every expert says, and of a regressor the
        standard deviation of y given x.
    dtype : {"float64", "float32"}, default="float64"
        The type of the numbers in the graph and of its input. In "float32" predictions are those of
        the package to some 1e-6 of the size of the terms that are added up, which is little where x
        is far from 0 beside its spread; counts above e⁸⁰ are cut off.
    opset : int, default=None
        Version of ONNX's operators: 15 by default, the oldest in which each is as it is used here,
        so that old runtimes read the graph.

    Returns
    -------
    onnx.ModelProto

    Raises
    ------
    ImportError
        Without onnx or, where it is needed, skl2onnx: ``pip install classic-moe[onnx]``.
    ValueError
        For a part that has no formula, or options that are not known.

    Examples
    --------
    >>> from classic_moe import MixtureOfExpertsRegressor
    >>> from classic_moe.datasets import load_motorcycle
    >>> from classic_moe.export import to_onnx
    >>> X, y = load_motorcycle(return_X_y=True)
    >>> model = MixtureOfExpertsRegressor(3, random_state=0).fit(X, y)
    >>> graph = to_onnx(model, extra_outputs=["gate_proba"])  # doctest: +SKIP
    >>> open("motorcycle.onnx", "wb").write(graph.SerializeToString())  # doctest: +SKIP
    """
    last = _last_step(model)
    extra = _checked(last, extra_outputs, dtype)
    onnx = imported("onnx")
    opset = OPSET if opset is None else opset
    if not OPSET <= opset <= onnx.defs.onnx_opset_version():
        raise ValueError(
            f"opset={opset!r}: use {OPSET} to {onnx.defs.onnx_opset_version()}, what the graph"
            " needs and the installed onnx knows."
        )

    def made_of(mixture, kind):
        return _graph(onnx, mixture, extra, DTYPES[dtype], opset, kind)

    if last is model:
        check_written(model)
        made = made_of(model, None)
    else:
        from ._pipelines import pipeline_to_onnx

        made = pipeline_to_onnx(made_of, model, X, DTYPES[dtype])
    onnx.checker.check_model(made)
    return _labelled(onnx, made, model)


def _last_step(model):
    """Return the last step of a Pipeline; of anything else, itself."""
    steps = fitted_fact(model, "steps")
    return model if steps is None else steps[-1][1]


def _graph(onnx, model, extra, dtype, opset, kind):
    """Return the graph of a mixture, a ModelProto.

    `kind` is the type of its input as ONNX calls it, where that is not the type of its numbers.
    """
    w = OnnxWriter(onnx, dtype, opset)
    if kind is not None and kind != w.type:
        w.x = w.cast("X", "x")
    said = graph_of(w, model, extra)
    value_info = onnx.helper.make_tensor_value_info
    source = value_info("X", w.type if kind is None else kind, [None, model.n_features_in_])
    results = [value_info(name, own, [None, *shape]) for name, own, shape in said]
    graph = onnx.helper.make_graph(w.nodes, "classic_moe", [source], results, w.initializers)
    imports = [onnx.helper.make_opsetid(*each) for each in w.opsets().items()]
    version = onnx.helper.find_min_ir_version_for(imports)
    return onnx.helper.make_model(graph, opset_imports=imports, ir_version=version)


def imported(name):
    """Return an optional package; an ImportError that says how to get it."""
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            f"this needs {name}, which is not installed: pip install classic-moe[onnx]."
        ) from error


def _checked(model, extra_outputs, dtype):
    """Return the names of the extra outputs, a tuple; a ValueError for unknown options."""
    extra = (extra_outputs,) if isinstance(extra_outputs, str) else tuple(extra_outputs)
    unknown = [name for name in extra if name not in EXTRA]
    if unknown:
        raise ValueError(f"extra_outputs={unknown}: choose of {', '.join(map(repr, EXTRA))}.")
    if dtype not in DTYPES:
        raise ValueError(f"dtype={dtype!r}: use 'float64' or 'float32'.")
    if "std" in extra and fitted_fact(model, "classes_") is not None:
        raise ValueError("extra_outputs=['std']: classes have no standard deviation; leave it out.")
    return extra


def _labelled(onnx, made, model):
    """Return a graph that says who wrote it."""
    made.producer_name, made.producer_version = "classic_moe", __version__
    made.domain = "classic_moe"
    text = " ".join(repr(model).split())
    made.doc_string = printable(text)
    return made


def graph_of(w, model, extra):
    """Write a model; return the outputs in order: name, type, and shape without rows."""
    found, K = write(w, model, extra), fitted_fact(model, "n_experts_")
    outputs = []
    labels = fitted_fact(model, "classes_")
    if labels is None:
        q = len(model._fitted.schema.target.output_names)
        outputs.append(("variable", found["mean"], w.type, [q]))
    else:
        q = len(labels)
        outputs.append(("label", *w.labels(found["proba"], labels), []))
        outputs.append(("probabilities", found["proba"], w.type, [q]))
    gate = [K] if fitted_fact(model, "gate_") is None or model.gate_.kind != "per output" else None
    flat = q == 1 and labels is None
    shapes = {
        "gate_proba": [K, q] if gate is None else gate,
        "experts": [K] if flat else [K, q],
        "std": [q],
    }
    outputs += [(name, found[name], w.type, shapes[name]) for name in extra]
    for name, value, _, _ in outputs:
        w.rename(value, name)
    return [(name, kind, shape) for name, _, kind, shape in outputs]


class OnnxWriter(Writer):
    """Writes the nodes and constants of a graph.

    Attributes
    ----------
    nodes, initializers : list of NodeProto, of TensorProto
    type : int, the type of numbers as ONNX calls it
    """

    def __init__(self, onnx, dtype, opset, prefix=""):
        self._onnx, self._dtype, self._opset, self._prefix = onnx, dtype, opset, prefix
        self.type = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        self.nodes, self.initializers, self._count, self._known = [], [], 0, {}
        self._domains = {"": opset}
        if dtype == np.float32:
            self.largest, self.smallest = 80.0, float(np.finfo(np.float32).tiny)
            self.greatest = float(np.finfo(np.float32).max)

    @property
    def onnx(self):
        """The package."""
        return self._onnx

    @property
    def opset(self):
        """Version of the operators, int."""
        return self._opset

    @property
    def dtype(self):
        """Type of the numbers, as numpy calls it."""
        return self._dtype

    def prefix_of(self, hint):
        """Return a prefix that no other name has, str."""
        return f"{self._name(hint)}_"

    def adopt(self, model):
        """Take over the nodes and constants of another graph, whose names are its own."""
        self.nodes += model.graph.node
        self.initializers += model.graph.initializer
        for own in model.opset_import:
            self._domains[own.domain] = max(own.version, self._domains.get(own.domain, 0))

    def alias(self, value, name, kind):
        """Give a value another name, and the type that is wanted there."""
        operator = ("Identity", {}) if kind == self.type else ("Cast", {"to": kind})
        helper = self._onnx.helper
        made = helper.make_node(
            operator[0], [value], [name], name=self._name("given"), **operator[1]
        )
        self.nodes.append(made)

    def cast(self, value, hint):
        """Return a value as numbers of the graph's type."""
        return self.node("Cast", [value], hint, to=self.type)

    def nothing(self):
        """Return a column of zeros, (n, 1)."""
        return self.binary("*", self.pick(self.x, [0]), self.row([0.0], "zero"), "none")

    def opsets(self):
        """Return the versions of the operators, by their domains."""
        return dict(self._domains)

    def _name(self, hint):
        self._count += 1
        return f"{self._prefix}{hint}_{self._count}"

    def node(self, operator, inputs, hint, n_outputs=1, domain="", **attributes):
        """Write a node; return the name of its first output, or of all."""
        names = [self._name(hint) for _ in range(n_outputs)]
        self.nodes.append(
            self._onnx.helper.make_node(
                operator, inputs, names, name=self._name(operator), domain=domain, **attributes
            )
        )
        return names[0] if n_outputs == 1 else names

    def tensor(self, values, hint):
        """Write constants, once each; return their name."""
        key = values.dtype.str, values.shape, values.tobytes()
        if key not in self._known:
            name = self._known[key] = self._name(hint)
            self.initializers.append(self._onnx.numpy_helper.from_array(values, name))
        return self._known[key]

    def _ints(self, values, hint="ids"):
        return self.tensor(np.asarray(values, dtype=np.int64), hint)

    def _numbers(self, values, hint):
        with np.errstate(over="ignore"):  # beyond what float32 holds is infinite
            return self.tensor(np.ascontiguousarray(values, dtype=self._dtype), hint)

    def rename(self, value, name):
        """Give a value the name of an output."""
        self.nodes.append(self._onnx.helper.make_node("Identity", [value], [name], name=name))

    def labels(self, proba, labels):
        """Return the most probable label of every row, (n,), and its type."""
        most = self.node("ArgMax", [proba], "most", axis=1, keepdims=0)
        values = np.array(labels.tolist())
        kinds = {"U": object, "i": np.int64, "u": np.int64, "b": np.int64, "f": np.float32}
        if values.dtype.kind not in kinds or values.shape != np.shape(labels):
            raise ValueError(
                f"classes {labels.tolist()!r} cannot be outputs of a graph; use text or numbers."
            )
        if values.dtype.kind == "f":
            kinds["f"] = self._dtype
        tensor = self.tensor_of_labels(values.astype(kinds[values.dtype.kind]))
        kind = next(own.data_type for own in self.initializers if own.name == tensor)
        return self.node("Gather", [tensor, most], "label", axis=0), kind

    def tensor_of_labels(self, values):
        """Write labels; return their name."""
        name = self._name("classes")
        self.initializers.append(self._onnx.numpy_helper.from_array(values, name))
        return name

    # -- the verbs -------------------------------------------------------------------------------

    def row(self, values, hint="constants"):
        return self._numbers(np.reshape(values, (1, -1)), hint)

    def pick(self, a, ids, hint="columns"):
        key = "pick", a, tuple(ids)
        if key not in self._known:
            self._known[key] = self.node("Gather", [a, self._ints(ids)], hint, axis=1)
        return self._known[key]

    def affine(self, a, coef, intercept, ids=None, hint="linear", notes=None):
        own = a if ids is None else self.pick(a, ids)
        weights = self._numbers(np.transpose(coef), f"{hint}_coef")
        added = self._numbers(intercept, f"{hint}_intercept")
        return self.node("Gemm", [own, weights, added], hint)

    def binary(self, operator, a, b, hint="value"):
        return self.node(OPERATORS[operator], [a, b], hint)

    def function(self, name, a, hint="value"):
        if name == "square":
            return self.node("Mul", [a, a], hint)
        return self.node(FUNCTIONS[name], [a], hint)

    def clip(self, a, low, high, hint="value"):
        ends = ["" if end is None else self._numbers(end, "end") for end in (low, high)]
        return self.node("Clip", [a, *ends], hint)

    def log_softmax(self, a, hint="log_share"):
        return self.node("LogSoftmax", [a], hint, axis=1)

    def best(self, a, k, hint="best"):
        _, ids = self.node("TopK", [a, self._ints([k])], "top", n_outputs=2, axis=1)
        zeros, ones = (
            self.node(
                "ConstantOfShape",
                [self.node("Shape", [like], "shape")],
                hint,
                value=self._onnx.numpy_helper.from_array(np.full(1, fill, dtype=self._dtype)),
            )
            for like, fill in ((a, 0.0), (ids, 1.0))
        )
        return self.node("ScatterElements", [zeros, ids, ones], hint, axis=1)

    def compare(self, operator, a, b, hint="holds"):
        return self.node(
            "Cast", [self.node(COMPARISONS[operator], [a, b], hint)], hint, to=self.type
        )

    def where(self, mask, a, b, hint="value"):
        holds = self.node("Cast", [mask], hint, to=self._onnx.TensorProto.BOOL)
        return self.node("Where", [holds, a, b], hint)

    def row_sum(self, a, hint="total"):
        return self.node("ReduceSum", [a, self._ints([1])], hint, keepdims=1)

    def concat(self, values, hint="values"):
        return self.node("Concat", values, hint, axis=1)

    def stack(self, values, axis, hint="values"):
        each = [self.node("Unsqueeze", [value, self._ints([axis])], hint) for value in values]
        return self.node("Concat", each, hint, axis=axis)

    def estimator(self, estimator, ids, classifies, hint="mean"):
        from ._pipelines import written_estimator

        return written_estimator(self, estimator, ids, classifies, hint)
