"""Settings for all tests."""

import os

os.environ["MPLBACKEND"] = "Agg"  # pictures without a screen
# One BLAS thread and one of OpenMP for each of the processes that run the tests, if nothing else is
# asked for: small systems on several threads of a busy machine take a hundred times as long.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_sessionstart(session):
    """Load the compiled kernels: digits of small fits are not to hang on what ran before."""
    import classic_moe._kernels.compiled  # noqa: F401


def pytest_terminal_summary(terminalreporter):
    """Name the golden cases that were skipped, so that nobody has to look for them."""
    skipped = [report.nodeid for report in terminalreporter.stats.get("skipped", [])]
    names = sorted({n.split("[")[-1].rstrip("]") for n in skipped if "test_golden" in n})
    if names:
        terminalreporter.write_line(f"golden cases skipped: {len(names)} ({', '.join(names)})")
