"""Logs of inspect_ai: ``.eval`` archives and their JSON form."""

import json
import math
import struct
import zipfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.errors import DataError
from harness.history.logs.log_cases import LogAnswer, LogCase, RunLog
from harness.history.logs.run_log import SHARE, LogRow, each_row, gathered, set_name_of
from harness.history.logs.values import (
    changed_at,
    count_of,
    entry,
    head_of,
    objects_of,
    plain_suffix,
    read_json,
    shown,
)
from harness.types import Message

_VERSION = 2
_HEADER, _ARCHIVE = "header.json", ".eval"
# inspect's own reading of grades: correct, partly, incorrect, no answer.
_GRADES = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}
_ATTACHED = "attachment://"
_ZSTD = 93
_LOCAL_HEADER = 30


def recognises(path: Path) -> bool:
    """An ``.eval`` archive, a directory with such, or JSON that begins as one of inspect's logs."""
    if path.is_dir():
        return any(path.glob(f"*{_ARCHIVE}"))
    if path.suffix == _ARCHIVE:
        return True
    head = head_of(path, 600) if plain_suffix(path) == ".json" else ""
    return all(f'"{key}"' in head for key in ("version", "status", "eval"))


def read(path: Path) -> RunLog:
    """Read one log, or those of a directory: one for each task.

    Raises:
        DataError: One is cut, its run did not end, it has no samples, its version is not read, or two are of
            one task or of different models.
    """
    if not path.is_dir():
        return _one(path)
    logs = [_one(each) for each in sorted(path.glob(f"*{_ARCHIVE}"))]
    by_task: dict[str, RunLog] = {}
    for log in logs:
        task = next(iter(log.deciding))
        if log.model != logs[0].model:
            raise DataError(path, None, f"it has logs of {logs[0].model} and {log.model}: name one file")
        if (earlier := by_task.setdefault(task, log)) is not log:
            names = f"{earlier.path.name}, {log.path.name}"
            raise DataError(path, None, f"{task} was run twice in it: name one file ({names})")
    facts = {name: known for log in logs for name, known in log.facts.items()}
    return replace(
        logs[0],
        path=path,
        started_at=min(log.started_at for log in logs),
        cases=tuple(case for log in logs for case in log.cases),
        # Where two tasks read a metric differently, neither is believed.
        facts={
            name: known
            for name, known in facts.items()
            if all(log.facts.get(name, known) == known for log in logs)
        },
        deciding={task: log.deciding[task] for task, log in by_task.items()},
        notes=tuple(note for log in logs for note in log.notes),
    )


def _one(path: Path) -> RunLog:
    header, samples = _archive(path) if path.suffix == _ARCHIVE else _json_log(path)
    place = (path, None)
    if (version := entry(header, "version", int, place)) != _VERSION:
        raise DataError(path, None, f"an inspect log of version {version}; this tunegate reads {_VERSION}")
    about = entry(header, "eval", dict, place)
    results = header.get("results") or {}
    _check_whole(path, header, results, len(samples))
    task = str(entry(about, "task", str, place))
    version_of_task = f"{about.get('task_version', 0)} {json.dumps(about.get('task_attribs') or {})}"
    cases = gathered(each_row(samples, path, "sample", lambda each: _row(path, task, version_of_task, each)))
    names = dict.fromkeys(name for case in cases for answer in case.answers for name in answer.values)
    facts = {name: SHARE for name in names if _is_share(name, header, samples)}
    # A headline that no sample has is missed by whoever compares, not replaced here.
    deciding = _headline(results, names) or next(iter([*facts, *names]), "")
    others = [name for name in names if name != deciding]
    packages = about.get("packages") or {}
    stats = header.get("stats") or {}
    return RunLog(
        path=path,
        tool=f"inspect_ai {packages.get('inspect_ai', '')}".strip(),
        model=str(about.get("model", path.stem)),
        started_at=str(stats.get("started_at") or about.get("created") or changed_at(path)),
        cases=cases,
        facts=facts,
        deciding={set_name_of(task): deciding},
        notes=(f"{task}: {deciding} decides (--metric chooses: {', '.join(others)})",) if others else (),
    )


