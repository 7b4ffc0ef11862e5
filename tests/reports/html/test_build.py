"""What the page shows for one small gate, field by field; and what each part says in special cases."""

import json
import os
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from harness.comparison.findings import metric_findings
from harness.metrics.definition import quote
from harness.types import (
    CaseResult,
    Check,
    Comparison,
    Completion,
    Finding,
    Forgetting,
    GateRecord,
    GateVerdict,
    GoldenCase,
    Interval,
    JsonValue,
    Message,
    MetricComparison,
    MetricError,
    MetricSummary,
    NoVerdictFinding,
    Outcome,
    RegressedCase,
    RegressedCasesFinding,
    Retention,
    Score,
    Stability,
    ToolCall,
    Verdict,
)
from reports.earlier_runs import EarlierRuns
from reports.html import render_report
from reports.html.build import build_view

EXPECTED = Path(__file__).with_name("small_view.json")


def interval(estimate: float, low: float, high: float, confidence: float = 0.95) -> Interval:
    return Interval(estimate=estimate, low=low, high=high, confidence=confidence, method="made up")


def row(set_name: str, n: int, before: float, now: float, **rest: Any) -> MetricComparison:
    return MetricComparison(
        set_name=set_name,
        metric=rest.pop("metric", "pass-rate"),
        kind=rest.pop("kind", "binary"),
        n=n,
        baseline=MetricSummary(metric="pass-rate", n=n, mean=interval(before, before - 0.1, 1.0)),
        candidate=MetricSummary(metric="pass-rate", n=n, mean=interval(now, now - 0.2, now + 0.2)),
        drop=rest.pop("drop", interval(before - now, before - now - 0.15, before - now + 0.15, 0.9)),
        p_value=0.02,
        **rest,
    )


def small_record(
    invented: Callable[..., GateRecord], verdict: GateVerdict = GateVerdict.REGRESS
) -> GateRecord:
    """Three orders and two probes whose comparison is written by hand, so that only the report is tested."""
    record = invented(orders=3, probes=2, both_fail=1, lost=1, training={"seed": 1, "losses": [2.0, 1.0]})
    assert record.baseline is not None
    before = {result.key: result for result in record.baseline.results}
    lost = [
        result.key
        for result in record.run.results
        if (result.outcome, before[result.key].outcome) == (Outcome.FAILED, Outcome.PASSED)
    ]
    kept = Retention(skill="all", passed_by_baseline=2, retained=2, rate=interval(1.0, 0.34, 1.0))
    record = replace(
        record,
        comparison=Comparison(
            candidate_run=record.run.id,
            baseline_run=record.baseline.id,
            metrics=(
                row(
                    "orders", 3, 0.667, 0.333, lost=tuple(lost), margin=0.05, p_adjusted=0.04, verdict=verdict
                ),
                row("orders", 3, 0.9, 0.85, metric="rouge-l", kind="graded"),
                row("general", 2, 1.0, 1.0, margin=0.1, p_adjusted=1.0, verdict=GateVerdict.PASS),
            ),
            forgetting=Forgetting(
                overall=kept,
                by_skill=(replace(kept, skill="arithmetic"),),
                loss_change=interval(0.01, -0.02, 0.04, 0.9),
                divergence=interval(0.05, 0.03, 0.07, 0.9),
                refusals=(0, 1),
            ),
        ),
    )
    return replace(
        record,
        verdict=Verdict(outcome=verdict, findings=tuple(metric_findings(record.comparison, {}))),
    )


