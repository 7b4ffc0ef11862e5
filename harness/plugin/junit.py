"""What a gate adds to pytest's JUnit file: the verdict, and each case's outcome, scores and time."""

from collections.abc import Mapping

import pytest
from _pytest.junitxml import xml_key

from harness.presentation.sentences import sentence_of
from harness.types import CaseResult, GateRecord
from tunegate.printable import printable_line


def add_verdicts(config: pytest.Config, records: Mapping[str, GateRecord]) -> None:
    """Write each model's verdict, reasons, run and baseline as properties of the whole suite.

    Args:
        config: The session's configuration; nothing is written without ``--junitxml``.
        records: By the models' names; the name is empty if there is only one.
    """
    # What the fixture record_testsuite_property uses; hooks have no other way.
    xml = config.stash.get(xml_key, None)
    if xml is None:
        return
    for name, record in records.items():
        start = f"tunegate.{name}." if name else "tunegate."
        for key, value in _facts(record).items():
            xml.add_global_property(start + key, printable_line(value))


def case_properties(result: CaseResult) -> list[tuple[str, object]]:
    """A case's outcome and scores as properties of its test case."""
    scores = {f"tunegate.{score.metric}": f"{score.value:.6g}" for score in result.scores}
    return [("tunegate.outcome", str(result.outcome)), *scores.items()]


def answer_time_s(result: CaseResult) -> float | None:
    """Seconds that the model took for a case's answers, cached or not; None without any."""
    answers = [repeat.completion for repeat in result.repeats] or [result.completion]
    times = [answer.latency_s for answer in answers if answer is not None]
    return sum(times) if times else None


def _facts(record: GateRecord) -> dict[str, str]:
    facts = {"run": record.run.id, "model": record.run.model.label}
    if record.baseline is not None:
        facts["baseline"] = f"{record.baseline.model.label} (run {record.baseline.id})"
    if record.verdict is not None:
        facts["verdict"] = str(record.verdict.outcome)
        own = [each for each in record.verdict.findings if each.verdict is record.verdict.outcome]
        facts["reasons"] = "; ".join(sentence_of(finding) for finding in own)
    return facts
