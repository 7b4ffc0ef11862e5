"""Answers to label of a file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harness.errors import DataError
from harness.labelling.items import Expectation, SourceAnswer
from harness.types import Message
from harness.types.storage import parse_json

_Text = Annotated[str, Field(min_length=1)]


class _StrictModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Turn(_StrictModel):
    role: Literal["system", "user", "assistant"]
    content: str


class _Row(_StrictModel):
    prompt: _Text | Annotated[list[_Turn], Field(min_length=1)]
    answer: str
    rubric: _Text | None = None
    tone: _Text | None = None
    reference: _Text | None = None
    model: str | None = None


def answers_of_files(paths: Sequence[Path], rubric: str | None) -> list[SourceAnswer]:
    """Answers from JSON lines.

    A line has ``prompt`` (a text or role/content turns) and ``answer``, and may have ``rubric``, ``tone``,
    ``reference`` and ``model``. Lines with one prompt are answers to one question.

    Args:
        paths: The files.
        rubric: What a good answer is, for lines without a rubric.

    Returns:
        The answers in the files' order.

    Raises:
        DataError: With file and line.
    """
    answered: list[SourceAnswer] = []
    for path in paths:
        try:
            lines = path.read_text(encoding="utf-8").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
            raise DataError(path, None, f"can't be read: {reason}") from error
        before = len(answered)
        for number, line in enumerate(lines, start=1):
            if line.strip():
                answered.append(_answered(path, number, line, rubric))
        if len(answered) == before:
            raise DataError(path, None, "contains no answer (allowed: JSON lines with prompt and answer)")
    return answered


def _answered(path: Path, number: int, line: str, rubric: str | None) -> SourceAnswer:
    try:
        row = _Row.model_validate(parse_json(line))
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        key = ".".join(str(step) for step in problem["loc"][:1])
        allowed = ", ".join(_Row.model_fields)
        where = f"{key}: " if key else ""
        raise DataError(path, number, f"{where}{problem['msg'].lower()} (allowed: {allowed})") from error
    except ValueError as error:
        raise DataError(path, number, f"not JSON: {error}") from error
    prompt = row.prompt
    return SourceAnswer(
        messages=(Message(role="user", content=prompt),)
        if isinstance(prompt, str)
        else tuple(Message(role=turn.role, content=turn.content) for turn in prompt),
        text=row.answer,
        wanted=Expectation(
            rubric=row.rubric or rubric,
            tone=row.tone,
            references=() if row.reference is None else (row.reference,),
        ),
        origin=row.model or f"{path}:{number}",
    )
