"""Each task's rows, from JSONL; an invalid one is reported with file and line.

- ``label``: ``text``, ``label``;
- ``entities``: ``text``, ``entities``: a list of ``type``, ``start``, ``end`` (characters, end excluded);
- ``span``: ``question``, ``passage``, ``answer``,
  and ``start`` if the passage contains the answer more than once.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.engines.multitask.decode import (
    SPAN_LABELS,
    Entity,
    join_question,
    split_question,
    tag_labels,
    write_entities,
)
from harness.engines.multitask.description import Kind, Task
from harness.errors import DataError
from trainers.data.leakage import without_leaks
from trainers.data.overlap import words_of
from trainers.data.rows import Examples, Row, read_rows, text_of
from trainers.multitask.config import MultitaskConfig, TaskSettings
from tunegate.printable import shown_value

_FORMATS: Mapping[Kind, str] = {
    "label": "text and label",
    "entities": "text and entities",
    "span": "question, passage and answer",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskData:
    """One task's data.

    Attributes:
        train: Rows with ``text`` (the head's input), ``target`` (a label, entities, or the span's
            characters), ``answer`` (the expected answer) and both as ``prompt`` and ``completion``.
        held_out: The same, held out; None if there is none.
        task: The head's task.
    """

    settings: TaskSettings
    train: Examples
    held_out: Examples | None
    task: Task


def load_tasks(config: MultitaskConfig) -> dict[str, TaskData]:
    """All tasks' data, by task.

    Raises:
        DataError: A row is invalid, a held-out row is also a training row or has an unknown label, or a
            golden case is in the data.
    """
    return {settings.name: _load_task(settings, config) for settings in config.tasks}


def sha256_of(tasks: Mapping[str, TaskData]) -> str:
    """Hash of all tasks' files."""
    parts = [part.sha256 for data in tasks.values() for part in (data.train, data.held_out) if part]
    return hashlib.sha256("".join(parts).encode()).hexdigest()


def adapter_of(config: MultitaskConfig, task: str) -> str | None:
    """Name of the adapter that a task uses.

    Args:
        config: The run's configuration.
        task: The task's name.

    Returns:
        The adapter's name; None if the whole encoder is trained.
    """
    if config.encoder == "full":
        return None
    return f"task_{task}" if config.mode == "per-task" else "shared"


def _load_task(settings: TaskSettings, config: MultitaskConfig) -> TaskData:
    train = without_leaks(_read(settings.data, settings.kind), config)
    held_out = _read(settings.eval_data, settings.kind) if settings.eval_data else None
    labels = _labels(settings, train)
    if held_out is not None:
        _check_held_out(settings, train, held_out, labels)
    task = Task(
        name=settings.name, kind=settings.kind, labels=labels, adapter=adapter_of(config, settings.name)
    )
    return TaskData(settings=settings, train=train, held_out=held_out, task=task)


def _read(paths: Sequence[Path], kind: Kind) -> Examples:
    convert = {"label": _label_row, "entities": _entities_row, "span": _span_row}[kind]
    return read_rows(paths, convert, _FORMATS[kind])


def _labels(settings: TaskSettings, train: Examples) -> tuple[str, ...]:
    if settings.kind == "span":
        return SPAN_LABELS
    if settings.kind == "entities":
        types = sorted({entity.type for row in train.rows for entity in row["target"]})
        if not types:
            raise DataError(settings.data[0], None, f"no row of the task {settings.name} has an entity")
        return tag_labels(types)
    labels = sorted({row["target"] for row in train.rows})
    if len(labels) < 2:
        raise DataError(
            settings.data[0],
            None,
            f"all rows of {settings.name} have the label {labels[0]!r} (allowed: two or more labels)",
        )
    return tuple(labels)


