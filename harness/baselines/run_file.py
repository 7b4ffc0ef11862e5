"""Our own runs in files, and every way to name a run for a comparison."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from harness.baselines.logged_run import runs_of
from harness.baselines.metric_choice import MetricChoice
from harness.errors import BaselineError, DataError
from harness.history.logs.kinds import read_log
from harness.history.logs.log_cases import RunLog
from harness.history.logs.values import read_json
from harness.history.run_names import is_latest
from harness.history.server import HistoryPlace
from harness.history.store import open_history
from harness.types import GateRecord, Run
from harness.types.storage import DamagedFactsError, LaterFactsError, decode
from tunegate.project import user_path

# The record's schema of --gate-json that this version reads.
_SCHEMA_VERSIONS = (2,)
_PARTS = ("run", "baseline", "comparison", "verdict")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPair:
    """Two runs to compare.

    Attributes:
        notes: What the readers left out, one line each.
        opponents: Ids of the runs that the baseline and the candidate were gated against, as far as known.
    """

    baseline: Run
    candidate: Run
    notes: tuple[str, ...] = ()
    opponents: tuple[str | None, str | None] = (None, None)


def open_pair(
    references: tuple[str, str],
    *,
    history: HistoryPlace | None,
    choices: Mapping[str, MetricChoice],
    formats: tuple[str | None, str | None] = (None, None),
) -> RunPair:
    """The two runs that are named: files, or runs in the history.

    Args:
        references: The baseline's and the candidate's: a path, a run's id, ``latest``.
        history: The history; None if there is none.
        choices: The metrics that decide, for logs of other tools.
        formats: Readers' names for the two; None to recognise the files.

    Raises:
        InputError: One is missing, damaged or can't be read.
    """
    found = [_open(each, name, history) for each, name in zip(references, formats, strict=True)]
    logs = [each for each, _ in found if isinstance(each, RunLog)]
    if choices and not logs:
        raise BaselineError("--metric is for logs of other tools: our runs' golden sets say what decides")
    made = iter(runs_of(logs, choices) if logs else ())
    baseline, candidate = (next(made) if isinstance(each, RunLog) else each for each, _ in found)
    return RunPair(
        baseline=baseline,
        candidate=candidate,
        notes=tuple(dict.fromkeys(note for log in logs for note in log.notes)),
        opponents=(found[0][1], found[1][1]),
    )


# A run and the id of the one that it was gated against, if that is known.
_Found: TypeAlias = tuple[Run | RunLog, str | None]


def _open(reference: str, format_name: str | None, history: HistoryPlace | None) -> _Found:
    if (found := _in_file(reference, format_name)) is not None:
        return found
    path = Path(reference)
    if "/" in reference or path.suffix or format_name is not None:
        raise DataError(path, None, "no such file")
    if history is None:
        raise BaselineError(f"{reference}: no such file, and no history here: --history names one elsewhere")
    with open_history(history, to_read=True) as stored:
        record = stored.load_record(reference, with_baseline=False)
    return record.run, None if record.comparison is None else record.comparison.baseline_run


def _in_file(reference: str, format_name: str | None = None) -> _Found | None:
    """The run in a file, or another tool's log; None if there is no such file."""
    if format_name is None and is_latest(reference):
        return None
    path, part = user_path(reference), None
    if not path.exists() and "#" in reference:
        # One of several runs in a file.
        name, _, part = reference.rpartition("#")
        path = user_path(name)
    if not path.exists():
        return None
    facts = None if format_name is not None else _facts_of(path)
    if facts is None:
        return read_log(path, format_name, part), None
    compared = facts.get("comparison")
    before = compared.get("baseline_run") if isinstance(compared, dict) else None
    return _decoded(Run, facts["run"], path), before if isinstance(before, str) else None


def open_file(reference: str) -> tuple[Run, bool] | None:
    """The run in a file that ``--gate-baseline`` names.

    Args:
        reference: A path, perhaps with ``#`` and one of several runs in the file.

    Returns:
        The run, and whether it is of another tool; None if there is no such file, or a directory, which is a
        model's.

    Raises:
        InputError: It can't be read.
    """
    if user_path(reference).is_dir():
        return None
    if (opened := _in_file(reference)) is None:
        return None
    found, _ = opened
    return (runs_of([found], {})[0], True) if isinstance(found, RunLog) else (found, False)


def is_accepted_file(path: Path) -> bool:
    """Whether a file is an accepted baseline's, such as one of another project."""
    if path.suffix.lower() != ".json" or not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(1000)
    return b'"schema_version"' in head and b'"accepted_at"' in head


def read_run_file(path: Path) -> Run | None:
    """The run in a file that ``--gate-json`` wrote; None if it is something else.

    Raises:
        DataError: It is such a file, but damaged or of another version.
    """
    facts = _facts_of(path)
    return None if facts is None else _decoded(Run, facts["run"], path)


def read_record_file(path: Path) -> tuple[GateRecord, bool]:
    """The record in a file that ``--gate-json`` wrote.

    Args:
        path: The file.

    Returns:
        The record, and whether the file was changed after it was written.

    Raises:
        DataError: There is no such file, it is something else, damaged, or of another version.
    """
    if not path.is_file():
        raise DataError(path, None, "no such file")
    facts = _facts_of(path)
    if facts is None:
        raise DataError(path, None, "not a gate's JSON file: pytest --model=DIR --gate-json=PATH writes one")
    record = _decoded(GateRecord, {key: facts.get(key) for key in _PARTS}, path)
    return record, record_digest(facts) != facts.get("sha256")


def record_digest(facts: Mapping[str, Any]) -> str:
    """Hash of a record's parts in its JSON file, by which a later change is noticed."""
    parts = {key: facts.get(key) for key in _PARTS}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _facts_of(path: Path) -> dict[str, Any] | None:
    """What a file of ours holds; None for another's."""
    if path.suffix.lower() != ".json" or not path.is_file():
        return None
    with path.open("rb") as file:
        # All our files begin so; other tools' may be large.
        if b'"schema_version"' not in file.read(200):
            return None
    facts = read_json(path)
    if not isinstance(facts, dict) or "run" not in facts:
        return None
    if (version := facts.get("schema_version")) not in _SCHEMA_VERSIONS:
        read = ", ".join(map(str, _SCHEMA_VERSIONS))
        is_later = isinstance(version, int) and version > max(_SCHEMA_VERSIONS)
        remedy = "upgrade tunegate" if is_later else "write it again"
        raise DataError(path, None, f"written in format {version}, this tunegate reads {read}: {remedy}")
    return facts


def _decoded(kind: type[_T], facts: Any, path: Path) -> _T:
    try:
        return decode(kind, json.dumps(facts))
    except LaterFactsError as error:
        raise DataError(path, None, f"{error}; upgrade tunegate") from error
    except DamagedFactsError as error:
        raise DataError(path, None, f"not a {kind.__name__}: {error}; write it again") from error
