"""What a server would have to ignore, it refuses: in each request, and in each part of one."""

import pytest
from pydantic import ValidationError

from harness.serving.conversation import ChatMessage
from harness.serving.protocol import (
    ChatRequest,
    DetokenizeRequest,
    EmbeddingRequest,
    LoadAdapterRequest,
    TokenizeRequest,
    UnloadAdapterRequest,
)

EMBEDDED, TOKENS = {"model": "m", "input": "a"}, {"prompt": "a"}
ADAPTER = {"lora_name": "a", "lora_path": "b"}
ASKED = {"model": "m", "messages": [{"role": "user", "content": "a"}]}


@pytest.mark.parametrize(
    ("kind", "given", "extra"),
    [
        (EmbeddingRequest, EMBEDDED, {"dimensions": 256}),
        (TokenizeRequest, TOKENS, {"continue_final_message": True}),
        (TokenizeRequest, TOKENS, {"chat_template": "{{ messages }}"}),
        (TokenizeRequest, TOKENS, {"return_token_strs": True}),
        (DetokenizeRequest, {"tokens": [1]}, {"skip_special_tokens": True}),
        (LoadAdapterRequest, ADAPTER, {"load_inplace": True}),
        (UnloadAdapterRequest, {"lora_name": "a"}, {"other": 1}),
        (ChatMessage, ASKED["messages"][0], {"prefix": True}),
        (ChatMessage, ASKED["messages"][0], {"function_call": {"name": "f", "arguments": "{}"}}),
        (ChatRequest, {**ASKED, "stream": True}, {"stream_options": {"continuous_usage_stats": True}}),
        (ChatRequest, ASKED, {"response_format": {"type": "json_object", "schema": {"type": "array"}}}),
        (ChatRequest, ASKED, {"n_probs": 2}),
    ],
)
def test_what_is_not_supported_is_refused(kind, given, extra):
    kind.model_validate(given)
    (value,) = extra.values()
    name = next(reversed(value)) if isinstance(value, dict) and kind is ChatRequest else next(iter(extra))
    with pytest.raises(ValidationError, match=f"{name} is not supported"):
        kind.model_validate({**given, **extra})


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        (EmbeddingRequest, {**EMBEDDED, "dimensions": None, "user": "me"}),
        (TokenizeRequest, {**TOKENS, "continue_final_message": False, "return_token_strs": False}),
        (LoadAdapterRequest, {**ADAPTER, "load_inplace": False}),
        (UnloadAdapterRequest, {"lora_name": "a", "lora_int_id": 1}),
        (ChatRequest, {**ASKED, "stream": True, "stream_options": {"include_obfuscation": False}}),
    ],
)
def test_what_changes_no_reply_is_taken(kind, given):
    kind.model_validate(given)


def test_messages_are_taken_as_clients_send_a_reply_back():
    """OpenAI's client sends each field of a reply, lm-eval the type of a message."""
    empty = dict.fromkeys(("refusal", "audio", "function_call", "tool_calls"))
    ours = {"content": "4", "reasoning_content": "2 + 2", "tool_calls_in_content": True, "annotations": []}
    message = ChatMessage.model_validate({"role": "assistant", "type": "text", **ours, **empty})
    assert message.as_message().content == "4"
