"""Logs of inspect_ai: ``.eval`` archives and their JSON form."""

import json
import math
import struct
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.errors import DataError
from harness.history.logs.run_log import SHARE, LogAnswer, LogCase, LogRow, RunLog, gathered, set_name_of
from harness.history.logs.values import changed_at, entry, read_json, shown
from harness.types import Message

_VERSION = 2
_HEADER = "header.json"
# inspect's own reading of grades: correct, partly, incorrect, no answer.
_GRADES = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}
_ZSTD = 93
_LOCAL_HEADER = 30


def recognises(path: Path) -> bool:
    """An ``.eval`` archive, or JSON that begins as one of inspect's logs."""
    if path.suffix == ".eval":
        return True
    if path.suffix != ".json" or not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(600)
    return b'"version"' in head and b'"status"' in head and b'"eval"' in head


def read(path: Path) -> RunLog:
    """Read one log.

    Raises:
        DataError: It is cut, its run did not end, it has no samples, or its version is not read.
    """
    header, samples = _archive(path) if path.suffix == ".eval" else _json_log(path)
    place = (path, None)
    if (version := entry(header, "version", int, place)) != _VERSION:
        raise DataError(path, None, f"an inspect log of version {version}; this tunegate reads {_VERSION}")
    about = entry(header, "eval", dict, place)
    results = header.get("results") or {}
    _check_whole(path, header, results, len(samples))
    task = str(entry(about, "task", str, place))
    version_of_task = f"{about.get('task_version', 0)} {json.dumps(about.get('task_attribs') or {})}"
    cases = gathered(_row(path, task, version_of_task, sample) for sample in samples)
    names = dict.fromkeys(name for case in cases for answer in case.answers for name in answer.values)
    facts = {name: SHARE for name in names if _is_share(name, header, samples)}
    headline = str((results.get("headline") or {}).get("score", ""))
    deciding = headline if headline in names else next(iter([*facts, *names]), "")
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


def _json_log(path: Path) -> tuple[Mapping[str, Any], Sequence[Mapping[str, Any]]]:
    facts = read_json(path)
    entry(facts, "status", str, (path, None))
    return facts, facts.get("samples") or []


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
            return header, [read_json(path, _member(path, archive, name), name) for name in members]
    except (zipfile.BadZipFile, struct.error, OSError) as error:
        raise DataError(path, None, f"not an inspect archive, or cut off: {error}") from error


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
    error = (sample.get("error") or {}).get("message", "")
    case = LogCase(
        set_name=set_name_of(task),
        id=str(name),
        messages=_messages(sample.get("input", "")),
        references=tuple(map(str, target)) if isinstance(target, list) else (str(target),),
        identity=f"inspect {version} {json.dumps(sample.get('choices'))}",
        answers=(
            LogAnswer(
                values=values,
                text=str(output.get("completion") or _text(choice.get("message", {}).get("content", ""))),
                error=str(error).partition("\n")[0],
                explanations={key: str(score.get("explanation") or "") for key, score in scores.items()},
                is_cut=choice.get("stop_reason") in {"max_tokens", "model_length"},
                latency_s=float(output.get("time") or 0),
                prompt_tokens=int(usage.get("input_tokens") or 0),
                completion_tokens=int(usage.get("output_tokens") or 0),
            ),
        ),
    )
    return LogRow(case=case, repeat=str(sample.get("epoch", 1)), place=place)


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
    """Whether a score is graded, true or false, or reduced to an accuracy, so that 1 is best."""
    scorer = name.partition(".")[0]
    raw = [
        value
        for sample in samples
        if (value := ((sample.get("scores") or {}).get(scorer) or {}).get("value")) is not None
    ]
    if raw and all(isinstance(value, bool | str) and not _is_numeral(value) for value in raw):
        return True
    scores = (header.get("results") or {}).get("scores") or []
    return any(score.get("name") == name and "accuracy" in score.get("metrics", {}) for score in scores)


def _is_numeral(value: object) -> bool:
    try:
        float(str(value))
    except ValueError:
        return False
    return True


def _messages(given: object) -> tuple[Message, ...]:
    if not isinstance(given, list):
        return (Message(role="user", content=str(given)),)
    roles = {"system", "user", "assistant", "tool"}
    return tuple(
        Message(
            role=each["role"] if each.get("role") in roles else "user", content=_text(each.get("content"))
        )
        for each in given
        if isinstance(each, dict)
    )


def _text(content: object) -> str:
    """A message's text; what is no text is kept as JSON, so that another image is another prompt."""
    if not isinstance(content, list):
        return "" if content is None else str(content)
    return "\n".join(
        str(part.get("text", ""))
        if isinstance(part, dict) and part.get("type") == "text"
        else json.dumps(part)
        for part in content
    )
