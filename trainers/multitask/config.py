"""The configuration of multi-head fine-tuning."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from trainers.config import RunConfig, StrictModel, listed, refuse
from trainers.unread_keys import changed_keys, warmup_problem


class TaskSettings(StrictModel):
    """One head and its data."""

    name: Annotated[
        str,
        Field(pattern=r"^[a-z][a-z0-9_-]*$", description="Its name in golden cases, under generation.task."),
    ]
    kind: Annotated[
        Literal["label", "entities", "span"],
        Field(
            description="label of a text, entities in it, or the span of a passage that answers a question."
        ),
    ]
    data: Annotated[
        tuple[Path, ...],
        BeforeValidator(listed),
        Field(
            min_length=1,
            description="File of examples or data set of the hub (hf:org/name), or a list of them.",
        ),
    ]
    eval_data: Annotated[
        tuple[Path, ...], BeforeValidator(listed), Field(description="Held-out examples to measure it on.")
    ] = ()
    weight: Annotated[float, Field(gt=0, allow_inf_nan=False, description="Weight of its loss.")] = 1.0
    head_learning_rate: Annotated[
        float, Field(gt=0, allow_inf_nan=False, description="Peak rate of its head.")
    ] = 1e-3


class LoraSettings(StrictModel):
    """The adapters, if the encoder is trained with adapters."""

    r: Annotated[int, Field(ge=1, description="Rank of the update.")] = 16
    alpha: Annotated[int, Field(ge=1, description="Scale of the update, alpha / r.")] = 32
    dropout: Annotated[float, Field(ge=0, lt=1, description="Dropout on the adapter's input.")] = 0.0


class MultitaskConfig(RunConfig):
    """Multi-head fine-tuning of one shared encoder."""

    base: Annotated[str, Field(min_length=1, description="Encoder: catalogue name, directory or hub id.")] = (
        "minilm"
    )
    tasks: Annotated[
        tuple[TaskSettings, ...], Field(min_length=1, description="The heads, each with its own data.")
    ]
    output: Annotated[Path, Field(description="Model directory to write, relative to this file.")]
    mode: Annotated[
        Literal["joint", "sequential", "per-task"],
        Field(
            description="joint: all together; sequential: one after the other; per-task: a LoRA adapter each."
        ),
    ] = "joint"
    gradients: Annotated[
        Literal["interleaved", "sum", "pcgrad"],
        Field(description="joint: a step takes one task's batch, all tasks' sum, or their sum after PCGrad."),
    ] = "interleaved"
    sampling: Annotated[
        Literal["balanced", "proportional", "temperature"],
        Field(description="How steps are divided: equally, by the data's size, or by size^(1/temperature)."),
    ] = "balanced"
    temperature: Annotated[
        float, Field(ge=1, allow_inf_nan=False, description="1 is proportional; higher: more equal.")
    ] = 2.0
    encoder: Annotated[
        Literal["full", "lora"], Field(description="The trained part of the encoder: all of it, or adapters.")
    ] = "full"
    lora: Annotated[LoraSettings, Field(description="The adapters of encoder: lora.")] = LoraSettings()
    learning_rate: Annotated[
        float, Field(gt=0, allow_inf_nan=False, description="Peak rate of the encoder or its adapters.")
    ] = 1e-4
    max_steps: Annotated[
        int, Field(ge=1, le=10**6, description="Optimizer steps, of all tasks together.")
    ] = 300
    batch_size: Annotated[int, Field(ge=1, description="Examples of one task's batch.")] = 16
    warmup_steps: Annotated[int, Field(ge=0, description="Steps over which the rate rises.")] = 10
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False, description="AdamW's.")] = 0.01
    max_grad_norm: Annotated[
        float, Field(gt=0, allow_inf_nan=False, description="Largest norm of the gradient.")
    ] = 1.0
    max_length: Annotated[
        int, Field(ge=8, description="Most tokens of an example; longer ones are refused.")
    ] = 128
    max_answer_tokens: Annotated[int, Field(ge=1, description="Most tokens of a span.")] = 30
    interference: Annotated[
        bool, Field(description="Train each task alone too, and compare on the held-out data.")
    ] = True
    save_steps: Annotated[int, Field(ge=1, description="Steps between checkpoints.")] = 100
    seed: Annotated[
        int, Field(ge=0, lt=2**32, description="Seed of heads, adapters, data order and dropout.")
    ] = 0

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        names = [task.name for task in self.tasks]
        problem = None
        if len(set(names)) < len(names):
            problem = f"tasks: a name occurs twice: {', '.join(names)}"
        elif self.mode == "per-task" and self.encoder != "lora":
            problem = "mode: per-task needs encoder: lora"
        elif self.mode != "joint" and self.gradients != "interleaved":
            problem = f"gradients: {self.gradients} needs mode: joint"
        elif self.gradients != "interleaved" and self.sampling != "balanced":
            problem = f"gradients: {self.gradients} uses every task at every step; leave sampling out"
        elif self.gradients == "interleaved" and self.max_steps < len(names):
            problem = f"max_steps: {self.max_steps} can't be divided among {len(names)} tasks"
        refuse(problem)
        refuse(self._unread_key(set(changed_keys(self))))
        if "warmup_steps" in self.model_fields_set:
            refuse(warmup_problem(self.warmup_steps, self.max_steps))
        return self

    def _unread_key(self, changed: set[str]) -> str | None:
        """The problem with the first changed key that has no effect; None if there is none."""
        if "temperature" in changed and self.sampling != "temperature":
            return f"temperature: read with sampling: temperature, not with {self.sampling}; leave it out"
        if "lora" in changed and self.encoder != "lora":
            return "lora: read with encoder: lora, not with full; leave it out"
        if "max_answer_tokens" in changed and not any(task.kind == "span" for task in self.tasks):
            return "max_answer_tokens: read by tasks of kind span, and there is none; leave it out"
        return None