def _check_held_out(
    settings: TaskSettings, train: Examples, held_out: Examples, labels: Sequence[str]
) -> None:
    trained = {words_of(row["text"]): place for row, place in zip(train.rows, train.places, strict=True)}
    for row, (path, line) in zip(held_out.rows, held_out.places, strict=True):
        if (place := trained.get(words_of(row["text"]))) is not None:
            raise DataError(
                path, line, f"the held-out row is in the training data too: {place[0]}:{place[1]}"
            )
        if settings.kind == "label":
            known, named = labels, {row["target"]}
        elif settings.kind == "entities":
            known = sorted({label.partition("-")[2] for label in labels[1:]})
            named = {entity.type for entity in row["target"]}
        else:
            continue
        if unknown := sorted(named - set(known)):
            raise DataError(
                path,
                line,
                f"found {shown_value(unknown[0])}, which no training row has (allowed: {', '.join(known)})",
            )


def _row(text: str, target: Any, answer: str) -> Row:
    return {
        "text": text,
        "target": target,
        "answer": answer,
        "prompt": [{"role": "user", "content": text}],
        "completion": [{"role": "assistant", "content": answer}],
    }


def _label_row(path: Path, line: int, row: Row) -> Row:
    _check_keys(path, line, row, {"text", "label"})
    label = text_of(path, line, row, "label")
    return _row(text_of(path, line, row, "text"), label, label)


def _entities_row(path: Path, line: int, row: Row) -> Row:
    _check_keys(path, line, row, {"text", "entities"})
    text, written = text_of(path, line, row, "text"), row.get("entities")
    if not isinstance(written, list):
        raise DataError(
            path, line, f"entities: found {shown_value(written)} (allowed: a list, empty where there is none)"
        )
    entities = sorted((_entity(path, line, one, text) for one in written), key=lambda entity: entity.start)
    return _row(text, tuple(entities), write_entities(entities, text))


def _entity(path: Path, line: int, one: Any, text: str) -> Entity:
    allowed = "type, a text; start and end, characters of the text"
    if not isinstance(one, dict) or set(one) != {"type", "start", "end"}:
        raise DataError(path, line, f"entities: found {shown_value(one)} (allowed: {allowed})")
    kind, start, end = one["type"], one["start"], one["end"]
    if not isinstance(kind, str) or not kind.strip():
        raise DataError(
            path, line, f"entities: type: found {shown_value(kind)} (allowed: a text that isn't empty)"
        )
    if type(start) is not int or type(end) is not int or not 0 <= start < end <= len(text):
        raise DataError(
            path,
            line,
            f"entities: found start {start!r} and end {end!r} in {len(text)} characters ({allowed})",
        )
    return Entity(kind, start, end)


def _span_row(path: Path, line: int, row: Row) -> Row:
    _check_keys(path, line, row, {"question", "passage", "answer", "start"})
    question, answer = text_of(path, line, row, "question"), text_of(path, line, row, "answer")
    written = text_of(path, line, row, "passage")
    if "\n\n" in question:
        raise DataError(path, line, "question: contains an empty line, which divides question and passage")
    text = join_question(question, written)
    passage = split_question(text)[1]
    places = [place for place in range(len(passage)) if passage.startswith(answer, place)]
    start = row.get("start")
    if start is not None:
        # Counted in the unchanged passage, which may begin with white space.
        start = start - (len(written) - len(written.lstrip())) if type(start) is int else start
        if start not in places:
            raise DataError(path, line, f"start: the answer {answer!r} doesn't begin at {row['start']!r}")
    elif len(places) != 1:
        found = "is not in the passage" if not places else f"occurs {len(places)} times; give start"
        raise DataError(path, line, f"answer: {answer!r} {found}")
    begin = places[0] if start is None else start
    return _row(text, (begin, begin + len(answer)), answer)


def _check_keys(path: Path, line: int, row: Row, known: set[str]) -> None:
    if unknown := sorted(set(row) - known):
        raise DataError(path, line, f"unknown key {unknown[0]!r} (allowed: {', '.join(sorted(known))})")
