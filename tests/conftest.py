"""Settings for all tests."""

import os

os.environ["MPLBACKEND"] = "Agg"  # pictures without a screen
