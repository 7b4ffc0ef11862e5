"""What is counted from look to look is what one look at everything counts."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from harness.errors import DataError
from harness.studies.monitoring.events import events_of
from harness.studies.monitoring.ledger import (
    add,
    is_ledger,
    read_ledger,
    sample_of,
    seconds_at,
    unjudged,
    unseen,
    write_ledger,
)
from harness.studies.monitoring.production_log import ProductionAnswer
from harness.studies.monitoring.watch import begin, conclude, watch

START = datetime(2026, 3, 2, tzinfo=UTC)


def answer(number, hours=0.0, **given):
    usual = {"text": "It is Tuesday.", "finish_reason": "stop", "latency_s": 1 + number / 100}
    return ProductionAnswer(
        id=f"{hours}-{number}", time=START + timedelta(hours=hours), messages=(), **{**usual, **given}
    )


def looked(ledger, answers):
    return conclude(add(ledger, answers, events_of(answers, ledger.limits)))


BEFORE = [answer(number) for number in range(200)]
DAYS = [
    [answer(n, hours=24 * day, finish_reason="length" if day > 2 and n < 30 else "stop") for n in range(60)]
    for day in range(6)
]


def test_looks_day_by_day_end_where_one_look_does(tmp_path):
    ledger = begin(BEFORE)
    for day in DAYS:
        ledger, found = looked(ledger, day)
        write_ledger(tmp_path / "state.json", ledger)
        assert is_ledger(tmp_path / "state.json")
        ledger = read_ledger(tmp_path / "state.json")
    once = watch([each for day in DAYS for each in day], BEFORE)
    assert found == once
    (cut,) = (each for each in found.events if each.name == "cut")
    assert (cut.alarm, cut.since) == (3, 3)


def test_an_alarm_stays_and_late_answers_leave_earlier_windows_alone():
    ledger = begin(BEFORE)
    ledger, found = looked(ledger, [answer(n, hours=24, finish_reason="length") for n in range(9)])
    assert found.has_risen
    calm = [answer(n, hours=30) for n in range(500)]
    ledger, found = looked(ledger, calm)
    (cut,) = (each for each in found.events if each.name == "cut")
    # By itself the window has no evidence any more.
    assert (cut.alarm, cut.evidence[0] < found.needed) == (0, True)
    ledger, found = looked(ledger, [answer(0, hours=48)])
    late = [answer(1000 + n, hours=2) for n in range(5)]
    ledger, found = looked(ledger, late)
    assert [each.answers for each in found.windows] == [509, 6]


def test_what_was_counted_does_not_count_again():
    ledger, _ = looked(begin(BEFORE), DAYS[0])
    assert unseen(ledger, [*DAYS[0], *DAYS[1]]) == DAYS[1]


def test_latency_of_windows_is_kept_to_one_percent():
    ledger, _ = looked(begin(BEFORE), DAYS[0])
    told = sorted(each.latency_s for each in DAYS[0])
    assert seconds_at(ledger.windows[0], 0.5) == pytest.approx(told[29], rel=0.01)
    assert seconds_at(ledger.windows[0], 0.95) == pytest.approx(told[56], rel=0.01)


def test_the_sample_depends_on_ids_and_seed_and_has_both_limits():
    ledger, answers = begin(BEFORE), [each for day in DAYS for each in day]
    chosen = sample_of(ledger, answers, per_window=4, most=100, seed=1)
    assert sorted(index // 60 for index in chosen) == [day for day in range(6) for _ in range(4)]
    assert chosen == sample_of(ledger, answers, per_window=4, most=100, seed=1)
    assert chosen != sample_of(ledger, answers, per_window=4, most=100, seed=2)
    assert len(sample_of(ledger, answers, per_window=4, most=7, seed=1)) == 7
    # Each window has its share, and the newest what is left over: the first four days had all.
    few = sample_of(ledger, answers, per_window=4, most=15, seed=1)
    assert sorted(index // 60 for index in few) == [0, 0, 1, 1, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5]
    assert few < chosen
    assert not unjudged(ledger, answers, few)
    fewest = sample_of(ledger, answers, per_window=4, most=2, seed=1)
    assert sorted(index // 60 for index in fewest) == [4, 5]
    missed = unjudged(ledger, answers, fewest)
    assert missed == [int(day[0].time.timestamp() // 86400) for day in DAYS[:4]]
    # Other texts don't change it: it must not depend on how good an answer is.
    other = [replace(each, text="I can't.") for each in answers]
    assert chosen == sample_of(ledger, other, per_window=4, most=100, seed=1)
    # What was judged earlier in a window counts.
    events = events_of(DAYS[0], ledger.limits)
    ledger = add(ledger, DAYS[0], events, frozenset(range(3)))
    more = [answer(100 + n) for n in range(10)]
    assert len(sample_of(ledger, more, per_window=4, most=100, seed=1)) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not a state of tunegate monitor"),
        ('{"kind": "tunegate monitor"}', "not a state of tunegate monitor"),
        (json.dumps({"kind": "tunegate monitor", "ledger": {"version": 2}}), "a state of version 2"),
        (json.dumps({"kind": "tunegate monitor", "ledger": {"version": 1}}), "not a state"),
    ],
)
def test_another_file_is_refused(tmp_path, text, said):
    (tmp_path / "state.json").write_text(text)
    with pytest.raises(DataError, match=said):
        read_ledger(tmp_path / "state.json")
