"""The arguments of the commands, and what can be said of them before anything is imported.

Neither scikit-learn nor pandas is needed to say that a file is not there.
"""

from __future__ import annotations

import argparse
import codecs
import re
from pathlib import Path

from .. import __version__
from .files import check_input, check_outputs, check_page, check_picture

EXPERTS = (
    *("binomial", "gamma", "gaussian", "laplace", "linear", "logistic", "mlp"),
    *("negative_binomial", "noise", "poisson", "reduced_rank_softmax", "softmax", "student_t"),
)
"""The aliases of experts, which the help names without importing them."""
GATES = ("constant", "exponential_family", "gaussian", "least_squares", "softmax", "top_k", "tree")
CRITERIA = ("bic", "icl", "aic", "cv")
FOLDS = 5
"""Of cross-validation, where the user does not say."""


class Parser(argparse.ArgumentParser):
    """A parser that says what is wrong in one line, without the usage."""

    def __init__(self, **options):
        super().__init__(allow_abbrev=False, **options)

    def error(self, message):
        """Raise a ValueError with the message.

        Parameters
        ----------
        message : str
        """
        raise ValueError(f"{message} (see {self.prog} --help)")


def parser(program):
    """Return the parser of the whole command line.

    Parameters
    ----------
    program : str
        What the user calls.

    Returns
    -------
    Parser
        Of what it has parsed, `check` is a cheap function that refuses what cannot be done, and
        `run` the place, "module:function", of the one that does it.
    """
    top = Parser(
        prog=program,
        description="Classical mixtures of experts: a gate mixes simple models, each good in its"
        " own region of the data.",
    )
    top.add_argument("--version", action="version", version=__version__)
    commands = top.add_subparsers(metavar="command", required=True)
    _add_demo(commands)
    _add_fit(commands)
    _add_predict(commands)
    info = commands.add_parser(
        "info", help="versions, backends, threads, devices", description="Say what is at work here."
    )
    info.set_defaults(check=lambda args: None, run="info:run_info")
    return top


def _add_demo(commands):
    """Add the command ``demo``."""
    demo = commands.add_parser(
        "demo",
        help="one data set from start to end: choose K, read the experts, compare, draw",
        description="Fit the motorcycle impact data with 1 to 5 experts, choose by BIC, say what"
        " the experts do, compare on held-out rows, and draw the fit.",
    )
    demo.add_argument(
        "--out",
        type=_in_a_folder,
        default=Path("motorcycle.png"),
        metavar="FILE",
        help="where to write the picture (default: %(default)s)",
    )
    demo.add_argument(
        "--report",
        type=_in_a_folder,
        metavar="FILE",
        help="write all of it as one page (.html)",
    )
    _add_force(demo)
    _add_seed(demo)
    demo.set_defaults(check=_check_demo, run="demo:run_demo")


def _check_demo(args):
    """ValueError for a picture or a page that cannot be written."""
    check_outputs({"--out": args.out, "--report": args.report}, force=args.force)
    check_picture("--out", args.out)
    check_page("--report", args.report)


# -- fit -----------------------------------------------------------------------------------------


def _add_fit(commands):
    """Add the command ``fit``."""
    fit = commands.add_parser(
        "fit",
        help="fit a mixture of experts to your own table",
        usage="%(prog)s data.csv --target COLUMN [options]",
        description="Fit a mixture of experts to a table: a CSV file with a header line, or"
        " Parquet. Columns may be numbers, dates or text, with cells missing; what becomes of each"
        " is told. COLUMNS is a name, or several with commas between; such options may be"
        " repeated.",
    )
    fit.add_argument("data", type=_file, metavar="data.csv", help="the table")
    _add_columns(fit.add_argument_group("columns"))
    _add_reading(fit)
    fit.add_argument(
        "--blocks",
        type=_whole_number(2),
        metavar="ROWS",
        help="read the table so many rows at a time, in every pass: for one larger than memory",
    )
    _add_model(fit.add_argument_group("model"))
    _add_output(fit)
    fit.set_defaults(check=_check_fit, run="fit:run_fit")


def _add_columns(group):
    """Add what says which columns are what."""
    several = dict(action="append", default=[], type=_text, metavar="COLUMNS")
    group.add_argument(
        "--target",
        **(several | dict(default=None)),
        required=True,
        help="what to predict; for --expert binomial the successes, then the failures",
    )
    group.add_argument("--drop", **several, help="leave these out")
    group.add_argument(
        "--keep", **several, help="use these, though they look like identifiers or are constant"
    )
    group.add_argument(
        "--missing",
        choices=["impute", "drop", "error"],
        default="impute",
        help="cells without a value: filled in (the default), their rows left out, or refused;"
        " rows without a target are always left out",
    )
    one = dict(type=_text, metavar="COLUMN")
    group.add_argument("--weights", **one, help="how often each row counts")
    group.add_argument("--groups", **one, help="rows of one value share one expert")
    group.add_argument(
        "--offset",
        **one,
        help="added to the experts' linear predictor, such as the log of an exposure",
    )
    group.add_argument("--gate-features", **several, help="what the gate sees (default: all)")
    group.add_argument("--expert-features", **several, help="what the experts see (default: all)")


