"""What a report shows of one case: its checks, its errors, its turns, and what changed since the baseline."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from harness.metrics.definition import quote
from harness.types import (
    CaseResult,
    Check,
    Completion,
    GateRecord,
    GoldenCase,
    Message,
    MetricError,
    Outcome,
    Score,
    ToolCall,
    UnscoredMetric,
)
from reports.earlier_runs import NO_EARLIER_RUNS
from reports.html import render_report
from reports.html.build import build_view
from reports.html.page_size import fitting_cases
from reports.html.panels import set_rows


def one_case(result: CaseResult, before: CaseResult | None, record: GateRecord) -> Any:
    """The view of a single case in an otherwise given gate."""
    run = replace(record.run, results=(result,))
    baseline = None if before is None else replace(record.baseline, results=(before,))
    return build_view(replace(record, run=run, baseline=baseline)).cases.cases[0]


def result_of(text: str, *scores: Score | MetricError, **case: Any) -> CaseResult:
    given = {"id": "one", "set_name": "orders", "messages": (Message(role="user", content="?"),), **case}
    errors = tuple(entry for entry in scores if isinstance(entry, MetricError))
    return CaseResult(
        case=GoldenCase(**given),
        completion=Completion(
            text=text, stop_reason="stop", prompt_tokens=1, completion_tokens=1, latency_s=0.1
        ),
        scores=tuple(entry for entry in scores if isinstance(entry, Score)),
        errors=errors,
        outcome=Outcome.ERRORED if errors else Outcome.FAILED,
    )


def test_checks_of_one_type_keep_their_own_thresholds_and_values(invented: Callable[..., GateRecord]) -> None:
    checks = (Check(type="rouge-l", threshold=0.5), Check(type="rouge-l", threshold=0.9))
    scores = [
        Score(metric="rouge-l", value=0.7, threshold=0.5, passed=True),
        Score(metric="rouge-l", value=0.7, threshold=0.9, passed=False, explanation="short"),
    ]
    seen = one_case(result_of("a", *scores, checks=checks), None, invented())
    assert [(row.wants, row.candidate.passed) for row in seen.checks] == [
        ("≥\u00a00.9", False),
        ("≥\u00a00.5", True),
    ]
    assert seen.brief == "rouge-l: short"


def test_a_check_that_decides_nothing_has_a_value_and_no_mark(invented: Callable[..., GateRecord]) -> None:
    result = result_of("a", Score(metric="f1", value=0.25), checks=(Check(type="f1"),))
    seen = one_case(result, None, invented())
    assert (seen.checks[0].candidate.value, seen.checks[0].candidate.passed) == ("0.250", None)


def test_an_error_is_shown_with_its_traceback_and_never_as_a_score(
    invented: Callable[..., GateRecord],
) -> None:
    error = MetricError(metric="bleu", error="ValueError: broken", traceback="Traceback …")
    seen = one_case(result_of("a", error, checks=(Check(type="bleu"),)), None, invented())
    assert seen.checks[0].candidate.value == "error"
    assert seen.checks[0].why.text == "ValueError: broken"
    assert seen.traces[0].traceback.text == "Traceback …"
    assert seen.brief == "bleu: ValueError: broken"


def test_a_case_without_a_verdict_says_why(invented: Callable[..., GateRecord]) -> None:
    entry = UnscoredMetric(metric="perplexity", reason="was not measured: too long")
    told = "perplexity: was not measured: too long"
    for threshold, reasons, brief in (
        (None, (), "none of its checks decides"),
        (None, (entry,), "none of its checks decides"),
        (5.0, (entry,), told),
    ):
        check = Check(type="perplexity", threshold=threshold)
        result = replace(result_of("a", checks=(check,)), outcome=Outcome.UNSCORED, unscored=reasons)
        assert one_case(result, None, invented()).brief == brief
    group = Check(type="all-of", checks=(check,))
    result = replace(result, case=replace(result.case, checks=(Check(type="f1"), group)))
    assert one_case(result, None, invented()).brief == told


def test_a_case_whose_grade_is_gated_is_graded(invented: Callable[..., GateRecord]) -> None:
    """On both sides, in the choices of the list and in the sets; it was unscored, with advice to set a threshold."""
    result = replace(
        result_of("a", Score(metric="f1", value=0.5), checks=(Check(type="f1"),)), outcome=Outcome.UNSCORED
    )
    record = invented()
    sets = tuple(
        replace(each, gate=replace(each.gate, metric_margins={"f1": 0.05})) for each in record.run.golden_sets
    )
    gated = replace(record, run=replace(record.run, golden_sets=sets))
    assert one_case(result, result, record).outcome == "unscored"
    seen = one_case(result, result, gated)
    assert (seen.outcome, seen.brief) == ("graded", "")
    assert {answer.outcome for answer in (seen.baseline, seen.candidate) if answer is not None} == {"graded"}
    run = replace(gated.run, results=(result,))
    rows = set_rows(replace(gated, run=run, baseline=None, comparison=None, verdict=None))
    assert {row.name: row.outcomes for row in rows}["orders"] == "1 graded"


def test_calls_of_tools_are_shown_in_their_turns(invented: Callable[..., GateRecord]) -> None:
    messages = (
        Message(
            role="assistant", content="", tool_calls=(ToolCall(name="weather", arguments={"city": "Graz"}),)
        ),
        Message(role="tool", content="rain", name="weather"),
    )
    seen = one_case(result_of("a", messages=messages), None, invented())
    assert [(turn.role, turn.content.text) for turn in seen.turns] == [
        ("assistant", 'weather({"city": "Graz"})'),
        ("tool weather", "rain"),
    ]


def test_a_group_of_checks_names_its_members_and_a_part_its_steps(
    invented: Callable[..., GateRecord],
) -> None:
    group = Check(type="any-of", checks=(Check(type="contains", value="a"), Check(type="is-json")))
    part = Check(type="equals", value="b", transform=("code-block",))
    scores = [Score(metric=name, value=0.0, passed=False) for name in ("any-of", "equals")]
    seen = one_case(result_of("c", *scores, checks=(group, part)), None, invented())
    assert [row.wants for row in seen.checks] == ["of: contains, is-json", 'b, after: ["code-block"]']


def test_a_pattern_is_described_and_folded(invented: Callable[..., GateRecord]) -> None:
    """Nobody reads a pattern first: what it tests is said, and it is one click away."""
    pattern = r"(?<![\\d.,])100(?!\\d|[.,]\\d)"
    score = Score(metric="regex", value=0.0, passed=False, explanation=f"{quote(pattern)} matches nowhere")
    seen = one_case(result_of("a", score, checks=(Check(type="regex", value=pattern),)), None, invented())
    assert seen.brief == "regex: the pattern matches nowhere"
    (row,) = seen.checks
    assert row.about == "The pattern matches somewhere in the answer (Python's re.search)."
    assert (row.wants, row.why.text) == (pattern, "the pattern matches nowhere")


def test_what_its_author_wrote_about_a_case_comes_first(
    invented: Callable[..., GateRecord], unpacked: Any
) -> None:
    record = invented()
    first, *rest = record.run.results
    described = replace(first, case=replace(first.case, metadata={"description": "Amounts in dozens"}))
    record = replace(record, run=replace(record.run, results=(described, *rest)))
    assert build_view(record).cases.cases[0].description == "Amounts in dozens"
    assert unpacked(render_report(record))[0]["cases"][0][5] == "Amounts in dozens"


def test_a_case_that_changed_since_the_baseline_is_not_set_beside_its_old_answer(
    invented: Callable[..., GateRecord],
) -> None:
    new = result_of("new")
    old = result_of("old", messages=(Message(role="user", content="another question"),))
    seen = one_case(new, old, invented())
    assert seen.baseline is None
    assert seen.notes == ("the case changed since the baseline's run",)


def test_a_huge_answer_is_cut_and_says_by_how_much(invented: Callable[..., GateRecord]) -> None:
    seen = one_case(result_of("x" * 1_000_000), None, invented())
    assert seen.candidate.omitted == 1_000_000 - 20_000
    assert len(seen.candidate.pieces[0].text) == 20_000


def test_of_very_many_cases_none_is_left_out(invented: Callable[..., GateRecord]) -> None:
    view = build_view(invented(orders=2_500, probes=0, lost=30, gained=5, both_fail=20))
    assert (view.cases.total, len(view.cases.cases)) == (2_500, 2_500)
    changes = {choice.label: choice.count for choice in view.cases.changes}
    assert changes == {"lost": 30, "gained": 5, "still fails": 20, "still passes": 2_445}


def test_a_large_run_keeps_only_what_its_list_shows(
    invented: Callable[..., GateRecord],
    unpacked: Callable[[str], tuple[dict[str, Any], list[dict[str, Any]]]],
) -> None:
    """The details are in the page's data, part by part; together they would take more memory than the run."""
    record = invented(orders=2_500, probes=0, lost=30, gained=5, both_fail=20)
    cases, data = fitting_cases(record, NO_EARLIER_RUNS)
    assert len(data) == 1 + 10
    assert all(not case.turns and case.candidate is None and not case.checks for case in cases.cases)
    index, details = unpacked(render_report(record))
    assert (len(index["cases"]), len(details)) == (2_500, 2_500)
    assert all(each["candidate"]["text"] and each["checks"] for each in details)
    small = invented(orders=20, probes=0, lost=3, gained=0, both_fail=0)
    assert all(case.turns and case.candidate for case in fitting_cases(small, NO_EARLIER_RUNS)[0].cases)
