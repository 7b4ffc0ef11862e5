"""Runs in TensorBoard: a folder of events per run."""

from pathlib import Path

from harness.run.trackers.flat import numbers, parameters
from harness.types import GateRecord


def send(record: GateRecord, directory: Path, target: str) -> str:
    """Write a run's events; a run that is there is replaced.

    Args:
        record: The stored run.
        directory: The run's own directory.
        target: The folder of all runs; empty for ``tensorboard`` beside the runs.

    Returns:
        The run's folder in words.
    """
    from tensorboardX import SummaryWriter

    folder = (Path(target) if target else directory.parent.parent / "tensorboard") / record.run.id
    for earlier in folder.glob("events.out.tfevents.*"):
        earlier.unlink()
    with SummaryWriter(str(folder)) as writer:
        for key, value in numbers(record).items():
            writer.add_scalar(key, value, 0)
        facts = "\n".join(f"| {key} | {value} |" for key, value in parameters(record).items())
        writer.add_text("run", f"| | |\n|---|---|\n{facts}", 0)
    return f"TensorBoard events in {folder}"
