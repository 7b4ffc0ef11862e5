"""Reads answers that a model gave in production: rows, logs of an OpenAI-compatible server, or OTLP spans.

Rows (JSON Lines, CSV, Parquet) have ``time``, ``prompt`` or ``messages``, ``answer``, and if known ``id``,
``model``, ``latency_s``, ``completion_tokens``, ``finish_reason`` and ``error``. Logs of a server have
``request`` and ``response`` as they were sent. OTLP is what a collector's file exporter writes: a line of
JSON for each batch, of which the spans with the GenAI conventions' attributes are read.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from harness.errors import DataError
from harness.history.logs.rows import table_rows
from harness.history.logs.values import count_of, number_of, shown
from harness.studies.monitoring.log_files import ReadFile, Row, log_files, new_rows, renewed
from harness.types import Message
from harness.types.storage import parse_json

_ROLES: Mapping[str, Literal["system", "user", "assistant", "tool"]] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "model": "assistant",
    "tool": "tool",
}
_TIMES = ("time", "timestamp", "created", "created_at")
_TEXTS = ("answer", "text", "output", "completion")
_PROMPTS = ("prompt", "question", "input")
# A count since 1970 above this is in milliseconds.
_MILLISECONDS_FROM = 1e11
_FIRST_ERROR_STATUS = 400
# Operations of the GenAI conventions that are answers of a model.
_ANSWERING = frozenset({"chat", "text_completion", "generate_content"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductionAnswer:
    """One request and what came of it.

    Attributes:
        id: Its own name in the log, else a hash of its place and content.
        time: When it was asked, in UTC.
        messages: The conversation; empty if the log has none.
        text: The answer; None if the request failed, or if a span has no content.
        failed: Whether the request failed; None if no server was asked.
        latency_s: From request to answer, in seconds; None if unknown.
        completion_tokens: Tokens of the answer; None if unknown.
        finish_reason: ``length`` if a limit cut the answer; None if unknown.
    """

    id: str
    time: datetime
    messages: tuple[Message, ...]
    text: str | None
    failed: bool | None = False
    latency_s: float | None = None
    completion_tokens: int | None = None
    finish_reason: str | None = None
    model: str = ""


def read_answers(paths: Sequence[Path], leave_out: Collection[Path] = ()) -> list[ProductionAnswer]:
    """All answers of some files and directories, in order of time; two with the same id count once.

    Args:
        paths: Files and directories.
        leave_out: Files of directories that are no logs.

    Raises:
        DataError: A file is cut, or a row has no time or no answer; the message names the line.
    """
    found: dict[str, ProductionAnswer] = {}
    for path in log_files(paths, leave_out):
        _collect(found, path, table_rows(path))
    if not found:
        raise DataError(paths[0], None, "it has no answers: log requests with their answers")
    return sorted(found.values(), key=lambda answer: answer.time)


def read_new_answers(
    paths: Sequence[Path], known: Sequence[ReadFile], leave_out: Collection[Path] = ()
) -> tuple[list[ProductionAnswer], tuple[ReadFile, ...]]:
    """The answers that files have since they were read, in order of time, and what is read now.

    Args:
        paths: Files and directories; a rotated file is known by its content.
        known: What was read before.
        leave_out: Files of directories that are no logs.

    Raises:
        DataError: As for :func:`read_answers`.
    """
    found: dict[str, ProductionAnswer] = {}
    read = tuple(known)
    for path in log_files(paths, leave_out):
        rows, now, before = new_rows(path, read)
        if now is not None:
            read = renewed(read, now, before)
        _collect(found, path, rows)
    return sorted(found.values(), key=lambda answer: answer.time), read


def _collect(found: dict[str, ProductionAnswer], path: Path, rows: Iterable[Row]) -> None:
    for line, facts in rows:
        spans = list(_spans(facts)) if "resourceSpans" in facts else [facts]
        for number, each in enumerate(spans):
            answer = _answer(each, path, line, number)
            found.setdefault(answer.id, answer)


def _answer(facts: Mapping[str, Any], path: Path, line: int, number: int) -> ProductionAnswer:
    request, response = (_mapping(facts.get(name)) for name in ("request", "response"))
    merged = {**request, **_of_response(response), **{k: v for k, v in facts.items() if v is not None}}
    place = (path, line)
    time = next((merged[name] for name in _TIMES if name in merged), None)
    if time is None:
        raise DataError(
            path, line, f"no time: add one of {', '.join(_TIMES)} (ISO 8601 or seconds since 1970)"
        )
    failed = _failed(merged)
    text = next((merged[name] for name in (*_TEXTS, "response") if isinstance(merged.get(name), str)), None)
    if text is None and not failed and not facts.get("is_span"):
        raise DataError(path, line, f"no answer: add one of {', '.join(_TEXTS)}, or error")
    latency = merged.get("latency_s")
    for name in ("latency_ms", "duration_ms"):
        if latency is None and name in merged:
            latency = count_of(merged[name], place, name) / 1000
    usage = _mapping(merged.get("usage"))
    tokens = next(
        (
            each[name]
            for each in (merged, usage)
            for name in ("completion_tokens", "output_tokens")
            if each.get(name) is not None
        ),
        None,
    )
    content = json.dumps([path.name, line, number, str(time), text], ensure_ascii=True)
    return ProductionAnswer(
        id=str(merged.get("id") or hashlib.sha256(content.encode()).hexdigest()[:16]),
        time=_time(time, place),
        messages=_messages(merged, place),
        text=None if failed else text,
        failed=failed,
        latency_s=None if latency is None else count_of(latency, place, "latency_s"),
        completion_tokens=None if tokens is None else int(count_of(tokens, place, "completion_tokens")),
        finish_reason=None if merged.get("finish_reason") is None else str(merged["finish_reason"]),
        model=str(merged.get("model", "")),
    )


def _failed(facts: Mapping[str, Any]) -> bool:
    status = facts.get("status", facts.get("status_code"))
    bad = isinstance(status, int | float) and status >= _FIRST_ERROR_STATUS
    return bad or bool(facts.get("error"))


def _of_response(response: Mapping[str, Any]) -> dict[str, Any]:
    """What a chat completion or a completion says, by the names of rows."""
    found = {
        name: response[name] for name in ("id", "created", "model", "usage", "error") if name in response
    }
    choices = response.get("choices")
    first = _mapping(choices[0]) if isinstance(choices, list) and choices else {}
    content = _mapping(first.get("message")).get("content", first.get("text"))
    if isinstance(content, str):
        found["answer"] = content
    elif first:
        # A call of tools has no content.
        found["answer"] = ""
    if first.get("finish_reason") is not None:
        found["finish_reason"] = first["finish_reason"]
    return found


def _messages(facts: Mapping[str, Any], place: tuple[Path, int]) -> tuple[Message, ...]:
    told = facts.get("messages")
    if told is None:
        prompt = next((facts[name] for name in _PROMPTS if isinstance(facts.get(name), str)), None)
        return () if prompt is None else (Message(role="user", content=prompt),)
    if isinstance(told, str):
        try:
            told = parse_json(told)
        except ValueError as error:
            raise DataError(*place, "messages: not JSON") from error
    if not isinstance(told, list):
        raise DataError(*place, f"messages: not a list: {shown(told)}")
    return tuple(_message(each, place) for each in told)


def _message(told: object, place: tuple[Path, int]) -> Message:
    facts = _mapping(told)
    role = _ROLES.get(str(facts.get("role")))
    if role is None:
        raise DataError(*place, f"messages: role {shown(facts.get('role'))} (allowed: {', '.join(_ROLES)})")
    content = facts.get("content", facts.get("parts", ""))
    if isinstance(content, list):
        parts = (_mapping(part) for part in content)
        content = "".join(str(part.get("text", part.get("content", ""))) for part in parts)
    return Message(role=role, content="" if content is None else str(content))


def _time(told: object, place: tuple[Path, int]) -> datetime:
    if isinstance(told, str) and not told.replace(".", "", 1).isdigit():
        try:
            found = datetime.fromisoformat(told)
        except ValueError as error:
            raise DataError(*place, f"time: {shown(told)} is not ISO 8601") from error
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    seconds = number_of(told, place, "time")
    try:
        return datetime.fromtimestamp(seconds / 1000 if seconds > _MILLISECONDS_FROM else seconds, UTC)
    except (OverflowError, OSError, ValueError) as error:
        raise DataError(*place, f"time: {shown(told)} is out of range") from error


def _spans(batch: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The spans of a batch in which a model answered, by the names of rows."""
    for resource in batch.get("resourceSpans") or ():
        for scope in _mapping(resource).get("scopeSpans") or ():
            for span in _mapping(scope).get("spans") or ():
                facts = _of_span(_mapping(span))
                if facts is not None:
                    yield facts


