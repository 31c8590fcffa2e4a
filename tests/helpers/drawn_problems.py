"""One integer is one problem: an unfitted estimator of any kind with its options, and its data.

`draw(seed)` chooses from the tables below, with one stream of random numbers: the same number is
the same problem until a table changes. Sizes are skewed to the small, where most of what goes wrong
goes wrong already; `rows_above` asks for so many rows that the compiled passes run.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

import classic_moe
from classic_moe import experts, gates, solvers

MOST_ROWS = 2000
COMPILED = 512
"""Fits of more rows than this run compiled passes."""


def table(**shares):
    """A table of names with shares: names as keywords, or `also` for those that are no words."""
    return {**shares.pop("also", {}), **shares}


# -- what there is to choose from ------------------------------------------------------------------
# A table maps a name to its share. What a name stands for, where it does not stand for itself, is
# in a dict of functions beside it.

ESTIMATORS = table(mixture=12, hierarchical=4, adaptive=3, meta_pi=2)
TASKS = table(regression=3, classification=2)
CLASSES = {
    "mixture": "MixtureOfExperts",
    "hierarchical": "HierarchicalMixtureOfExperts",
    "adaptive": "AdaptiveLocalExperts",
    "meta_pi": "MetaPi",
}

TARGETS = table(real=5, several=2, counts=2, positive=1.5, trials=1)
"""What a regression's y is."""
EXPERTS = {  # by target
    "real": table(
        linear=5,
        gaussian=1,
        student_t=1,
        laplace=1,
        mlp=1,
        also={
            "linear tied": 1,
            "linear unpenalised": 1,
            "linear of variance 1": 1,
            "student_t tied": 0.5,
            "student_t of df 3": 0.5,
            "linear, laplace": 0.5,
            "linear, noise": 0.5,
            "linear, normal noise": 0.5,
            "a linear, a student_t": 0.5,
            "ridge": 0.5,
            "decision tree": 0.5,
            "ridge, linear": 0.3,
        },
    ),
    "several": table(
        linear=3,
        gaussian=1,
        student_t=1,
        mlp=0.5,
        ridge=0.5,
        also={
            "linear tied": 1,
            "linear diag": 1,
            "linear spherical": 1,
            "gaussian diag": 0.5,
            "linear, student_t": 0.5,
        },
    ),
    "counts": table(
        poisson=2,
        negative_binomial=2,
        also={"negative_binomial of dispersion 1/2": 0.5, "poisson, negative_binomial": 0.5},
    ),
    "positive": table(
        gamma=2, also={"gamma inverse": 1, "gamma of shape 2": 0.5, "gamma, linear": 0.5}
    ),
    "trials": table(binomial=1),
    "classes": table(
        softmax=4,
        logistic=1.5,
        linear=1,
        mlp=0.7,
        also={
            "linear of variance 1": 0.5,
            "student_t": 0.3,
            "logistic regression": 0.5,
            "decision tree": 0.5,
            "softmax, logistic regression": 0.5,
        },
    ),
}
MAKE_EXPERT = {  # those that are no alias; a function of the task
    "mlp": lambda task: experts.MLPExpert((3,), max_iter=5),
    "linear tied": lambda task: experts.LinearExpert(covariance_type="tied"),
    "linear diag": lambda task: experts.LinearExpert(covariance_type="diag"),
    "linear spherical": lambda task: experts.LinearExpert(covariance_type="spherical"),
    "linear unpenalised": lambda task: experts.LinearExpert(alpha=0, variance_prior=0),
    "linear of variance 1": lambda task: experts.LinearExpert(variance=1.0),
    "gaussian diag": lambda task: experts.GaussianExpert(covariance_type="diag"),
    "student_t tied": lambda task: experts.StudentTExpert(df="tied"),
    "student_t of df 3": lambda task: experts.StudentTExpert(df=3.0),
    "negative_binomial of dispersion 1/2": lambda task: experts.NegativeBinomialExpert(
        dispersion=0.5
    ),
    "gamma inverse": lambda task: experts.GammaExpert(link="inverse"),
    "gamma of shape 2": lambda task: experts.GammaExpert(shape=2.0),
    "ridge": lambda task: Ridge(0.1),
    "logistic regression": lambda task: LogisticRegression(),
    "decision tree": lambda task: small_tree(task),
    "linear, laplace": lambda task: ["linear", "laplace"],
    "linear, noise": lambda task: ["linear", experts.NoiseExpert()],
    "linear, normal noise": lambda task: ["linear", experts.NoiseExpert("normal")],
    "linear, student_t": lambda task: ["linear", "student_t"],
    "a linear, a student_t": lambda task: [("line", experts.LinearExpert()), ("t", "student_t")],
    "ridge, linear": lambda task: [Ridge(0.1), "linear"],
    "poisson, negative_binomial": lambda task: ["poisson", "negative_binomial"],
    "gamma, linear": lambda task: ["gamma", "linear"],
    "softmax, logistic regression": lambda task: ["softmax", LogisticRegression()],
}
BLACK_BOXES = {"ridge", "logistic regression", "decision tree"}
GRADIENT_EXPERTS = {  # of the adaptive estimators
    "regression": table(linear=2, mlp=1, student_t=1, also={"linear of variance 1": 2}),
    "classification": table(softmax=2, logistic=1, mlp=1, also={"linear of variance 1": 2}),
}
META_EXPERTS = {  # several names stand for a list; one of ours for a bank
    "regression": table(
        linear=1,
        mlp=1,
        also={"ridge, decision tree": 2, "a ridge, a tree": 1, "ridge, linear": 1, "frozen": 1},
    ),
    "classification": table(
        softmax=1,
        mlp=1,
        also={"regression, tree": 2, "a regression, a tree": 1, "regression, softmax": 1},
    ),
}
MAKE_META = {
    "linear": lambda fitted: "linear",
    "softmax": lambda fitted: "softmax",
    "mlp": lambda fitted: experts.MLPExpert((3,), max_iter=5),
    "ridge, decision tree": lambda fitted: [Ridge(), small_tree("regression")],
    "a ridge, a tree": lambda fitted: [("a", Ridge()), ("b", small_tree("regression"))],
    "ridge, linear": lambda fitted: [Ridge(), experts.LinearExpert()],
    "frozen": lambda fitted: [FrozenEstimator(fitted(LinearRegression())), Ridge()],
    "regression, tree": lambda fitted: [LogisticRegression(), small_tree("classification")],
    "a regression, a tree": lambda fitted: [
        ("a", LogisticRegression()),
        ("b", small_tree("classification")),
    ],
    "regression, softmax": lambda fitted: [LogisticRegression(), experts.SoftmaxExpert()],
}


