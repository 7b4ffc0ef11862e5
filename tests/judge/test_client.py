"""Asked once, kept at once, nothing lost."""

import asyncio
import time

import pytest

from harness.errors import JudgeError
from harness.judge.client import Judge
from harness.judge.replies import read_reply
from harness.run.cache import Cache
from harness.types import JudgeReply


def test_the_same_question_is_asked_once(judge_server, open_judge, ask):
    judge = open_judge()
    judge.ask_all([ask(), ask(key="set/other"), ask("another")])
    assert len(judge_server.bodies) == 2


def test_a_second_run_asks_nothing(judge_server, open_judge, ask):
    questions = [ask(str(number)) for number in range(10)]
    first = open_judge().ask_all(questions)
    again = open_judge()
    assert again.ask_all(questions) == first
    assert len(judge_server.bodies) == 10
    assert (again.usage.requests, again.usage.from_cache) == (0, 10)


@pytest.mark.parametrize(
    "change",
    [
        {"prompt_version": "test-2"},
        {"repeat": 1},
        {"task": "tone"},
        {"answers": ("other",)},
        {"criteria": "other"},
        {"reply_schema": {"type": "object"}},
        {"max_tokens": 9},
    ],
)
def test_whatever_is_asked_differently_is_asked_anew(judge_server, open_judge, ask, change):
    open_judge().ask_all([ask()])
    open_judge().ask_all([ask(**change)])
    assert len(judge_server.bodies) == 2


def test_each_verdict_is_kept_when_it_is_there(judge_server, open_judge, ask):
    """A run that breaks off keeps what was judged before; the next asks only the rest."""

    def answer(body):
        text = body["messages"][0]["content"]
        return {"reason": text, "pass": True} if int(text) < 6 else "broken"

    judge_server.answer = answer
    broken = open_judge(concurrency=2)
    questions = [ask(str(number)) for number in range(10)]
    outcomes = broken.ask_all(questions)
    assert sum(isinstance(outcome, JudgeError) for outcome in outcomes) == 4
    broken.close()
    judge_server.bodies.clear()
    judge_server.answer = lambda body: {"reason": "late", "pass": False}
    resumed = open_judge().ask_all(questions)
    assert len(judge_server.bodies) == 4
    assert [outcome.data["pass"] for outcome in resumed] == [True] * 6 + [False] * 4


def test_a_failure_is_not_kept(judge_server, open_judge, ask):
    judge_server.faults = ["401"]
    first, second = open_judge(), open_judge()
    assert isinstance(first.ask_all([ask()])[0], JudgeError)
    assert not isinstance(second.ask_all([ask()])[0], JudgeError)


def test_as_many_questions_as_allowed_are_under_way_together(judge_server, open_judge, ask):
    judge_server.faults, judge_server.slow_s = ["slow"] * 16, 0.3
    open_judge(concurrency=6).ask_all([ask(str(number)) for number in range(16)])
    assert 3 <= judge_server.most_at_once <= 6


class OneAtATime:
    """Notes when it is asked; its first reply takes longer than it takes to submit all questions."""

    identity, remote, requests, retried = "test", True, 0, 0

    def __init__(self, events):
        self.events = events

    async def ask(self, request):
        self.events.append(f"sent {request.key}")
        await asyncio.sleep(0.5 if request.key == "0" else 0.001)
        return JudgeReply(text='{"reason": "so", "pass": true}')

    async def close(self):
        """Nothing to close."""


def test_the_next_question_is_sent_before_the_last_reply_is_read(ask, monkeypatch):
    """So that reading keeps no slot empty."""
    events = []

    def read(text, *arguments, **options):
        events.append("read")
        return read_reply(text, *arguments, **options)

    monkeypatch.setattr("harness.judge.client.read_reply", read)
    with Cache(None) as cache, Judge(OneAtATime(events), cache, concurrency=1) as judge:
        judge.ask_all([ask(str(number), key=f"{number}") for number in range(4)])
    assert events == ["sent 0", "sent 1", "read", "sent 2", "read", "sent 3", "read", "read"]


def test_an_engine_that_has_nothing_to_prepare_is_asked_for_nothing():
    with Cache(None) as cache, Judge(OneAtATime([]), cache) as judge:
        judge.prepare()