def _add_reading(parser):
    """Add what says how a file is read; most of it is found out without."""
    group = parser.add_argument_group("reading", "found out from the file, unless given")
    group.add_argument("--separator", type=_separator, metavar="SIGN", help="or the word tab")
    group.add_argument("--decimal", choices=[".", ","], help="the decimal sign")
    group.add_argument(
        "--missing-code",
        action="append",
        default=[],
        metavar="CODE",
        help="a cell that means no value, such as -999; may be repeated; '' for none to be guessed",
    )
    group.add_argument("--encoding", type=_encoding, metavar="NAME", help="such as latin-1")


def _add_model(group):
    """Add what says which model is fitted."""
    group.add_argument(
        "--task",
        choices=["auto", "regression", "classification"],
        default="auto",
        help="auto: classification if the target is text or has two values, else regression",
    )
    group.add_argument(
        "--n-experts",
        type=_n_experts,
        default=range(1, 7),
        metavar="K",
        help="number of experts, or a range such as 1-6 to choose from (default: 1-6)",
    )
    group.add_argument(
        "--criterion",
        choices=CRITERIA,
        help="what chooses (default: bic; cv is the log-likelihood of rows held out)",
    )
    group.add_argument(
        "--cv",
        type=_whole_number(2),
        metavar="N",
        help=f"folds of --criterion cv, which it implies (default: {FOLDS})",
    )
    group.add_argument(
        "--expert",
        choices=EXPERTS,
        metavar="EXPERT",
        help=f"{', '.join(EXPERTS)} (default: linear, or softmax for classes)",
    )
    group.add_argument(
        "--gate",
        choices=GATES,
        default="softmax",
        metavar="GATE",
        help=f"{', '.join(GATES)} (default: %(default)s)",
    )
    group.add_argument(
        "--n-init",
        type=_whole_number(1),
        default=10,
        metavar="N",
        help="starts of every fit, at most (default: %(default)s)",
    )
    _add_seed(group)


def _add_output(fit):
    """Add what says what is told and written."""
    told = fit.add_argument_group("output")
    told.add_argument("--full", action="store_true", help="every coefficient of every expert")
    loud = told.add_mutually_exclusive_group()
    loud.add_argument("--verbose", action="store_true", help="a line for every start, all warnings")
    loud.add_argument(
        "--quiet", action="store_true", help="no progress, and no notes on the table's columns"
    )
    told.add_argument(
        "--keep-best",
        action="store_true",
        help="Ctrl-C ends the search with the best fit so far; a second one ends all",
    )
    told.add_argument(
        "--out",
        type=_in_a_folder,
        metavar="FILE",
        help="save the fitted Pipeline (joblib); it takes the raw table",
    )
    told.add_argument(
        "--plot", type=_in_a_folder, metavar="FILE", help="draw the fit (.png, .svg, .pdf)"
    )
    told.add_argument(
        "--report",
        type=_in_a_folder,
        metavar="FILE",
        help="write all of it, with pictures, intervals and diagnostics, as one page (.html)",
    )
    told.add_argument(
        "--feature", type=_text, metavar="COLUMN", help="the column to draw along in the picture"
    )
    _add_force(told)


def _check_fit(args):
    """ValueError or OSError for files and options that do not go together."""
    check_input(args.data)
    outputs = {"--out": args.out, "--plot": args.plot, "--report": args.report}
    check_outputs(outputs, force=args.force, data=args.data)
    if args.feature is not None and args.plot is None and args.report is None:
        raise ValueError(
            f"--feature {args.feature!r} is for the picture; give --plot FILE or --report FILE too"
        )
    if args.cv is not None and args.criterion not in (None, "cv"):
        raise ValueError(
            f"--cv {args.cv} chooses by rows held out, --criterion {args.criterion} does not; leave"
            " one out"
        )
    args.criterion = args.criterion or ("bic" if args.cv is None else "cv")
    args.cv = args.cv or FOLDS
    if args.criterion == "cv" and args.weights is not None and args.groups is not None:
        raise ValueError(
            "--criterion cv takes --weights or --groups, not both; use --criterion bic, or leave"
            " one out"
        )
    for given, option, needed in (
        (args.gate_features, "--gate-features", args.gate == "constant"),
        (args.expert_features, "--expert-features", args.expert in ("gaussian", "noise")),
    ):
        if given and needed:
            part = "--gate constant" if "gate" in option else f"--expert {args.expert}"
            raise ValueError(f"{part} looks at no column; leave {option} out")
    if args.decimal is not None and args.decimal == args.separator:
        raise ValueError(f"--separator and --decimal are both {args.decimal!r}; they must differ")
    check_picture("--plot", args.plot)
    check_page("--report", args.report)


