"""Our own runs in files, and every way to name a run for a comparison."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from harness.baselines.logged_run import runs_of
from harness.baselines.metric_choice import MetricChoice
from harness.errors import BaselineError, DataError
from harness.history.logs.kinds import read_log
from harness.history.logs.rows import UNNAMED_SET
from harness.history.logs.run_log import RunLog
from harness.history.logs.values import read_json
from harness.history.server import HistoryPlace
from harness.history.store import open_history
from harness.types import CaseResult, GateRecord, GoldenCase, Run
from harness.types.storage import DamagedFactsError, decode
from tunegate.project import user_path

# The record's schema of --gate-json that this version reads.
_SCHEMA_VERSIONS = (2,)
_PARTS = ("run", "baseline", "comparison", "verdict")
_T = TypeVar("_T")

_SHA256 = re.compile(r"[0-9a-f]{64}")

PairBy = Literal["id+content", "id", "content"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPair:
    """Two runs to compare.

    Attributes:
        notes: What the readers left out, one line each.
    """

    baseline: Run
    candidate: Run
    notes: tuple[str, ...] = ()


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
    logs = [each for each in found if isinstance(each, RunLog)]
    if choices and not logs:
        raise BaselineError("--metric is for logs of other tools: our runs' golden sets say what decides")
    made = iter(runs_of(logs, choices) if logs else ())
    baseline, candidate = (next(made) if isinstance(each, RunLog) else each for each in found)
    return RunPair(
        baseline=baseline,
        candidate=candidate,
        notes=tuple(dict.fromkeys(note for log in logs for note in log.notes)),
    )


def _open(reference: str, format_name: str | None, history: HistoryPlace | None) -> Run | RunLog:
    if (found := _in_file(reference, format_name)) is not None:
        return found
    path = Path(reference)
    if "/" in reference or path.suffix or format_name is not None:
        raise DataError(path, None, "no such file")
    if history is None:
        raise BaselineError(f"{reference}: no such file, and no history here: --history names one elsewhere")
    with open_history(history, to_read=True) as stored:
        return stored.load_run(reference)


def _in_file(reference: str, format_name: str | None = None) -> Run | RunLog | None:
    """The run in a file, or another tool's log; None if there is no such file."""
    path, part = user_path(reference), None
    if not path.exists() and "#" in reference:
        # One of several runs in a file.
        name, _, part = reference.rpartition("#")
        path = user_path(name)
    if not path.exists():
        return None
    run = None if format_name is not None else read_run_file(path)
    return read_log(path, format_name, part) if run is None else run


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
    found = _in_file(reference)
    if found is None:
        return None
    return (runs_of([found], {})[0], True) if isinstance(found, RunLog) else (found, False)


def is_accepted_file(path: Path) -> bool:
    """Whether a file is an accepted baseline's, such as one of another project."""
    if path.suffix.lower() != ".json" or not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(1000)
    return b'"schema_version"' in head and b'"accepted_at"' in head


def answers_to(run: Run, cases: Sequence[GoldenCase]) -> Run:
    """Another tool's run as answers to golden cases, by their names.

    Args:
        run: The run. A case's prompt, or its hash, is compared with the golden case's if the log has it.
        cases: The current golden cases. One whose content differs is not paired, and is reported as changed.

    Raises:
        BaselineError: The run has none of the cases.
    """
    by_key = {result.key.removeprefix(_UNNAMED_SET): result for result in run.results}
    results = []
    for case in cases:
        if (result := by_key.get(case.key)) is not None:
            # Other content has another hash: so a changed case is noticed.
            asked = replace(case, messages=()) if _differs(result.case, case) else case
            results.append(replace(result, case=asked))
    if cases and not results:
        keys = ", ".join(list(by_key)[:3])
        raise BaselineError(
            f"--gate-baseline: the file has none of the golden cases, by names such as {cases[0].key} "
            f"(found: {keys})"
        )
    asked_alike = hashlib.sha256("".join(result.case.content_sha256 for result in results).encode())
    return replace(run, id=f"{run.id}-for-{asked_alike.hexdigest()[:8]}", results=tuple(results))


# Rows without a set: their ids may be whole names, such as orders/bob.
_UNNAMED_SET = f"{UNNAMED_SET}/"


def _differs(logged: GoldenCase, case: GoldenCase) -> bool:
    identity = next((str(check.options.get("of", "")) for check in logged.checks), "")
    if _SHA256.fullmatch(identity):
        return identity != case.content_sha256
    texts = [message.content for message in logged.messages]
    return bool(texts) and texts not in (
        [message.content for message in case.messages],
        [case.messages[-1].content] if case.messages else [],
    )


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
        raise DataError(
            path, None, f"written in format {version}, this tunegate reads {read}: write it again"
        )
    return facts


def _decoded(kind: type[_T], facts: Any, path: Path) -> _T:
    try:
        return decode(kind, json.dumps(facts))
    except DamagedFactsError as error:
        raise DataError(path, None, f"not a {kind.__name__}: {error}; write it again") from error


def aligned(candidate: Run, baseline: Run, by: PairBy) -> Run:
    """The baseline with its cases named or filled as the candidate's, where they count as the same.

    Args:
        candidate: The run to judge.
        baseline: The run to compare with.
        by: ``id+content`` changes nothing; ``id`` ignores the content; ``content`` ignores the names.

    Returns:
        The baseline; under another id if any case changed.

    Raises:
        BaselineError: Several cases have the same content, so that none is the other's pair.
    """
    if by == "id+content":
        return baseline
    if by == "id":
        cases = {result.key: result for result in candidate.results}
        asked = [cases.get(result.key, result) for result in baseline.results]
    else:
        by_content = _by_content(candidate)
        _by_content(baseline)
        asked = [by_content.get(result.case.content_sha256, result) for result in baseline.results]
    results = tuple(
        replace(result, case=other.case) for result, other in zip(baseline.results, asked, strict=True)
    )
    if results == baseline.results:
        return baseline
    return replace(baseline, id=f"{baseline.id}-by-{by}-{candidate.id[-8:]}", results=results)


def _by_content(run: Run) -> dict[str, CaseResult]:
    found: dict[str, CaseResult] = {}
    for result in run.results:
        earlier = found.setdefault(result.case.content_sha256, result)
        if earlier is not result:
            raise BaselineError(
                f"run {run.id}: cases {earlier.key} and {result.key} have the same content: pair by id"
            )
    return found


def require_pairs(unpaired: Mapping[str, str], pairs: Sequence[object]) -> None:
    """Refuse runs of which no case is the same on both sides.

    Args:
        unpaired: The cases that are not compared, each with the reason.
        pairs: Those that are.

    Raises:
        BaselineError: There is no pair.
    """
    if pairs:
        return
    reasons = set(unpaired.values())
    if "changed since the baseline" in reasons:
        remedy = "if the prompts may differ, --pair-by=id compares by name"
    elif reasons <= {"only in the candidate", "only in the baseline"}:
        remedy = "if only the names differ, --pair-by=content compares by prompt"
    else:
        remedy = "score them again"
    counts = ", ".join(f"{list(unpaired.values()).count(each)} {each}" for each in sorted(reasons))
    raise BaselineError(f"no case can be compared ({counts}): {remedy}")