def test_tokens_are_counted_and_priced(open_judge, ask):
    judge = open_judge(prices=(2.0, 10.0))
    judge.ask_all([ask(str(number)) for number in range(5)])
    assert judge.usage.prompt_tokens == 500
    assert judge.usage.cost == pytest.approx((500 * 2 + 50 * 10) / 1e6)


def test_it_can_be_asked_from_a_running_loop(open_judge, ask):
    async def main():
        judge = open_judge()
        return await asyncio.gather(*(judge.ask(ask(str(number))) for number in range(3)))

    assert [reply.data["pass"] for reply in asyncio.run(main())] == [True] * 3


def test_closing_ends_what_is_under_way(judge_server, open_judge, ask):
    judge_server.faults, judge_server.slow_s = ["slow"], 30.0
    judge = open_judge(timeout_s=60.0)
    future = judge.submit(ask())
    while not judge_server.bodies:
        time.sleep(0.01)
    judge_server.slow_s = 0.0
    judge.close()
    assert future.done()


def test_the_key_stands_nowhere_but_in_the_request(judge_server, open_judge, ask, tmp_path, caplog):
    """A server that repeats the key in its complaints and replies doesn't get it into a cache or message."""
    key = "sk-very-secret-0123456789"
    caplog.set_level(0)
    judge = open_judge(environment={"OPENAI_API_KEY": key})
    judge_server.answer = lambda body: {"reason": f"your key is {key}", "pass": True}
    judge_server.faults = ["", "401"]
    outcomes = judge.ask_all([ask("one")]) + judge.ask_all([ask("two")])
    judge.close()
    assert judge_server.keys == [f"Bearer {key}"] * 2
    seen = f"{outcomes} {judge.identity} {judge.usage} {caplog.text}"
    seen += "".join(path.read_bytes().decode("latin-1") for path in tmp_path.iterdir())
    assert key not in seen
    assert "***" in str(outcomes[1])


def test_our_own_key_wins_over_openai_s(judge_server, open_judge, ask):
    open_judge(environment={"OPENAI_API_KEY": "other", "TUNEGATE_JUDGE_API_KEY": "mine"}).ask_all([ask()])
    assert judge_server.keys == ["Bearer mine"]


def test_a_hundred_questions_through_a_third_of_faults(judge_server, open_judge, ask):
    """Each ends with a verdict or a reason, and the second run asks only what has no verdict."""
    judge_server.fault_rate, judge_server.slow_s = 0.3, 2.0
    questions = [ask(str(number)) for number in range(100)]
    outcomes = open_judge(timeout_s=1.0, attempts=4, concurrency=16).ask_all(questions)
    assert len(outcomes) == 100
    failed = [outcome for outcome in outcomes if isinstance(outcome, JudgeError)]
    assert all(str(outcome) for outcome in failed)
    assert len(failed) < 20
    judge_server.fault_rate = 0.0
    judge_server.bodies.clear()
    open_judge().ask_all(questions)
    assert len(judge_server.bodies) == len(failed)


KILLED = """
import sys
from pathlib import Path
from harness.run.cache import Cache
from harness.judge.open import open_judge
from harness.types import JudgeRequest, Message

requests = [
    JudgeRequest(
        key="set/case",
        task="rubric",
        messages=(Message(role="user", content=str(number)),),
        reply_schema={"type": "object", "properties": {"pass": {"type": "boolean"}}, "required": ["pass"]},
        prompt_version="test-1",
    )
    for number in range(60)
]
judge = open_judge(sys.argv[1], Cache(Path(sys.argv[2])), concurrency=4, environment={})
print(len(judge.ask_all(requests)))
"""


