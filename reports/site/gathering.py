"""Reads what the pages show: stored runs, accepted baselines and trainings."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.baselines.accepted_versions import accepted_versions
from harness.baselines.file import DIRECTORY, Baseline, is_foreign
from harness.errors import SettingsError, TunegateError
from harness.history.listing import RunFilter, RunLine
from harness.history.location import history_place
from harness.history.store import History, open_history
from harness.studies.trend import Trend, trends_of_points
from harness.types import Interval, ModelRef
from harness.types.storage import DamagedFactsError, LaterFactsError, decode_value, parse_json
from harness.types.training import TrainingManifest
from reports.site.digest import RunDigest, digest_of
from reports.training_directory import TrainingFiles, is_training, read_training


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedRun:
    """A run that was accepted as a baseline.

    Attributes:
        name: The baseline's name.
        means: By set and metric: how many cases, and their mean.
    """

    name: str
    run_id: str
    accepted_at: str
    reason: str
    means: Mapping[tuple[str, str], tuple[int, Interval]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """One training, and the runs that judged its result.

    Attributes:
        log: What was logged by step; made from the manifest where there is no log.
        runs: Ids, oldest first.
    """

    name: str
    label: str
    manifest: TrainingManifest | None
    log: tuple[Mapping[str, object], ...]
    runs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteData:
    """All that the pages show.

    Attributes:
        runs: Oldest first.
        accepted: In the order in which they were accepted.
        problems: What could not be read, a line each.
    """

    title: str
    runs: tuple[RunDigest, ...]
    trends: tuple[Trend, ...]
    accepted: tuple[AcceptedRun, ...]
    trainings: tuple[Training, ...]
    problems: tuple[str, ...]


@dataclass(slots=True, kw_only=True)
class SiteSource:
    """Where the pages' content is read, and which runs have been read already.

    Attributes:
        history: As the user named it; None for the project's own.
        limit: Largest number of runs.
        trainings: Directories of trainings, or folders of such.
    """

    history: str | Path | None
    project: Path
    limit: int
    wanted: RunFilter = field(default_factory=RunFilter)
    trainings: tuple[Path, ...] = ()
    _read: dict[str, tuple[RunLine, RunDigest]] = field(default_factory=dict)
    _texts: dict[str, str] = field(default_factory=dict)

    def listed(self) -> list[RunLine]:
        """The runs that there are now, oldest first."""
        with open_history(history_place(self.history), to_read=True) as stored:
            return stored.list_runs(self.limit, self.wanted)[::-1]

    def gather(self) -> SiteData:
        """Read everything; runs that were read before are only read again if they changed.

        Raises:
            HistoryError: There is no history, or it can't be read.
        """
        problems: list[str] = []
        runs = self._runs(problems)
        accepted = accepted_runs(self.project, problems)
        return SiteData(
            title=self.project.resolve().name,
            runs=tuple(runs),
            trends=tuple(trends_of_points(run.points for run in runs)),
            accepted=tuple(accepted),
            trainings=tuple(_trainings(runs, self.trainings, problems)),
            problems=tuple(problems),
        )

    def _runs(self, problems: list[str]) -> list[RunDigest]:
        found: list[RunDigest] = []
        with open_history(history_place(self.history), to_read=True) as stored:
            lines = stored.list_runs(self.limit, self.wanted)[::-1]
            for line in lines:
                known = self._read.get(line.id)
                if known is None or known[0] != line:
                    try:
                        record = stored.load_record(line.id, with_baseline=False)
                        baseline = _model_of(stored, line.baseline_run_id)
                    except (TunegateError, DamagedFactsError, LaterFactsError) as error:
                        problems.append(f"a run is left out: {error}")
                        continue
                    known = self._read[line.id] = line, digest_of(line, record, self._texts, baseline)
                found.append(known[1])
        return found


def _model_of(stored: History, run_id: str | None) -> ModelRef | None:
    """The model of a stored run, without its answers; None if it isn't stored.

    Raises:
        DamagedFactsError: What is stored of it is damaged.
    """
    rows = stored.database.execute("SELECT facts FROM runs WHERE id = ?", (run_id or "",)).fetchall()
    try:
        return decode_value(ModelRef, parse_json(rows[0][0])["model"]) if rows else None
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedFactsError(f"run {run_id} is damaged: {error!r:.300}") from error


def accepted_runs(project: Path, problems: list[str]) -> list[AcceptedRun]:
    """All runs that were ever accepted, by the baselines' files and their history in git.

    Args:
        project: The project's root.
        problems: Gets a line for each file that can't be read.
    """
    found: list[AcceptedRun] = []
    for path in sorted((project / DIRECTORY).glob("*.json")):
        if is_foreign(path):
            continue
        try:
            found += [_accepted(version) for version in accepted_versions(project, path.stem)]
        except TunegateError as error:
            problems.append(f"an accepted baseline is left out: {error}")
    return sorted(found, key=lambda each: each.accepted_at)


def _accepted(version: Baseline) -> AcceptedRun:
    return AcceptedRun(
        name=version.name,
        run_id=version.run_id,
        accepted_at=version.accepted_at,
        reason=version.reason,
        means={
            (kept.set_name, kept.summary.metric): (kept.summary.n, kept.summary.mean)
            for kept in version.summaries
        },
    )


def _trainings(runs: Sequence[RunDigest], directories: Iterable[Path], problems: list[str]) -> list[Training]:
    """Trainings of the judged adapters, then those of directories that no run has judged."""
    judged: dict[str, list[RunDigest]] = {}
    for run in runs:
        if run.training is not None:
            judged.setdefault(run.training_name, []).append(run)
    found = {
        name: Training(
            name=name,
            label=of[-1].line.model,
            manifest=of[-1].training,
            log=(),
            runs=tuple(run.line.id for run in of),
        )
        for name, of in judged.items()
    }
    for directory in directories:
        for place in _training_directories(directory):
            try:
                files = read_training(place)
            except (TunegateError, OSError) as error:
                problems.append(f"a training is left out: {error}")
                continue
            read = _of_directory(files, found)
            found[read.name] = read
    return list(found.values())


def _training_directories(directory: Path) -> list[Path]:
    """The directory itself, or those in it that a trainer writes."""
    if is_training(directory):
        return [directory]
    # While the first training runs there is only its work directory.
    names = {each.with_name(each.name.removesuffix(".work")) for each in directory.iterdir() if each.is_dir()}
    return sorted(each for each in names if is_training(each))


def check_trainings(directories: Iterable[Path]) -> None:
    """Refuse a directory without any training.

    Raises:
        SettingsError: There is none.
    """
    for directory in directories:
        exists = directory.is_dir() or is_training(directory)
        if not exists or not _training_directories(directory):
            raise SettingsError(
                f"--training {directory}: no training here (allowed: a trainer's output directory, or a "
                f"folder of such)"
            )


def _of_directory(files: TrainingFiles, judged: Mapping[str, Training]) -> Training:
    """A training that a directory holds: its log has more than the manifest in the history."""
    sha256 = None if files.manifest is None else files.manifest.adapter_sha256
    known = judged.get(sha256 or "")
    return Training(
        name=sha256 or str(files.directory),
        label=str(files.directory) if known is None else known.label,
        manifest=files.manifest,
        log=files.log,
        runs=() if known is None else known.runs,
    )