def small_tree(task):
    """A decision tree of two levels, a black box."""
    kind = DecisionTreeRegressor if task == "regression" else DecisionTreeClassifier
    return kind(max_depth=2, random_state=0)


GATES = table(
    softmax=6,
    constant=2,
    gaussian=1,
    exponential_family=1,
    least_squares=1,
    also={
        "softmax unpenalised": 1,
        "softmax of alpha 1": 1,
        "gaussian diag": 0.5,
        "gaussian tied": 0.5,
        "gaussian spherical": 0.5,
        "logistic regression": 0.5,
        "decision tree": 0.5,
        "tree of 4": 0.7,
        "tree of 3": 0.7,
        "constant tree": 0.3,
    },
)
NODES = table(softmax=4, constant=1, least_squares=0.5, also={"softmax unpenalised": 0.5})
"""Gates of a hierarchical estimator and of Meta-Pi."""
MAKE_GATE = {
    "softmax unpenalised": lambda: gates.SoftmaxGate(alpha=0),
    "softmax of alpha 1": lambda: gates.SoftmaxGate(alpha=1.0),
    "gaussian diag": lambda: gates.GaussianGate("diag"),
    "gaussian tied": lambda: gates.GaussianGate("tied"),
    "gaussian spherical": lambda: gates.GaussianGate("spherical"),
    "logistic regression": lambda: LogisticRegression(),
    "decision tree": lambda: DecisionTreeClassifier(
        max_depth=2, min_samples_leaf=2, random_state=0
    ),
    "tree of 4": lambda: gates.TreeGate("softmax", 2, 2),
    "tree of 3": lambda: gates.TreeGate("softmax", structure=((0, 1), 2)),
    "constant tree": lambda: gates.TreeGate("constant", 2, 1),
}
SIZES = {"tree of 4": 4, "tree of 3": 3, "constant tree": 2}

