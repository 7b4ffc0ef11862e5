"""The training manifest: the file that a trainer writes next to the weights, for engines and reports.

Unknown keys, from a newer version or another writer, are kept unchanged.
"""

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from harness.types.golden import JsonValue

MANIFEST_FILE = "training_manifest.json"
SCHEMA_VERSION = 1
# In the work directory: what was logged, one log a line (in the end also beside the manifest); sampled
# answers with their rewards; answers to held-out prompts.
LOG_FILE = "training_log.jsonl"
SAMPLES_FILE = "samples.jsonl"
HELD_OUT_ANSWERS_FILE = "held_out_answers.jsonl"


class _Notes(BaseModel):
    """Notes of a trainer; unknown keys are kept."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True, defer_build=True)


class StepLoss(_Notes):
    """The loss of one optimizer step.

    Attributes:
        loss: None if it was not finite, in files that can't represent such numbers.
    """

    step: int
    loss: float | None


def _counted(losses: object) -> object:
    """Plain numbers as the losses of the steps, starting at 1."""
    if not isinstance(losses, list | tuple):
        return losses
    return [
        {"step": step, "loss": entry} if isinstance(entry, int | float) else entry
        for step, entry in enumerate(losses, start=1)
    ]


class StepReward(_Notes):
    """The rewards of the answers that one optimizer step sampled.

    Attributes:
        reward: Their mean.
        n: How many answers.
        kl: Divergence from the reference, in nats per token, if it was computed.
    """

    step: int
    reward: float | None
    n: int | None = None
    kl: float | None = None


class RewardNotes(_Notes):
    """How the reward changed in training.

    Attributes:
        change: Means of the first and the last fifth of the steps, and their difference with its interval.
        files: Content hashes of the rewards' files, by reward.
    """

    steps: Annotated[tuple[StepReward, ...], Field(strict=False)] = ()
    change: Mapping[str, JsonValue] | None = None
    files: Mapping[str, JsonValue] = {}


class CanaryNotes(_Notes):
    """Signs of reward hacking.

    Attributes:
        summary: One line of text for each canary.
        drift: By canary, means, change and whether that is drift; None if there was too little data.
        along: Means over stretches of the steps.
    """

    summary: Annotated[tuple[str, ...], Field(strict=False)] = ()
    drift: Mapping[str, JsonValue] = {}
    along: Annotated[tuple[Mapping[str, JsonValue], ...], Field(strict=False)] = ()


class StartingAdapter(_Notes):
    """The adapter that training began with."""

    path: str
    sha256: str


class DataNotes(_Notes):
    """The training data.

    Attributes:
        sha256: Hash of all files' bytes, one after the other.
        leakage: The search for golden cases in the rows, and its results.
        overlong: How many rows were too long and ``dropped``, or ``cut``.
        tasks: By task of a multi-task model, its rows.
    """

    sha256: str | None = None
    paths: Annotated[tuple[str, ...], Field(strict=False)] = ()
    rows: int | None = None
    leakage: Mapping[str, JsonValue] | None = None
    overlong: Mapping[str, int] = {}
    tasks: Mapping[str, JsonValue] = {}


class TrainingManifest(_Notes):
    """How an adapter, or a whole model, was made.

    Attributes:
        method: The trainer's name, such as ``sft``.
        base: The base model as the user named it.
        config: The trainer's whole configuration.
        losses: Of each optimizer step, in the steps' order.
        held_out: Measurements on held-out data, after training and, if possible, before it.
        tracking: The run's id in each tracker that followed it, by the tracker's name.
        damaged: Values of a stored record that can't be read as this version writes them, by key.
    """

    schema_version: int = SCHEMA_VERSION
    method: str | None = None
    base: str | None = None
    base_sha256: str | None = None
    config: Mapping[str, JsonValue] = {}
    seed: int | None = None
    device: str | None = None
    compute_dtype: str | None = None
    threads: int | None = None
    processes: int | None = None
    steps: int | None = None
    duration_s: float | None = None
    losses: Annotated[tuple[StepLoss, ...], BeforeValidator(_counted), Field(strict=False)] = ()
    losses_by_task: Annotated[tuple[Mapping[str, JsonValue], ...], Field(strict=False)] = ()
    started_from: StartingAdapter | None = None
    adapter_sha256: str | None = None
    data: DataNotes = DataNotes()
    held_out: Mapping[str, JsonValue] | None = None
    early_stop: Mapping[str, JsonValue] | None = None
    rounds: Annotated[tuple[Mapping[str, JsonValue], ...], Field(strict=False)] = ()
    rewards: RewardNotes | None = None
    canaries: CanaryNotes | None = None
    interference: Mapping[str, JsonValue] | None = None
    conflicting_steps: Mapping[str, int] = {}
    packages: Mapping[str, str] = {}
    tracking: Mapping[str, str] = {}
    commit: str | None = None
    dirty: bool | None = None
    damaged: Mapping[str, JsonValue] = {}


def stored_manifest(stored: object) -> object:
    """A manifest from a stored record. The record must stay readable, so damaged values are kept apart.

    Args:
        stored: The keys of a manifest, or None.

    Returns:
        The manifest, or None if there is none; a value that is not a mapping is returned unchanged.
    """
    if not isinstance(stored, Mapping):
        return stored
    if not stored:
        return None
    try:
        return TrainingManifest.model_validate(stored)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
    # A key that is no text (a lone surrogate) has no location.
    unnamed = set(stored) - set(TrainingManifest.model_fields)
    keys = {key for problem in problems for key in (problem["loc"][:1] or unnamed)}
    sound = {key: value for key, value in stored.items() if key not in keys}
    return TrainingManifest.model_validate(
        {**sound, "damaged": {key: value for key, value in stored.items() if key in keys}}
    )
