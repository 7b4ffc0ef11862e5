"""A real server that fails in every way that servers fail in."""

import threading
import time

import pytest

from harness.errors import JudgeError, SettingsError
from harness.judge.openai_engine import OpenAIEngine
from harness.judge.spec import parse_spec


def reason_of(outcome) -> str:
    assert isinstance(outcome, JudgeError)
    return str(outcome)


def test_a_reply_comes_with_its_tokens_and_model(judge_server, open_judge, ask):
    (reply,) = open_judge().ask_all([ask()])
    assert (reply.data, reply.model, reply.prompt_tokens) == (
        {"reason": "scripted", "pass": True},
        "scripted",
        100,
    )


def test_the_request_asks_for_the_schema_greedily(judge_server, open_judge, ask):
    open_judge().ask_all([ask()])
    (body,) = judge_server.bodies
    assert body["temperature"] == 0
    assert body["response_format"]["json_schema"]["schema"]["required"] == ["reason", "pass"]


@pytest.mark.parametrize("fault", ["429", "500", "503", "half", "schema", "reset", "prose"])
def test_a_fault_that_passes_is_asked_past(judge_server, open_judge, ask, fault):
    judge_server.faults = [fault, fault]
    judge = open_judge()
    (reply,) = judge.ask_all([ask()])
    assert reply.data["pass"] is True
    assert judge.usage.requests == 3


def test_a_slow_reply_is_given_up_and_asked_for_again(judge_server, open_judge, ask):
    judge_server.faults, judge_server.slow_s = ["slow"], 3.0
    judge = open_judge(timeout_s=1.5)
    (reply,) = judge.ask_all([ask()])
    assert reply.data["pass"] is True
    assert judge.usage.retried == 1


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("429", "status 429"),
        ("500", "status 500"),
        ("half", "not JSON"),
        ("schema", "not a chat completion"),
        ("reset", "connection failed"),
        ("slow", "no reply within 0.5 s"),
    ],
)
def test_a_fault_that_stays_ends_as_an_error_that_names_it(judge_server, open_judge, ask, fault, reason):
    judge_server.faults, judge_server.slow_s = [fault] * 99, 3.0
    # Only the slow fault is to run into the limit.
    timeout_s = 0.5 if fault == "slow" else 10.0
    (outcome,) = open_judge(attempts=2, timeout_s=timeout_s).ask_all([ask()])
    assert reason in reason_of(outcome)
    assert "2 attempts" in reason_of(outcome)


def test_prose_instead_of_a_verdict_is_an_error(judge_server, open_judge, ask):
    judge_server.answer = lambda body: "It is a fine answer, really."
    (outcome,) = open_judge().ask_all([ask()])
    assert "no JSON object" in reason_of(outcome)
    assert "It is a fine answer" in reason_of(outcome)


@pytest.mark.parametrize("status", ["400", "401", "403", "404"])
def test_a_refusal_is_not_asked_again(judge_server, open_judge, ask, status):
    judge_server.faults = [status]
    judge = open_judge()
    (outcome,) = judge.ask_all([ask()])
    assert f"status {status}" in reason_of(outcome)
    assert judge.usage.requests == 1


def test_retry_after_is_honoured_by_all_questions(judge_server, open_judge, ask):
    """One question is told to wait; the others wait along instead of running into the same limit."""
    judge_server.retry_after, judge_server.faults = "0.6", ["429"]
    judge = open_judge(concurrency=1)
    started = time.monotonic()
    outcomes = judge.ask_all([ask("one"), ask("two")])
    assert time.monotonic() - started >= 0.6
    assert [outcome.data["pass"] for outcome in outcomes] == [True, True]
    assert judge.usage.requests == 3


def test_a_pause_that_nobody_waits_for_is_an_error(judge_server, open_judge, ask):
    judge_server.retry_after, judge_server.faults = "3600", ["429"]
    (outcome,) = open_judge().ask_all([ask()])
    assert "pause of 3600 s" in reason_of(outcome)


