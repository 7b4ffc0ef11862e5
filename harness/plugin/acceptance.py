"""``--gate-accept``: makes a run that did not fail its gate a baseline."""

from pathlib import Path

from harness.baselines.accept import accept_run
from harness.errors import BaselineError
from harness.plugin.exit_status import failing_findings
from harness.presentation.sentences import sentence_of
from harness.settings import Settings
from harness.types import GateRecord


def accept_record(
    record: GateRecord, name: str, settings: Settings, root: Path, *, problem: str | None
) -> Path:
    """Accept a gated run as a baseline.

    Args:
        record: The run and its verdict.
        name: The baseline's name.
        settings: The reason of accepting, and whether uncommitted changes are allowed.
        root: The project's root.
        problem: Another reason against accepting in this session, or None.

    Returns:
        The baseline's file.

    Raises:
        BaselineError: The run failed its gate, or can't be a baseline.
    """
    if failing := failing_findings(record, settings.fail_on):
        what = "did not pass" if record.verdict is None else f"is {record.verdict.outcome}"
        problem = f"the run {what} ({sentence_of(failing[0])})"
    if problem is not None:
        raise BaselineError(
            f"--gate-accept {name}: {problem} and is not accepted; to accept it anyway: "
            f"tunegate runs accept {record.run.id} {name} --reason ..."
        )
    return accept_run(
        record.run,
        name,
        settings.accept_reason or "accepted by --gate-accept",
        root,
        allow_dirty=settings.accept_dirty,
    )
