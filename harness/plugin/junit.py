"""What JUnit files get of a gate: each model's verdict, reasons, run, baseline and report."""

import os
from collections.abc import Mapping, Sequence

import pytest
from _pytest.junitxml import xml_key

from harness.presentation.sentences import sentence_of, verdict_line
from harness.types import GateRecord
from tunegate.printable import printable_line


def add_verdicts(
    config: pytest.Config, records: Mapping[str, GateRecord], written: Mapping[str, Sequence[str]]
) -> None:
    """Write each model's verdict, reasons, run, baseline and report as properties of the whole suite.

    Args:
        config: The session's configuration; nothing is written without ``--junitxml``.
        records: By the models' names; the name is empty if there is only one.
        written: Paths and addresses of each model's reports, by its name.
    """
    # What the fixture record_testsuite_property uses; hooks have no other way.
    xml = config.stash.get(xml_key, None)
    if xml is None:
        return
    for name, record in records.items():
        start = f"tunegate.{name}." if name else "tunegate."
        files = {"report": " ".join(written.get(name, ()))}
        for key, value in {**_facts(record), **files, **_link(os.environ)}.items():
            xml.add_global_property(start + key, printable_line(value))


def _link(environment: Mapping[str, str]) -> dict[str, str]:
    """The page of the pipeline's job, where its artifacts are: by GitLab's or GitHub's own variables."""
    if url := environment.get("CI_JOB_URL"):
        return {"link": url}
    parts = [environment.get(f"GITHUB_{name}", "") for name in ("SERVER_URL", "REPOSITORY", "RUN_ID")]
    return {"link": f"{parts[0]}/{parts[1]}/actions/runs/{parts[2]}"} if all(parts) else {}


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