def test_the_view_of_a_small_gate_is_as_recorded(invented: Callable[..., GateRecord]) -> None:
    """After a wanted change, run with TUNEGATE_WRITE_EXPECTED=1 and read the diff."""
    seen = json.loads(json.dumps(asdict(build_view(small_record(invented)))))
    if os.environ.get("TUNEGATE_WRITE_EXPECTED") == "1":
        EXPECTED.write_text(json.dumps(seen, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    assert seen == json.loads(EXPECTED.read_text(encoding="utf-8"))


def test_each_verdict_has_a_word_a_sentence_and_a_tone(invented: Callable[..., GateRecord]) -> None:
    leads = {}
    for verdict in GateVerdict:
        view = build_view(small_record(invented, verdict)).verdict
        assert (view.word, view.tone) == (verdict, verdict)
        leads[verdict] = view.lead
    assert "worse than the baseline on “orders”, by more than chance" in leads[GateVerdict.REGRESS]
    assert "can't tell" in leads[GateVerdict.INCONCLUSIVE]
    assert "no worse than the baseline" in leads[GateVerdict.PASS]


def test_a_case_that_regressed_alone_is_named_in_the_lead(invented: Callable[..., GateRecord]) -> None:
    """No metric regressed; single cases were shown to be answered worse."""
    record = small_record(invented, GateVerdict.PASS)
    assert record.comparison is not None
    case = RegressedCase(
        key="orders/bob",
        was=Stability(passed=5, answers=5),
        now=Stability(passed=0, answers=5),
        p_value=0.004,
    )
    regressed = replace(
        record,
        comparison=replace(record.comparison, regressed_cases=(case,)),
        verdict=Verdict(
            outcome=GateVerdict.REGRESS,
            findings=(
                Finding(
                    verdict=GateVerdict.REGRESS,
                    set_name="orders",
                    data=RegressedCasesFinding(cases=(case,), n=3, tolerated=0.0),
                ),
            ),
        ),
    )
    assert "answers orders/bob worse than the baseline" in build_view(regressed).verdict.lead


def test_what_no_case_shows_is_told_from_what_the_cases_show(invented: Callable[..., GateRecord]) -> None:
    """The interval may end before the margin, and still so few cases can miss rare losses."""
    record = small_record(invented, GateVerdict.INCONCLUSIVE)
    assert record.comparison is not None
    first, *rest = record.comparison.metrics
    calm = replace(first, drop=interval(0.0, -0.01, 0.02), high_unseen=0.08)
    comparison = replace(record.comparison, metrics=(calm, *rest))
    verdict = Verdict(
        outcome=GateVerdict.INCONCLUSIVE,
        findings=tuple(metric_findings(comparison, {("orders", "pass-rate"): 2})),
    )
    lead = build_view(replace(record, comparison=comparison, verdict=verdict)).verdict.lead
    assert lead == (
        "These cases can't tell whether the candidate is worse than the baseline on “orders”: no drop beyond the allowed "
        "5\u00a0pts is seen, but 2 clusters of cases can miss rare losses of up to 8\u00a0pts in all."
    )


def test_a_passing_gate_says_where_the_candidate_is_better(invented: Callable[..., GateRecord]) -> None:
    record = small_record(invented, GateVerdict.PASS)
    assert record.comparison is not None
    better = replace(record.comparison.metrics[0], drop=interval(-0.5, -0.6, -0.3))
    comparison = replace(record.comparison, metrics=(better, *record.comparison.metrics[1:]))
    verdict = Verdict(outcome=GateVerdict.PASS, findings=tuple(metric_findings(comparison, {})))
    view = build_view(replace(record, comparison=comparison, verdict=verdict)).verdict
    assert view.lead.endswith("On “orders” it is better.")
    assert {row.name: row.word for row in view.rows} == {"orders": "better", "general": "pass"}


def test_a_wide_interval_that_only_informs_does_not_squeeze_the_gated_ones(
    invented: Callable[..., GateRecord],
) -> None:
    record = small_record(invented)
    assert record.comparison is not None
    wide = row("orders", 1, 0.5, 0.5, metric="contains", drop=interval(0.0, -0.9, 0.9))
    comparison = replace(record.comparison, metrics=(*record.comparison.metrics, wide))
    before, after = (build_view(each).metrics for each in (record, replace(record, comparison=comparison)))
    assert after.axis == before.axis
    assert after.informing_axis != before.informing_axis


def test_no_directory_of_the_machine_is_shown(invented: Callable[..., GateRecord]) -> None:
    """A path is relative to the project, if that is known, and is cut to its last parts otherwise."""
    record = small_record(invented)
    model = replace(
        record.run.model,
        label="/home/ada/project/adapters/orders-v2",
        adapter_dir="/home/ada/project/adapters/orders-v2",
    )
    sets = tuple(
        replace(each, path=f"/home/ada/project/golden_sets/{each.name}.yaml")
        for each in record.run.golden_sets
    )
    record = replace(record, run=replace(record.run, model=model, golden_sets=sets))
    view = build_view(record, EarlierRuns(project=Path("/home/ada/project")))
    assert view.verdict.candidate == "orders-v2"
    facts = {fact.name: fact.value.text for group in view.manifest[1:2] for fact in group.facts}
    assert facts["model"] == "adapters/orders-v2"
    assert "directory" not in facts
    assert view.sets[0].path == "golden_sets/orders.yaml"
    assert view.cases.cases[0].rerun.startswith("pytest 'golden_sets/orders.yaml::")
    assert view.cases.cases[0].rerun.endswith(" --model=adapters/orders-v2")
    assert build_view(record).sets[0].path == "…/project/golden_sets/orders.yaml"


def test_without_a_baseline_there_are_scores_with_intervals_and_the_failed_cases(
    invented: Callable[..., GateRecord],
) -> None:
    view = build_view(invented(compared=False, lost=4))
    assert view.verdict.word == "no baseline"
    assert [side.role for side in view.verdict.sides] == ["candidate"]
    assert [row.metric for row in view.metrics.informing][:2] == ["pass rate", "is-json"]
    assert all(row.candidate.interval and row.n for row in view.metrics.informing)
    assert view.cases.shown == "failed"
    assert {choice.label: choice.count for choice in view.cases.outcomes}["failed"] == 6


def test_a_verdict_that_rests_on_missing_results_says_so(invented: Callable[..., GateRecord]) -> None:
    record = small_record(invented, GateVerdict.PASS)
    verdict = Verdict(
        outcome=GateVerdict.INCONCLUSIVE,
        findings=(
            Finding(
                verdict=GateVerdict.INCONCLUSIVE,
                set_name="orders",
                data=NoVerdictFinding(side="candidate", outcome=Outcome.ERRORED, cases=9, n=9, tolerated=0.0),
            ),
        ),
    )
    view = build_view(replace(record, verdict=verdict)).verdict
    assert (
        view.lead
        == "Too much is missing for a verdict: orders: 9 of 9 cases errored in the candidate, 0% are tolerated."
    )


def test_a_row_of_no_case_on_the_other_side_is_not_compared(invented: Callable[..., GateRecord]) -> None:
    record = small_record(invented)
    assert record.comparison is not None
    key = record.run.results[0].key
    record = replace(record, comparison=replace(record.comparison, unpaired=(key,)))
    view = build_view(record)
    assert view.cases.cases[0].change == "not compared"
    assert any("not compared" in banner.title and key in banner.items for banner in view.banners)


def banner_titles(record: GateRecord) -> list[str]:
    return [banner.title for banner in build_view(record).banners]


def test_banners_name_what_broke_was_left_out_or_differs(invented: Callable[..., GateRecord]) -> None:
    titles = banner_titles(invented(errored=2, unscored=3, collected=140, loss_rise=0.4))
    assert titles == [
        "2 cases errored in the candidate",
        "3 cases not scored",
        "Partial run: 100 of 140 cases",
        "5 cases not compared",
        "The loss on general text rose by 0.42 nats per token",
    ]
    assert banner_titles(invented()) == []


def test_a_failed_must_pass_case_comes_first(invented: Callable[..., GateRecord]) -> None:
    """It fails the session under any verdict, even PASS."""
    record = invented(orders=4, both_fail=4)
    assert banner_titles(record)[0] == "A must-pass case failed"


def test_different_execution_plans_are_pointed_out(invented: Callable[..., GateRecord]) -> None:
    record = invented()
    assert record.baseline is not None
    other = replace(record.baseline, plan=replace(record.baseline.plan, dtype="bfloat16"))
    assert banner_titles(replace(record, baseline=other)) == ["The two sides were computed differently"]


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


def test_a_graded_metric_that_fell_lists_its_largest_drops(invented: Callable[..., GateRecord]) -> None:
    """A gated score can regress although no case changes sides: the reader still has to see where."""
    record = small_record(invented)
    assert record.comparison is not None
    key = next(result.key for result in record.run.results if result.outcome is Outcome.PASSED)
    graded = row(
        *("orders", 3, 0.9, 0.6),
        metric="rouge-l",
        kind="graded",
        lost=(key,),
        margin=0.05,
        p_adjusted=0.01,
        verdict=GateVerdict.REGRESS,
    )
    view = build_view(replace(record, comparison=replace(record.comparison, metrics=(graded,))))
    assert [group.title for group in view.cases.drops] == ["largest drops of orders rouge-l: 1"]
    assert [view.cases.cases[number - 1].key for number in view.cases.drops[0].numbers] == [key]


def test_canaries_of_training_stand_in_the_page(invented: Callable[..., GateRecord]) -> None:
    """Each in a line of its own, whatever it is made of."""
    lines: list[JsonValue] = ["length 84 → 31 (n=64, 64), drifted", "<b>"]
    page = render_report(
        invented(orders=3, probes=2, both_fail=1, lost=1, training={"canaries": {"summary": lines}})
    )
    assert "<li>length 84 → 31 (n=64, 64), drifted</li>" in page
    assert "<li>&lt;b&gt;</li>" in page


def test_the_reward_is_drawn_beside_the_loss(invented: Callable[..., GateRecord]) -> None:
    """A step without a reward is left out; other methods have no such curve."""
    steps: list[JsonValue] = [
        {"step": 1, "reward": 0.25},
        {"step": 2, "reward": None},
        {"step": 4, "reward": 0.75},
    ]
    small = {"orders": 3, "probes": 2, "both_fail": 1, "lost": 1}
    page = render_report(invented(**small, training={"losses": [2.0, 1.0], "rewards": {"steps": steps}}))
    assert "Training loss from 2 at step 1 to 1 at step 2, lowest 1; 2 values." in page
    assert "Mean reward from 0.25 at step 1 to 0.75 at step 4; 2 values" in page
    assert "Mean reward" not in render_report(invented(**small, training={"rewards": {"steps": 3}}))
