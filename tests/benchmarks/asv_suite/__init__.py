"""What airspeed velocity times, commit by commit: the scripts beside this folder, as classes."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # the scripts import each other by name
