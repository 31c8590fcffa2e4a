"""Write what statsmodels says of models with one expert to statsmodels.json beside this file.

    python tests/inference/figures/statsmodels_figures.py

statsmodels is needed for this alone; its version stands in the file.
"""

import json
from pathlib import Path

import numpy as np
import statsmodels
import statsmodels.api as sm
from scipy.optimize import brentq
from scipy.special import digamma, polygamma

N = 200
NEWTON = dict(method="newton", disp=False, maxiter=200, tol=1e-12)


def gamma_shape(y, mean):
    """Return the maximum-likelihood shape of gamma rows, and its standard error."""
    half_deviance = np.mean(y / mean - 1 - np.log(y / mean))
    shape = brentq(lambda s: np.log(s) - digamma(s) - half_deviance, 1e-3, 1e6, xtol=1e-13)
    return shape, 1 / np.sqrt(len(y) * (polygamma(1, shape) - 1 / shape))


def of_fit(fit, **more):
    return dict(
        estimates=np.asarray(fit.params).tolist(), errors=np.asarray(fit.bse).tolist(), **more
    )


def main():
    rng = np.random.default_rng(7)
    X = np.column_stack([rng.normal(40, 10, N), rng.normal(0, 0.5, N)]).round(3)
    Z, eta = sm.add_constant(X), 0.04 * (X[:, 0] - 40) + X[:, 1]
    y = {
        "ols": (3 + eta + 0.7 * rng.standard_normal(N)).round(4),
        "logit": (rng.random(N) < 1 / (1 + np.exp(-eta))).astype(int),
        "mnlogit": np.argmax(np.outer(eta, [0, 0.8, -0.6]) + rng.gumbel(size=(N, 3)), axis=1),
        "poisson": rng.poisson(np.exp(0.5 + eta)),
        "gamma": (rng.gamma(3, np.exp(0.5 + eta) / 3) + 1e-3).round(4),
        "gamma inverse": (rng.gamma(3, 1 / (2 + 0.01 * X[:, 0]) / 3) + 1e-3).round(4),
        "negative binomial": rng.poisson(rng.gamma(2, np.exp(0.5 + eta) / 2)),
    }
    found = {}
    ols = sm.OLS(y["ols"], Z).fit()
    scale = np.sqrt(ols.ssr / N)
    of_ml = np.append(ols.bse * np.sqrt(ols.df_resid / N), scale / np.sqrt(2 * N))
    found["ols"] = dict(estimates=[*ols.params, scale], errors=of_ml.tolist())
    found["logit"] = of_fit(sm.Logit(y["logit"], Z).fit(**NEWTON))
    # statsmodels' reference is the first class and ours the last
    several = sm.MNLogit(2 - y["mnlogit"], Z).fit(**NEWTON)
    found["mnlogit"] = dict(
        estimates=np.asarray(several.params)[:, ::-1].T.ravel().tolist(),
        errors=np.asarray(several.bse)[:, ::-1].T.ravel().tolist(),
    )
    found["poisson"] = of_fit(sm.Poisson(y["poisson"], Z).fit(**NEWTON))
    links = sm.families.links
    for name, link in (("gamma", links.Log()), ("gamma inverse", links.InversePower())):
        model = sm.GLM(y[name], Z, family=sm.families.Gamma(link))
        fit = model.fit(tol=1e-14, maxiter=200)
        shape, error = gamma_shape(y[name], fit.fittedvalues)
        information = -model.hessian(fit.params, scale=1 / shape, observed=True)
        errors = np.sqrt(np.diagonal(np.linalg.inv(information)))
        found[name] = dict(estimates=[*fit.params, shape], errors=[*errors, error])
    nb = sm.NegativeBinomial(y["negative binomial"], Z)
    start = sm.NegativeBinomial(y["negative binomial"], Z).fit(disp=False, maxiter=500).params
    found["negative binomial"] = of_fit(nb.fit(start_params=start, **NEWTON))
    told = dict(
        statsmodels=statsmodels.__version__,
        X=X.tolist(),
        y={name: np.asarray(values).tolist() for name, values in y.items()},
        found=found,
    )
    path = Path(__file__).with_name("statsmodels.json")
    path.write_text(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
