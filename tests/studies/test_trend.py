"""A metric along the runs; small steps in one direction are noted though each gate passes."""

import dataclasses
import json

import pytest
from typer.testing import CliRunner

from harness.baselines.accept import _baseline
from harness.cli.main import app
from harness.cli.trend import sparkline
from harness.comparison.gate import run_gate
from harness.history.store import History, open_history
from harness.registry.content_metrics import MACRO_F1
from harness.studies.trend import trends_of, trends_of_accepted
from harness.types import GateRecord, GateSettings, MetricFacts, Outcome, Score
from tests.comparison.test_whole_sets_set_metrics import EXPECTED, macro_f1
from tests.comparison.test_whole_sets_set_metrics import run_of as classified


def record(make_run, make_result, number, passed, cases=100):
    results = [make_result(f"set/{n}", n < passed) for n in range(cases)]
    run = dataclasses.replace(
        make_run(results, run_id=f"202601{number:02}-000000-aaaa"),
        started_at=f"2026-01-{number:02}T00:00:00+00:00",
    )
    baseline = dataclasses.replace(
        make_run([make_result(f"set/{n}", n < 95) for n in range(cases)]), id="base"
    )
    comparison, verdict = run_gate(run, baseline)
    return GateRecord(run=run, baseline=baseline, comparison=comparison, verdict=verdict)


def test_a_slow_drift_is_noted(make_run, make_result):
    records = [record(make_run, make_result, n + 1, 95 - n) for n in range(6)]
    (trend,) = trends_of(records)
    assert [point.summary.mean.estimate for point in trend.points] == [0.95, 0.94, 0.93, 0.92, 0.91, 0.90]
    assert trend.note.startswith("drifts down (p=0.0028)")


def test_a_drift_has_the_direction_of_most_pairs(make_run, make_result):
    """The test counts pairs: of this series 28 rise and 8 fall, though it ends below its start."""
    passed = [50, 10, 20, 30, 40, 45, 46, 47, 48]
    (trend,) = trends_of(record(make_run, make_result, n + 1, each) for n, each in enumerate(passed))
    assert trend.note.startswith("drifts up (p=0.045)")


def test_a_run_of_which_too_many_cases_errored_is_no_point(make_run, make_result, tmp_path):
    """A run that answered one case, and passed it, was a point of 1.00."""
    made = [record(make_run, make_result, n + 1, 90) for n in range(3)]
    errored = dataclasses.replace(
        made[2].run,
        results=(
            *made[2].run.results[:1],
            *(make_result(f"set/{n}", Outcome.ERRORED) for n in range(1, 100)),
        ),
    )
    comparison, verdict = run_gate(errored, made[2].baseline)
    made[2] = dataclasses.replace(made[2], run=errored, comparison=comparison, verdict=verdict)
    (trend,) = trends_of(made)
    assert [point.run_id for point in trend.points] == [each.run.id for each in made[:2]]
    with open_history(tmp_path / "history.sqlite") as history:
        for each in made:
            history.save(each)
    told = CliRunner().invoke(app, ["runs", "trend", "--history", str(tmp_path / "history.sqlite")])
    left_out = f"run {errored.id} is left out of set: too many of its cases have no verdict"
    assert left_out in " ".join(told.output.split())


def test_a_point_is_of_all_cases_that_its_run_answered(make_run, make_result):
    """Of a run with changed cases, the gate compares the others alone: 0.90 was 1.00."""
    made = record(make_run, make_result, 1, 90)
    before = [make_result(f"set/{n}", prompt="Say yes." if n < 90 else "Say no.") for n in range(100)]
    baseline = dataclasses.replace(make_run(before), id="base")
    comparison, verdict = run_gate(made.run, baseline)
    assert comparison.metrics[0].candidate.mean.estimate == 1.0
    made = dataclasses.replace(made, baseline=baseline, comparison=comparison, verdict=verdict)
    (point,) = trends_of([made])[0].points
    assert (point.summary.n, point.summary.mean.estimate) == (100, 0.9)


