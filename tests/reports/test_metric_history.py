"""A page draws a metric through the runs that ``tunegate runs trend`` follows, and through means of all their cases."""

import dataclasses

import pytest

from harness.comparison.gate import run_gate
from harness.history.store import open_history
from harness.registry.content_metrics import MACRO_F1
from harness.studies.trend import trends_of
from harness.types import GateRecord, GateSettings, Outcome, Score
from harness.types.storage import DamagedFactsError
from reports.metric_history import past_metrics
from tests.comparison.test_whole_sets_set_metrics import EXPECTED
from tests.comparison.test_whole_sets_set_metrics import run_of as classified
from tests.studies.test_metric_change import GROUP, PAIR, gated
from tests.studies.test_trend import FACTS, graded, record


@pytest.fixture
def drawn(tmp_path):
    """Stores records and reads the metrics up to one of them: by set and metric, each run's id and mean."""

    def read(records, until="none"):
        with open_history(tmp_path / "history.sqlite") as history:
            for each in records:
                history.save(each)
            found = {}
            for point in past_metrics(history, until):
                found.setdefault((point.set_name, point.metric), []).append((point.run_id, point.mean))
            return found

    return read


def judged(run, baseline):
    comparison, verdict = run_gate(run, baseline)
    return GateRecord(run=run, baseline=baseline, comparison=comparison, verdict=verdict)


def followed(records):
    """The newest stretch of each metric in ``runs trend``."""
    return {
        (each.set_name, each.metric): [(point.run_id, point.summary.mean.estimate) for point in each.points]
        for each in trends_of(each for each in records if not each.run.partial)
    }


def test_parts_of_runs_and_of_sets_are_not_drawn(make_run, make_result, drawn):
    """Five hard cases of a whole set drew a fall from 95 % to 40 % on the next run's page."""
    whole = [record(make_run, make_result, n, 95 - n) for n in (1, 3, 7)]
    selected, left_out, broken, changed = (record(make_run, make_result, n, 40) for n in (2, 4, 5, 6))
    selected = dataclasses.replace(selected, run=dataclasses.replace(selected.run, collected=200))
    left_out = dataclasses.replace(left_out, run=dataclasses.replace(left_out.run, left_out=("a test",)))
    errored = (make_result(f"set/{n}", Outcome.ERRORED if n > 50 else n < 40) for n in range(100))
    broken = judged(dataclasses.replace(broken.run, results=tuple(errored)), broken.baseline)
    others = [make_result(f"set/{n}", prompt="Say yes." if n < 90 else "Say no.") for n in range(100)]
    changed = judged(changed.run, dataclasses.replace(make_run(others), id="other"))
    stored = [whole[0], selected, whole[1], left_out, broken, changed, whole[2]]
    expected = {
        ("set", "pass-rate"): [
            (each.run.id, mean) for each, mean in zip(whole, (0.94, 0.92, 0.88), strict=True)
        ]
    }
    assert drawn(stored) == expected
    # The trend has the run whose cases were compared in part, with the mean of all of them.
    known = followed(stored)["set", "pass-rate"]
    assert [each for each in known if each[0] != changed.run.id] == expected["set", "pass-rate"]


def test_a_line_ends_with_the_run_of_the_page(make_run, make_result, drawn):
    records = [record(make_run, make_result, n, 95 - n) for n in (1, 2, 3)]
    ids = [each.run.id for each in records]
    assert [run for run, _ in drawn(records, until=ids[1])["set", "pass-rate"]] == ids[:2]
    assert [run for run, _ in drawn(records)["set", "pass-rate"]] == ids


def test_a_line_begins_where_its_metric_became_another_one(make_run, make_result, drawn):
    records = [
        graded(make_run, make_result, n, dataclasses.replace(FACTS, version="1" if n < 2 else "2"))
        for n in range(5)
    ]
    found = drawn(records)
    assert list(found) == [("set", "pass-rate"), ("set", "polite")]
    assert {run for points in found.values() for run, _ in points} == {"r2", "r3", "r4"}
    assert found == followed(records)


