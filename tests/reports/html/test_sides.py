"""Candidate, baseline and previous accepted run stand side by side, with the history of each gated metric."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.baselines.accept import accept_run
from harness.baselines.file import load_baseline
from harness.types import Finding, GateRecord, GateVerdict, Interval, NothingToLoseFinding
from reports.earlier_runs import NO_EARLIER_RUNS, EarlierRuns
from reports.html.metrics import range_text
from reports.html.side_names import moment, sides_of
from reports.html.sides import side_rows
from reports.metric_history import PastMetric

Invented = Callable[..., GateRecord]


def point(number: int, mean: float, verdict: GateVerdict = GateVerdict.PASS) -> PastMetric:
    return PastMetric(
        run_id=f"run-{number}",
        started_at="2026-01-31T14:25:01+00:00",
        model="m",
        set_name="orders",
        metric="pass-rate",
        mean=mean,
        verdict=verdict,
    )


def test_the_previous_accepted_run_is_the_third_column(invented: Invented, tmp_path: Path) -> None:
    record = invented(lost=5)
    earlier = replace(invented().run, id="20260101-000000-aaaa")
    accepted = load_baseline(accept_run(earlier, "main", "first", tmp_path, allow_dirty=True))
    earlier = EarlierRuns(accepted=accepted)
    assert [side.role for side in sides_of(record, earlier)] == ["candidate", "baseline", "accepted as main"]
    assert [side.role for side in sides_of(record, NO_EARLIER_RUNS)] == ["candidate", "baseline"]
    rows = list(side_rows(record, earlier))
    assert {len(row.values) for row in rows} == {3}
    orders = next(row for row in rows if row.name == "orders")
    assert orders.values[2] == "95.0\u202f%"


def test_a_side_says_who_changed_what(invented: Invented) -> None:
    record = invented()
    environment = replace(record.run.environment, author="Ada Lovelace", subject="Train on 400 orders")
    side = sides_of(replace(record, run=replace(record.run, environment=environment)), NO_EARLIER_RUNS)[0]
    assert (side.author, side.subject) == ("Ada Lovelace", "Train on 400 orders")
    assert side.commit.endswith(" + changes")
    assert side.commit.startswith("commit ")
    assert side.date == "31 Jan 2026, 14:25 UTC"


def test_one_commit_of_several_sides_is_shown_once(invented: Invented) -> None:
    record = invented()
    assert [side.commit for side in sides_of(record, NO_EARLIER_RUNS)][1] == "same commit"
    assert record.baseline is not None
    clean = replace(record.baseline.environment, dirty=False)
    other = replace(record, baseline=replace(record.baseline, environment=clean))
    assert not sides_of(other, NO_EARLIER_RUNS)[1].commit.endswith("+ changes")
    assert sides_of(other, NO_EARLIER_RUNS)[1].commit.startswith("commit ")


def test_a_set_is_described_in_its_row(invented: Invented) -> None:
    record = invented()
    first, *rest = record.run.golden_sets
    sets = (replace(first, description="An order in plain words, extracted as JSON"), *rest)
    rows = side_rows(replace(record, run=replace(record.run, golden_sets=sets)), NO_EARLIER_RUNS)
    assert {row.name: row.about for row in rows} == {
        "orders": "An order in plain words, extracted as JSON",
        "general": "forgetting probes",
    }


def test_cases_that_show_only_drops_beyond_the_allowed_one_say_so(invented: Invented) -> None:
    """Where they decided anyway, there is nothing to add."""
    record = invented(orders=40, lost=1, gained=1)
    assert record.verdict is not None
    found = {}
    for verdict in GateVerdict:
        findings = tuple(
            replace(each, verdict=verdict, data=replace(each.data, minimum_detectable_drop=0.217))
            for each in record.verdict.findings
        )
        one = replace(record, verdict=replace(record.verdict, findings=findings))
        found[verdict] = next(row.detects for row in side_rows(one, NO_EARLIER_RUNS) if row.name == "orders")
    assert found == {
        GateVerdict.PASS: "smallest drop found: 21.7\u00a0pts",
        GateVerdict.REGRESS: "smallest drop found: 21.7\u00a0pts",
        GateVerdict.INCONCLUSIVE: "smallest drop found: 21.7\u00a0pts; these cases can't show one of 5\u00a0pts",
    }


def test_a_drop_of_scores_that_few_clusters_tell_is_a_rough_one(invented: Invented) -> None:
    record = invented(orders=40, lost=1, gained=1)
    assert record.verdict is not None
    said = []
    for clusters in (12, 4000):
        findings = tuple(
            replace(
                each,
                data=replace(each.data, minimum_detectable_drop=0.217, scale="graded", clusters=clusters),
            )
            for each in record.verdict.findings
        )
        one = replace(record, verdict=replace(record.verdict, findings=findings))
        said.append(next(row.detects for row in side_rows(one, NO_EARLIER_RUNS) if row.name == "orders"))
    assert ["about" in each for each in said] == [True, False]


def test_the_history_of_a_metric_is_a_line_that_marks_regressions(invented: Invented) -> None:
    record = invented(lost=5)
    this = replace(point(3, 0.9), run_id=record.run.id)
    points = (point(1, 0.95), point(2, 0.5, GateVerdict.REGRESS), this)
    rows = {row.name: row for row in side_rows(record, EarlierRuns(metrics=points))}
    line = rows["orders"].history
    assert line is not None
    assert (line.path, line.last) == ("M0,1 L60,10 L120,2", (120.0, 2.0))
    assert line.regressed == ((60.0, 10.0),)
    assert rows["orders"].drawing == "3 runs, from 95.0\u202f% to 90.0\u202f%"
    assert rows["orders"].ends == "95.0\u202f% → 90.0\u202f%"
    assert (rows["general"].history, rows["general"].ends) == (
        None,
        "fewer than two whole runs of the same cases and metric",
    )


def test_a_line_says_where_it_ends_before_this_run_or_goes_through_other_cases(invented: Invented) -> None:
    """A run of selected cases has no place in it, and its mean is not the line's end."""
    record, points = invented(lost=5), (point(1, 0.95), point(2, 0.925))
    (row, *_) = side_rows(record, EarlierRuns(metrics=points))
    assert row.ends == "95.0\u202f% → 92.5\u202f% before this one"
    assert row.drawing == "2 runs before this one, from 95.0\u202f% to 92.5\u202f%"
    changed = (replace(points[0], set_sha256="a" * 64), points[1])
    (row, *_) = side_rows(record, EarlierRuns(metrics=changed))
    assert row.drawing.endswith("to 92.5\u202f%; the set has changed since")
    assert row.ends.endswith("before this one; the set has changed since")


