"""The configuration of trainers that sample answers and reward them."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from harness.types import GenerationSettings
from trainers.config import RATE, StrictModel, TrainingConfig, listed, refuse, rendering_of
from trainers.rewards.catalogue import RewardSettings
from trainers.unread_keys import changed_keys


class VllmSettings(StrictModel):
    """Where vLLM runs, with ``generation: vllm``."""

    server: Annotated[
        str | None,
        Field(
            pattern=r"^https?://",
            description="URL of a server that trl vllm-serve started; null: vLLM runs beside the training.",
        ),
    ] = None
    gpu_memory: Annotated[
        float, Field(gt=0, lt=1, description="Share of the GPU's memory for vLLM beside the training.")
    ] = 0.3

    @model_validator(mode="after")
    def _of_this_process(self) -> Self:
        if self.server is not None and "gpu_memory" in changed_keys(self):
            refuse("gpu_memory: a server has its own; give it to trl vllm-serve")
        return self


class SamplingConfig(TrainingConfig):
    """Keys of every method that samples answers."""

    rewards: Annotated[
        tuple[RewardSettings, ...],
        Field(min_length=1, description="How answers are scored: a list of rewards."),
    ]
    eval_data: Annotated[
        tuple[Path, ...],
        BeforeValidator(listed),
        Field(description="Held-out prompts: the rewards of the likeliest answers are recorded."),
    ] = ()
    num_generations: Annotated[int, Field(ge=2, description="Answers sampled for each prompt.")] = 8
    max_completion_length: Annotated[int, Field(ge=1, description="Most tokens of a sampled answer.")] = 128
    temperature: Annotated[float, Field(gt=0, description="Temperature of sampling.")] = 1.0
    top_p: Annotated[
        float, Field(gt=0, le=1, description="Sample from the likeliest tokens with this sum.")
    ] = 1.0
    score_reasoning: Annotated[
        bool, Field(description="Rewards see the reasoning too, as a part of the answer.")
    ] = False
    generation: Annotated[
        Literal["transformers", "vllm"], Field(description="What samples answers in training.")
    ] = "transformers"
    vllm: Annotated[VllmSettings, Field(description="Where vLLM runs.")] = VllmSettings()

    @model_validator(mode="after")
    def _samples_what_is_trained(self) -> Self:
        if self.generation != "vllm":
            if unread := changed_keys(self.vllm):
                refuse(f"vllm.{unread[0]} is read only with generation: vllm; give it, or leave it out")
            return self
        if self.quantization != "none":
            # TRL gives vLLM the base with the adapter merged, and merging rounds weights of 4 bits.
            refuse("generation: vllm needs quantization: none")
        if self.peft.method in {"prefix", "prompt"}:
            refuse(f"generation: vllm takes merged weights, and peft.method: {self.peft.method} has none")
        return self


class PolicyConfig(SamplingConfig):
    """Online policy optimisation."""

    reference: ClassVar[bool] = True

    beta: Annotated[float, Field(ge=0, description="Weight of the KL divergence from the reference.")] = 0.04
    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False, description=RATE)] = 5e-5
    batch_size: Annotated[int, Field(ge=1, description="Answers of one forward pass.")] = 8

    @model_validator(mode="after")
    def _whole_groups(self) -> Self:
        answers = self.batch_size * self.gradient_accumulation
        if answers % self.num_generations:
            problem = f"batch_size × gradient_accumulation is {answers}, not a multiple of num_generations"
            raise PydanticCustomError("agreement", f"{problem} {self.num_generations}")
        return self


def sampling_of(config: SamplingConfig) -> GenerationSettings:
    """The settings for sampling answers outside TRL's own trainers."""
    return replace(
        rendering_of(config),
        max_new_tokens=config.max_completion_length,
        temperature=config.temperature,
        top_p=config.top_p,
        score_reasoning=config.score_reasoning,
    )
