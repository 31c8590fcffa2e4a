"""Settings for all tests."""

import os

os.environ["MPLBACKEND"] = "Agg"  # pictures without a screen
# One BLAS thread for each of the processes that run the tests, if nothing else is asked for: small
# systems on several threads of a busy machine take a hundred times as long.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
