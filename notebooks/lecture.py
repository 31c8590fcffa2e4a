"""What the lectures share: checks of the exercises, sliders, and tables.

A lecture asks for ``answer = ...`` and calls ``check("NN.1", answer)``. What the answer should be
is written here and not in the lecture. `CHECKS` maps the number of an exercise to a function of
the answer that returns None, or a sentence of what is wrong with it; `SOLUTIONS` maps it to an
answer that passes, or to a function without parameters that returns one.
"""

import inspect
import os

import numpy as np

__all__ = ["CHECKS", "SOLUTIONS", "check", "interact", "number", "table"]

STATIC = "CLASSIC_MOE_STATIC"  # set where pages are made: a sentence takes the place of a slider


def number(expected, hint, tolerance):
    """Return a check that an answer is `expected` to within `tolerance`; `hint` if it is not."""

    def wrong(answer):
        near = np.shape(answer) == np.shape(expected) and np.allclose(
            np.asarray(answer, dtype=float), expected, rtol=0, atol=tolerance
        )
        return None if near else hint

    return wrong


def check(name, answer):
    """Say whether `answer` is right, and raise AssertionError with a hint if it is not.

    An unanswered exercise (an Ellipsis, three dots) is said to be so and raises nothing.
    """
    if answer is ...:
        print(f"Exercise {name} is not answered yet.")
        return
    try:
        wrong = CHECKS[name](answer)
    except (TypeError, ValueError, AttributeError, IndexError) as error:
        raise AssertionError(
            f"Exercise {name}: a {type(answer).__name__} is not the kind of answer asked for."
        ) from error
    if wrong:
        raise AssertionError(f"Exercise {name}: {wrong}")
    print("Right.")


def interact(function, **controls):
    """Draw `function` anew whenever a control is moved, as `ipywidgets.interact` does.

    Controls are those of ipywidgets: ``(lowest, highest, step)`` a slider, a list a menu, a bool a
    box to tick. A slider acts when it is let go. Where nothing can be moved (in a page, or without
    ipywidgets) one sentence says what could be.
    """
    from IPython.display import Markdown, display

    try:
        import ipywidgets
    except ImportError:
        ipywidgets = None
    if os.environ.get(STATIC):
        _run_once(function, controls)
    elif ipywidgets is not None:
        moving = ipywidgets.interactive(function, **controls)
        for control in moving.children:
            if control.has_trait("continuous_update"):
                control.continuous_update = False  # a fit takes longer than a mouse moves
        display(moving)
        return
    told = ", ".join(f"`{name}` {_range(control)}" for name, control in controls.items())
    display(Markdown(f"*In a running notebook with ipywidgets you can change {told} here.*"))


def _range(control):
    """Say what a control can be."""
    if isinstance(control, bool):
        return "on and off"
    if isinstance(control, tuple):
        return f"from {control[0]:g} to {control[1]:g}"
    return "to " + ", ".join(map(str, control))


