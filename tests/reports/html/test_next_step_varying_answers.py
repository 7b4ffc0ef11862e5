"""What to do next where answers to exactly these cases vary: reruns or more answers, as many as are enough."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from harness.types import Finding, GateRecord, GateVerdict, Interval, MetricFinding, Verdict
from reports.html.lead import lead_of
from reports.html.next_step import next_step

Invented = Callable[..., GateRecord]
DROP = Interval(estimate=0.05, low=-0.01, high=0.1234, confidence=0.9, method="made up")


def inconclusive(invented: Invented, **changes: Any) -> GateRecord:
    """The record of a gate that asks about exactly its cases, with one finding."""
    given: dict[str, Any] = {"scale": "binary", "baseline": 0.9, "candidate": 0.85, "drop": DROP, "n": 40}
    given |= {"clusters": 40, "p_value": 0.2, "lost": 3, "gained": 1, "margin": 0.05, "population": "cases"}
    data, outcome = MetricFinding(**(given | changes)), GateVerdict.INCONCLUSIVE
    finding = Finding(verdict=outcome, set_name="orders", metric="pass-rate", data=data)
    return replace(invented(), verdict=Verdict(outcome=outcome, findings=(finding,)))


@pytest.mark.parametrize(
    ("unsteady", "lead", "text"),
    [
        (
            "computed in bfloat16",
            "allowed (computed in bfloat16).",
            "These cases were computed in bfloat16, so",
        ),
        ("another try may answer otherwise", "(another try may answer otherwise).", "Another try may"),
    ],
)
def test_answers_that_vary_to_exactly_these_cases_call_for_reruns_not_for_more_cases(
    invented: Invented, unsteady: str, lead: str, text: str
) -> None:
    record = inconclusive(invented, unsteady=unsteady)
    step = next_step(record)
    either = "or repeat each case of “orders” at a temperature above 0."
    assert step.title == f"Record how the baseline's answers vary, {either}"
    assert step.text.startswith(text)
    assert record.baseline is not None
    assert step.command.startswith(f"tunegate noise --model={record.baseline.model.label}")
    assert lead_of(record).endswith(lead)


@pytest.mark.parametrize(
    ("by", "title"),
    [
        ("repeat", "Repeat each case of “orders” at a temperature above 0."),
        ("more", "Repeat each case of “orders” more often."),
    ],
)
def test_what_more_answers_alone_tell_has_no_command(invented: Invented, by: str, title: str) -> None:
    step = next_step(inconclusive(invented, unsteady="computed in bfloat16", steadied_by=by))
    assert (step.title, step.command) == (title, "")
    assert step.text.endswith("so equal answers may vary: more answers show how much.")


@pytest.mark.parametrize(
    ("known", "title", "text", "command"),
    [
        (
            {"steadied_by": "noise", "steady_answers": 2, "steady_reruns": 5},
            "Record how the baseline's answers vary, or repeat each case of “orders” 2 times or more at a "
            "temperature above 0.",
            "equal answers may vary: reruns show how much.",
            " --dtype=float32",
        ),
        (
            {"steadied_by": "noise", "steady_answers": 0, "steady_reruns": 16},
            "Record how the baseline's answers vary.",
            "equal answers may vary: reruns show how much.",
            " --dtype=float32 --reruns=16",
        ),
        (
            {"steadied_by": "repeat", "steady_answers": 4, "steady_reruns": 5, "steady_cases": 141},
            "Repeat each case of “orders” 4 times or more at a temperature above 0.",
            "more answers show how much. Or ask 141 such cases or more with a noise record, or allow a drop of "
            "13\u00a0pts (the margin), if you can tolerate it.",
            "",
        ),
        (
            {"steadied_by": "more", "steady_answers": 10, "steady_cases": 552},
            "Repeat each case of “orders” 10 times or more.",
            "more answers show how much. Or ask 552 such cases or more, or allow a drop of 13\u00a0pts (the "
            "margin), if you can tolerate it.",
            "",
        ),
        (
            {"steadied_by": "more", "steady_answers": 10, "missing": 3, "high_unseen": 0.1987},
            "Repeat each case of “orders” 10 times or more.",
            "allow a drop of 20\u00a0pts (the margin), if you can tolerate it.",
            "",
        ),
        (
            {"steadied_by": "repeat", "steady_answers": 0},
            "Allow a larger drop of “orders” (the margin), if you can tolerate it.",
            "more answers show how much.",
            "",
        ),
    ],
)
def test_what_is_advised_of_answers_that_vary_says_how_much_is_enough(
    invented: Invented, known: dict[str, Any], title: str, text: str, command: str
) -> None:
    """Reruns are advised only where they can lead to a pass, and the command makes as many as that takes."""
    step = next_step(inconclusive(invented, unsteady="computed in bfloat16", **known))
    assert step.title == title
    assert step.text.endswith(text)
    assert step.command.endswith(command)
    assert bool(step.command) is bool(command)


@pytest.mark.parametrize("answers", [0, 4])
def test_no_margin_is_advised_that_allows_to_lose_all_that_there_is(invented: Invented, answers: int) -> None:
    """The baseline passes 0.1, and up to 0.1234 may be lost: with such a margin nothing could be shown."""
    step = next_step(
        inconclusive(
            invented,
            unsteady="computed in bfloat16",
            baseline=0.1,
            steadied_by="repeat",
            steady_answers=answers,
        )
    )
    assert "margin" not in step.title + step.text
    assert (step.title == "Choose cases of “orders” that the baseline passes.") is (answers == 0)
