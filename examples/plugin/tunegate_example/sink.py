"""The sink ``ledger``: one line per run in ``ledger.txt``, next to the runs' directories."""

from pathlib import Path

from harness.types import GateRecord


def send(record: GateRecord, directory: Path) -> Path:
    """Add a run's verdict.

    Returns:
        The ledger, to be printed.
    """
    ledger = directory.parent / "ledger.txt"
    outcome = record.verdict.outcome if record.verdict is not None else "no verdict"
    with ledger.open("a", encoding="utf-8") as file:
        file.write(f"{record.run.id} {record.run.model.label}: {outcome}\n")
    return ledger
