"""The command line: ``python -m classic_moe demo | fit | predict | info``, or ``classic-moe``.

Whatever is wrong with what the user gave ends in one line on stderr and exit status 2.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from io import TextIOWrapper

from ..parts.names import printable
from .arguments import parser

PROGRAM = "python -m classic_moe"


def main(argv=None, program=PROGRAM):
    """Run a command and return the exit status.

    Parameters
    ----------
    argv : list of str, default=None
        Arguments without the program's name; None takes those of the process.
    program : str, default="python -m classic_moe"
        What the user called, for messages.

    Returns
    -------
    int
        0; 1 if nobody reads what is printed; 2 if the arguments or the data cannot be used; 130
        after Ctrl-C.
    """
    try:
        args = parser(program).parse_args(argv)
        args.check(args)
        module, function = args.run.split(":")  # imported now: it may be heavy
        vars(import_module(f".{module}", __name__))[function](args)
    except BrokenPipeError:  # nobody reads on, as after `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        named = f"{printable(str(error.filename))}: {error.strerror}"
        return _refuse(program, named if error.filename else str(error))
    except ValueError as error:
        return _refuse(program, str(error))
    except MemoryError:
        return _refuse(program, "not enough memory for this table; take fewer rows or columns")
    except KeyboardInterrupt:
        _refuse(program, "interrupted")
        return 130
    return 0


def script(program="classic-moe"):
    """Run a command as the whole process, whose output may be in any encoding.

    Parameters
    ----------
    program : str, default="classic-moe"
        What the user called, for messages.

    Returns
    -------
    int
        As of `main`.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    return main(program=program)


def _refuse(program, message):
    """Print an error in one line and return its exit status, 2."""
    print(f"{program}: error: {printable(' '.join(message.split()))}", file=sys.stderr)
    return 2
