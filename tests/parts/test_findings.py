"""Findings: what is wrong, and what to do, in as few words as there are things to say."""

import pytest

from classic_moe import ExpertCollapseWarning, SeparationWarning
from classic_moe.parts.findings import MANY, Finding, lost_scale, told


def test_a_finding_is_a_message_with_or_without_advice():
    plain = Finding(SeparationWarning, "all is lost.", False)
    assert plain.text == "all is lost." and plain.experts == ()
    assert plain._replace(message="all is lost", advice="stay").text == "all is lost; stay."


def test_experts_change_their_numbers_in_message_and_facts():
    text = "that of expert 2 is lost, experts 0, 1 sit on 30 of 300 values"
    found = Finding(ExpertCollapseWarning, text, False, "use 2 experts", (0, 1, 2))
    found = found.renumbered({0: 5, 1: 0, 2: 1})
    assert found.message == "that of expert 1 is lost, experts 5, 0 sit on 30 of 300 values"
    assert found.experts == (5, 0, 1) and found.advice == "use 2 experts"


def test_the_same_advice_is_given_once_and_the_same_message_too():
    findings = [
        Finding(ExpertCollapseWarning, f"expert {k} is lost", False, advice)
        for k, advice in enumerate(["run", "stay", "run"])
    ]
    assert told(findings) == ["expert 0 is lost; expert 2 is lost; run.", "expert 1 is lost; stay."]
    plain = [Finding(SeparationWarning, text, False) for text in ("one.", "two.")]
    assert told(plain) == ["one.", "two."] and told([]) == []


@pytest.mark.parametrize(
    "rows, n_coefficients, prior, advice",
    [
        (MANY * 3, 3, 0.01, "use a variance_prior smaller than 0.01, or 0"),
        (MANY * 3, 3, 0.0, "a variance_prior gives it one"),
        (MANY * 3 - 1, 3, 0.01, "use fewer experts"),
        (MANY * 3 - 1, 3, 0.0, "use fewer experts or a larger variance_prior"),
        (1e9, 0, 0.01, "use fewer experts, or a smaller variance_prior if y has almost no noise"),
    ],
)
def test_many_rows_without_residuals_are_no_accident(rows, n_coefficients, prior, advice):
    behind = dict(rows=rows, n_coefficients=n_coefficients, prior=prior)
    found = lost_scale((2,), "is lost", **behind, advice="use fewer experts")
    assert found.advice.endswith(advice) and found.severe == (prior == 0)
    assert found.message == "expert 2 is lost" and found.experts == (2,)
    shared = lost_scale((0, 1), "is lost", **behind, advice="use fewer experts")
    assert shared.message == "every expert is lost" and shared.experts == (0, 1)