def test_a_metric_of_whole_sets_is_of_all_cases_that_its_run_answered():
    """Its point had n=20 beside a pass rate's n=34."""
    gate = GateSettings(metric_margins={MACRO_F1: 0.2})
    worse = ["red" if label == "blue" else label for label in EXPECTED]
    run, before = (classified(answers, EXPECTED, gate=gate) for answers in (worse, EXPECTED))
    changed = tuple(
        each if n < 20 else dataclasses.replace(each, case=dataclasses.replace(each.case, messages=()))
        for n, each in enumerate(before.results)
    )
    baseline = dataclasses.replace(before, id="base", results=changed)
    comparison, verdict = run_gate(run, baseline)
    trends = trends_of([GateRecord(run=run, baseline=baseline, comparison=comparison, verdict=verdict)])
    points = {each.metric: each.points[0].summary for each in trends}
    assert {metric: point.n for metric, point in points.items()} == {"pass-rate": 34, MACRO_F1: 34}
    whole = macro_f1(list(zip(EXPECTED, worse, strict=True)))
    assert points[MACRO_F1].mean.estimate == pytest.approx(whole)
    assert points[MACRO_F1].mean.low < whole < points[MACRO_F1].mean.high


def test_a_metric_that_the_baseline_has_not_on_all_cases_is_of_all_of_its_run(make_run, make_result):
    """The cases are paired, for their verdicts; the metric's own are fewer."""
    made = graded(make_run, make_result, 1, FACTS)
    lacking = tuple(
        dataclasses.replace(each, scores=()) if n < 3 else each
        for n, each in enumerate(made.baseline.results)
    )
    baseline = dataclasses.replace(made.baseline, results=lacking)
    comparison, verdict = run_gate(made.run, baseline)
    assert [row.n for row in comparison.metrics if row.metric == "polite"] == [len(lacking) - 3]
    trends = trends_of([GateRecord(run=made.run, baseline=baseline, comparison=comparison, verdict=verdict)])
    assert {each.points[0].summary.n for each in trends} == {len(lacking)}


def test_partial_runs_take_no_complete_ones_place(make_run, make_result, tmp_path):
    with open_history(tmp_path / "h.sqlite") as history:
        for n in range(2):
            history.save(record(make_run, make_result, n + 1, 95 - n))
        for n in range(2, 20):
            found = record(make_run, make_result, n + 1, 90)
            history.save(dataclasses.replace(found, run=dataclasses.replace(found.run, collected=200)))
    place = ["--history", str(tmp_path / "h.sqlite"), "--json"]
    shown = CliRunner().invoke(app, ["runs", "trend", "--limit", "2", *place])
    (trend,) = json.loads(shown.output)
    assert [point["summary"]["mean"]["estimate"] for point in trend["points"]] == [0.95, 0.94]


def two_sets(make_run, make_result, number, passed, lost=0):
    """A gated run of the sets ``set`` and ``other``; of the second, ``lost`` of ten cases errored."""
    results = [make_result(f"set/{n}", n < passed) for n in range(10)]
    results += [make_result(f"other/{n}", Outcome.ERRORED if n < lost else True) for n in range(10)]
    run = make_run(results, run_id=f"r{number}")
    before = [make_result(f"{name}/{n}", True) for name in ("set", "other") for n in range(10)]
    baseline = make_run(before, run_id="base of two")
    comparison, verdict = run_gate(run, baseline)
    return GateRecord(run=run, baseline=baseline, comparison=comparison, verdict=verdict)


def shown_points(tmp_path, *options):
    place = ["--history", str(tmp_path / "h.sqlite"), "--json", *options]
    shown = CliRunner().invoke(app, ["runs", "trend", *place])
    assert shown.exit_code == 0, shown.output
    return {
        each["set_name"]: [point["run_id"] for point in each["points"]] for each in json.loads(shown.output)
    }


