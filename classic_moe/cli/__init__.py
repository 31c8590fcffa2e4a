"""The command line: ``python -m classic_moe demo | fit | info``.

Whatever is wrong with what the user gave ends in one line on stderr and exit status 2.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from .. import __version__
from ..experts import ALIASES as EXPERTS
from ..gates import ALIASES as GATES
from ..inspection._pictures import can_be_written
from ..parts.names import printable
from .demo import run_demo
from .fit import run_fit
from .info import run_info

PROGRAM = "python -m classic_moe"


def main(argv=None):
    """Run a command and return the exit status.

    Parameters
    ----------
    argv : list of str, default=None
        Arguments without the program's name; None takes those of the process.

    Returns
    -------
    int
        0, or 2 if the arguments or the data cannot be used.
    """
    try:
        args = _parser().parse_args(argv)
        args.run(args)
    except OSError as error:
        named = f"{printable(str(error.filename))}: {error.strerror}"
        return _refuse(named if error.filename else str(error))
    except ValueError as error:
        return _refuse(str(error))
    except KeyboardInterrupt:
        _refuse("interrupted")
        return 130
    return 0


def _refuse(message):
    """Print an error in one line and return its exit status, 2."""
    print(f"{PROGRAM}: error: {printable(' '.join(message.split()))}", file=sys.stderr)
    return 2


class _Parser(argparse.ArgumentParser):
    """A parser that says what is wrong in one line, without the usage."""

    def error(self, message):
        raise ValueError(f"{message} (see {self.prog} --help)")


def _parser():
    """Return the parser of the whole command line."""
    parser = _Parser(
        prog=PROGRAM,
        description="Classical mixtures of experts: a gate mixes simple models, each good in its"
        " own region of the data.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(metavar="command", required=True)
    _add_demo(commands)
    _add_fit(commands)
    info = commands.add_parser(
        "info", help="versions, backends, threads, GPU", description="Say what is at work here."
    )
    info.set_defaults(run=run_info)
    return parser


def _add_demo(commands):
    """Add the command ``demo``."""
    demo = commands.add_parser(
        "demo",
        help="one data set from start to end: choose K, read the experts, compare, draw",
        description="Fit the motorcycle impact data with 1 to 5 experts, choose by BIC, say what"
        " the experts do, compare on held-out rows, and draw the fit.",
        allow_abbrev=False,
    )
    demo.add_argument(
        "--out",
        type=_picture,
        default=Path("motorcycle.png"),
        metavar="FILE",
        help="where to write the picture (default: %(default)s)",
    )
    _add_force(demo)
    _add_seed(demo)
    demo.set_defaults(run=run_demo)


def _add_fit(commands):
    """Add the command ``fit``."""
    fit = commands.add_parser(
        "fit",
        help="fit a mixture of experts to your own CSV file",
        description="Fit a mixture of experts to a CSV file with a header line. Text columns are"
        " one-hot coded, which is saved with the model; numeric ones stay in their units.",
        allow_abbrev=False,
    )
    fit.add_argument(
        "data", type=_file, metavar="data.csv", help="comma, semicolon or tab separated"
    )
    fit.add_argument("--target", required=True, metavar="COLUMN", help="the column to predict")
    fit.add_argument(
        "--drop",
        action="append",
        default=[],
        metavar="COLUMN",
        help="leave a column out, such as an identifier; may be repeated",
    )
    fit.add_argument(
        "--task",
        choices=["auto", "regression", "classification"],
        default="auto",
        help="auto: classification if the target is text or has two values, else regression",
    )
    fit.add_argument(
        "--n-experts",
        type=_n_experts,
        default=range(1, 7),
        metavar="K",
        help="number of experts, or a range such as 1-6, from which BIC chooses (default: 1-6)",
    )
    fit.add_argument(
        "--expert", choices=list(EXPERTS), help="default: linear, or softmax for classes"
    )
    fit.add_argument("--gate", choices=list(GATES), default="softmax", help="default: %(default)s")
    fit.add_argument(
        "--out",
        type=_in_a_folder,
        metavar="FILE",
        help="save the fitted Pipeline (joblib); it takes the raw table",
    )
    fit.add_argument(
        "--plot", type=_picture, metavar="FILE", help="draw the experts along one numeric column"
    )
    fit.add_argument(
        "--feature", metavar="COLUMN", help="the column to draw along (default: the first numeric)"
    )
    _add_force(fit)
    _add_seed(fit)
    fit.set_defaults(run=run_fit)


def _add_force(parser):
    """Add the option ``--force``."""
    parser.add_argument(
        "--force",
        action="store_true",
        help="replace files that exist (the data are never replaced)",
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
    match = re.fullmatch(r"(\d+)(?:-(\d+))?", text)
    if match:
        low = int(match[1])
        high = int(match[2] or low)
        if 1 <= low <= high:
            return range(low, high + 1)
    raise argparse.ArgumentTypeError(
        f"{text!r} is neither a whole number of at least 1 nor a range such as 1-6"
    )


def _seed(text):
    """Return the seed, an int."""
    if not (text.isdecimal() and int(text) < 2**32):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to 2**32 - 1")
    return int(text)


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


def _picture(text):
    """Return the Path of a file whose suffix names a kind of picture."""
    path = _in_a_folder(text)
    if not can_be_written(path):
        raise argparse.ArgumentTypeError(f"{text!r}: a picture ends in .png, .svg, .pdf or such")
    return path