def _of_span(span: Mapping[str, Any]) -> dict[str, Any] | None:
    told = {
        str(_mapping(each).get("key")): _value(_mapping(_mapping(each).get("value")))
        for each in span.get("attributes") or ()
    }
    operation = told.get("gen_ai.operation.name", "chat")
    if operation not in _ANSWERING or not any(name.startswith("gen_ai.") for name in told):
        return None
    start, end = (int(span.get(name) or 0) for name in ("startTimeUnixNano", "endTimeUnixNano"))
    output = _listed(told.get("gen_ai.output.messages"))
    last = _mapping(output[-1]) if output else {}
    reasons = told.get("gen_ai.response.finish_reasons")
    parts = [_mapping(part) for part in last.get("parts") or ()]
    text = "".join(str(part.get("content", "")) for part in parts if part.get("type", "text") == "text")
    return {
        "is_span": True,
        "id": span.get("spanId"),
        "time": start / 1e9,
        "latency_s": (end - start) / 1e9 if end >= start else None,
        "messages": _listed(told.get("gen_ai.input.messages")) or None,
        "prompt": told.get("gen_ai.prompt"),
        "answer": text if output else told.get("gen_ai.completion"),
        "completion_tokens": told.get("gen_ai.usage.output_tokens"),
        "finish_reason": reasons[0] if isinstance(reasons, list) and reasons else last.get("finish_reason"),
        "model": told.get("gen_ai.response.model") or told.get("gen_ai.request.model") or "",
        "error": told.get("error.type"),
    }


def _listed(told: object) -> list[Any]:
    if isinstance(told, str):
        try:
            told = parse_json(told)
        except ValueError:
            return []
    return told if isinstance(told, list) else []


def _value(told: Mapping[str, Any]) -> Any:
    """An attribute's value in OTLP's JSON, where whole numbers are texts."""
    if "arrayValue" in told:
        return [_value(_mapping(each)) for each in _mapping(told["arrayValue"]).get("values") or ()]
    if "intValue" in told:
        return int(told["intValue"])
    return next(iter(told.values()), None)


def _mapping(told: object) -> Mapping[str, Any]:
    return told if isinstance(told, Mapping) else {}