def test_a_run_that_is_left_out_of_a_set_takes_no_place_in_it(make_run, make_result, tmp_path):
    """With --limit 3 and two runs without a verdict on the other set, its trend had one point."""
    with open_history(tmp_path / "h.sqlite") as history:
        for n in range(8):
            history.save(two_sets(make_run, make_result, n, 9, lost=8 if n in (5, 6) else 0))
    assert shown_points(tmp_path, "--limit", "3") == {
        "set": ["r5", "r6", "r7"],
        "other": ["r3", "r4", "r7"],
    }


def test_runs_of_other_metrics_take_no_place(make_run, make_result, tmp_path):
    """Nor is what only old runs gated shown; a long history is not read for it."""
    with open_history(tmp_path / "h.sqlite") as history:
        history.save(graded(make_run, make_result, 100, FACTS))
        for n in range(1, 4):
            history.save(two_sets(make_run, make_result, n, 9))
        for n in range(4, 7):
            history.save(record(make_run, make_result, n, 90))
        history.save(two_sets(make_run, make_result, 7, 9))
    found = shown_points(tmp_path, "--limit", "2")
    assert found == {"set": ["20260106-000000-aaaa", "r7"], "other": ["r3", "r7"]}


def test_a_long_history_is_read_as_far_as_points_may_be_missing(make_run, make_result, tmp_path, monkeypatch):
    """A new set has few points; the runs before it are not loaded."""
    with open_history(tmp_path / "h.sqlite") as history:
        for n in range(1, 13):
            history.save(record(make_run, make_result, n, 90))
        history.save(two_sets(make_run, make_result, 13, 9))
    loaded, load = [], History.load_record
    monkeypatch.setattr(
        History, "load_record", lambda self, run_id: loaded.append(run_id) or load(self, run_id)
    )
    found = shown_points(tmp_path, "--limit", "4")
    assert {name: len(points) for name, points in found.items()} == {"set": 4, "other": 1}
    assert len(loaded) == 4


def test_accepted_runs_without_a_metric_take_no_place(make_run, make_result):
    versions = [
        _baseline(
            two_sets(make_run, make_result, n, 9).run if n in (0, 3) else only_one(make_run, make_result, n),
            "shipped",
            "why",
        )
        for n in range(4)
    ]
    found = {
        each.set_name: [point.run_id for point in each.points] for each in trends_of_accepted(versions, 2)
    }
    assert found == {"set": ["r2", "r3"], "other": ["r0", "r3"]}


def only_one(make_run, make_result, number):
    return make_run([make_result(f"set/{n}", n < 9) for n in range(10)], run_id=f"r{number}")


def other_cases(found, cases):
    """A record of a run with the same results for cases of this content, by place."""
    results = tuple(
        dataclasses.replace(each, case=dataclasses.replace(each.case, references=cases(place)))
        for place, each in enumerate(found.run.results)
    )
    return dataclasses.replace(found, run=dataclasses.replace(found.run, results=results))


def test_a_fall_with_other_cases_says_so(make_run, make_result):
    """Of a set whose ten last cases became harder, no fall is told of the model alone."""
    records = [
        other_cases(
            record(make_run, make_result, n + 1, 95 if n < 7 else 80),
            lambda place, n=n: ("new" if n >= 7 and place >= 90 else "old",),
        )
        for n in range(14)
    ]
    (trend,) = trends_of(records)
    with_run = "its cases changed with run 20260108-000000-aaaa"
    assert trend.note.startswith("changed with run 20260108-000000-aaaa: 0.95 before, 0.80 since (p=")
    assert trend.note.endswith(f"; {with_run}, which alone may be why")
    steady = [other_cases(record(make_run, make_result, 1, 95), lambda place, n=n: (f"{n}",)) for n in "aabc"]
    assert trends_of(steady)[0].note.startswith("its cases changed 2 times, the last time with run ")
    accepted = [_baseline(each.run, "shipped", "why") for each in records[5:9]]
    assert trends_of_accepted(accepted)[0].note == with_run


