"""Parameters that a server refuses are left out of later requests only where they were what it refused."""

import json

import pytest

from harness.engines.base import CANDIDATE, LossRequest
from harness.engines.open import open_sides
from harness.errors import (
    AllFailedError,
    CasesFailedError,
    ModelError,
    NoneAnsweredError,
    TextsUnmeasuredError,
)
from tests.engines.served.test_engine import answers, asked, impatient, plan_for, scripted_model

__all__ = ["impatient"]

TOO_LONG = (
    "'max_tokens' or 'max_completion_tokens' is too large: 512. This model's maximum context length is 2048 tokens "
    "and your request has 1600 input tokens (512 > 2048 - 1600)."
)
UNKNOWN = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
BETWEEN = "Invalid parameter: max_tokens must be between 1 and 256"
POSITIVE = "Invalid param max_tokens: a positive number that is in 1 to 256 is needed"
BOUND = "Invalid parameter: max_tokens ≤ 256"
SMALLER = "max_tokens is not allowed to be larger than 256: give a smaller value instead."


def refuse(server, said, is_refused, param="max_tokens"):
    """The server refuses requests, by their bodies, with status 400, and names a parameter."""
    reply = server.reply

    def checked(handler, body):
        if is_refused(body):
            server.bodies.append(body)
            server._send(handler, 400, json.dumps({"error": {"message": said, "param": param}}), {})
        else:
            reply(handler, body)

    server.reply = checked
    server.answer = lambda body: "good"


def is_long(body):
    return "long" in (body["prompt"] if "prompt" in body else body["messages"][0]["content"])


@pytest.mark.parametrize("kind", ["openai", "openai-completions"])
@pytest.mark.parametrize(
    "said", [TOO_LONG, SMALLER, BETWEEN, POSITIVE, BOUND, "the seed of all evil is in your prompt"]
)
def test_a_request_that_a_server_refuses_changes_no_later_one(judge_server, kind, said):
    model = scripted_model(judge_server, engine=kind)
    refuse(judge_server, said, is_long)
    if kind == "openai-completions":
        choice = {"index": 0, "finish_reason": "stop", "text": "good", "logprobs": None}
        judge_server.fields = {"choices": [choice]}
    engine, found = open_sides({CANDIDATE: model}, plan_for(model, concurrency=1)), {}
    with pytest.raises(CasesFailedError) as error:
        engine.generate(asked("long", "short", "short, too", max_new_tokens=512), found.update)
    assert {place: one.text for place, one in found.items()} == {1: "good", 2: "good"}
    assert f"s/0: status 400: {said[:40]}" in error.value.failures[0]
    later = [body for body in judge_server.bodies if not is_long(body)]
    assert [(body["max_tokens"], body["seed"]) for body in later] == [(512, 0)] * 2
    assert not any("max_completion_tokens" in body for body in judge_server.bodies)


@pytest.mark.parametrize(
    "said",
    [
        "max_tokens is deprecated, use max_completion_tokens",
        "Invalid parameter: max_tokens",
        "This model does not allow max_tokens.",
        "Please use max_completion_tokens instead of max_tokens.",
    ],
)
def test_a_limit_that_is_refused_in_other_words_gets_its_other_name(judge_server, said):
    model = scripted_model(judge_server)
    refuse(judge_server, said, lambda body: "max_tokens" in body)
    engine = open_sides({CANDIDATE: model}, plan_for(model, concurrency=1))
    assert answers(engine, asked("one", "two", max_new_tokens=9)) == ["good"] * 2
    assert [body.get("max_completion_tokens") for body in judge_server.bodies] == [None, 9, 9]


def test_the_other_name_of_a_limit_is_for_chats(judge_server):
    """Texts are scored by plain completions, of which no client knows that name."""
    model = scripted_model(judge_server)
    refuse(judge_server, UNKNOWN, lambda body: "messages" in body and "max_tokens" in body)
    engine = open_sides({CANDIDATE: model}, plan_for(model, concurrency=1))
    assert answers(engine, asked("one", "two", max_new_tokens=9)) == ["good"] * 2
    assert [body.get("max_completion_tokens") for body in judge_server.bodies] == [None, 9, 9]
    with pytest.raises(TextsUnmeasuredError, match="no log-probabilities of a prompt"):
        engine.losses([LossRequest(key="t/0", side=CANDIDATE, text="some text")], lambda batch: None)
    assert judge_server.bodies[-1]["max_tokens"] == 1
    assert engine.plan.server.retried == 0


