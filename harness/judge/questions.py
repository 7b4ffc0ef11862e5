"""The questions for judges."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from harness.golden.judge_template import Scale
from harness.judge.prompts import Prompt, fill_prompt, load_prompt
from harness.types import JsonValue, JudgeRequest, Message
from tunegate.printable import encodable

# The questions about one answer.
SINGLE_TASKS = ("rubric", "reference", "factuality", "tone")
_BETTER = "The answer is right, does what was asked, and is no longer than it needs to be."
# Raised when a change of the questions or of how replies are read changes the meaning of a stored reply.
_REVISION = 4
_SEEDS_APART = 1000
_APART_FROM_SCORING = 1_000_000
_MOST_REPEATED = 4000  # characters of an unreadable reply that the judge is shown
_FORMAT_ONLY = (
    "That could not be read. Give your final verdict once, as a single JSON object in the format that was "
    "asked for, and nothing else."
)
_REASON: dict[str, JsonValue] = {"type": "string"}


def _schema(name: str, value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    # The reason comes first, so that the judge writes it before it decides.
    return {"type": "object", "properties": {"reason": _REASON, name: value}, "required": ["reason", name]}


_PASS = _schema("pass", {"type": "boolean"})
SCHEMAS: Mapping[str, Mapping[str, JsonValue]] = {
    "rubric": _PASS,
    "factuality": _PASS,
    "tone": _PASS,
    "reference": _schema("grade", {"type": "integer", "minimum": 1, "maximum": 5}),
    "pairwise": _schema("winner", {"type": "string", "enum": ["A", "B", "tie"]}),
}


def question_name(task: str, version: str | None) -> str:
    """The name of a question in a calibration: its task, with the wording where that is the user's own.

    Args:
        task: The task.
        version: The user's wording; None for the current one.
    """
    return task if version is None else f"{task} by {version}"


def single_request(
    task: str,
    key: str,
    conversation: Sequence[Message],
    answer: str,
    *,
    rubric: str | None = None,
    references: Sequence[str] = (),
    repeat: int = 0,
    prompt: Prompt | None = None,
) -> JudgeRequest:
    """A question about one answer.

    Args:
        task: ``rubric``, ``reference``, ``factuality`` or ``tone``.
        key: Name of the case in messages.
        conversation: The messages before the answer.
        answer: The answer.
        rubric: What a good answer satisfies, or the expected tone.
        references: Right answers.
        repeat: Number of the repetition of this question.
        prompt: Its wording; the current one of the task by default.
    """
    prompt = prompt or load_prompt(task)
    values = {
        "question": as_text(conversation),
        "answer": answer,
        "rubric": rubric or "",
        "reference": _listed(references),
    }
    return JudgeRequest(
        key=key,
        task=task,
        messages=fill_prompt(prompt, values),
        reply_schema=SCHEMAS[task] if prompt.scale is None else _grades(prompt.scale),
        prompt_version=prompt.version,
        conversation=tuple(conversation),
        answers=(answer,),
        criteria=_criteria(rubric, references),
        repeat=repeat,
        passes_from=None if prompt.scale is None else prompt.scale.passes_from,
    )


def _grades(scale: Scale) -> Mapping[str, JsonValue]:
    return _schema("grade", {"type": "integer", "minimum": scale.least, "maximum": scale.most})


def pair_requests(
    key: str,
    conversation: Sequence[Message],
    answer: str,
    other: str,
    *,
    rubric: str | None = None,
    repeat: int = 0,
    prompt: Prompt | None = None,
) -> tuple[JudgeRequest, JudgeRequest]:
    """Questions which of two answers is better, in both orders: the answer as A, then as B.

    Args:
        key: Name of the pair, for messages.
        conversation: The messages before the answers.
        answer: The answer that is judged.
        other: The answer that it is compared with.
        rubric: What a good answer is; None for the default.
        repeat: Number of the repetition, from 0; each is a question of its own.
        prompt: The question's wording; the current one by default.

    Returns:
        The question with the answer as A, then with the answer as B.
    """
    prompt = prompt or load_prompt("pairwise")

    def ordered(first: str, second: str) -> JudgeRequest:
        values = {
            "question": as_text(conversation),
            "answer_a": first,
            "answer_b": second,
            "rubric": rubric or _BETTER,
        }
        return JudgeRequest(
            key=key,
            task="pairwise",
            messages=fill_prompt(prompt, values),
            reply_schema=SCHEMAS["pairwise"],
            prompt_version=prompt.version,
            conversation=tuple(conversation),
            answers=(first, second),
            criteria=_criteria(rubric, ()),
            repeat=repeat,
        )

    return ordered(answer, other), ordered(other, answer)


def as_text(conversation: Sequence[Message]) -> str:
    """A conversation for the prompt: a single question as it is, otherwise each turn with its role."""
    if len(conversation) == 1:
        return conversation[0].shown
    return "\n\n".join(f"{turn.role}: {turn.shown}" for turn in conversation)


def _criteria(rubric: str | None, references: Sequence[str]) -> str:
    parts = [f"A good answer: {rubric}"] if rubric else []
    parts += [f"Reference: {_listed(references)}"] if references else []
    return "\n\n".join(parts)


def _listed(references: Sequence[str]) -> str:
    if len(references) < 2:
        return "".join(references)
    return "\n\n".join(f"({number}) {reference}" for number, reference in enumerate(references, 1))


def of_whole_characters(request: JudgeRequest) -> JudgeRequest:
    """The question as UTF-8 can carry it, for every kind of judge; an answer may hold half of a character."""
    return replace(
        request,
        messages=tuple(replace(one, content=encodable(one.content)) for one in request.messages),
        conversation=tuple(replace(one, content=encodable(one.content)) for one in request.conversation),
        answers=tuple(map(encodable, request.answers)),
        criteria=encodable(request.criteria),
    )


def for_the_format(request: JudgeRequest, reply: str, reading: int) -> JudgeRequest:
    """The question after a reply that could not be read: for the same verdict in the format alone.

    Another seed, since the same one would give the same reply.

    Args:
        request: The question.
        reply: The reply that could not be read.
        reading: How many could not be read.
    """
    return replace(
        request,
        messages=(
            *request.messages,
            Message(role="assistant", content=reply[-_MOST_REPEATED:]),
            Message(role="user", content=_FORMAT_ONLY),
        ),
        repeat=request.repeat + reading * _SEEDS_APART,
    )


def apart_from_scoring(request: JudgeRequest) -> JudgeRequest:
    """The question with a seed that no scoring has, so that its reply is nobody's score."""
    return replace(request, repeat=request.repeat + _APART_FROM_SCORING)


def reply_key(identity: str, request: JudgeRequest) -> str:
    """Cache key: the judge and the whole question.

    Args:
        identity: The judge: its kind, model and wording.
        request: The question.

    Returns:
        A SHA-256 in hexadecimal.
    """
    content = [
        "judge",
        _REVISION,
        identity,
        request.task,
        request.prompt_version,
        [[one.role, one.content] for one in request.messages],
        [one.key for one in request.conversation],
        request.answers,
        request.criteria,
        dict(request.reply_schema),
        request.repeat,
        request.max_tokens,
    ]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
