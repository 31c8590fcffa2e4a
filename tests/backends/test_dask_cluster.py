"""A cluster of two processes: a fit survives the death of a worker, and logs no traceback."""

import logging
import os
import signal
import threading

import numpy as np
import pytest

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.estimators import _blocks

dask = pytest.importorskip("dask", reason="dask is not installed: pip install 'classic-moe[dask]'")
da = pytest.importorskip("dask.array", reason="dask.array is not installed")
distributed = pytest.importorskip("distributed", reason="distributed is not installed")

pytestmark = [
    pytest.mark.dask,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # sockets and processes of the cluster that go
]

N, KILLS = 6000, (2, 5)


def block(first, rows):
    """Rows that a worker makes again where another has died, X and y side by side."""
    rng = np.random.default_rng(first)
    X = rng.standard_normal((rows, 3))
    y = np.where(X[:, 0] > 0, X[:, 1], 2 - X[:, 1]) + 0.3 * rng.standard_normal(rows)
    return np.column_stack([X, y])


def made(rows=1000):
    """Return X and y as recipes, from blocks that are made where they are needed."""
    parts = [
        da.from_delayed(dask.delayed(block)(first, rows), (rows, 4), float)
        for first in range(0, N, rows)
    ]
    whole = da.concatenate(parts)
    return whole[:, :3], whole[:, 3]


@pytest.fixture(scope="module")
def client():
    options = dict(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None)
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
        yield client


def test_a_worker_that_dies_changes_nothing(client, monkeypatch, caplog):
    monkeypatch.setattr(_blocks, "GATHERED", 0)
    monkeypatch.setattr(_blocks, "SAMPLE_ROWS", 0)
    monkeypatch.setattr("classic_moe.model.fused_climb.CHUNK", 0)
    X, y = made()
    options = dict(random_state=0, n_init=1, max_iter=8, tol=1e-12)
    in_memory = MixtureOfExpertsRegressor(2, **options).fit(*dask.compute(X, y))
    whole = MixtureOfExpertsRegressor(2, **options).fit(X, y)
    np.testing.assert_allclose(whole.log_likelihood_, in_memory.log_likelihood_, rtol=1e-11)
    killed, timers = [], []

    def kill(iteration, params, objective):
        """Kill a worker at once, or a little later, with tasks in work."""
        if iteration in KILLS:
            killed.append(min(client.run(os.getpid).values()))
            later = threading.Timer(0.02 * len(timers), os.kill, (killed[-1], signal.SIGKILL))
            timers.append(later)
            later.start()

    with caplog.at_level(logging.WARNING):
        again = MixtureOfExpertsRegressor(2, **options).fit(X, y, callback=kill)
    for timer in timers:
        timer.join()
    assert len(set(killed)) == len(KILLS)
    assert not set(killed) & set(client.run(os.getpid).values())
    assert again.log_likelihood_ == whole.log_likelihood_
    assert again.n_iter_ == whole.n_iter_ > max(KILLS)
    assert "Compute Failed" not in caplog.text


def test_an_error_of_a_block_is_raised_here_and_logged_nowhere(client, monkeypatch, caplog):
    X, y = made()
    broken = da.where(da.arange(N, chunks=1000)[:, None] == 3100, np.nan, X)
    with caplog.at_level(logging.WARNING):
        with pytest.raises(ValueError, match="block 3: Input X contains NaN"):
            MixtureOfExpertsRegressor(2).fit(broken, y)
        logs = client.get_worker_logs()
    text = caplog.text + str(logs)
    assert "Compute Failed" not in text
    assert "Traceback" not in text
    fine = MixtureOfExpertsRegressor(2, random_state=0, n_init=1, max_iter=2).fit(X, y)
    found = fine.predict(X)
    np.testing.assert_allclose(found.compute(), fine.predict(X.compute()), rtol=1e-12)