def test_a_server_that_is_not_there_is_given_up_for_all_questions(judge_server, open_judge, ask):
    """Two hundred questions don't each wait through all their attempts."""
    judge_server.faults = ["reset"] * 999
    judge = open_judge(concurrency=4)
    outcomes = judge.ask_all([ask(str(number)) for number in range(60)])
    assert all(isinstance(outcome, JudgeError) for outcome in outcomes)
    assert "in a row" in reason_of(outcomes[-1])
    assert judge.usage.requests < 40


@pytest.mark.parametrize("refused", ["response_format", "temperature", "seed", "max_tokens"])
def test_a_parameter_that_the_server_does_not_know_is_left_out(judge_server, open_judge, ask, refused):
    send, reply = judge_server._send, judge_server.reply

    def refuse(handler, body):
        if refused in body:
            judge_server.bodies.append(body)
            send(handler, 400, f'{{"error": {{"message": "Unknown parameter: {refused}"}}}}', {})
        else:
            reply(handler, body)

    judge_server.reply = refuse
    judge = open_judge()
    outcomes = judge.ask_all([ask("one")]) + judge.ask_all([ask("two")])
    assert [outcome.data["pass"] for outcome in outcomes] == [True, True]
    assert len(judge_server.bodies) == 3
    assert judge.usage.requests == 3
    assert judge.usage.unstructured == (2 if refused == "response_format" else 0)


def test_a_parameter_is_left_out_of_requests_that_were_sent_before_its_refusal(judge_server, open_judge, ask):
    send, reply, all_sent = judge_server._send, judge_server.reply, threading.Barrier(4)

    def refuse(handler, body):
        if "response_format" in body:
            all_sent.wait(timeout=5)
            send(handler, 400, '{"error": {"message": "Unknown parameter: response_format"}}', {})
        else:
            reply(handler, body)

    judge_server.reply = refuse
    judge = open_judge(concurrency=4)
    outcomes = judge.ask_all([ask(f"Question {number}?") for number in range(4)])
    assert [outcome.data["pass"] for outcome in outcomes] == [True] * 4
    assert (judge.usage.requests, judge.usage.failed) == (8, 0)


def test_a_server_that_ignores_the_schema_is_noted(judge_server, open_judge, ask):
    judge_server.answer = lambda body: 'Here you are: {"reason": "so", "pass": true}'
    judge = open_judge()
    (reply,) = judge.ask_all([ask("one")])
    assert reply.data["pass"] is True
    assert judge.usage.unstructured == 1


def test_openai_itself_needs_a_key():
    with pytest.raises(SettingsError, match="TUNEGATE_JUDGE_API_KEY"):
        OpenAIEngine(parse_spec("openai:gpt-x"), environment={})


def test_a_reply_in_parts_is_read(judge_server, open_judge, ask):
    parts = [{"type": "text", "text": '{"reason": "in parts", '}, {"type": "text", "text": '"pass": true}'}]
    judge_server.message = {"content": parts}
    (reply,) = open_judge().ask_all([ask()])
    assert reply.data == {"reason": "in parts", "pass": True}


def test_a_judge_that_will_not_judge_is_asked_once(judge_server, open_judge, ask):
    judge_server.message = {"content": None, "refusal": "I can't help with that."}
    judge = open_judge()
    (outcome,) = judge.ask_all([ask()])
    assert reason_of(outcome) == "it refuses to judge: I can't help with that."
    assert judge.usage.requests == 1


def test_a_reasoning_that_the_limit_cut_is_no_fault_of_the_server(judge_server, open_judge, ask):
    judge_server.message, judge_server.finish_reason = {"content": None}, "length"
    judge = open_judge()
    (outcome,) = judge.ask_all([ask()])
    assert "no usable reply in 3" in reason_of(outcome)
    assert judge.usage.requests == 3
