"""What is asked at each look: the project's gate, checked before the first step."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import SettingsError
from harness.golden.load import load_gate_sets
from harness.history.database import project_history
from harness.history.server import HistoryPlace
from harness.history.store import NoiseRecords, check_history
from harness.run.cache import Cache
from harness.run.conclusion import make_directory
from harness.run.inputs import make_ready
from harness.run.judging import open_panel
from harness.run.scoring import Judging
from harness.settings import SETTINGS, Settings, load_settings
from harness.types import GoldenCase, GoldenSet
from tunegate.project import command_project

# Settings that have no meaning at a look: the model is the one in training, nothing is accepted, all cases
# are asked at once, the numbers go where the trainer sends its own, and no history is pruned.
_OTHERS = frozenset(
    [
        *("model", "base", "paths", "accept", "accept_reason", "accept_dirty", "confirm", "fail_on", "dtype"),
        *("looks", "track", "keep_runs"),
    ]
)


# Those of them by which a process of its own finds and runs the checkpoint.
_OF_CHECKPOINTS = frozenset(["model", "base", "dtype"])


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingGate:
    """The gate of a training.

    Attributes:
        given: The settings that the callback was given, for a process of its own.
        directory: The directory of cache and reports.
        history: Where looks are stored.
        golden_sets: All sets, the forgetting probes included.
        store: Scores and judges' replies, in memory.
        noise: The noise records of the history.
    """

    settings: Settings
    given: Mapping[str, Any]
    root: Path
    directory: Path
    history: HistoryPlace
    golden_sets: Sequence[GoldenSet]
    judging: Judging
    store: Cache
    noise: NoiseRecords

    @property
    def cases(self) -> list[GoldenCase]:
        """All cases, skipped ones included."""
        return [case for golden_set in self.golden_sets for case in golden_set.cases]

    @property
    def asked(self) -> list[GoldenCase]:
        """The cases that are answered."""
        return [case for case in self.cases if case.skip is None]


def at_a_look(settings: Settings) -> Settings:
    """A gate's settings without the project's own that have no meaning at a look, and could refuse it."""
    usual = Settings.model_construct()
    return settings.model_copy(update={name: getattr(usual, name) for name in _OTHERS - _OF_CHECKPOINTS})


# Those of engines and their answers, which only a process of its own has.
_OF_ENGINES = frozenset(
    [
        *("engine", "weights", "device", "workers", "cache", "model_id", "server", "server_args"),
        *("server_concurrency", "server_timeout_s", "server_prices"),
    ]
)


def prepare_asking(given: Mapping[str, Any], *, here: bool) -> TrainingGate:
    """Read the golden sets and check that everything they need is available.

    Args:
        given: Settings by the names of ``[tool.tunegate]``, in place of the project's.
        here: Whether the weights in this process answer.

    Raises:
        InputError: A setting, a golden set or the history can't be used, or a library or judge is missing.
    """
    allowed_names = set(SETTINGS) - _OTHERS
    for name in given:
        if here and name in _OF_ENGINES:
            raise SettingsError(
                f"GateCallback: {name}: the weights in training answer as they are: leave it out, or give "
                f"where='subprocess'"
            )
        if name not in allowed_names:
            allowed = ", ".join(sorted(allowed_names - (_OF_ENGINES if here else set())))
            raise SettingsError(f"GateCallback: {name}: not a setting of a look (allowed: {allowed})")
    root = command_project(Path.cwd())
    settings = load_settings(given, root, os.environ)
    paths = [root / path for path in settings.golden] if "golden" not in given else given["golden"]
    golden_sets = load_gate_sets([Path(path) for path in paths], forgetting=settings.forgetting)
    if not any(case.skip is None for golden_set in golden_sets for case in golden_set.cases):
        raise SettingsError("GateCallback: the golden sets have no case to answer: name others with golden=")
    directory = root / settings.directory
    make_directory(directory)
    history = project_history(settings, root)
    noise = check_history(history)
    store = Cache(None)
    judging, _ = make_ready(
        golden_sets,
        Judging(panel=open_panel(settings, store)),
        directory,
        allowed=settings.permissions,
    )
    return TrainingGate(
        settings=settings,
        given=given,
        root=root,
        directory=directory,
        history=history,
        golden_sets=golden_sets,
        judging=judging,
        store=store,
        noise=noise,
    )