def _headline(results: Mapping[str, Any], names: Collection[str]) -> str:
    """The score that inspect itself reports first, as it is called here; empty if it names none."""
    about = results.get("headline") or {}
    scorer, score = str(about.get("scorer") or ""), str(about.get("score") or "")
    of_several = f"{scorer}.{score}"
    return of_several if of_several in names else score or scorer


def _json_log(path: Path) -> tuple[Mapping[str, Any], Sequence[Mapping[str, Any]]]:
    facts = read_json(path)
    entry(facts, "status", str, (path, None))
    return facts, objects_of(facts, "samples", (path, None), "sample") if facts.get("samples") else []


def _archive(path: Path) -> tuple[Mapping[str, Any], Sequence[Mapping[str, Any]]]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if _HEADER not in names:
                raise DataError(
                    path, None, f"no {_HEADER}: its run did not end; go on with inspect eval-retry"
                )
            members = [name for name in names if name.startswith("samples/") and name.endswith(".json")]
            header = read_json(path, _member(path, archive, _HEADER), _HEADER)
            samples = [read_json(path, _member(path, archive, name), name) for name in members]
            return header, objects_of({"samples": samples}, "samples", (path, None), "sample")
    except (zipfile.BadZipFile, struct.error, OSError, RuntimeError, NotImplementedError) as error:
        problem = getattr(error, "strerror", None) or error
        raise DataError(path, None, f"not an inspect archive, or cut off: {problem}; log again") from error


def _member(path: Path, archive: zipfile.ZipFile, name: str) -> bytes:
    """A member's content; Python's own module reads Zstandard from 3.14 on only."""
    member = archive.getinfo(name)
    if member.compress_type != _ZSTD:
        return archive.read(name)
    try:
        from zstandard import ZstdDecompressor, ZstdError
    except ImportError as error:
        raise DataError(path, None, "it is packed with Zstandard: pip install 'tunegate[logs]'") from error
    with path.open("rb") as file:
        file.seek(member.header_offset)
        name_length, extra_length = struct.unpack("<26xHH", file.read(_LOCAL_HEADER))
        file.seek(name_length + extra_length, 1)
        packed = file.read(member.compress_size)
    try:
        return ZstdDecompressor().decompressobj().decompress(packed)
    except ZstdError as error:
        raise DataError(path, None, f"{name}: damaged: {error}") from error


def _check_whole(path: Path, header: Mapping[str, Any], results: Mapping[str, Any], samples: int) -> None:
    status = header.get("status")
    if status != "success":
        raise DataError(path, None, f"its run ended as {status!r}: go on with inspect eval-retry")
    if not samples:
        raise DataError(path, None, "it has no samples: run inspect with --log-samples")
    total = results.get("total_samples")
    if isinstance(total, int) and total != samples:
        if samples > total:
            raise DataError(
                path, None, f"{samples} samples are in it, of {total}: some are written twice; log again"
            )
        raise DataError(path, None, f"{samples} of {total} samples are in it: cut off; log again")


def _row(path: Path, task: str, version: str, sample: Mapping[str, Any]) -> LogRow:
    place = (path, None)
    name = entry(sample, "id", (str, int), place)
    output = sample.get("output") or {}
    choice = next(iter(output.get("choices") or [{}]))
    usage = output.get("usage") or {}
    target = sample.get("target", "")
    scores = sample.get("scores") or {}
    values = {key: value for key, value in _values(path, str(name), scores) if value is not None}
    attached = sample.get("attachments") or {}
    text = str(output.get("completion") or _text(choice.get("message", {}).get("content", ""), attached))
    what = f"sample {name}"
    case = LogCase(
        set_name=set_name_of(task),
        id=str(name),
        messages=_messages(sample.get("input", ""), attached),
        references=tuple(map(str, target)) if isinstance(target, list) else (str(target),),
        identity=f"inspect {version} {json.dumps(sample.get('choices'))}",
        answers=(
            LogAnswer(
                values=values,
                text=attached.get(text.removeprefix(_ATTACHED), text),
                error=_error(sample),
                explanations={key: str(score.get("explanation") or "") for key, score in scores.items()},
                is_cut=choice.get("stop_reason") in {"max_tokens", "model_length"},
                latency_s=count_of(output.get("time"), place, f"{what}: time"),
                prompt_tokens=int(count_of(usage.get("input_tokens"), place, f"{what}: input tokens")),
                completion_tokens=int(count_of(usage.get("output_tokens"), place, f"{what}: output tokens")),
            ),
        ),
    )
    return LogRow(case=case, repeat=str(sample.get("epoch", 1)), place=place)


