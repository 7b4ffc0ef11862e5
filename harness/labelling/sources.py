"""Answers to label: those of a stored run and its baseline, or of a file."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harness.errors import DataError, SettingsError
from harness.labelling.items import Expectation, LabelItem, SourceAnswer
from harness.types import GateRecord, GoldenCase, Message, Run
from harness.types.run import conversation
from harness.types.storage import parse_json

_Text = Annotated[str, Field(min_length=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Turn(_Strict):
    role: Literal["system", "user", "assistant"]
    content: str


class _Row(_Strict):
    prompt: _Text | Annotated[list[_Turn], Field(min_length=1)]
    answer: str
    rubric: _Text | None = None
    tone: _Text | None = None
    reference: _Text | None = None
    model: str | None = None


def answers_of_record(
    record: GateRecord, golden_sets: Collection[str], rubric: str | None
) -> list[SourceAnswer]:
    """A run's answers, and its baseline's to the same cases.

    Args:
        record: The stored run.
        golden_sets: Names of the sets; empty means all but the forgetting probes.
        rubric: What a good answer satisfies, for cases without a rubric.

    Raises:
        SettingsError: The run has no such set.
    """
    known = [golden_set.name for golden_set in record.run.golden_sets]
    if unknown := [name for name in golden_sets if name not in known]:
        raise SettingsError(f"--set {unknown[0]}: not in run {record.run.id} (allowed: {', '.join(known)})")
    taken = set(golden_sets) or {one.name for one in record.run.golden_sets if not one.probes_forgetting}
    answered = _of_run(record.run, taken, "candidate", rubric)
    if record.baseline is not None:
        asked = {result.case.messages for result in record.run.results}
        others = _of_run(record.baseline, taken, "baseline", rubric)
        answered += [one for one in others if one.messages in asked]
    return answered


def is_of_run(item: LabelItem, run_id: str) -> bool:
    """Whether an answer is from a run, as candidate or as another run's baseline.

    Args:
        item: The item.
        run_id: The run.
    """
    return len(item.answers) == 1 and run_id in item.runs[0]


def _of_run(run: Run, golden_sets: Collection[str], side: str, rubric: str | None) -> list[SourceAnswer]:
    return [
        SourceAnswer(
            messages=conversation(result.case, result.completion.earlier),
            text=result.completion.text,
            wanted=_wanted(result.case, rubric),
            origin=f"{side} of run {run.id}",
            run=run.id,
            tags=result.case.tags,
        )
        for result in run.results
        if result.completion is not None and result.case.set_name in golden_sets
    ]


def _wanted(case: GoldenCase, rubric: str | None) -> Expectation:
    """Rubric, tone and references of the case."""
    said = {check.type: check.value for check in case.single_checks}

    def text(check_type: str) -> str | None:
        value = said.get(check_type)
        return value if isinstance(value, str) else None

    return Expectation(rubric=text("llm-rubric") or rubric, tone=text("tone"), references=case.references)


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