SOLVERS = table(
    auto=6,
    em=2,
    cem=0.7,
    sem=0.7,
    online=1,
    lbfgs=1.5,
    adam=0.7,
    sgd=0.7,
    gradient=0.7,
    also={"accelerated": 0.7, "gradient of fixed steps": 0.7, "lbfgs, stopped early": 0.3},
)
CLIMBERS = table(
    lbfgs=3, gradient=2, adam=1, sgd=1, also={"gradient of fixed steps": 1}
)  # what error functions can be trained by
MAKE_SOLVER = {
    "accelerated": lambda: solvers.AcceleratedEM(),
    "gradient of fixed steps": lambda: solvers.GradientAscent(0.01),
    "lbfgs, stopped early": lambda: solvers.LBFGS(early_stopping=True, random_state=0),
}
OBJECTIVES = table(likelihood=2, expected_error=1, blended_error=1)

STARTS = table(
    quantile=4, random=2, kmeans=1, array=2, callable=1, dict=1, fit=1, also={"empty expert": 0.5}
)
FEATURES = table(
    all=6,
    split=1,
    mask=1,
    slice=1,
    also={"none for the gate": 1, "none for the experts": 1, "no columns": 0.4},
)
"""Which columns gate and experts see; "no columns": there are none, y ~ 1."""

COLUMNS = table(
    normal=8,
    integer=1,
    boolean=1,
    rare=1,
    constant=1,
    copied=1,
    tiny=1,
    huge=1,
    far=1,
    cauchy=1,
    ties=1,
)
"""Kinds of columns of X."""
SIGNALS = table(pieces=4, exact=1, noise=1, constant=0.5, two=1, outlier=1, ties=1)
"""How y depends on X."""
WEIGHTS = table(none=5, ones=1, counts=1.5, real=1, uneven=1, huge=0.5, tiny=0.5)
ROWS_OF_X = table(
    float64=6,
    float32=1.5,
    fortran=1,
    strided=1,
    list=0.5,
    frame=1,
    objects=0.3,
    read_only=0.5,
    sparse=1,
)
ROWS_OF_Y = table(plain=5, float32=1, list=0.5, column=0.5)
LABELS = table(
    integers=3, texts=1, booleans=0.5, negative=1, objects=0.5, floats=0.5
)  # kinds of class labels
MAKE_LABELS = {
    "texts": lambda y: np.array(["a", "bb", "c", "d"])[y],
    "booleans": lambda y: y > 0,
    "negative": lambda y: y * 3 - 7,
    "objects": lambda y: np.array(["x", "y", "z", "w"], dtype=object)[y],
    "floats": lambda y: y.astype(float),
}
CLASS_WEIGHTS = table(none=4, balanced=1)
LIVES = table(
    refit=2,
    order=2,
    interrupted=1,
    warm=2,
    threads=1,
    also={
        "zero weights": 3,
        "partial fit": 2,
        "rows permuted": 2,
        "rows repeated": 2,
        "columns permuted": 1,
        "units of X": 1,
        "units of y": 1,
        "other labels": 1,
    },
)
"""What happens after the fit; see `promises.LIVES`."""


# -- drawing ---------------------------------------------------------------------------------------


