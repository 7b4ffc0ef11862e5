"""Where no metric of its own says it, the first screen still says what held the pass back."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from harness.types import (
    Confirmation,
    ConfirmationFinding,
    Finding,
    GateRecord,
    GateVerdict,
    Stability,
    TripwireFinding,
    Verdict,
)
from reports.html.lead import lead_of
from reports.html.next_step import next_step
from tests.reports.html.small_gate import interval, small_record

OPEN = GateVerdict.INCONCLUSIVE


def judged(record: GateRecord, *findings: Finding) -> GateRecord:
    return replace(record, verdict=Verdict(outcome=OPEN, findings=findings))


def resampled(cases: int) -> Finding:
    found = Confirmation(
        set_name="orders",
        finding="flipped",
        cases=tuple(f"orders/{place}" for place in range(cases)),
        was=Stability(passed=15, answers=15),
        now=Stability(passed=14, answers=15),
        p_value=0.5,
        stands=False,
        times=15,
    )
    return Finding(
        verdict=OPEN, set_name="orders", metric="pass-rate", data=ConfirmationFinding(confirmation=found)
    )


@pytest.mark.parametrize(
    ("cases", "told"), [(1, "1 flipped case resampled does not"), (3, "3 flipped cases resampled do not")]
)
def test_new_answers_that_show_no_drop_are_the_reason(
    invented: Callable[..., GateRecord], cases: int, told: str
) -> None:
    """The row has the first answers, whose interval is all beyond the margin; more cases were advised."""
    record = small_record(invented, OPEN)
    assert record.verdict is not None
    (row,) = [each for each in record.verdict.findings if each.verdict is OPEN]
    for findings in ((row, resampled(cases)), (resampled(cases),)):
        shown = judged(record, *findings)
        assert lead_of(shown).startswith(
            "The candidate seemed worse than the baseline on “orders”, but new answers to the same cases did "
            f"not show it: orders: {told} confirm a drop: baseline 15/15, candidate 14/15"
        )
        step = next_step(shown)
        assert step.title == "Ask for more answers per case."
        assert "repeat cases at a temperature above 0, or add some" in step.text


def test_a_rise_of_the_loss_does_not_deny_lost_cases(invented: Callable[..., GateRecord]) -> None:
    """Of 500 cases 2 were lost and 3 gained, on the same screen."""
    finding = Finding(verdict=OPEN, data=TripwireFinding(change=interval(0.2, 0.15, 0.25), limit=0.1))
    assert lead_of(judged(small_record(invented, OPEN), finding)).startswith(
        "No set shows a drop beyond what is allowed, but the loss on general text rose: tripwire: "
    )
