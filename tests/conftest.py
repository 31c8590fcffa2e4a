"""Settings for all tests."""

import os

import pytest

os.environ["MPLBACKEND"] = "Agg"  # pictures without a screen
# One BLAS thread and one of OpenMP for each of the processes that run the tests, if nothing else is
# asked for: small systems on several threads of a busy machine take a hundred times as long.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_sessionstart(session):
    """Load the compiled kernels: digits of small fits are not to hang on what ran before."""
    import classic_moe._kernels.compiled  # noqa: F401


def _with_weak_penalties():
    """Fit with weak numbers where the evidence would find them, for a test or a file."""
    from classic_moe.starts.automatic import Automatic

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Automatic, "of", classmethod(lambda cls, gate, expert: None))
        yield


@pytest.fixture(autouse=True, scope="module")
def weak_penalties_of_a_file(request):
    """Weak penalties for the fits of a file that has the mark, shared ones included."""
    marks = getattr(request.module, "pytestmark", [])
    marks = marks if isinstance(marks, list) else [marks]
    if any(mark.name == "weak_penalties" for mark in marks):
        yield from _with_weak_penalties()
    else:
        yield


@pytest.fixture(autouse=True)
def weak_penalties_of_a_test(request):
    """Weak penalties for the fits of a test that has the mark."""
    if request.node.get_closest_marker("weak_penalties"):
        yield from _with_weak_penalties()
    else:
        yield


def pytest_terminal_summary(terminalreporter):
    """Name the golden cases that were skipped, so that nobody has to look for them."""
    skipped = [report.nodeid for report in terminalreporter.stats.get("skipped", [])]
    names = sorted({n.split("[")[-1].rstrip("]") for n in skipped if "test_golden" in n})
    if names:
        terminalreporter.write_line(f"golden cases skipped: {len(names)} ({', '.join(names)})")