@dataclass
class Problem:
    """An unfitted estimator and its data; `spec` says by name what was drawn.

    X and y are plain float64 (y: as the classes are); `dressed` has them as the caller does.
    """

    spec: dict
    estimator: object
    X: np.ndarray
    y: np.ndarray
    rows: dict = field(default_factory=dict)  # what is known of rows: keywords of `fit`
    rng: np.random.RandomState | None = None  # for what happens after the fit

    @property
    def regression(self):
        return self.spec["task"] == "regression"

    @property
    def label(self):
        return ", ".join(f"{name}={value!r}" for name, value in self.spec.items())

    def dressed(self, X=None, y=None):
        """X and y (other ones, if given) in the container and the type drawn."""
        X, y = self.X if X is None else X, self.y if y is None else y
        return dress_rows(self.spec["rows of X"], X), dress_target(self.spec, y)


def choose(rng, shares):
    """A name from a table, or an element of a list."""
    if not isinstance(shares, dict):
        return shares[rng.randint(len(shares))]
    names, weight = list(shares), np.array(list(shares.values()), dtype=float)
    return names[np.searchsorted(np.cumsum(weight / weight.sum()), rng.uniform(), "right")]


def draw(seed, rows_above=0):
    """The problem of a number; with `rows_above` one of more rows than that."""
    rng = np.random.RandomState(seed)
    spec = {"seed": seed, **draw_estimator(rng)}
    spec.update(draw_options(rng, spec), **draw_sizes(rng, spec, rows_above), **draw_data(rng))
    if spec["shipped"]:
        spec.update(SHIPPED)
    settle(spec)
    X, y = make_rows(rng, spec)
    rows = make_row_facts(rng, spec, X, y)
    estimator = make_estimator(rng, spec, X, y)
    return Problem(spec, estimator, X, y, rows, rng)


SHIPPED = {
    "solver": "auto",
    "start": "quantile",
    "features": "all",
    "standardize": True,
    "assignment": "soft",
    "class weight": "none",
    "offset": False,
    "groups": False,
    "labels": False,
}
"""The options of a problem at shipped defaults, numbers of starts and iterations aside."""


def draw_estimator(rng):
    """The kind of estimator, its parts and its solver."""
    kind, task = choose(rng, ESTIMATORS), choose(rng, TASKS)
    targets = TARGETS if kind in ("mixture", "hierarchical") else table(real=2, several=1)
    target = choose(rng, targets) if task == "regression" else "classes"
    expert = choose(
        rng,
        {"adaptive": GRADIENT_EXPERTS[task], "meta_pi": META_EXPERTS[task]}.get(
            kind, EXPERTS[target]
        ),
    )
    return {
        "kind": kind,
        "task": task,
        "target": target,
        "expert": expert,
        "gate": choose(rng, NODES if kind in ("hierarchical", "meta_pi") else GATES),
        "solver": choose(rng, CLIMBERS if kind in ("adaptive", "meta_pi") else SOLVERS),
        "objective": choose(rng, OBJECTIVES) if kind == "adaptive" else "likelihood",
        "branching": choose(rng, [2, 2, 3, (2, 3), (3, 2)]),
        "depth": choose(rng, [1, 2, 2, 3]),
        "own gates": bool(rng.uniform() < 0.3),
    }


def draw_options(rng, spec):
    """Options of the estimator, and what is known of rows."""
    return {
        "shipped": spec["kind"] in ("mixture", "hierarchical") and bool(rng.uniform() < 0.15),
        "start": choose(rng, STARTS),
        "features": choose(rng, FEATURES),
        "standardize": bool(rng.uniform() < 0.75),
        "assignment": choose(rng, table(soft=4, hard=1)),
        "n_init": int(choose(rng, [1, 1, 1, 2])),
        "max_iter": int(choose(rng, [1, 3, 10, 10, 25])),
        "class weight": choose(rng, CLASS_WEIGHTS),
        "offset": bool(rng.uniform() < 0.25),
        "groups": bool(rng.uniform() < 0.1),
        "labels": bool(rng.uniform() < 0.1),
        "life": choose(rng, LIVES),
    }