@pytest.mark.parametrize(("temperature", "said"), [(0.7, True), (0.0, False)])
def test_a_server_that_takes_no_seed_is_told_where_answers_are_drawn(judge_server, temperature, said):
    """As Mistral's refuses it; the likeliest token needs none."""
    model = scripted_model(judge_server)
    refuse(judge_server, "extra_forbidden: body.seed", lambda body: "seed" in body)
    engine = open_sides({CANDIDATE: model}, plan_for(model, concurrency=1))
    assert answers(engine, asked("one", "two", temperature=temperature)) == ["good"] * 2
    notes = engine.plan.server.notes
    assert [note.startswith(f"{judge_server.url} takes no seed") for note in notes] == [True] * said


ONLY_ONE = "Unsupported value: 'temperature' does not support 0 with this model. Only the default (1) value is supported."


@pytest.mark.parametrize(
    "said",
    [
        ONLY_ONE,
        "`temperature` is deprecated for this model.",
        "invalid temperature: only 1 is allowed",
        "temperature",
    ],
)
def test_a_model_that_takes_no_temperature_of_0_answers_without_it_and_that_is_told(judge_server, said):
    """As hosted models that reason refuse it; other values are still sent."""
    model = scripted_model(judge_server)
    refuse(judge_server, said, lambda body: body.get("temperature") == 0, "temperature")
    engine = open_sides({CANDIDATE: model}, plan_for(model, concurrency=1))
    assert answers(engine, asked("one", "two")) == ["good"] * 2
    assert answers(engine, asked("three", temperature=1.0)) == ["good"]
    assert [body.get("temperature") for body in judge_server.bodies] == [0, None, None, 1.0]
    (note,) = engine.plan.server.notes
    assert note.startswith(f"{judge_server.url} takes no temperature 0: answers are drawn ")


def test_what_a_model_draws_with_is_left_out_where_it_takes_none(judge_server):
    model = scripted_model(judge_server)
    for name in ("temperature", "top_p"):
        said = f"Unsupported parameter: '{name}' is not supported with this model."
        refuse(judge_server, said, lambda body, name=name: name in body, name)
    engine = open_sides({CANDIDATE: model}, plan_for(model, concurrency=1))
    assert answers(engine, asked("one", "two", temperature=0.7, top_p=0.9)) == ["good"] * 2
    assert not {"temperature", "top_p"} & judge_server.bodies[-1].keys()
    (note,) = engine.plan.server.notes
    assert "takes no temperature 0.7 and no top_p 0.9: " in note


@pytest.mark.parametrize(
    "said",
    [
        "temperature must be between 0 and 2",
        "Only a temperature less than or equal to 2 is allowed",
        "your prompt, 'what is the temperature', is too long",
    ],
)
def test_a_temperature_that_is_out_of_range_is_refused(judge_server, said):
    model = scripted_model(judge_server)
    refuse(judge_server, said, lambda body: body.get("temperature") == 3, "temperature")
    engine, found = open_sides({CANDIDATE: model}, plan_for(model, concurrency=1)), {}
    with pytest.raises(CasesFailedError, match=f"s/0: status 400: {said}"):
        engine.generate([*asked("one", temperature=3), *asked("two", temperature=2)], found.update)
    assert list(found) == [1]
    assert engine.plan.server.notes == ()


@pytest.mark.parametrize("kind", ["openai", "openai-completions"])
def test_an_answer_is_cut_here_where_a_server_takes_no_stop_texts(judge_server, kind):
    model = scripted_model(judge_server, engine=kind)
    said = "Unsupported parameter: 'stop' is not supported with this model."
    refuse(judge_server, said, lambda body: "stop" in body, "stop")
    judge_server.answer, judge_server.finish_reason = (lambda body: "good END more"), "length"
    if kind == "openai-completions":
        choice = {"index": 0, "finish_reason": "length", "text": "good END more", "logprobs": None}
        judge_server.fields = {"choices": [choice]}
    engine, found = open_sides({CANDIDATE: model}, plan_for(model, concurrency=1)), {}
    engine.generate(asked("one", "two", stop=(" END",)), found.update)
    assert [(each.text, each.stop_reason) for each in found.values()] == [("good", "stop")] * 2
    assert ["stop" in body for body in judge_server.bodies] == [True, False, False]
    assert engine.plan.server.notes == ()


