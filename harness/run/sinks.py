"""Sends a stored run to the sinks of plug-ins."""

from pathlib import Path

from harness.registry import Sink, active, load_function
from harness.types import GateRecord


def send_to_sinks(record: GateRecord, directory: Path) -> list[Path]:
    """Send a record to every sink. One that breaks causes a warning and never affects the verdict.

    Args:
        record: The stored run with its comparison and verdict.
        directory: The run's own directory; it exists.

    Returns:
        The paths that sinks returned, to be printed.
    """
    registry, written = active(), []
    for sink in registry.merged(Sink, {}).values():
        try:
            path = load_function(sink.send, f"sink {sink.name!r}")(record, directory)
            written += [Path(path)] if path is not None else []
        except (Exception, SystemExit) as error:  # a fault of a plug-in only causes a warning
            line = str(error).strip().partition("\n")[0]
            registry.note(f"sink {sink.name!r} broke on run {record.run.id}: {type(error).__name__}: {line}")
    return written
