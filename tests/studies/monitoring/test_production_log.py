"""Answers of production from rows, from a server's log and from spans."""

import json
from datetime import UTC, datetime

import pytest

from harness.errors import DataError
from harness.studies.monitoring.production_log import read_answers


def written(tmp_path, *rows, name="log.jsonl"):
    path = tmp_path / name
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def test_rows_in_order_of_time_and_each_id_once(tmp_path):
    path = written(
        tmp_path,
        {
            "id": "b",
            "time": "2026-03-02T10:00:00+02:00",
            "prompt": "Hi",
            "answer": "Hello",
            "latency_ms": 250,
        },
        {
            "id": "a",
            "time": 1772380800,
            "messages": [{"role": "developer", "content": "Be kind."}],
            "text": "ok",
        },
        {"id": "b", "time": 5, "answer": "again"},
        {"time": "1772380900000", "error": "timeout"},
    )
    first, failed, last = read_answers([path, path])
    assert (first.id, first.time) == ("a", datetime(2026, 3, 1, 16, tzinfo=UTC))
    assert [(each.role, each.content) for each in first.messages] == [("system", "Be kind.")]
    assert (failed.failed, failed.text) == (True, None)
    assert (last.text, last.latency_s, last.time.hour) == ("Hello", 0.25, 8)


def test_requests_and_responses_of_a_server(tmp_path):
    path = written(
        tmp_path,
        {
            "request": {
                "model": "m",
                "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
            },
            "response": {
                "id": "chatcmpl-1",
                "created": 1772380800,
                "choices": [
                    {"message": {"role": "assistant", "content": "Hello"}, "finish_reason": "length"}
                ],
                "usage": {"completion_tokens": 7},
            },
        },
        {
            "request": {"prompt": "2+2="},
            "response": {"id": "cmpl-1", "created": 1772380801, "choices": [{"text": "4"}]},
        },
        {"time": 1772380802, "request": {"messages": []}, "response": None, "status": 503},
        {
            "request": {"messages": []},
            "response": {
                "created": 1772380803,
                "choices": [{"message": {"content": None, "tool_calls": []}}],
            },
        },
    )
    chat, plain, failed, call = read_answers([path])
    assert (chat.text, chat.completion_tokens, chat.finish_reason, chat.model) == ("Hello", 7, "length", "m")
    assert chat.messages[0].content == "Hi"
    assert (plain.text, plain.messages[0].content) == ("4", "2+2=")
    assert failed.failed
    assert (call.text, call.failed) == ("", False)


def attribute(key, value):
    kind = "intValue" if isinstance(value, int) else "stringValue"
    if isinstance(value, list):
        return {"key": key, "value": {"arrayValue": {"values": [{"stringValue": each} for each in value]}}}
    return {"key": key, "value": {kind: str(value)}}


def test_spans_with_and_without_content(tmp_path):
    said = [{"role": "user", "parts": [{"type": "text", "content": "Hi"}]}]
    answered = [
        {
            "role": "assistant",
            "parts": [{"type": "reasoning", "content": "hm"}, {"type": "text", "content": "Hello"}],
            "finish_reason": "stop",
        }
    ]
    common = {"startTimeUnixNano": "1772380800000000000", "endTimeUnixNano": "1772380801500000000"}
    spans = [
        {
            **common,
            "spanId": "1",
            "attributes": [
                attribute("gen_ai.operation.name", "chat"),
                attribute("gen_ai.input.messages", json.dumps(said)),
                attribute("gen_ai.output.messages", json.dumps(answered)),
                attribute("gen_ai.usage.output_tokens", 12),
                attribute("gen_ai.response.finish_reasons", ["length"]),
                attribute("gen_ai.request.model", "m"),
            ],
        },
        {**common, "spanId": "2", "attributes": [attribute("gen_ai.request.model", "m")]},
        {**common, "spanId": "3", "attributes": [attribute("gen_ai.operation.name", "embeddings")]},
        {**common, "spanId": "4", "attributes": [attribute("http.route", "/")]},
        {
            **common,
            "spanId": "5",
            "attributes": [attribute("gen_ai.request.model", "m"), attribute("error.type", "timeout")],
        },
    ]
    path = written(tmp_path, {"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]})
    whole, bare, failed = read_answers([path])
    assert (whole.text, whole.latency_s, whole.completion_tokens) == ("Hello", 1.5, 12)
    assert (whole.finish_reason, whole.messages[0].content) == ("length", "Hi")
    assert (bare.text, bare.failed, bare.latency_s) == (None, False, 1.5)
    assert failed.failed


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"answer": "x"}, "no time"),
        ({"time": 1}, "no answer"),
        ({"time": "yesterday", "answer": "x"}, "is not ISO 8601"),
        ({"time": 1e30, "answer": "x"}, "out of range"),
        ({"time": 1e300, "answer": "x"}, "a number beyond 1e+100"),
        ({"time": 1, "answer": "x", "latency_s": -1}, "latency_s: -1 is below 0"),
        ({"time": 1, "answer": "x", "latency_ms": -1}, "latency_ms: -1 is below 0"),
        ({"time": 1, "answer": "x", "completion_tokens": -4}, "completion_tokens: -4 is below 0"),
        ({"time": 1, "answer": "x", "usage": {"output_tokens": 10**40}}, "is too much"),
        ({"time": 1, "answer": "x", "latency_s": "slow"}, "is not a number"),
        ({"time": 1, "answer": "x", "messages": "{"}, "messages: not JSON"),
        ({"time": 1, "answer": "x", "messages": {"role": "user"}}, "messages: not a list"),
        ({"time": 1, "answer": "x", "messages": [{"role": "bot"}]}, "messages: role"),
        ({"resourceSpans": []}, "it has no answers"),
    ],
)
def test_bad_rows_are_one_line_with_their_place(tmp_path, row, said):
    with pytest.raises(DataError) as caught:
        read_answers([written(tmp_path, row)])
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
