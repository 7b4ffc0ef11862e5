"""Doubtful answers as cases of a golden set, for a person to finish."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.authoring.render import case_text, flow_text
from harness.types import Message

_TAG = "production"


@dataclass(frozen=True, slots=True, kw_only=True)
class DoubtfulAnswer:
    """A conversation whose answer is doubtful.

    Attributes:
        description: When it was, and why its answer is doubtful.
        refused: Whether the answer was a refusal.
    """

    messages: Sequence[Message]
    description: str
    refused: bool


def doubtful_set(name: str, answers: Iterable[DoubtfulAnswer], most: int) -> tuple[str, int]:
    """A golden set of conversations, each once.

    Args:
        name: The set's name.
        answers: The most doubtful first.
        most: Largest number of cases.

    Returns:
        The YAML, and how many cases it has.
    """
    cases = list(_cases(answers, most))
    head = (
        "# Conversations of production with doubtful answers. Write what a good answer is: references, or\n"
        "# checks that the right answer passes; then rename or move the cases.\n"
        f"name: {flow_text(name)}\ncases:\n"
    )
    return head + "".join(case_text(case, "  ") for case in cases), len(cases)


def _cases(answers: Iterable[DoubtfulAnswer], most: int) -> Iterator[Mapping[str, Any]]:
    seen: set[str] = set()
    for answer in answers:
        if not answer.messages or answer.messages[-1].role != "user":
            continue
        said = [[each.role, " ".join(each.content.split())] for each in answer.messages]
        digest = hashlib.sha256(repr(said).encode("utf-8", "surrogatepass")).hexdigest()[:10]
        if digest in seen or len(seen) >= most:
            continue
        seen.add(digest)
        yield {
            "id": f"{_TAG}-{digest}",
            "description": answer.description,
            **_conversation(answer.messages),
            "tags": [_TAG],
            "checks": [
                *([{"type": "not-is-refusal"}] if answer.refused else []),
                {"type": "length", "min": 1},
            ],
        }


def _conversation(messages: Sequence[Message]) -> dict[str, Any]:
    """A lone question as ``prompt``, anything else as ``messages``."""
    if len(messages) == 1:
        return {"prompt": messages[0].content}
    return {"messages": [_message(each) for each in messages]}


def _message(message: Message) -> dict[str, Any]:
    calls = [{"name": call.name, "arguments": dict(call.arguments)} for call in message.tool_calls]
    return {
        "role": message.role,
        "content": message.content,
        **({"tool_calls": calls} if calls else {}),
        **({} if message.name is None else {"name": message.name}),
    }