@pytest.mark.processes
def test_a_killed_run_goes_on_where_it_was(judge_server, tmp_path):
    """Killed without warning in the middle, it repeats only what was under way."""
    import subprocess
    import sys

    judge_server.faults, judge_server.slow_s = ["slow"] * 60, 0.05
    command = [sys.executable, "-c", KILLED, judge_server.spec, str(tmp_path / "cache.sqlite")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as first:
        while len(judge_server.bodies) < 30:
            assert first.poll() is None
            time.sleep(0.01)
        first.kill()
    asked = len(judge_server.bodies)
    assert asked < 60
    judge_server.faults.clear()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "60"
    # Four were under way, and a few more may have been answered but not yet written.
    assert 60 <= len(judge_server.bodies) <= 60 + 8


def test_stored_replies_of_a_model_that_the_name_no_longer_stands_for_are_asked_anew(
    judge_server, open_judge, ask
):
    questions = [ask("one"), ask("two")]
    open_judge().ask_all(questions)
    judge_server.fields = {"model": "scripted-2"}
    judge = open_judge()
    assert [each.model for each in judge.ask_all(questions)] == ["scripted"] * 2
    judge.ask_all([ask("new")])
    judge.renew()
    assert judge.renewals == 1
    assert [each.model for each in judge.ask_all(questions)] == ["scripted-2"] * 2
    judge.renew()
    assert (judge.renewals, judge.scorer, judge.usage.from_cache) == (1, "scripted-2", 0)
    # One that is looked up later is asked at once, and the new replies are stored.
    asked = len(judge_server.bodies)
    again = open_judge()
    assert [each.model for each in again.ask_all(questions)] == ["scripted-2"] * 2
    assert len(judge_server.bodies) == asked


def test_a_new_session_with_a_judge_looks_up_what_it_was_asked(judge_server, open_judge, ask):
    judge = open_judge()
    judge.ask_all([ask("one")])
    judge_server.fields = {"model": "scripted-2"}
    judge.begin()
    # What was made of its replies before may be another judge's.
    assert judge.renewals == 1
    judge.ask_all([ask("two")])
    assert judge.scorer == "scripted-2"
    (reply,) = judge.ask_all([ask("one")])
    assert reply.model == "scripted-2"


def test_one_question_shows_who_judges_where_all_replies_are_stored(judge_server, open_judge, ask):
    """Its reply is nobody's score; a second one is not needed, nor one where anything new was asked."""
    open_judge().ask_all([ask("one"), ask("two")])
    judge_server.fields = {"model": "scripted-2"}
    judge = open_judge()
    assert not judge.ask_anew()
    kept = judge.ask_all([ask("one"), ask("two")])
    judge.settle()
    asked = len(judge_server.bodies)
    assert judge.ask_anew()
    assert not judge.ask_anew()
    assert len(judge_server.bodies) == asked + 1
    judge.settle()
    assert (judge.renewals, judge.scorer) == (1, "scripted-2")
    # The stored replies are still there for whoever asks what they were given for.
    again = open_judge()
    assert again.ask_all([ask("one"), ask("two")]) == kept


def test_a_judge_that_is_not_there_stays_who_gave_the_stored_replies(judge_server, open_judge, ask):
    open_judge().ask_all([ask("one")])
    judge_server.faults = ["401"]
    judge = open_judge()
    judge.ask_all([ask("one")])
    judge.settle()
    assert not judge.ask_anew()
    judge.settle()
    assert (judge.renewals, judge.scorer) == (0, "scripted")


def test_what_a_judge_that_was_away_did_not_answer_is_asked_again_later(
    judge_server, open_judge, ask, monkeypatch
):
    """As one whose server is started anew while the models still answer: scoring comes an hour later."""
    questions = [ask(str(number)) for number in range(30)]
    judge_server.faults = ["reset"] * 999
    judge = open_judge(concurrency=4)
    first = judge.ask_all(questions)
    assert all(isinstance(outcome, JudgeError) for outcome in first)
    judge_server.faults = []
    # At once it would be the same.
    assert judge.ask_all(questions) == first
    monkeypatch.setattr(time, "monotonic", lambda was=time.monotonic: was() + 60)
    assert [outcome.data["pass"] for outcome in judge.ask_all(questions)] == [True] * 30
    assert judge.usage.failed == 0


def test_what_a_judge_refuses_is_not_asked_again(judge_server, open_judge, ask, monkeypatch):
    judge_server.faults = ["403"]
    judge = open_judge()
    judge.ask_all([ask()])
    monkeypatch.setattr(time, "monotonic", lambda was=time.monotonic: was() + 3600)
    judge.ask_all([ask()])
    assert (judge.usage.requests, judge.usage.failed) == (1, 1)


def test_a_judge_that_was_away_is_asked_in_the_next_session(judge_server, open_judge, ask):
    judge_server.faults = ["reset"] * 999
    judge = open_judge(concurrency=4)
    judge.ask_all([ask(str(number)) for number in range(30)])
    judge_server.faults = []
    judge.begin()
    (reply,) = judge.ask_all([ask("0")])
    assert reply.data["pass"] is True