def test_other_values_of_the_chat_template_are_other_cases(make_run, make_result):
    """With its reasoning off a base fell by 83 points against itself: told as a fall of the model alone."""
    records = [record(make_run, make_result, n + 1, 95 if n < 7 else 80) for n in range(14)]
    runs = [
        dataclasses.replace(
            each.run,
            plan=dataclasses.replace(
                each.run.plan, chat_template_kwargs={"enable_thinking": False} if n >= 7 else {}
            ),
        )
        for n, each in enumerate(records)
    ]
    asked = [dataclasses.replace(each, run=run) for each, run in zip(records, runs, strict=True)]
    changed = "its cases changed with run 20260108-000000-aaaa"
    assert trends_of(asked)[0].note.endswith(f"; {changed}, which alone may be why")
    assert trends_of_accepted([_baseline(run, "shipped", "why") for run in runs[5:9]])[0].note == changed


def test_an_added_case_changes_the_cases_and_their_order_does_not(make_run, make_result):
    made = [record(make_run, make_result, 1, 95), record(make_run, make_result, 2, 95, cases=101)]
    assert trends_of(made)[0].note == "its cases changed with run 20260102-000000-aaaa"
    turned = dataclasses.replace(made[0].run, results=made[0].run.results[::-1])
    assert trends_of([made[0], dataclasses.replace(made[0], run=turned)])[0].note == ""


def test_a_step_names_the_run(make_run, make_result):
    records = [record(make_run, make_result, n + 1, 95 if n < 7 else 80) for n in range(14)]
    (trend,) = trends_of(records)
    assert trend.note.startswith("changed with run 20260108-000000-aaaa: 0.95 before, 0.80 since")


def test_a_step_of_a_small_figure_is_no_step_from_nothing_to_nothing(make_run, make_result):
    records = [graded(make_run, make_result, n + 1, FACTS, 6e-6 if n < 7 else 2e-6) for n in range(14)]
    notes = [trend.note for trend in trends_of(records) if trend.metric == "polite"]
    assert notes[0].startswith("changed with run r8: 6e-06 before, 2e-06 since (p=")


def test_a_steady_metric_and_a_short_history_have_no_note(make_run, make_result):
    assert trends_of(record(make_run, make_result, n + 1, 95) for n in range(9))[0].note == ""
    assert trends_of(record(make_run, make_result, n + 1, 95 - 5 * n) for n in range(4))[0].note == ""


def test_runs_of_which_nothing_was_compared_are_not_said_to_be_missing(make_run, make_result, tmp_path):
    judged = record(make_run, make_result, 1, 95)
    comparison = dataclasses.replace(judged.comparison, metrics=())
    with open_history(tmp_path / "h.sqlite") as history:
        history.save(dataclasses.replace(judged, comparison=comparison))
    result = CliRunner().invoke(app, ["runs", "trend", "--history", str(tmp_path / "h.sqlite")])
    assert result.exit_code == 0, result.output
    told = " ".join(result.output.split())
    assert "no complete run is stored yet of which a gated metric was compared with its baseline" in told


def test_the_command_shows_runs_with_intervals(make_run, make_result, tmp_path):
    with open_history(tmp_path / "h.sqlite") as history:
        for n in range(3):
            history.save(record(make_run, make_result, n + 1, 95 - n))
    result = CliRunner().invoke(app, ["runs", "trend", "--history", str(tmp_path / "h.sqlite")])
    assert result.exit_code == 0, result.output
    assert "set pass-rate  █▄▁" in result.output
    assert "0.950 [" in result.output
    assert (
        CliRunner()
        .invoke(app, ["runs", "trend", "--json", "--history", str(tmp_path / "h.sqlite")])
        .exit_code
        == 0
    )


def graded(make_run, make_result, number, facts, value=0.5):
    """A gated run of a graded metric that also decides its cases."""
    scores = [Score(metric="polite", value=value, threshold=0.4, passed=value >= 0.4)]
    results = [
        dataclasses.replace(make_result(f"set/{n}", value >= 0.4), scores=tuple(scores)) for n in range(20)
    ]
    run = dataclasses.replace(
        make_run([], run_id=f"r{number}", gates={"set": GateSettings(metric_margins={"polite": 0.1})}),
        results=tuple(results),
        metrics={"polite": facts},
    )
    comparison, verdict = run_gate(run, dataclasses.replace(run, id="base"))
    return GateRecord(run=run, baseline=run, comparison=comparison, verdict=verdict)


