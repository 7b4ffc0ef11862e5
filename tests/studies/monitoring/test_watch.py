"""Events, their limits and alarms, and the figures for Prometheus, on answers written by hand."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from harness.authoring.doubtful_cases import DoubtfulAnswer, doubtful_set
from harness.statistics.rising_rates import largest_rate
from harness.studies.monitoring.events import Limits, answers_of_run, events_of, judged_in_run, limits_of
from harness.studies.monitoring.exposition import exposition
from harness.studies.monitoring.ledger import doubtful_of
from harness.studies.monitoring.production_log import ProductionAnswer
from harness.studies.monitoring.watch import watch
from harness.studies.monitoring.watched_checks import common_checks
from harness.types import Check, Message, Outcome, Repeat, Score, ServerUse

START = datetime(2026, 3, 1, tzinfo=UTC)


def answer(number, text="It is Tuesday.", hours=0, **given):
    at = START + timedelta(hours=hours, seconds=number)
    return ProductionAnswer(id=f"{hours}-{number}", time=at, messages=(), text=text, **given)


def test_each_event_or_that_it_is_unknown():
    limits = Limits(slow_s=2.0, long_tokens=50, short_tokens=5)
    found = events_of(
        [
            answer(0, "I cannot help with that.", latency_s=2.1, completion_tokens=4, finish_reason="stop"),
            answer(1, "  ", latency_s=2.0, completion_tokens=51, finish_reason="length"),
            answer(2, None, failed=True),
            answer(3, None),
        ],
        limits,
        [Check(type="contains", value="help"), Check(type="contains", value="x")],
    )
    assert found == {
        "failed": [False, False, True, False],
        "refused": [True, False, None, None],
        "empty": [False, True, None, None],
        "cut": [False, True, None, None],
        "slow": [True, False, None, None],
        "long": [False, True, None, None],
        "short": [True, False, None, None],
        "check contains 1": [False, True, None, None],
        "check contains 2": [True, True, None, None],
    }


def test_limits_leave_a_twentieth_beyond_them():
    answers = [answer(number, latency_s=float(number), completion_tokens=number) for number in range(100)]
    assert limits_of(answers) == Limits(slow_s=94.0, long_tokens=94, short_tokens=5)
    assert limits_of(answers, slow_s=3.0).slow_s == 3.0
    found = events_of(answers, limits_of(answers))
    assert [sum(found[name]) for name in ("slow", "long", "short")] == [5, 5, 5]


def test_checks_that_need_more_than_an_answer_are_left_out(make_result):
    checks = (
        Check(type="not-contains", value="x"),
        Check(type="rouge-l", threshold=0.5),
        Check(type="llm-rubric", value="polite"),
        Check(type="latency", threshold=100.0),
        Check(type="python", file="checks.py"),
        Check(type="contains-any", value=["a"]),
    )
    cases = [make_result(f"s/{number}").case for number in range(2)]

    cases = [replace(cases[0], checks=checks), replace(cases[1], checks=checks[:-1])]
    found = common_checks(cases)
    assert [each.type for each in found.checks] == ["not-contains"]
    assert found.left_out == ("rouge-l", "llm-rubric", "latency", "python")
    found = common_checks(cases, with_judge=True)
    assert ([each.type for each in found.judged], "llm-rubric" in found.left_out) == (["llm-rubric"], False)


def test_the_probes_of_a_run_are_no_reference(make_run, make_result):
    run = make_run([make_result("task/a"), make_result("general/b")], probes=["general"])
    (found,) = answers_of_run(run)
    # Time of rows in a batch says nothing about a server.
    assert (found.id, found.latency_s) == ("task/a", None)


def test_requests_that_failed_in_a_served_run_count_in_the_reference(make_run, make_result):
    """Where 15 of 100 failed there too, 15 % of production are no rise."""
    answered = [make_result(f"s/{n}") for n in range(100)]
    lost = [
        replace(each, completion=None, outcome=Outcome.ERRORED) if place < 15 else each
        for place, each in enumerate(answered)
    ]
    skipped = replace(lost[0], case=replace(lost[0].case, id="t", skip="why"), outcome=Outcome.SKIPPED)
    here = make_run([*lost, skipped])
    served = replace(here, plan=replace(here.plan, server=ServerUse()))
    assert events_of(answers_of_run(served), Limits())["failed"] == [True] * 15 + [False] * 85
    live = [answer(n, None if n % 20 < 3 else "It is Tuesday.", failed=n % 20 < 3) for n in range(2000)]
    found = watch(live, answers_of_run(served))
    assert ({each.name: each.alarm for each in found.events}["failed"], found.has_risen) == (None, False)


def test_of_a_model_on_this_machine_no_failed_request_is_known(make_run, make_result):
    """Nobody asked a server there, so nothing was counted: not as 0 either."""
    run = make_run([make_result(f"s/{n}") for n in range(100)])
    live = [answer(n, None if n < 60 else "It is Tuesday.", failed=n < 60) for n in range(400)]
    found = watch(live, answers_of_run(run))
    assert (found.left_out["failed"], found.has_risen) == ("unknown in the reference", False)


def test_of_several_answers_the_first_is_the_reference(make_run, make_result):
    """The run shows the worst of three; a model that refuses each third time would seem to refuse always."""
    shown, kind = make_result("task/a", False), Check(type="tone", value="kind")
    texts = {0: "It is Tuesday.", 1: "I cannot help with that.", 2: "It is Monday."}
    answers = [
        Repeat(
            completion=replace(shown.completion, text=text),
            outcome=Outcome.FAILED if place == 1 else Outcome.PASSED,
            scores=(Score(metric="tone", value=place != 1, passed=place != 1),),
        )
        for place, text in texts.items()
    ]
    case = replace(shown.case, checks=(kind,))
    worst = answers[1]
    run = make_run(
        [replace(shown, case=case, repeats=tuple(answers), completion=worst.completion, scores=worst.scores)]
    )
    assert [each.text for each in answers_of_run(run)] == ["It is Tuesday."]
    assert judged_in_run(run, [kind]) == {"check tone": (0, 1)}


def test_a_worked_example():
    before = [answer(number, finish_reason="stop") for number in range(200)]
    calm = [answer(number, hours=24, finish_reason="stop") for number in range(50)]
    cut = [answer(n, hours=72, finish_reason="length" if n < 20 else "stop") for n in range(50)]
    found = watch([*calm, *cut], before)
    events = {each.name: each for each in found.events}
    # Latency and tokens are unknown on both sides, so four kinds of events share 2.5 % each way.
    assert set(events) == {"failed", "refused", "empty", "cut"}
    assert found.left_out == dict.fromkeys(("slow", "long", "short"), "unknown in the reference")
    assert found.needed == pytest.approx(4 / 0.025)
    assert events["cut"].limit == pytest.approx(largest_rate(0, 200, 0.025 / 4) + 0.05)
    assert (events["cut"].windows, events["cut"].alarm, events["cut"].since) == (((0, 50), (20, 50)), 1, 1)
    assert [each.starts_at[:10] for each in found.windows] == ["2026-03-02", "2026-03-04"]
    assert (events["refused"].alarm, found.has_risen) == (None, True)
    assert list(doubtful_of(events_of([*calm, *cut], found.limits), 100)) == list(range(50, 70))
    lines = exposition(found).splitlines()
    assert "tunegate_monitor_answers 100" in lines
    assert 'tunegate_monitor_event_ratio{event="cut"} 0.4' in lines
    assert all(line.startswith(("# HELP ", "# TYPE ", "tunegate_monitor_")) for line in lines)


def test_a_larger_tolerated_rise_lets_it_through():
    before = [answer(number, finish_reason="stop") for number in range(200)]
    cut = [answer(n, hours=72, finish_reason="length" if n < 20 else "stop") for n in range(50)]
    assert not watch(cut, before, rise=0.4).has_risen


def test_conversations_as_cases():
    user, reply = Message(role="user", content="Hi \n there"), Message(role="assistant", content="Hello")
    answers = [
        DoubtfulAnswer(messages=[user], description="a", refused=True),
        DoubtfulAnswer(messages=[Message(role="user", content="Hi there")], description="b", refused=True),
        DoubtfulAnswer(messages=[user, reply], description="nobody asks", refused=False),
        DoubtfulAnswer(messages=[user, reply, user], description="c", refused=False),
    ]
    text, count = doubtful_set("found", answers, 5)
    assert count == 2
    assert "description: a" in text
    assert "description: b" not in text
    assert "messages:" in text
