"""What to do where a gated score is missing on both sides."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from harness.types import Finding, GateRecord, GateVerdict, NoVerdictFinding, Outcome, UnscoredMetric, Verdict
from reports.html.next_step import next_step
from tests.reports.html.test_next_step import judged

Invented = Callable[..., GateRecord]


@pytest.mark.parametrize(
    ("metric", "told"),
    [
        (
            "perplexity",
            ("Score these texts, or take the checks out.", "perplexity was not measured: too long"),
        ),
        ("llm-rubric", ("Calibrate the judge.", "Checks of an unreliable judge are left unscored.")),
    ],
)
def test_why_a_gated_score_is_missing_is_told_also_of_cases_with_a_verdict(
    invented: Invented, metric: str, told: tuple[str, str]
) -> None:
    data = NoVerdictFinding(side="both", outcome=Outcome.UNSCORED, cases=30, n=40, tolerated=0.05)
    finding = Finding(verdict=GateVerdict.INCONCLUSIVE, set_name="orders", metric=metric, data=data)
    record = judged(invented(), GateVerdict.INCONCLUSIVE, data)
    reasons = (UnscoredMetric(metric=metric, reason="was not measured: too long"),)
    run = replace(record.run, results=tuple(replace(each, unscored=reasons) for each in record.run.results))
    verdict = Verdict(outcome=GateVerdict.INCONCLUSIVE, findings=(finding,))
    step = next_step(replace(record, run=run, verdict=verdict))
    assert (step.title, step.text) == told