def draw_sizes(rng, spec, rows_above):
    """How many rows, columns, experts, outputs and classes."""
    n = int(np.exp(rng.uniform(np.log(3), np.log(150))))
    p, K = int(np.exp(rng.uniform(0, np.log(20)))), int(choose(rng, [1, 2, 2, 2, 3, 3, 4, 5]))
    large = rows_above or (COMPILED if rng.uniform() < 0.04 else 0)
    if large:
        most = MOST_ROWS if rows_above else COMPILED + 300
        n, p = int(rng.randint(large + 1, max(most, large + 2))), min(p, 6)
    return {
        "n": n,
        "p": p,
        "K": K,
        "q": int(rng.randint(2, 4)),
        "C": int(choose(rng, [2, 2, 3, 4])),
    }


def draw_data(rng):
    """What the data are like."""
    return {
        "columns": choose(rng, ["normal", "any", "any"]),
        "scale of X": choose(rng, [0, 0, 0, round(rng.uniform(-8, 8), 1)]),
        "scale of y": choose(rng, [0, 0, 0, round(rng.uniform(-8, 8), 1)]),
        "offset of y": choose(rng, [0, 0, 0, 1e3, 1e6]),
        "signal": choose(rng, SIGNALS),
        "weights": choose(rng, WEIGHTS),
        "rows repeat": bool(rng.uniform() < 0.2),
        "one member": bool(rng.uniform() < 0.15),
        "rows of X": choose(rng, ROWS_OF_X),
        "rows of y": choose(rng, ROWS_OF_Y),
        "kind of labels": choose(rng, LABELS),
    }


def settle(spec):
    """Make what was drawn go together."""
    settle_sizes(spec)
    settle_options(spec)
    settle_columns(spec)


def settle_sizes(spec):
    """Numbers of experts: those of a list, of a tree; and of classes."""
    expert, levels = spec["expert"], np.atleast_1d(spec["branching"])
    listed = ", " in expert or expert == "frozen"
    if spec["kind"] == "hierarchical":
        if listed:
            spec["branching"], spec["depth"], levels = 2, 1, np.array([2])
        elif len(levels) > 1:
            spec["depth"] = len(levels)
        elif spec["branching"] == 3:
            spec["depth"] = min(spec["depth"], 2)
        spec["K"] = int(np.prod(levels) if len(levels) > 1 else levels[0] ** spec["depth"])
    elif listed:
        spec["K"] = 2
        spec["gate"] = "softmax" if SIZES.get(spec["gate"], 2) != 2 else spec["gate"]
    else:
        spec["K"] = SIZES.get(spec["gate"], spec["K"])
    spec["n"] = max(spec["n"], spec["K"] + 2)
    if expert == "logistic" or spec["kind of labels"] == "booleans":
        spec["C"] = 2


def settle_options(spec):
    """Options that not all parts and objectives take; few iterations where they cost most."""
    expert, gate, kind = spec["expert"], spec["gate"], spec["kind"]
    if spec["task"] == "regression":
        spec["class weight"] = "none"
    if spec["target"] not in ("counts", "positive", "trials") or expert == "gamma, linear":
        spec["offset"] = False
    if spec["n"] > COMPILED:
        spec["max_iter"], spec["n_init"] = min(spec["max_iter"], 5), 1
    refitted = expert in BLACK_BOXES | {"ridge, linear", "softmax, logistic regression"}
    if kind in ("adaptive", "meta_pi") and gate in BLACK_BOXES:  # what is refitted has no gradient
        spec["gate"] = gate = "softmax"
    if expert == "mlp" and spec["solver"] == "online":
        spec["solver"] = "auto"
    if kind != "meta_pi" and (refitted or gate in BLACK_BOXES):
        allowed = ("auto", "em") if refitted else ("auto", "em", "cem", "sem")
        spec["solver"] = spec["solver"] if spec["solver"] in allowed else "auto"
    if refitted or expert == "mlp" or gate in BLACK_BOXES:
        spec["max_iter"], spec["n_init"] = min(spec["max_iter"], 3), 1
    likelihood = kind != "meta_pi" and spec["objective"] == "likelihood"
    spec["groups"] &= likelihood and spec["solver"] != "online"
    spec["labels"] &= likelihood
    if kind == "meta_pi":
        spec.update(start="quantile", assignment="soft", features="all")


