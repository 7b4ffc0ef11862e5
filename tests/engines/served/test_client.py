"""Parameters that a server refuses are left out of later requests only where they were what it refused."""

import json

import pytest

from harness.engines.base import CANDIDATE, LossRequest
from harness.engines.open import open_sides
from harness.errors import CasesFailedError, TextsUnmeasuredError
from tests.engines.served.test_engine import answers, asked, plan_for, scripted_model

TOO_LONG = (
    "'max_tokens' or 'max_completion_tokens' is too large: 512. This model's maximum context length is 2048 tokens "
    "and your request has 1600 input tokens (512 > 2048 - 1600)."
)
UNKNOWN = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
SMALLER = "max_tokens is not allowed to be larger than 256: give a smaller value instead."


def refuse(server, said, is_refused):
    """The server refuses requests, by their bodies, with status 400."""
    reply = server.reply

    def checked(handler, body):
        if is_refused(body):
            server.bodies.append(body)
            server._send(handler, 400, json.dumps({"error": {"message": said, "param": "max_tokens"}}), {})
        else:
            reply(handler, body)

    server.reply = checked
    server.answer = lambda body: "good"


def is_long(body):
    return "long" in (body["prompt"] if "prompt" in body else body["messages"][0]["content"])


@pytest.mark.parametrize("kind", ["openai", "openai-completions"])
@pytest.mark.parametrize("said", [TOO_LONG, SMALLER, "the seed of all evil is in your prompt"])
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
