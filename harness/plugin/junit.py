"""What JUnit files, and other plugins that read properties, get of a gate: verdicts, outcomes and scores."""

import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import starmap
from pathlib import Path

import pytest
from _pytest.junitxml import xml_key

from harness.presentation.sentences import sentence_of, verdict_line
from harness.types import CaseResult, GateRecord
from tunegate.printable import printable_line


def add_verdicts(
    config: pytest.Config, records: Mapping[str, GateRecord], written: Mapping[str, Sequence[Path]]
) -> None:
    """Write each model's verdict, reasons, run, baseline and report as properties of the whole suite.

    Args:
        config: The session's configuration; nothing is written without ``--junitxml``.
        records: By the models' names; the name is empty if there is only one.
        written: Each model's files, by its name.
    """
    # What the fixture record_testsuite_property uses; hooks have no other way.
    xml = config.stash.get(xml_key, None)
    if xml is None:
        return
    for name, record in records.items():
        start = f"tunegate.{name}." if name else "tunegate."
        files = {"report": " ".join(map(str, written.get(name, ())))}
        for key, value in {**_facts(record), **files, **_link(os.environ)}.items():
            xml.add_global_property(start + key, printable_line(value))


def _link(environment: Mapping[str, str]) -> dict[str, str]:
    """The page of the pipeline's job, where its artifacts are: by GitLab's or GitHub's own variables."""
    if url := environment.get("CI_JOB_URL"):
        return {"link": url}
    parts = [environment.get(f"GITHUB_{name}", "") for name in ("SERVER_URL", "REPOSITORY", "RUN_ID")]
    return {"link": f"{parts[0]}/{parts[1]}/actions/runs/{parts[2]}"} if all(parts) else {}


def case_properties(result: CaseResult) -> list[tuple[str, object]]:
    """A case's outcome and scores as properties of its test case."""
    scores = {score.metric: f"{score.value:.6g}" for score in result.scores}
    return [_property("outcome", str(result.outcome)), *starmap(_property, scores.items())]


@lru_cache(maxsize=1024)
def _property(name: str, value: str) -> tuple[str, object]:
    """A property, whose pair is the same in all cases with this value."""
    return f"tunegate.{name}", value


def _facts(record: GateRecord) -> dict[str, str]:
    facts = {"run": record.run.id, "model": record.run.model.label}
    if record.baseline is not None:
        facts["baseline"] = f"{record.baseline.model.label} (run {record.baseline.id})"
    if record.verdict is not None:
        facts["verdict"] = str(record.verdict.outcome)
        facts["summary"] = verdict_line(record)
        own = [each for each in record.verdict.findings if each.verdict is record.verdict.outcome]
        facts["reasons"] = "; ".join(sentence_of(finding) for finding in own)
    return facts