def settle_columns(spec):
    """Features that parts can be given, and the container of X."""
    gate = spec["gate"]
    models_x = gate == "exponential_family" or gate.startswith("gaussian")
    if spec["features"] == "no columns":
        spec["p"], spec["offset"] = 0, False
        spec["gate"] = "softmax" if models_x or gate in BLACK_BOXES else gate
    else:
        settle_features(spec, models_x)
    if spec["rows of X"] == "sparse":
        spec["columns"] = "any"  # some are mostly 0
    if spec["columns"] == "any" and spec["rows of X"] == "float32":
        spec["scale of X"] = 0


def ignorant(spec):
    """The parts that do not look at x: "expert", "gate"."""
    expert = spec["expert"].startswith("gaussian") or "noise" in spec["expert"]
    looks = {"expert": not expert, "gate": "constant" not in spec["gate"]}
    return [part for part, sees in looks.items() if not sees]


def settle_features(spec, models_x):
    """Features that parts can be given, where there are columns."""
    gate = spec["gate"]
    if ignorant(spec) or (models_x and spec["features"] == "none for the gate"):
        spec["features"] = "all"
    if spec["offset"] and spec["features"] in ("mask", "slice", "split"):
        spec["features"] = "all"
    if spec["groups"] and "constant" not in gate:  # without columns it is constant in a group
        if gate not in ("softmax", "softmax unpenalised"):
            spec["gate"] = "softmax"
        spec["features"] = "none for the gate"


# -- data ------------------------------------------------------------------------------------------