FACTS = MetricFacts(kind="graded", least=0.0, most=1.0)


@pytest.mark.parametrize(
    ("since", "said"),
    [
        ({"version": "2"}, "polite has version 2, before version 1"),
        ({"higher_is_better": False}, "polite has the opposite direction"),
        ({"most": 5.0}, "polite has another scale"),
        ({"logarithmic": True}, "polite has another scale"),
        ({"scored_by": {"judge": "new"}}, "polite has another judge or encoder: new, before old"),
    ],
)
def test_runs_in_which_a_metric_is_another_one_are_not_joined(make_run, make_result, since, said):
    """Its values and the pass rate that it decides start anew; a line says why, and no drift is noted."""
    before = dataclasses.replace(FACTS, scored_by={"judge": "old"})
    changed = dataclasses.replace(before, **since)
    records = [
        graded(make_run, make_result, n, before if n < 6 else changed, 0.9 if n < 6 else 0.45)
        for n in range(12)
    ]
    followed = trends_of(records)
    assert {(t.metric, len(t.points)) for t in followed} == {("polite", 6), ("pass-rate", 6)}
    assert [t.note for t in followed] == [""] * 4
    for metric in ("polite", "pass-rate"):
        before, after = (t for t in followed if t.metric == metric)
        assert before.start_note == ""
        assert after.start_note == f"starts anew with run r6, not compared with the runs before: {said}"


def test_runs_that_do_not_say_who_judged_are_joined_and_told(make_run, make_result):
    """They are of earlier versions, and may be of another judge."""
    known = dataclasses.replace(FACTS, scored_by={"judge": "new"})
    records = [graded(make_run, make_result, n, FACTS if n < 2 else known) for n in range(4)]
    for trend in trends_of(records):
        assert len(trend.points) == 4
        assert trend.note == "up to run r1 it is not recorded which judge or encoder scored it"
    records = [
        graded(make_run, make_result, n, FACTS if n < 2 else known, 0.9 if n < 6 else 0.45) for n in range(12)
    ]
    (note,) = [trend.note for trend in trends_of(records) if trend.metric == "polite"]
    assert note.endswith(
        "; up to run r1 it is not recorded which judge or encoder scored it, which alone may be why"
    )


def test_the_same_values_of_one_metric_would_have_been_a_drift(make_run, make_result):
    records = [graded(make_run, make_result, n, FACTS, 0.9 if n < 6 else 0.45) for n in range(12)]
    (note,) = [trend.note for trend in trends_of(records) if trend.metric == "polite"]
    assert note.startswith("changed with run r6: 0.90 before, 0.45 since")


def test_accepted_runs_in_which_a_metric_is_another_one_are_not_joined(make_run, make_result):
    accepted = []
    for number, version in enumerate(["1", "1", "2"]):
        made = graded(make_run, make_result, number, dataclasses.replace(FACTS, version=version)).run
        accepted.append(_baseline(made, "shipped", "why"))
    found = trends_of_accepted(accepted)
    assert [(t.metric, len(t.points), t.start_note != "") for t in found] == [
        ("pass-rate", 2, False),
        ("pass-rate", 1, True),
        ("polite", 2, False),
        ("polite", 1, True),
    ]


def test_the_command_says_where_a_metric_became_another_one(make_run, make_result, tmp_path):
    with open_history(tmp_path / "h.sqlite") as history:
        for n in range(4):
            facts = dataclasses.replace(FACTS, version="1" if n < 2 else "2")
            history.save(graded(make_run, make_result, n, facts))
    result = CliRunner().invoke(app, ["runs", "trend", "--history", str(tmp_path / "h.sqlite")])
    assert result.exit_code == 0, result.output
    lines = " ".join(result.output.split())
    for metric in ("polite", "pass-rate"):
        assert f"set {metric} starts anew with run r2, not compared" in lines


def test_equal_values_are_bars_of_one_height():
    assert sparkline([1.0, 1.0]) == "▅▅"