def _run_once(function, controls):
    """Call `function` where its controls stand at first, and show nothing of it.

    A page shows no slider, but a slider that fails should not go unseen until the lecture.
    """
    import matplotlib.pyplot as plt
    from IPython.utils.capture import capture_output

    first = {}
    for name, control in controls.items():
        default = inspect.signature(function).parameters[name].default
        if default is not inspect.Parameter.empty:
            first[name] = default
        elif isinstance(control, tuple):
            low, high = control[:2]
            whole = all(isinstance(value, int) for value in control)
            first[name] = low + ((high - low) // 2 if whole else (high - low) / 2)
        else:
            first[name] = control if isinstance(control, bool) else next(iter(control))
    with capture_output():
        function(**first)
        plt.close("all")


def table(head, rows):
    """Return a table that a notebook shows as such, its first column to the left."""
    from IPython.display import Markdown

    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return Markdown("\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines))


def _word(expected, hint):
    """Return a check that an answer is a word; `hint` if it is another."""
    return lambda answer: None if answer.strip() == expected else hint


def _missed(answer):
    """Check the chance that five starts miss, which processors may count one start apart."""
    chances = [(missed / 12) ** 5 for missed in (11, 10, 9)]
    near = np.isclose(float(answer), chances, rtol=0, atol=0.01)
    return None if near.any() else "The five starts are independent: multiply the shares."


CHECKS = {
    "01.1": number(0.45455, "Bayes' rule: gate times density, as a share of the sum.", 0.005),
    "01.2": number(-0.0189, "Where are the scores of both experts equal?", 0.005),
    "01.3": number(133.97, "The BIC of the blind fit minus that of `model`, on `X, y`.", 1),
    "02.1": number(0.9022, "Densities at 0.5 with means ±0.8 and sd 0.6: what cancels?", 0.006),
    "02.2": number(-37.895, "What are the responsibilities of two equal lines?", 0.01),
    "02.3": number(13, "Return True from the callback, not the sign, and look at n_iter_.", 0.5),
    "03.1": number(1e6, "How does the derivative change, and how should b_k change?", 1),
    "03.2": _missed,
    "03.3": number(0.001245, "198 rows lose log 0.98 each; what must the two rows gain?", 2e-5),
    "04.1": number([0.25, 1.0, 0.36485], "One number for each error, from its derivative.", 0.005),
    "04.2": number([-0.75, 0.75], "Differentiate the softmax; whose share should grow?", 0.005),
    "04.3": number(0.675, "The second of `scores`, of the fit with variance 1.", 0.04),
    "05.1": _word("f2", "Subtract the accuracies of the deaf gate from those of `model`."),
    "05.2": number(0.868, "Neither experts nor gate see m4; predict the new rows of m4.", 0.015),
    "05.3": number(0.934, "The mean of `by_speaker` of what the network predicts.", 0.015),
    "06.1": number([0.2, 0.6], "A leaf's probability is the product along its path.", 0.005),
    "06.2": number(0.6025, "No refit; `score` on the new rows.", 0.01),
    "06.3": number(0.956, "Gate features, no expert features and depth 3, all three.", 0.02),
    "07.1": number(2.08, "Four times the sum of load times probability.", 0.005),
    "07.2": number(0.307, "`dropped(X)` has a column an expert: any of them, then the mean.", 0.06),
    "07.3": number(3, "Compare each nll with the last one.", 0.1),
    "08.1": number(1, "How much is there to know of the class?", 0.005),
    "08.2": number(0.503, "The second of `layers_`, the largest mean of its gate.", 0.05),
    "08.3": number(0.085, "The first layer's row of `bits`, its second number.", 0.04),
    "15.1": number(9, "Write the table as a product: how many columns are in the middle?", 0.1),
    "15.2": number(30, "Count the singular values above a millionth of the first.", 0.1),
    "15.3": number(0.0038, "`fit(3, 3, easy)`, and `divergence` with the same words.", 0.0015),
}
SOLUTIONS = {
    "01.1": 0.1 * 1.5 / (0.9 * 0.2 + 0.1 * 1.5),
    "01.2": -0.0189,
    "01.3": 133.97,
    "02.1": 0.9022,
    "02.2": -37.895,
    "02.3": 13,
    "03.1": 1000**2,
    "03.2": (11 / 12) ** 5,
    "03.3": lambda: 0.02 / (np.sqrt(2 * np.pi) * (0.98**-99 - 0.98)),
    "04.1": [0.25, 1.0, 0.36485],
    "04.2": [-0.75, 0.75],
    "04.3": 0.675,
    "05.1": "f2",
    "05.2": 0.868,
    "05.3": 0.934,
    "06.1": [0.8 * 0.25, 0.8 * 0.75],
    "06.2": 0.6025,
    "06.3": 0.956,
    "07.1": 4 * (0.7**2 + 3 * 0.1**2),
    "07.2": 0.307,
    "07.3": 3,
    "08.1": 1,
    "08.2": 0.503,
    "08.3": 0.085,
    "15.1": 8 + 1,
    "15.2": 30,
    "15.3": 0.0038,
}

try:
    import checks_new
except ImportError:
    pass
else:
    CHECKS |= checks_new.CHECKS
    SOLUTIONS |= checks_new.SOLUTIONS
