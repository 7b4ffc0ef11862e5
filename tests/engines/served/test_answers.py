"""Answers as other servers write them, over real requests: scored as the text that the model wrote."""

import pytest

from harness.engines.base import CANDIDATE
from harness.engines.open import choose_plan, describe_model, open_sides
from harness.engines.served.reports import with_uses
from harness.errors import AllFailedError, EngineError
from harness.types import ServerUse
from tests.engines.served.test_engine import answers, asked, impatient, plan_for, scripted_model

__all__ = ["impatient"]


def opened(server, engine="openai", **use):
    model = scripted_model(server, engine=engine)
    return open_sides({CANDIDATE: model}, plan_for(model, **use))


def test_the_head_that_a_case_names_answers_behind_our_own_server_too(
    start_app, tiny_multitask_dir, judge_server
):
    """Without its name each request was refused, or another head answered where there is only one."""
    url = start_app(tiny_multitask_dir)
    served = describe_model(f"openai:{tiny_multitask_dir.name}@{url}")
    here = describe_model(str(tiny_multitask_dir))
    engine = open_sides({CANDIDATE: served}, plan_for(served))
    own = open_sides({CANDIDATE: here}, choose_plan("float32", "cpu", 4096, [here]))
    for task in ("intent", "names"):
        requests = asked("call Anna Berg in Oslo", task=task)
        assert answers(engine, requests) == answers(own, requests)
    with pytest.raises(EngineError, match="the request asks for the task 'mood'"):
        answers(engine, asked("call", task="mood"))
    # Generating models ignore it, and a server of another maker may refuse what it doesn't know.
    judge_server.answer = lambda body: "good"
    assert answers(opened(judge_server), asked("call", task="intent")) == ["good"]
    assert "task" not in judge_server.bodies[0]


@pytest.mark.parametrize("reason", ["stop", "eos", None])
@pytest.mark.parametrize(
    "message", [{"content": None}, {"role": "assistant"}, {"content": "", "refusal": None}]
)
def test_an_answer_that_ends_at_once_is_an_empty_one(judge_server, message, reason):
    """SGLang writes null for each empty answer, others leave the field out."""
    judge_server.message, judge_server.finish_reason = message, reason
    engine = opened(judge_server)
    assert answers(engine, asked("a", "b")) == ["", ""]
    assert engine.plan.server.retried == 0


def test_many_empty_answers_are_no_dead_server(judge_server):
    judge_server.message = {"content": None, "reasoning_content": "", "tool_calls": []}
    assert answers(opened(judge_server), asked(*map(str, range(60)))) == [""] * 60


@pytest.mark.parametrize(
    ("message", "fields"),
    [
        ({"content": None}, {"usage": None}),
        (None, {"choices": [{"index": 0, "finish_reason": "stop"}]}),
        (None, {"choices": [{"index": 0, "finish_reason": "stop", "message": "good"}]}),
    ],
)
def test_a_reply_without_an_answer_is_none(judge_server, impatient, message, fields):
    judge_server.message, judge_server.fields, judge_server.finish_reason = message, fields, None
    with pytest.raises(AllFailedError, match="no text"):
        answers(opened(judge_server), asked("a"))


@pytest.mark.parametrize("reason", ["stop", "length"])
def test_a_plain_completion_of_nothing_is_an_empty_answer(judge_server, impatient, reason):
    judge_server.fields = {"choices": [{"index": 0, "finish_reason": reason, "text": None}]}
    assert answers(opened(judge_server, "openai-completions"), asked("a")) == [""]
    # A reply of another kind has no text either.
    judge_server.fields, judge_server.answer = {}, lambda body: "good"
    with pytest.raises(AllFailedError, match="no text"):
        answers(opened(judge_server, "openai-completions"), asked("a"))


def test_half_an_answer_of_a_busy_server_is_asked_for_once_more(judge_server, impatient):
    """As DeepSeek says that it had no room for the rest."""
    judge_server.answer, judge_server.finish_reason = lambda body: '{"a": ', "insufficient_system_resource"
    with pytest.raises(AllFailedError, match=r"broke off the answer .insufficient_system_resource"):
        answers(opened(judge_server), asked("a"))
    assert len(judge_server.bodies) == 6


def test_an_end_for_an_unknown_reason_is_told(judge_server):
    judge_server.answer, judge_server.finish_reason = lambda body: "good", "tired"
    engine = opened(judge_server)
    assert answers(engine, asked("a")) == ["good"]
    assert "ended answers for a reason that is not known here (tired)" in engine.plan.server.notes[0]


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
@pytest.mark.parametrize("text", ["\n\n4", "<|START_RESPONSE|>4<|END_RESPONSE|>", "4"])
def test_what_is_left_around_an_answer_is_no_part_of_it(judge_server, name, text):
    """The parsers of vLLM cut at the end of the reasoning, and leave the white space behind it."""
    judge_server.message = {"content": text, name: "\nTwo and two.\n"}
    engine, found = opened(judge_server), {}
    engine.generate(asked("x"), found.update)
    assert (found[0].text, found[0].reasoning) == ("4", "Two and two.")
    engine.generate(asked("x", score_reasoning=True), found.update)
    assert (found[0].text, found[0].reasoning) == ("<think>\nTwo and two.\n</think>\n\n4", None)


