"""``python -m classic_moe``: demo, fit, predict, info."""

import sys

from .cli import PROGRAM, script

if __name__ == "__main__":
    sys.exit(script(PROGRAM))
