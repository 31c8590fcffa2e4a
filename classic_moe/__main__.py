"""``python -m classic_moe``: demo, fit, info."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
