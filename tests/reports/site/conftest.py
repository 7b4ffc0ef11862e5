"""A project with invented runs over a month: orders get worse half-way, one run was accepted."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from harness.baselines.accept import accept_run
from harness.history.store import open_history
from harness.types import GateRecord
from harness.types.training import RewardNotes, StepReward
from reports.site.gathering import SiteSource

START = datetime(2026, 1, 5, 9, tzinfo=UTC)


def dated(record: GateRecord, number: int, model: str = "") -> GateRecord:
    """The record as the run of a day."""
    at = START + timedelta(days=number)
    run_id = f"{at:%Y%m%d-%H%M%S}-{number:04x}"
    assert record.baseline is not None
    baseline = replace(record.baseline, id=f"20260101-000000-{number:04x}")
    label = replace(
        record.run.model, label=model or record.run.model.label, adapter_sha256=f"{number // 2:064x}"
    )
    run = replace(record.run, id=run_id, started_at=at.isoformat(), model=label)
    comparison = replace(record.comparison, candidate_run=run_id, baseline_run=baseline.id)
    return replace(record, run=run, baseline=baseline, comparison=comparison)


@pytest.fixture(scope="package")
def days() -> Callable[..., GateRecord]:
    """The function that dates a record."""
    return dated


@pytest.fixture(scope="package")
def project(invented: Callable[..., GateRecord], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's root."""
    root = tmp_path_factory.mktemp("project")
    (root / "pyproject.toml").write_text("")
    with open_history(root / ".tunegate" / "history.sqlite") as stored:
        for number in range(12):
            told = {"lost": 1 if number < 6 else 9, "seed": number, "probes_lost": number % 3}
            record = dated(invented(orders=24, probes=12, **told), number)
            stored.save(with_rewards(record) if number in {2, 3} else record)
            if number == 3:
                clean = replace(record.run, environment=replace(record.run.environment, dirty=False))
                accept_run(clean, "main", "good enough", root)
    return root


def with_rewards(record: GateRecord) -> GateRecord:
    """The record of a model that was trained with rewards."""
    change = {
        side: {"estimate": mean, "low": mean - 0.1, "high": mean + 0.1}
        for side, mean in (("before", 0.2), ("after", 0.7), ("change", 0.5))
    }
    notes = RewardNotes(
        steps=tuple(StepReward(step=step, reward=step / 20, n=8, kl=step / 100) for step in range(1, 16)),
        change={**change, "n_before": 24, "n_after": 24},
    )
    training = record.run.model.training.model_copy(update={"method": "grpo", "rewards": notes})
    return replace(record, run=replace(record.run, model=replace(record.run.model, training=training)))


@pytest.fixture(scope="package")
def source(project: Path) -> SiteSource:
    """The project's pages, read."""
    return SiteSource(history=project / ".tunegate" / "history.sqlite", project=project, limit=200)