def _error(sample: Mapping[str, Any]) -> str:
    """Why a sample does not count; empty if nothing broke."""
    error, invalid = sample.get("error"), sample.get("invalidation")
    if error is not None:
        return str(error.get("message") or "it broke").partition("\n")[0]
    return "" if invalid is None else f"invalidated: {invalid.get('reason') or 'no reason given'}"


def _values(path: Path, sample: str, scores: Mapping[str, Any]) -> Iterator[tuple[str, float | None]]:
    """A sample's values; a score with several has one for each of its keys."""
    for name, score in scores.items():
        value = entry(score, "value", (str, int, float, bool, dict, list), (path, None))
        parts = (
            {f"{name}.{key}": each for key, each in value.items()}
            if isinstance(value, dict)
            else {name: value}
        )
        for key, each in parts.items():
            yield key, _number(path, f"sample {sample}: {key}", each)


def _number(path: Path, what: str, value: object) -> float | None:
    """A grade or number; None if the sample was left unscored, which inspect writes as NaN."""
    if isinstance(value, str):
        words = {"yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}
        found = _GRADES.get(value, words.get(value.lower()))
        if found is not None:
            return found
        try:
            value = float(value)
        except ValueError:
            raise DataError(
                path, None, f"{what}: {shown(value)} is no grade (allowed: C, P, I, N, a number)"
            ) from None
    if not isinstance(value, int | float):
        raise DataError(path, None, f"{what}: {shown(value)} is no grade (allowed: C, P, I, N, a number)")
    return float(value) if math.isfinite(value) else None


def _is_share(name: str, header: Mapping[str, Any], samples: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a score is graded or reduced to an accuracy, so that 1 is best.

    Truths alone don't say it: true may be the answer to "is it toxic?".
    """
    scorer = name.partition(".")[0]
    raw = [
        value
        for sample in samples
        if (value := ((sample.get("scores") or {}).get(scorer) or {}).get("value")) is not None
    ]
    if raw and all(isinstance(value, str) and value in _GRADES for value in raw):
        return True
    scores = (header.get("results") or {}).get("scores") or []
    return any(
        name in {score.get("name"), f"{score.get('scorer')}.{score.get('name')}"}
        and "accuracy" in score.get("metrics", {})
        for score in scores
    )


def _messages(given: object, attached: Mapping[str, str]) -> tuple[Message, ...]:
    if not isinstance(given, list):
        return (Message(role="user", content=_text(given, attached)),)
    roles = {"system", "user", "assistant", "tool"}
    return tuple(
        Message(
            role=each["role"] if each.get("role") in roles else "user",
            content=_text(each.get("content"), attached),
        )
        for each in given
        if isinstance(each, dict)
    )


def _text(content: object, attached: Mapping[str, str]) -> str:
    """A message's text; what is no text is kept as JSON, so that another image is another prompt.

    Args:
        content: A text, or parts.
        attached: Long texts by the hash that is in their place.
    """
    if not isinstance(content, list):
        text = "" if content is None else str(content)
        return str(attached.get(text.removeprefix(_ATTACHED), text))
    return "\n".join(
        _text(part.get("text", ""), attached)
        if isinstance(part, dict) and part.get("type") == "text"
        else json.dumps(part)
        for part in content
    )
