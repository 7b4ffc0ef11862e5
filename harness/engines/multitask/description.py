"""What a model with several heads is: its encoder, its heads and their labels."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from harness.types.training import TrainingManifest

Kind: TypeAlias = Literal["label", "entities", "span"]


class Task(BaseModel):
    """The task of one head.

    Attributes:
        kind: One of the labels for the whole text, entities in it, or a span of a passage.
        labels: A head's outputs in order: labels, or BIO tags; for a span its start and its end.
        adapter: Name of the encoder's adapter for it; None if the whole encoder was trained.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: str
    kind: Kind
    labels: Annotated[tuple[str, ...], Field(min_length=2, strict=False)]
    adapter: str | None = None


class MultitaskConfig(BaseModel):
    """The content of ``multitask.json``.

    Attributes:
        base: The encoder as training named it; its tokenizer is used.
        encoder: ``full``: the directory has its own encoder; ``lora``: adapters on the base's.
        max_length: Most tokens of a question with its passage, or of a text.
        max_answer_tokens: Most tokens of a span.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    schema_version: Literal[1] = 1
    base: str
    base_sha256: str
    tokenizer_sha256: str
    encoder: Literal["full", "lora"]
    max_length: Annotated[int, Field(ge=1)]
    max_answer_tokens: Annotated[int, Field(ge=1)]
    tasks: Annotated[tuple[Task, ...], Field(min_length=1, strict=False)]


@dataclass(frozen=True, slots=True, kw_only=True)
class MultitaskModel:
    """A checked directory.

    Attributes:
        base_dir: The base model's directory on this machine.
        sha256: Hash of everything that determines an answer.
        training: The training manifest; None if there is none.
    """

    directory: Path
    base_dir: Path
    config: MultitaskConfig
    sha256: str
    training: TrainingManifest | None

    @property
    def tasks(self) -> Mapping[str, Task]:
        """The tasks by name."""
        return {task.name: task for task in self.config.tasks}
