"""Where no metric of its own says it, the first screen still says what held the pass back."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from harness.comparison.gate import run_gate
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
from reports.earlier_runs import NO_EARLIER_RUNS
from reports.html.build import build_view
from reports.html.lead import lead_of
from reports.html.next_step import next_step
from reports.html.sides import side_rows
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


@pytest.fixture
def gated(invented, make_run, make_result):
    """The report's record of one set of cases in clusters: what each side passes of it."""

    def build(now: int, before: int, n: int = 80, clusters: int | None = None, models: int = 1) -> GateRecord:
        runs = [
            make_run([
                make_result(f"s/{place:02}", place < passed, cluster=clusters and f"k{place % clusters}")
                for place in range(n)
            ])
            for passed in (now, before)
        ]  # fmt: skip
        comparison, verdict = run_gate(*runs, regress_alpha=0.05 / models)
        return replace(
            invented(),
            run=runs[0],
            baseline=replace(runs[1], id="old"),
            comparison=comparison,
            verdict=verdict,
        )

    return build


@pytest.mark.parametrize("n", [40, 80])
def test_a_set_of_which_nothing_can_be_lost_says_so_alone(gated: Callable[..., GateRecord], n: int) -> None:
    """Its row said pass and its other question too, beside the reason why it is none."""
    record = gated(0, 0, n)
    assert lead_of(record) == (
        f"The baseline passes none of the {n} cases of “s”, so no drop is possible and nothing can be concluded."
    )
    assert next_step(record).title == "Add cases to “s” that the baseline passes."
    (row,) = side_rows(record, NO_EARLIER_RUNS)
    assert (row.tone, row.word, row.other) == ("inconclusive", "not testable", "")
    view = build_view(record)
    (gated_row,) = view.metrics.gated
    assert (gated_row.verdict, gated_row.other) == ("not testable", "on exactly these cases: inconclusive")
    assert not any("passes: " in reason for reason in view.verdict.reasons)


def test_so_few_clusters_are_told_with_what_shares_their_level(gated: Callable[..., GateRecord]) -> None:
    record = gated(0, 25, 25, clusters=5, models=2)
    told = (
        "it can never regress: 5 clusters can all get worse by chance with a probability of 0.03125, which counts 2 "
        "times for 2 models: make it 6 clusters or more, or gate fewer models at once"
    )
    (row,) = side_rows(record, NO_EARLIER_RUNS)
    assert row.detects == told
    # All of it was lost, so a larger allowed drop is no way out.
    assert next_step(record).text == f"I{told[1:]}."
