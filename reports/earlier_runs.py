"""What a run is shown beside: earlier runs of its golden sets, and the run that was accepted last."""

from dataclasses import dataclass
from pathlib import Path

from harness.baselines.file import DIRECTORY, Baseline, is_foreign, load_baseline
from harness.errors import TunegateError
from harness.history.database import is_stored
from harness.history.server import HistoryPlace
from harness.history.store import open_history
from harness.types import GateRecord
from reports.metric_history import PastMetric, past_metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierRuns:
    """The surroundings of a run.

    Attributes:
        metrics: The gated metrics of earlier whole runs, and of this one if it is whole; each oldest first.
        accepted: The accepted run that is shown beside it; None if there is none besides the baseline.
        project: The project's root, to which paths are shown relative; None if it is unknown.
        problems: What could not be read, in one line each.
        unsaved: None if the history has the run; otherwise the command that saves it, empty if there is none.
        place: Where the history is, as options of commands; empty where they look by themselves.
        gating: What its command line said beside the model, as options of pytest; None if nobody knows.
        asking: Which cases are asked, and of which model, as options too; empty where the project says it.
    """

    metrics: tuple[PastMetric, ...] = ()
    accepted: Baseline | None = None
    project: Path | None = None
    problems: tuple[str, ...] = ()
    unsaved: str | None = None
    place: str = ""
    gating: tuple[str, ...] | None = None
    asking: str = ""


# Whoever writes the report has waited for the history already.
_WAIT_S = 2

NO_EARLIER_RUNS = EarlierRuns()


def earlier_runs_of(record: GateRecord, history: HistoryPlace, project: Path) -> EarlierRuns:
    """Read what a run is shown beside; whatever can't be read is named, and never stops the report.

    Args:
        record: The run.
        history: Where runs are stored.
        project: The project's root, with the accepted baselines.
    """
    problems: list[str] = []
    metrics: list[PastMetric] = []
    if is_stored(history):
        try:
            with open_history(history, wait_s=_WAIT_S, to_read=True) as stored:
                metrics = past_metrics(stored, record.run.id)
        except (TunegateError, OSError) as error:
            problems.append(f"earlier runs are not shown: {error}")
    return EarlierRuns(
        metrics=tuple(metrics),
        accepted=_accepted(record, project, problems),
        project=project.resolve(),
        problems=tuple(problems),
    )


def _accepted(record: GateRecord, project: Path, problems: list[str]) -> Baseline | None:
    """The newest accepted run of any of the same golden sets that is neither this run nor its baseline."""
    shown = [record.run.id, *([record.baseline.id] if record.baseline is not None else [])]
    names = {golden_set.name for golden_set in record.run.golden_sets}
    found: list[Baseline] = []
    for path in sorted((project / DIRECTORY).glob("*.json")):
        if is_foreign(path):
            continue
        try:
            accepted = load_baseline(path)
        except (TunegateError, OSError) as error:
            problems.append(f"an accepted run is not shown: {error}")
            continue
        # A baseline from a file has the accepted run's id with an addition.
        own = any(each == accepted.run_id or each.startswith(f"{accepted.run_id}-kept-") for each in shown)
        if not own and names & {golden_set.name for golden_set in accepted.golden_sets}:
            found.append(accepted)
    return max(found, key=lambda each: each.accepted_at, default=None)
