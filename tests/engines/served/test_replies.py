"""What servers write into the protocol's fields, and what is read from it."""

from types import SimpleNamespace

import pytest

from harness.engines.served.client import PassingFaultError, RefusedError
from harness.engines.served.losses import NoLossError, prompt_logprobs
from harness.engines.served.replies import (
    first_choice,
    is_cut,
    is_empty,
    message_text,
    number,
    unknown_ending,
    written_tools,
)

WEATHER = '<tool_call>\n{"name": "weather", "arguments": {"at": 1}}\n</tool_call>'


def object_of(value):
    """A reply's part as the official client builds it."""
    from openai._models import construct_type
    from openai.types.chat import ChatCompletion

    return construct_type(type_=ChatCompletion, value=value)


def message_of(**fields):
    return object_of({"choices": [{"index": 0, "message": fields}]}).choices[0].message


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"content": "good"}, "good"),
        ({"content": [{"type": "text", "text": "go"}, {"type": "text", "text": "od"}]}, "good"),
        ({"content": None, "refusal": "I can't."}, "I can't."),
        ({"content": None}, None),
        ({"content": "a\ud800b"}, "a\ufffdb"),
    ],
)
def test_texts_are_read(fields, text):
    assert message_text(message_of(**fields)) == text


@pytest.mark.parametrize("content", [5, {"a": 1}, [{"type": "image_url", "image_url": {"url": "x"}}]])
def test_what_is_no_text_is_not_scored_as_one(content):
    with pytest.raises(PassingFaultError, match="no text"):
        message_text(message_of(content=content))


@pytest.mark.parametrize("arguments", ['{"at": 1}', {"at": 1}])
def test_calls_are_read_in_each_form(arguments):
    function = {"name": "weather", "arguments": arguments}
    call = {"id": "1", "type": "function", "function": function}
    assert written_tools(message_of(content="I ask for the weather.", tool_calls=[call])) == [WEATHER]
    assert written_tools(message_of(content=None, function_call=function)) == [WEATHER]
    assert written_tools(message_of(content=WEATHER, tool_calls=[call], tool_calls_in_content=True)) == []


@pytest.mark.parametrize(
    "call", [{"type": "custom", "custom": {"name": "x"}}, {"type": "function", "function": {"name": None}}]
)
def test_a_call_without_a_name_is_a_fault(call):
    with pytest.raises(PassingFaultError, match="without a name"):
        written_tools(message_of(content=None, tool_calls=[call]))


def test_the_first_choice_is_the_first_by_its_index():
    choices = [{"index": 1, "message": {"content": "b"}}, {"index": 0, "message": {"content": "a"}}]
    assert first_choice(object_of({"choices": choices}), "chat completion").message.content == "a"


@pytest.mark.parametrize("choices", [None, [], [None], {"0": 1}])
def test_a_reply_without_choices_is_none(choices):
    with pytest.raises(PassingFaultError, match="not a chat completion"):
        first_choice(object_of({"choices": choices}), "chat completion")


def ended(reason, **message):
    choices = [{"index": 0, "finish_reason": reason, "message": {"content": "ha", **message}}]
    return object_of({"choices": choices})


@pytest.mark.parametrize(
    "reason", ["error", "abort", "aborted", "insufficient_system_resource", "MALFORMED_FUNCTION_CALL"]
)
def test_a_broken_answer_is_not_scored(reason):
    with pytest.raises(PassingFaultError, match=f"broke off the answer .{reason.lower()}"):
        first_choice(ended(reason), "chat completion")


@pytest.mark.parametrize(
    "reason", ["content_filter", "content_filter: PROHIBITED_CONTENT", "SAFETY", "RECITATION", "sensitive"]
)
def test_what_a_filter_cut_is_not_scored(reason):
    with pytest.raises(RefusedError, match="content filter"):
        first_choice(ended(reason), "chat completion")


@pytest.mark.parametrize(
    ("reason", "unknown"),
    [("stop", ""), ("eos", ""), ("MAX_TOKENS", ""), ("tool_calls", ""), (None, ""), ("tired: very", "tired")],
)
def test_reasons_that_say_nothing_of_the_answer_are_told(reason, unknown):
    assert unknown_ending(first_choice(ended(reason), "chat completion")) == unknown


@pytest.mark.parametrize(
    ("reason", "cut"), [("length", True), ("MAX_TOKENS", True), ("stop", False), (7, False)]
)
def test_the_limit_of_tokens_has_several_names(reason, cut):
    assert is_cut(ended(reason).choices[0]) is cut


@pytest.mark.parametrize(
    ("reason", "written", "empty"),
    [
        *(("stop", 0, True), ("eos_token", 0, True), ("length", 5, True), (None, 1, True), (None, 0, False)),
        *(("tool_calls", 9, False), ("tired", 9, False)),
    ],
)
def test_an_answer_without_text_that_has_ended_is_empty(reason, written, empty):
    reply = ended(reason, content=None)
    reply.usage = SimpleNamespace(completion_tokens=written)
    assert is_empty(reply, reply.choices[0]) is empty


@pytest.mark.parametrize(
    ("value", "count"), [(7, 7), ("7", 7), ("two", 0), (-4, 0), (float("inf"), 0), (None, 0), (True, 0)]
)
def test_counts_that_are_none_are_zero(value, count):
    assert number(value) == count


def scored(logprobs, *, text="some text x", asked=3, written=1):
    from openai._models import construct_type
    from openai.types import Completion

    value = {
        "choices": [{"index": 0, "text": text, "logprobs": {"token_logprobs": logprobs}}],
        "usage": {"prompt_tokens": asked, "completion_tokens": written},
    }
    return construct_type(type_=Completion, value=value)


def test_log_probabilities_of_the_sent_text_are_read():
    assert prompt_logprobs(scored([None, -1, -2, -3]), "some text") == [-1.0, -2.0]
    assert prompt_logprobs(scored([None, -1, -2, -3]), [1, 2, 3]) == [-1.0, -2.0]


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (scored([None, 5, -2, -3]), "no finite"),
        (scored([None, True, -2, -3]), "no finite"),
        (scored([None, "-1", -2, -3]), "no finite"),
        (scored([None, float("nan"), -2, -3]), "no finite"),
        (scored([None, -9999.0, -2, -3]), "no finite"),
        (scored([-1, -2, -3, -4], text=" a b c d", written=4), "echo with logprobs"),
        (scored([None, -1, -2, -3], text="the cat sat x"), "another text"),
    ],
)
def test_what_measures_another_text_or_nothing_is_not_taken(reply, reason):
    with pytest.raises(NoLossError, match=reason):
        prompt_logprobs(reply, "some text")


def test_a_server_that_adds_tokens_is_noticed():
    with pytest.raises(NoLossError, match="another text"):
        prompt_logprobs(scored([None, -1, -2, -3, -4], asked=4), [1, 2, 3])