def test_a_record_that_does_not_say_who_scored_it_begins_no_new_line(make_run, make_result, drawn):
    """As in the trend: that of an earlier version says nothing of judges."""
    scorers = (None, {}, {"judge": "one"}, {"judge": "one"}, {"judge": "other"})
    records = [
        graded(make_run, make_result, n, dataclasses.replace(FACTS, scored_by=by))
        for n, by in enumerate(scorers)
    ]
    assert [run for run, _ in drawn(records[:4])["set", "polite"]] == ["r0", "r1", "r2", "r3"]
    found = drawn(records)
    assert [run for run, _ in found["set", "polite"]] == ["r4"]
    assert found == followed(records)


@pytest.mark.parametrize("check", [PAIR, GROUP])
def test_a_line_of_pairs_begins_with_another_opponent(make_run, make_result, drawn, check):
    """The base's answers have another id in each session."""
    records = [gated(make_run, make_result, n, check, 0.45, 7) for n in range(3)]
    records += [gated(make_run, make_result, n, check, 0.9, None) for n in range(3, 5)]
    found = drawn(records)
    assert {run for points in found.values() for run, _ in points} == {"r03", "r04"}
    assert found == followed(records)


def test_a_line_of_pairs_goes_on_with_a_hosted_opponent(make_run, make_result, drawn):
    """Each session has another hash for its weights."""
    records = [gated(make_run, make_result, n, PAIR, 0.6, "openai:mini") for n in range(2)]
    records += [gated(make_run, make_result, n, PAIR, 0.9, "openai:large") for n in range(2, 5)]
    found = drawn(records)
    assert [run for run, _ in found["set", "pairwise"]] == ["r02", "r03", "r04"]
    assert found == followed(records)


def test_a_line_goes_on_where_another_set_makes_numbers_of_a_check(make_run, make_result, drawn):
    records = [
        graded(make_run, make_result, n, dataclasses.replace(FACTS, kind="binary" if n < 2 else "graded"))
        for n in range(4)
    ]
    found = drawn(records)
    assert [run for run, _ in found["set", "polite"]] == ["r0", "r1", "r2", "r3"]
    assert found == followed(records)


def test_a_metric_that_the_baseline_has_of_a_part_alone_is_not_drawn(make_run, make_result, drawn):
    made = graded(make_run, make_result, 1, FACTS)
    lacking = (
        dataclasses.replace(each, scores=()) if n < 3 else each for n, each in enumerate(made.run.results)
    )
    part = judged(made.run, dataclasses.replace(made.run, id="base", results=tuple(lacking)))
    assert [name for _, name in drawn([part])] == ["pass-rate"]


def test_cases_that_only_grade_make_a_line(make_run, make_result, drawn):
    """All of them are unscored, and nothing is missing."""
    gates = {"set": GateSettings(metric_margins={"polite": 0.1})}
    results = [
        dataclasses.replace(
            make_result(f"set/{n}", Outcome.UNSCORED), scores=(Score(metric="polite", value=0.5),)
        )
        for n in range(20)
    ]
    run = make_run([], run_id="r1", gates=gates)
    run = dataclasses.replace(run, results=tuple(results), metrics={"polite": FACTS})
    assert drawn([judged(run, dataclasses.replace(run, id="base"))]) == {("set", "polite"): [("r1", 0.5)]}


def test_a_metric_of_whole_sets_is_drawn(drawn):
    gate = GateSettings(metric_margins={MACRO_F1: 0.2})
    run = classified(EXPECTED, EXPECTED, gate=gate)
    found = drawn([judged(run, dataclasses.replace(run, id="base"))])
    assert found["s", MACRO_F1] == [("r", 1.0)]


@pytest.mark.parametrize(
    ("table", "text"), [("runs", "{"), ("runs", "[]"), ("runs", '{"golden_sets": [{}]}')]
)
def test_damage_is_told_in_one_line(make_run, make_result, tmp_path, table, text):
    made = record(make_run, make_result, 1, 90)
    with open_history(tmp_path / "history.sqlite") as history:
        history.save(made)
        history.database.execute(f"UPDATE {table} SET facts = ?", (text,))
        with pytest.raises(DamagedFactsError, match="damaged") as raised:
            past_metrics(history, made.run.id)
    assert "\n" not in str(raised.value)