# -- predict -------------------------------------------------------------------------------------


def _add_predict(commands):
    """Add the command ``predict``."""
    predict = commands.add_parser(
        "predict",
        help="predict the rows of another table by a saved model",
        usage="%(prog)s model.joblib new.csv --out FILE [options]",
        description="Predict the rows of a table by a model that `fit --out` has saved. A joblib"
        " file runs code of whoever made it: open none that you do not trust.",
    )
    predict.add_argument("model", type=_file, metavar="model.joblib", help="made by fit --out")
    predict.add_argument("data", type=_file, metavar="new.csv", help="a table like that of the fit")
    predict.add_argument(
        "--out", type=_in_a_folder, required=True, metavar="FILE", help="the predictions, CSV"
    )
    predict.add_argument(
        "--quantiles",
        type=_quantiles,
        nargs="+",
        metavar="Q",
        help="of the predicted distribution, such as 0.05 0.5 0.95",
    )
    predict.add_argument(
        "--gate-probabilities",
        action="store_true",
        help="of every expert, before the target is known",
    )
    predict.add_argument(
        "--responsibilities",
        action="store_true",
        help="of every expert, by the target, which the table must have",
    )
    _add_reading(predict)
    predict.add_argument("--quiet", action="store_true", help="say nothing")
    _add_force(predict)
    predict.set_defaults(check=_check_predict, run="predict:run_predict")


def _check_predict(args):
    """ValueError or OSError for files that are not there or would be replaced."""
    check_input(args.model)
    check_input(args.data)
    for data in (args.model, args.data):
        check_outputs({"--out": args.out}, force=args.force, data=data)
    if args.decimal is not None and args.decimal == args.separator:
        raise ValueError(f"--separator and --decimal are both {args.decimal!r}; they must differ")
    if args.quantiles is not None:
        args.quantiles = sorted({level for levels in args.quantiles for level in levels})


# -- shared --------------------------------------------------------------------------------------


def _add_force(parser):
    """Add the option ``--force``."""
    parser.add_argument(
        "--force",
        action="store_true",
        help="replace files that exist (what is read is never replaced)",
    )


def _add_seed(parser):
    """Add the option ``--seed``."""
    parser.add_argument(
        "--seed",
        type=_seed,
        default=0,
        metavar="N",
        help="for the random starts and folds (default: %(default)s)",
    )


# -- types of arguments: what is wrong with a value is said before any work is done -------------


def _n_experts(text):
    """Return "3" or "1-6" as a range."""
    match = re.fullmatch(r"([0-9]{1,9})(?:-([0-9]{1,9}))?", text)
    if match:
        low = int(match[1])
        high = int(match[2] or low)
        if 1 <= low <= high:
            return range(low, high + 1)
    raise argparse.ArgumentTypeError(
        f"{text!r} is neither a whole number of at least 1 nor a range such as 1-6"
    )


def _whole_number(least):
    """Return the type of whole numbers from `least` on."""

    def number(text):
        if re.fullmatch("[0-9]{1,9}", text) and int(text) >= least:
            return int(text)
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least {least}")

    return number


def _seed(text):
    """Return the seed, an int."""
    if not (re.fullmatch("[0-9]{1,10}", text) and int(text) < 2**32):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to 2**32 - 1")
    return int(text)


def _quantiles(text):
    """Return "0.05" or "0.05,0.5" as a list of float."""
    try:
        levels = [float(level) for level in text.split(",")]
    except ValueError:
        levels = [-1.0]
    if all(0 < level < 1 for level in levels):
        return levels
    raise argparse.ArgumentTypeError(f"{text!r} holds what is no number between 0 and 1")


def _text(text):
    """Return a name that says something, a str."""
    if not text.strip():
        raise argparse.ArgumentTypeError("an empty name; name a column as the header does")
    return text


def _separator(text):
    """Return a single sign."""
    sign = {"tab": "\t", "\\t": "\t"}.get(text, text)
    if len(sign) != 1 or sign.isalnum() or sign in '"\n\r\0.':
        raise argparse.ArgumentTypeError(f"{text!r} is no sign that separates cells, as ; does")
    return sign


def _encoding(text):
    """Return the name of an encoding of text that Python knows."""
    try:
        known = codecs.lookup(text)._is_text_encoding
    except (LookupError, ValueError):
        known = False
    if not known:
        raise argparse.ArgumentTypeError(f"{text!r} is no encoding, as utf-8 and latin-1 are")
    return text


def _file(text):
    """Return the Path of a file."""
    if not text or "\0" in text:
        raise argparse.ArgumentTypeError(f"{text!r} is no name of a file")
    return Path(text)


def _in_a_folder(text):
    """Return the Path of a file in a folder that exists."""
    path = _file(text)
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is a folder; name a file")
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {str(path.parent)!r}; make it first")
    return path