def test_a_server_that_refuses_each_request_for_what_it_holds_is_bad_input(judge_server):
    """Sessions that have other answers keep them, as where a server fails at all that is still asked."""
    refuse(judge_server, "this model has no chat", lambda body: True)
    model = scripted_model(judge_server)
    with pytest.raises(
        ModelError, match=r"^s/0: status 400: this model has no chat; does the model"
    ) as error:
        answers(open_sides({CANDIDATE: model}, plan_for(model)), asked("a", "b"))
    assert isinstance(error.value, AllFailedError)
    assert not isinstance(error.value, NoneAnsweredError)
    assert set(error.value.failures) == {0, 1}


def failing(server, status, is_failing):
    """The server fails at some requests, by their bodies, as llama.cpp does at tools that it was not started for."""
    reply = server.reply

    def checked(handler, body):
        if is_failing(body):
            server.bodies.append(body)
            server._send(handler, status, '{"error": {"message": "tools param requires --jinja flag"}}', {})
        else:
            reply(handler, body)

    server.reply, server.answer = checked, lambda body: "good"


@pytest.mark.parametrize("concurrency", [1, 8])
def test_requests_at_which_a_server_fails_take_no_others_with_them(judge_server, impatient, concurrency):
    """They come first, and there are more of them than a server that is down would be asked."""
    failing(judge_server, 500, is_long)
    model = scripted_model(judge_server)
    engine, found = open_sides({CANDIDATE: model}, plan_for(model, concurrency=concurrency)), {}
    with pytest.raises(CasesFailedError) as error:
        engine.generate(asked(*["long"] * 60, *["short"] * 20), found.update)
    assert set(found) == set(range(60, 80))
    assert set(error.value.failures) == set(range(60))
    assert "status 500: tools param requires" in error.value.failures[59]
    assert not engine.engine._pools[CANDIDATE].clients[0].is_gone


def test_a_server_that_fails_at_all_requests_is_asked_few_of_them(judge_server, impatient):
    down = [True]
    failing(judge_server, 502, lambda body: down[0])
    model = scripted_model(judge_server)
    engine = open_sides({CANDIDATE: model}, plan_for(model, concurrency=4))
    with pytest.raises(AllFailedError, match=r"^s/0: no reply in 6 attempts") as error:
        answers(engine, asked(*map(str, range(200))))
    assert len(judge_server.bodies) < 6 * 40
    assert "failed at" in error.value.failures[199]
    assert "requests in a row; the last: status 502" in error.value.failures[199]
    # A later part of the session may find it better.
    down[0] = False
    assert answers(engine, asked("a", "b")) == ["good"] * 2


@pytest.mark.parametrize(
    ("status", "said"),
    [(501, "was the server started for this"), (402, "has the key's account credit"), (404, "the address")],
)
def test_what_a_server_never_does_is_told_at_once(judge_server, status, said):
    failing(judge_server, status, lambda body: True)
    model = scripted_model(judge_server)
    with pytest.raises(ModelError, match=f"s/0: status {status}: tools param.*; .*{said}"):
        answers(open_sides({CANDIDATE: model}, plan_for(model)), asked("a", "b"))
    assert len(judge_server.bodies) == 2


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "ALL_PROXY"])
def test_a_server_on_this_machine_is_asked_without_the_proxy(judge_server, second_server, monkeypatch, name):
    """It would get questions and key, and knows no server of this machine."""
    for other in ("no_proxy", "NO_PROXY", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(name, second_server.url.removesuffix("/v1"))
    judge_server.answer = second_server.answer = lambda body: "good"
    model = scripted_model(judge_server)
    assert answers(open_sides({CANDIDATE: model}, plan_for(model)), asked("a")) == ["good"]
    assert (len(judge_server.bodies), second_server.bodies) == (1, [])
