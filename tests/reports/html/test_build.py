"""What the page shows for one small gate, field by field; and what each part says in special cases."""

import json
import os
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from harness.comparison.findings import metric_findings
from harness.types import (
    Finding,
    GateRecord,
    GateVerdict,
    Interval,
    JsonValue,
    MetricFacts,
    NoVerdictFinding,
    OtherTextFinding,
    Outcome,
    RegressedCase,
    RegressedCasesFinding,
    Repeat,
    Score,
    Stability,
    Verdict,
)
from reports.earlier_runs import EarlierRuns
from reports.html import render_report
from reports.html.build import build_view
from tests.reports.html.small_gate import interval, row, small_record

EXPECTED = Path(__file__).with_name("small_view.json")


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


def test_scores_have_an_axis_in_their_own_unit_and_rates_share_one(
    invented: Callable[..., GateRecord],
) -> None:
    """A cost that doubled by two millionths was drawn as zero between rates, whose axis is in points."""
    record = small_record(invented)
    assert record.comparison is not None
    gated = {"kind": "graded", "verdict": GateVerdict.REGRESS}
    cost = row("orders", 3, 2e-6, 4e-6, metric="cost", drop=interval(2e-6, 1e-6, 3e-6), margin=1e-6, **gated)
    tokens = row(
        "orders", 3, 90.0, 250.0, metric="tokens", drop=interval(160.0, 90.0, 230.0), margin=20.0, **gated
    )
    scores = replace(record, comparison=replace(record.comparison, metrics=(cost, tokens)))
    both = replace(
        record, comparison=replace(record.comparison, metrics=(*record.comparison.metrics, cost, tokens))
    )
    view = build_view(both).metrics
    assert view.axis == build_view(record).metrics.axis
    drawn = {each.metric: each.forest for each in (*view.gated, *view.informing)}
    assert [name for name, forest in drawn.items() if forest and not forest.ticks] == ["pass rate"]
    for forest in (drawn["cost"], drawn["tokens"]):
        assert forest is not None
        assert forest.margin is not None
        assert forest.low - forest.zero > 40
        assert forest.high - forest.low > 60
    assert drawn["cost"] is not None
    assert [tick.label for tick in drawn["cost"].ticks] == ["0", "+1e−06", "+2e−06", "+3e−06"]
    assert build_view(scores).metrics.axis is None
    assert "drop, points" in render_report(both)
    assert "+1e−06</text>" in render_report(scores)


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


def test_without_a_baseline_several_answers_to_a_case_are_averaged(
    invented: Callable[..., GateRecord],
) -> None:
    """Rates and means were those of each case's worst answer: 59 % beside an accepted file's 90 %."""
    record = invented(compared=False, orders=20, probes=0)
    score = Score(metric="rouge-l", value=0.8)
    results = []
    for result in record.run.results:
        good = Repeat(completion=result.completion, scores=(score,), outcome=Outcome.PASSED)
        bad = replace(good, scores=(replace(score, value=0.3),), outcome=Outcome.FAILED)
        worst = replace(result, scores=bad.scores, outcome=bad.outcome, errors=(), unscored=())
        results.append(replace(worst, repeats=(good, good, good, good, bad)))
    run = replace(record.run, results=tuple(results))
    rows = {row.metric: row for row in build_view(replace(record, run=run)).metrics.informing}
    assert {name: (row.candidate.value, row.n) for name, row in rows.items()} == {
        "pass rate": ("80.0\u202f%", "20"),
        "rouge-l": ("0.700", "20"),
    }


@pytest.mark.parametrize("unit", [1e-10, 1.0, 1e8])
def test_without_a_baseline_scores_have_their_interval_in_any_unit(
    invented: Callable[..., GateRecord], unit: float
) -> None:
    """Grades of 3 on a scale of 1 to 5 had the interval of a scale of 1, and costs of 3e-10 were 0.000."""
    record = invented(compared=False)
    facts = {
        "cost": MetricFacts(kind="graded", most=None),
        "grade": MetricFacts(kind="graded", least=unit, most=5 * unit),
    }
    scores = tuple(Score(metric=name, value=3 * unit) for name in facts)
    results = tuple(replace(each, scores=scores) for each in record.run.results)
    shown = build_view(replace(record, run=replace(record.run, results=results, metrics=facts)))
    rows = {row.metric: row for row in shown.metrics.informing}
    for name, span in (("cost", 3), ("grade", 4)):
        found, unseen = rows[name].candidate, 1 - 0.05 ** (1 / int(rows[name].n))
        low, high = (float(end) for end in found.interval.replace("−", "-").strip("[]").split(", "))
        assert float(found.value.replace("−", "-")) == pytest.approx(3 * unit)
        ends = (3 - span * unseen) * unit, (3 + span * unseen) * unit
        assert (low, high) == pytest.approx(ends, rel=0.01)


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


def test_a_language_that_is_lost_has_a_banner_under_any_verdict(invented: Callable[..., GateRecord]) -> None:
    record = invented()
    assert record.verdict is not None
    rise = Interval(estimate=3.1, low=2.9, high=3.3, confidence=0.9, method="t over 4")
    lost = Finding(data=OtherTextFinding(texts={"german": rise}, limit=0.1))
    verdict = replace(record.verdict, findings=(*record.verdict.findings, lost))
    (banner,) = build_view(replace(record, verdict=verdict)).banners
    assert banner.title == "The loss on other text rose: german"
    assert banner.items == ("german: by 3.10 nats per token [2.90, 3.30]",)
    assert "holds no pass back" in banner.text


def test_a_failed_must_pass_case_comes_first(invented: Callable[..., GateRecord]) -> None:
    """It fails the session under any verdict, even PASS."""
    record = invented(orders=4, both_fail=4)
    assert banner_titles(record)[0] == "A must-pass case did not pass"
    results = tuple(
        replace(result, case=replace(result.case, description="Never promises a refund."))
        for result in record.run.results
    )
    (banner, *_) = build_view(replace(record, run=replace(record.run, results=results))).banners
    assert banner.text.endswith(
        ": Never promises a refund. This alone fails the session, whatever the comparison shows."
    )
    assert banner.items[0].endswith(": Never promises a refund.")


def test_different_execution_plans_are_pointed_out(invented: Callable[..., GateRecord]) -> None:
    record = invented()
    assert record.baseline is not None
    other = replace(record.baseline, plan=replace(record.baseline.plan, dtype="bfloat16"))
    assert banner_titles(replace(record, baseline=other)) == ["The two sides were computed differently"]


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
