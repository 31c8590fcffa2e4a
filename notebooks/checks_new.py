"""Checks and solutions of the exercises of lectures 09 to 14, in the form of `lecture`."""

import numpy as np


def near(expected, hint, tolerance):
    """Return a check that an answer is `expected` to within `tolerance`; `hint` if it is not."""

    def wrong(answer):
        from lecture import number  # which imports this module

        return number(expected, hint, tolerance)(answer)

    return wrong


def not_an_expert(answer):
    """Say what is wrong with an answer to 12.1."""
    if str(answer) == "KNeighborsRegressor":
        return None
    return "that one takes sample_weight: look at the signature of its fit once more."


SOLUTIONS = {
    "09.1": np.exp(0.6),
    "09.2": np.sqrt(18),
    "09.3": 0.9976,
    "10.1": 5 * np.log(240) / 2,
    "10.2": 0.04,
    "10.3": 3,
    "11.1": 90,
    "11.2": 0.5863,
    "12.1": "KNeighborsRegressor",
    "12.2": 17.5,
    "13.1": np.exp(0.5),
    "13.2": 1.308,
    "13.3": 0.01189,
    "14.1": 3,
    "14.2": 2 * np.sqrt(28 / 30),
    "14.3": [2.69086, 0.0, -4.25366],
}

HINTS = {  # what is wrong with other answers, and how near is near enough
    "09.1": ("a slope is the logarithm of a factor; there are two units.", 1e-3),
    "09.2": ("at r = 0 the weight is 3/2; a tenth of that is 0.15.", 1e-2),
    "09.3": ("fit StudentTExpert(df=2), gate='constant', to spoilt(); expert 1 is lighter.", 5e-3),
    "10.1": ("five parameters more, each at log(240); and twice the log-likelihood.", 1e-2),
    "10.2": ("the observed ratio counts as one of the draws, above and below the line.", 1e-9),
    "10.3": ("fit ExpertCountSearch(quick, range(1, 6)) to the 400 rows: best_n_experts_.", 0),
    "11.1": ("(m + 1) times 0.9, rounded up.", 0),
    "11.2": (
        "one minus the distribution function at zero: predict_dist([[0.9]]).cdf([0.0]).",
        1e-3,
    ),
    "12.2": (  # 17.0 or 18.0: both have been seen
        "model.predict takes a table with origin, treatment and conc, words and all.",
        1.0,
    ),
    "13.1": ("the exponential of ten times the slope.", 1e-3),
    "13.2": ("marginal_effects(model, X, wage), the line of the union.", 5e-3),
    "13.3": ("found.to_frame(), the line 'expert 1: age', standard_error.", 5e-5),
    "14.1": ("MoEClust's BIC has the other sign: larger is better.", 0),
    "14.2": ("with two coefficients flexmix multiplies the variance by n / (n - 2).", 1e-3),
    "14.3": ("subtract the slope of expert 1 from all three.", 1e-3),
}

CHECKS = {name: near(SOLUTIONS[name], *hint) for name, hint in HINTS.items()}
CHECKS["12.1"] = not_an_expert