def make_rows(rng, spec):
    """X (n, p), one column more with an offset, and y."""
    n, p = spec["n"], spec["p"]
    names = [choose(rng, COLUMNS) if spec["columns"] == "any" else "normal" for _ in range(p)]
    spec["columns"] = names
    X = np.empty((n, p))
    for j, name in enumerate(names):
        X[:, j] = make_column(rng, name, n, X[:, j - 1] if j else rng.standard_normal(n))
    q = spec["q"] if spec["target"] == "several" else 1
    Y = make_signal(rng, spec, X, q)
    if spec["rows repeat"]:
        rows = rng.randint(max(n // 3, 2), size=n)
        X, Y = X[rows], Y[rows]
    X = X * 10.0 ** spec["scale of X"]
    if spec["offset"]:
        X = np.column_stack([X, 0.5 * rng.standard_normal(n)])
    return X, make_target(rng, spec, Y)


def make_column(rng, name, n, previous):
    """A column of a kind, (n,)."""
    z = rng.standard_normal(n)
    return {
        "normal": lambda: z,
        "integer": lambda: np.round(3 * z),
        "boolean": lambda: z > 0,
        "rare": lambda: rng.uniform(size=n) < 0.05,
        "constant": lambda: np.full(n, 3.7),
        "copied": lambda: 2 * previous,
        "tiny": lambda: 1e-8 * z,
        "huge": lambda: 1e8 * z,
        "far": lambda: z + 1e6,
        "cauchy": lambda: rng.standard_cauchy(n),
        "ties": lambda: rng.randint(3, size=n),
    }[name]()


def make_signal(rng, spec, X, q):
    """Three lines, each in a region of its own, and what is done to them, (n, q)."""
    spread = X.std(axis=0)
    U = (X - X.mean(axis=0)) / np.where(spread > 0, spread, 1)
    region = np.digitize(U @ rng.standard_normal(X.shape[1]), [-0.3, 0.5])
    slopes = 2 * rng.standard_normal((3, X.shape[1], q)) / np.sqrt(max(X.shape[1], 1))
    Y = np.einsum("ij,ijq->iq", U, slopes[region]) + 2 * region[:, None]
    noise = {"exact": 0.0, "noise": 3.0}.get(spec["signal"], 0.3)
    Y = Y + noise * rng.standard_normal(Y.shape)
    if spec["signal"] == "constant":
        Y[:] = 1.5
    if spec["signal"] == "two":
        Y = np.where(np.median(Y, axis=0) < Y, 1.0, 0.0)
    if spec["signal"] == "outlier":
        Y[rng.randint(len(Y))] *= 1e5
    return np.round(Y) if spec["signal"] == "ties" else Y


def make_target(rng, spec, Y):
    """y of the kind drawn with the signal Y (n, q)."""
    n, target = len(Y), spec["target"]
    scale, mild = 10.0 ** spec["scale of y"], np.clip(Y[:, 0], -4, 4)
    if target in ("real", "several"):
        y = scale * (Y + spec["offset of y"])
        return y[:, 0] if target == "real" else y
    if target == "counts":
        return rng.poisson(np.exp(mild)).astype(float)
    if target == "positive":
        return scale * np.exp(mild) * rng.gamma(3.0, 1 / 3, size=n)
    if target == "trials":
        trials = rng.randint(0, 9, size=n)
        trials[0] = 2
        successes = rng.binomial(trials, 1 / (1 + np.exp(-mild)))
        return np.column_stack([successes, trials - successes]).astype(float)
    C = spec["C"]
    y = np.searchsorted(np.quantile(Y[:, 0], np.arange(1, C) / C), Y[:, 0])
    if spec["one member"]:
        y[y == C - 1] = 0
        y[-1] = C - 1
    y[:2] = 0, 1
    return MAKE_LABELS.get(spec["kind of labels"], lambda y: y)(y)


def make_row_facts(rng, spec, X, y):
    """Weights, groups and labels of the rows: keywords of `fit`."""
    n, K = len(X), spec["K"]
    weight = {
        "none": lambda: None,
        "ones": lambda: np.ones(n),
        "counts": lambda: rng.randint(0, 4, size=n).astype(float),
        "real": lambda: rng.uniform(0.1, 2, size=n) * (rng.uniform(size=n) > 0.2),
        "uneven": lambda: 10.0 ** rng.uniform(-8, 4, size=n),
        "huge": lambda: np.full(n, 1e12),
        "tiny": lambda: np.full(n, 1e-12),
    }[spec["weights"]]()
    facts = {}
    if weight is not None:
        if spec["weights"] in ("counts", "real"):
            weight[: min(n, K + 3)] = 1
        if spec["task"] == "classification":  # a class of no weight is one that no fit has seen
            labels = np.asarray(y)
            for label in set(labels.tolist()):
                first = np.flatnonzero(labels == label)[0]
                weight[first] = weight[first] or 1
        facts["sample_weight"] = weight
    if spec["groups"]:
        facts["groups"] = rng.randint(max(n // 3, K + 1), size=n)
    if spec["labels"]:
        known = rng.uniform(size=n) < 0.2
        facts["expert_labels"] = np.where(known, rng.randint(K, size=n), -1)
        if spec["groups"]:
            facts["expert_labels"] = np.where(
                facts["groups"] % 5 == 0, facts["groups"] % K, -1
            )  # the rows of a group share one
    if spec["kind"] == "meta_pi" and not spec["expert"] == "frozen":
        if ", " in spec["expert"] and rng.uniform() < 0.3:
            facts["expert_groups"] = np.arange(n) % 2
    return facts


def dress_rows(container, X):
    """X as the caller has it."""
    if container == "read_only":
        X = X.copy()
        X.flags.writeable = False
    return {
        "float32": lambda: X.astype(np.float32),
        "fortran": lambda: np.asfortranarray(X),
        "strided": lambda: np.repeat(X, 2, axis=1)[:, ::2],
        "list": lambda: X.tolist(),
        "frame": lambda: pd.DataFrame(X, columns=[f"x{j}" for j in range(X.shape[1])]),
        "objects": lambda: X.astype(object),
        "sparse": lambda: sparse.csr_array(X),
    }.get(container, lambda: X)()


def dress_target(spec, y):
    """y as the caller has it."""
    if spec["task"] == "classification":
        return y
    single = y.ndim == 1
    return {
        "float32": lambda: y.astype(np.float32),
        "list": lambda: y.tolist(),
        "column": lambda: y[:, None] if single else y,
    }.get(spec["rows of y"], lambda: y)()


# -- the estimator ---------------------------------------------------------------------------------


def make_estimator(rng, spec, X, y):
    """The estimator drawn, unfitted."""
    suffix = "Regressor" if spec["task"] == "regression" else "Classifier"
    kind = getattr(classic_moe, CLASSES[spec["kind"]] + suffix)
    options = dict(
        gate=MAKE_GATE.get(spec["gate"], lambda: spec["gate"])(),
        solver=MAKE_SOLVER.get(spec["solver"], lambda: spec["solver"])(),
        n_init=spec["n_init"],
        max_iter=spec["max_iter"],
        standardize=spec["standardize"],
        random_state=0,
    )
    if spec["class weight"] != "none":
        options["class_weight"] = spec["class weight"]
    if spec["kind"] == "meta_pi":
        return make_meta_pi(kind, spec, X, y, options)
    options.update(
        expert=MAKE_EXPERT.get(spec["expert"], lambda task: spec["expert"])(spec["task"]),
        assignment=spec["assignment"],
        **make_features(spec, X.shape[1]),
    )
    if spec["offset"]:
        options["offset_feature"] = X.shape[1] - 1
    if spec["kind"] == "hierarchical":
        options.update(branching=spec["branching"], depth=spec["depth"])
    else:
        options["n_experts"] = spec["K"]
    if spec["kind"] == "adaptive":
        options["objective"] = spec["objective"]
    return kind(**options, init_params=make_start(rng, spec, X))


def make_meta_pi(kind, spec, X, y, options):
    """A Meta-Pi estimator of a list or a bank of experts."""
    items = MAKE_META[spec["expert"]](lambda estimator: estimator.fit(X, y))
    if not isinstance(items, list):
        options["n_experts"] = spec["K"]
    own = "per_output" if spec["task"] == "regression" else "per_class"
    return kind(items, **{own: spec["own gates"]}, **options)


def make_features(spec, p):
    """Which columns gate and experts see."""
    seeing = [part for part in ("gate", "expert") if part not in ignorant(spec)]
    halves = {"gate_features": [0], "expert_features": list(range(1, p))} if p > 1 else {}
    return {
        "none for the gate": {"gate_features": []},
        "none for the experts": {"expert_features": []},
        "no columns": {f"{part}_features": [] for part in seeing},
        "split": halves,
        "mask": {"gate_features": np.arange(p) % 2 == 0},
        "slice": {"expert_features": slice(0, max(1, p // 2))},
    }.get(spec["features"], {})


def make_start(rng, spec, X):
    """`init_params`; of "dict" and "fit" the name, for `promises` to make from a first fit."""
    n, K = len(X), spec["K"]
    if spec["start"] == "array":
        return rng.dirichlet(np.ones(K), size=n)
    if spec["start"] == "empty expert":
        resp = rng.dirichlet(np.ones(K), size=n)
        resp[:, 0] += 0.1  # some mass for every row when the last expert has none
        resp[:, -1] *= K == 1
        return resp
    if spec["start"] == "callable":
        return random_responsibilities
    return spec["start"]


def random_responsibilities(X, y, n_experts, rng):
    """A start as users may write one."""
    return rng.dirichlet(np.ones(n_experts), size=X.shape[0])  # X is sparse if the caller's is