def test_the_other_question_is_answered_beside_the_first(invented: Invented) -> None:
    record = invented(lost=5)
    assert record.verdict is not None
    findings = tuple(
        replace(each, data=replace(each.data, other_question=GateVerdict.REGRESS))
        for each in record.verdict.findings
    )
    record = replace(record, verdict=replace(record.verdict, findings=findings))
    words = {row.word: row.other for row in side_rows(record, NO_EARLIER_RUNS)}
    assert words == {"regress": "", "pass": "on exactly these cases: regress"}  # the same is not said twice
    swapped = tuple(replace(each, data=replace(each.data, population="cases")) for each in findings)
    record = replace(record, verdict=replace(record.verdict, findings=swapped))
    words = {row.word: row.other for row in side_rows(record, NO_EARLIER_RUNS)}
    assert words["pass"] == "on further cases like these: regress"


def test_a_set_that_had_nothing_to_lose_does_not_look_passed(invented: Invented) -> None:
    record = invented()
    assert record.verdict is not None
    assert record.comparison is not None
    finding = Finding(
        verdict=GateVerdict.INCONCLUSIVE,
        set_name="general",
        metric="pass-rate",
        data=NothingToLoseFinding(passed=0, n=60, margin=0.1),
    )
    passed = tuple(replace(each, verdict=GateVerdict.PASS) for each in record.verdict.findings)
    record = replace(record, verdict=replace(record.verdict, findings=(finding, *passed)))
    words = {row.name: (row.word, row.tone) for row in side_rows(record, NO_EARLIER_RUNS)}
    assert words["general"] == ("not testable", "inconclusive")
    general = next(row for row in side_rows(record, NO_EARLIER_RUNS) if row.name == "general")
    assert general.counts == "the baseline passes none of these 60: no drop is possible"
    assert (general.drop, general.interval, general.detects) == ("–", "", "")
    assert words["orders"][0] in {"pass", "better"}


def test_a_time_that_is_none_stays_as_it_is() -> None:
    assert moment("yesterday") == "yesterday"


@pytest.mark.parametrize(
    ("low", "high", "told"),
    [
        (0.0, 0.0, "exactly no change"),
        (-1e-12, 1e-12, "exactly no change"),
        (0.05, 0.05, "exactly 5.0 worse"),
        (-0.05, -0.05, "exactly 5.0 better"),
        (0.0, 0.05, "0.0 to 5.0 worse"),
        (-0.05, 0.0, "0.0 to 5.0 better"),
        (-0.02, 0.05, "2.0 better to 5.0 worse"),
    ],
)
def test_a_drop_that_is_known_exactly_is_no_range(low: float, high: float, told: str) -> None:
    """Equal answers to exactly these cases: 0.0 to 0.0 better they were not."""
    drop = Interval(estimate=low, low=low, high=high, confidence=0.9, method="counted")
    assert range_text(drop, rate=True) == f"{told} (90\u00a0% interval)"
