"""``--gate-accept``: a run that did not regress becomes a baseline."""

from pathlib import Path

from harness.baselines.accept import accept_run
from harness.errors import BaselineError
from harness.settings import Settings
from harness.types import GateRecord, GateVerdict


def accept_record(record: GateRecord, name: str, settings: Settings, root: Path) -> Path:
    """Accept a gated run as a baseline.

    Args:
        record: The run and its verdict.
        name: The baseline's name.
        settings: Say why it is accepted, and whether with uncommitted changes.
        root: The project's root.

    Returns:
        The baseline's file.

    Raises:
        BaselineError: The run regressed, or can't serve as a baseline.
    """
    if record.verdict is not None and record.verdict.outcome is GateVerdict.REGRESS:
        raise BaselineError(
            f"--gate-accept {name}: the run regressed and is not accepted; if that is meant: "
            f"tunegate runs accept {record.run.id} {name} --reason ..."
        )
    return accept_run(
        record.run,
        name,
        settings.accept_reason or "accepted by --gate-accept",
        root,
        allow_dirty=settings.accept_dirty,
    )