@pytest.mark.parametrize(
    ("content", "details", "reasoning", "unanswered"),
    [
        ("", {"reasoning_tokens": 24}, "", True),
        (None, {"reasoning_tokens": 24}, "", True),
        ("4", {"reasoning_tokens": 24}, None, False),
        ("", {"reasoning_tokens": 0}, None, False),
        ("", {}, None, False),
        ("", None, None, False),
    ],
)
def test_a_hidden_reasoning_that_used_up_the_limit_gave_no_answer(
    judge_server, content, details, reasoning, unanswered
):
    """OpenAI and DeepSeek count its tokens, and show nothing of it."""
    judge_server.message, judge_server.finish_reason = {"content": content}, "length"
    usage = {"prompt_tokens": 9, "completion_tokens": 24, "total_tokens": 33}
    judge_server.fields = {"usage": {**usage, "completion_tokens_details": details}}
    found = {}
    opened(judge_server).generate(asked("x"), found.update)
    assert (found[0].reasoning, found[0].unanswered) == (reasoning, unanswered)


def test_white_space_without_a_reasoning_stays(judge_server):
    judge_server.message = {"content": "\n\n4", "reasoning_content": None}
    assert answers(opened(judge_server), asked("x")) == ["\n\n4"]


def test_the_stop_text_is_cut_off(judge_server):
    """TGI leaves it at the end."""
    judge_server.answer = lambda body: "one\n"
    assert answers(opened(judge_server), asked("x", stop=("\n",))) == ["one"]
    judge_server.fields = {"choices": [{"index": 0, "finish_reason": "stop_sequence", "text": "one END"}]}
    plain = opened(judge_server, "openai-completions")
    assert answers(plain, asked("x", stop=(" END", "\n"))) == ["one"]
    judge_server.fields, judge_server.message = {}, {"content": "\n4\n", "reasoning_content": "1\n2"}
    found = {}
    opened(judge_server).generate(asked("x", stop=("\n",)), found.update)
    assert (found[0].text, found[0].reasoning) == ("4", "1\n2")


@pytest.mark.parametrize("field", ["reasoning_content", ""])
@pytest.mark.parametrize(
    ("stop", "text", "more", "reason"),
    [
        ("\n\n", "42", "\n\nmore", "stop"),
        ("\n", "42", "", "length"),
        ("bar", "42", "", "length"),
        ("<think>", "42", "", "length"),
        ("42", "", "", "stop"),
    ],
)
def test_a_stop_text_ends_no_reasoning(judge_server, field, stop, text, more, reason):
    """A server looks for it in all that it writes, and takes the reasoning out behind that."""

    def reply(body):
        written = f"<think>\nfoo\n\nbar</think>\n\n42{more}"
        judge_server.finish_reason = "length"
        if stop in written and "stop" in body:
            written, judge_server.finish_reason = written.partition(stop)[0], "stop"
        if field:
            thought, _, said = written.removeprefix("<think>").partition("</think>")
            judge_server.message = {"content": said or None, field: thought or None}
        return written

    judge_server.answer, found = reply, {}
    opened(judge_server).generate(asked("x", stop=(stop,)), found.update)
    assert (found[0].text, found[0].reasoning) == (text, "foo\n\nbar")
    # The limit is behind the stop text.
    assert found[0].stop_reason == reason
    assert [body.get("stop") for body in judge_server.bodies] == [[stop], None]


def test_an_answer_of_a_reasoning_model_is_asked_for_once(judge_server):
    judge_server.message = {"content": "42", "reasoning_content": "foo"}
    assert answers(opened(judge_server), asked("x", stop=("\n",))) == ["42"]
    judge_server.message = {"content": None, "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}
    assert "<tool_call>" in answers(opened(judge_server), asked("x", stop=("\n",)))[0]
    judge_server.message = {"content": "<think>\nfoo"}
    assert answers(opened(judge_server), asked("x", stop=("\n",), score_reasoning=True)) == ["<think>"]
    assert len(judge_server.bodies) == 3
    judge_server.finish_reason = "length"
    assert answers(opened(judge_server), asked("x", stop=("\n",))) == [""]
    assert len(judge_server.bodies) == 4


def test_without_counts_of_tokens_there_is_no_cost(judge_server):
    judge_server.answer, judge_server.fields = lambda body: "good", {"usage": None}
    engine = opened(judge_server, prices=(1.0, 2.0))
    assert engine.plan.server.cost == 0.0  # nothing is asked yet
    assert answers(engine, asked("a")) == ["good"]
    use = engine.plan.server
    assert (use.cost, use.requests) == (None, 1)
    assert use.notes == ("replies have no counts of tokens (usage), so the cost is unknown",)
    assert with_uses(engine.plan, [use, ServerUse(notes=("more",))]).server.cost is None
    judge_server.fields = {}
    counted = opened(judge_server, prices=(1.0, 2.0))
    answers(counted, asked("a"))
    total = with_uses(counted.plan, [counted.plan.server, ServerUse(notes=("more",))]).server
    assert (total.cost, total.notes) == (pytest.approx(120e-6), ("more",))
