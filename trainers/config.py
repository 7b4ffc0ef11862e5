"""A training run's configuration: strict YAML, each key with its meaning."""

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, TypeAlias, TypeVar, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from harness.types import PINNED_DATE, RESERVED_KWARGS, GenerationSettings, JsonValue
from trainers.unread_keys import (
    adapter_shape,
    changed_keys,
    length_of_training,
    peft_keys,
    sharding_keys,
    stop_keys,
    warmup_problem,
)
from tunegate.printable import shown_value

# Types of keys that take a number.
_NUMBERS: tuple[Any, ...] = (int, float, int | None, float | None)
# No setting is sensible beyond it, and counts beyond 64 bits break libraries in the middle of a training.
_LARGEST = 10**9
# Optimizers in use differ by factors of a thousand in their rates, not more.
_LARGEST_OF = {
    "seed": 2**32,
    **dict.fromkeys(("learning_rate", "value_learning_rate", "head_learning_rate"), 100),
}


class StrictModel(BaseModel):
    """Unknown keys are refused, and keys that have no effect; values are not changed.

    Attributes:
        unread: Inherited keys that this class has no use for, each with the reason.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    unread: ClassVar[Mapping[str, str]] = {}

    @model_validator(mode="before")
    @classmethod
    def _has_numbers_for_numbers(cls, given: Any) -> Any:
        """True would be read as 1, a rate of 1.0 for one, 'yes' as true, and a text in quotes as a number."""
        if isinstance(given, dict):
            for key, value in given.items():
                field = cls.model_fields.get(key)
                if field is not None and field.annotation is bool and not isinstance(value, bool):
                    refuse(f"{key}: found {shown_value(value)} (allowed: true or false)")
                if field is not None and field.annotation in _NUMBERS:
                    refuse(number_problem(key, value, whole=float not in _kinds(field.annotation)))
        return given

    @model_validator(mode="after")
    def _has_an_effect(self) -> Self:
        for key in changed_keys(self):
            if key in self.unread:
                refuse(f"{key}: {self.unread[key]}")
        return self


def refuse(problem: str | None) -> None:
    """Refuse keys that don't agree with each other; None: they do.

    Raises:
        PydanticCustomError: With the problem as its text.
    """
    if problem is not None:
        raise PydanticCustomError("agreement", "{problem}", {"problem": problem})


def number_problem(key: str, value: object, *, whole: bool) -> str | None:
    """What is wrong with a key's value as a number; None if nothing is, or if its type says the rest.

    Args:
        key: The key.
        value: What the file gives.
        whole: Whether only whole numbers are allowed.
    """
    allowed = "a whole number" if whole else "a number"
    if isinstance(value, bool | str) or (whole and isinstance(value, float) and not value.is_integer()):
        return f"{key}: found {shown_value(value)} (allowed: {allowed})"
    largest = _LARGEST_OF.get(key, _LARGEST)
    if isinstance(value, int | float) and abs(value) > largest:
        return f"{key}: found {value:g} (allowed: {allowed} of at most {largest})"
    return None


def _kinds(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) or (annotation,)


def listed(value: object) -> object:
    """One file is a list of one."""
    return [value] if isinstance(value, str | Path) else value


class PeftSettings(StrictModel):
    """The trained weights: an adapter of some kind, or all weights."""

    method: Annotated[
        Literal["lora", "loha", "lokr", "vera", "oft", "ia3", "prefix", "prompt", "full"],
        Field(
            description="lora, loha, lokr, vera, oft, ia3, prefix, prompt, or full: all weights "
            "(needs quantization: none)."
        ),
    ] = "lora"
    r: Annotated[int, Field(ge=1, description="lora, loha, lokr, vera: rank of the update.")] = 16
    alpha: Annotated[int, Field(ge=1, description="lora, loha, lokr: scale of the update, alpha / r.")] = 32
    dropout: Annotated[float, Field(ge=0, lt=1, description="lora: dropout on the adapter's input.")] = 0.0
    rslora: Annotated[bool, Field(description="lora: scale by alpha / sqrt(r) instead.")] = False
    dora: Annotated[bool, Field(description="lora: learn magnitude and direction apart (DoRA).")] = False
    init: Annotated[
        Literal["default", "gaussian", "orthogonal"], Field(description="lora: how A is initialised.")
    ] = "default"
    target_modules: Annotated[
        tuple[str, ...] | Literal["all-linear"],
        Field(
            description="All but prefix, prompt and full: the adapted layers, all-linear or a list of names."
        ),
    ] = "all-linear"
    block_size: Annotated[
        int,
        Field(ge=2, description="oft: inputs that are rotated together."),
    ] = 32
    virtual_tokens: Annotated[
        int, Field(ge=1, description="prefix and prompt: length of what is learnt.")
    ] = 20
    init_text: Annotated[
        str,
        Field(min_length=1, description="prefix and prompt: the text whose values training starts from."),
    ] = "Read the request with care, and answer it in the form that it asks for."

    @model_validator(mode="after")
    def _of_its_method(self) -> Self:
        refuse(peft_keys(self, self.method))
        if self.init == "orthogonal" and self.r % 2:
            refuse(f"init: orthogonal needs an even r, not {self.r}")
        return self


class EarlyStop(StrictModel):
    """When to stop before the last step."""

    golden: Annotated[
        tuple[Path, ...],
        BeforeValidator(listed),
        Field(description="Golden sets that are answered after each checkpoint; gate with other cases."),
    ] = ()
    patience: Annotated[int, Field(ge=1, description="Checkpoints without a new best before it stops.")] = 2
    max_cases: Annotated[
        int, Field(ge=1, description="Use only the first cases, of several sets in turn.")
    ] = 32

    @model_validator(mode="after")
    def _has_cases(self) -> Self:
        refuse(stop_keys(self, self.golden))
        return self


def allowed(value: object) -> object:
    """``leakage: allow`` is short for ``leakage: {allow: true}``."""
    return {"allow": True} if value == "allow" else value


def template_place(value: object) -> object:
    """A file of a template as a path; a name stays a text."""
    return Path(value) if isinstance(value, str) and (value.endswith(".jinja") or "/" in value) else value


# Types of numbers to compute in.
DtypeName: TypeAlias = Literal["auto", "bfloat16", "float16", "float32"]


class LeakageSettings(StrictModel):
    """How golden cases are looked for in the training data."""

    allow: Annotated[bool, Field(description="Train although golden cases are in the data.")] = False
    exact: Annotated[bool, Field(description="Look for the same questions.")] = True
    ngram: Annotated[
        int | None, Field(ge=5, description="Look for this many words of a case in a row; null: don't.")
    ] = 13
    embedding: Annotated[
        float | None,
        Field(gt=0, le=1, description="Look for questions of at least this cosine; null: don't."),
    ] = 0.95


class RunConfig(StrictModel):
    """Keys of every training run."""

    base: Annotated[str, Field(min_length=1, description="Base model: catalogue name, directory or hub id.")]
    output: Annotated[Path, Field(description="Adapter directory to write, relative to this file.")]
    golden: Annotated[
        tuple[Path, ...] | None,
        BeforeValidator(listed),
        Field(description="Golden sets whose cases must not be in the data; null: ./golden_sets."),
    ] = None
    leakage: Annotated[
        LeakageSettings,
        BeforeValidator(allowed),
        Field(
            description="How golden cases are looked for in the data; allow: train although there are some."
        ),
    ] = LeakageSettings()
    seed: Annotated[int, Field(ge=0, lt=2**32, description="Seed of everything that is random.")] = 0


RATE = "Peak rate; where it isn't given, it is the default times a factor of peft.method."
# All weights can't be trained in 4 bits, and PEFT's LoHa and LoKr take a packed weight's shape for a layer's.
_WHOLE_BASE = frozenset({"full", "loha", "lokr"})
# The rate of each kind of trained weights, as a factor of LoRA's. LoRA's best rate is about ten times that of
# all weights: Schulman et al. (2025), LoRA Without Regret, doi:10.64434/tml.20250929. The others: those with
# which SmolLM2 learnt the orders in few steps and the gate passed or nearly did (docs/training.md).
RATE_FACTORS = {
    "lora": 1.0,
    "full": 0.1,
    "oft": 0.5,
    "loha": 5.0,
    "lokr": 5.0,
    "ia3": 25.0,
    "prefix": 50.0,
    "vera": 100.0,
    "prompt": 150.0,
}


class TrainingConfig(RunConfig):
    """Keys of every trainer of a causal language model.

    Attributes:
        reference: Whether the loss compares with the model that training started from.
    """

    reference: ClassVar[bool] = False

    data: Annotated[
        tuple[Path, ...],
        BeforeValidator(listed),
        Field(
            min_length=1,
            description="File of examples or data set of the hub (hf:org/name), or a list of them.",
        ),
    ]
    adapter: Annotated[
        Path | None, Field(description="LoRA adapter to start from, such as one that sft wrote.")
    ] = None
    quantization: Annotated[
        Literal["nf4", "none"],
        Field(description="nf4 stores the base in 4 bits (QLoRA), none in full precision (LoRA)."),
    ] = "nf4"
    dtype: Annotated[
        DtypeName,
        Field(
            description="Type of numbers to compute in; auto: bfloat16 where the device has it, else float32."
        ),
    ] = "auto"
    peft: Annotated[PeftSettings, Field(description="The trained weights.")] = PeftSettings()
    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False, description=RATE)] = 2e-4
    max_steps: Annotated[
        int | None, Field(ge=1, description="Optimizer steps; in place of epochs when given.")
    ] = None
    epochs: Annotated[float, Field(gt=0, le=10**6, description="Passes over the data.")] = 1.0
    batch_size: Annotated[int, Field(ge=1, description="Examples of one forward pass.")] = 8
    gradient_accumulation: Annotated[
        int, Field(ge=1, description="Forward passes of one optimizer step.")
    ] = 1
    max_length: Annotated[
        int, Field(ge=8, description="Most tokens of an example; overlong decides on longer ones.")
    ] = 1024
    max_rows: Annotated[int | None, Field(ge=1, description="Use only the first rows of the data.")] = None
    warmup_steps: Annotated[int, Field(ge=0, description="Steps over which the rate rises.")] = 0
    save_steps: Annotated[int, Field(ge=1, description="Steps between checkpoints.")] = 50
    early_stop: Annotated[
        EarlyStop,
        Field(description="Stop when a golden subset doesn't improve, and keep the best checkpoint."),
    ] = EarlyStop()
    report_to: Annotated[
        tuple[Literal["tensorboard", "trackio", "wandb", "mlflow"], ...],
        BeforeValidator(listed),
        Field(description="Trackers that show the training live: tensorboard, trackio, wandb or mlflow."),
    ] = ()
    seed: Annotated[int, Field(ge=0, lt=2**32, description="Seed of data order, adapter and dropout.")] = 0
    chat_template: Annotated[
        Path | str | None,
        BeforeValidator(template_place),
        Field(description="Chat template in place of the base's: a .jinja file, or a name such as alpaca."),
    ] = None
    overlong: Annotated[
        Literal["refuse", "drop", "cut-prompt"],
        Field(description="Rows longer than max_length: refuse them, drop them, or cut their prompts."),
    ] = "refuse"
    chat_template_kwargs: Annotated[
        dict[str, Any],
        Field(
            description="Values that the chat template reads, such as enable_thinking; gate with the same."
        ),
    ] = {}
    date: Annotated[
        str,
        Field(
            pattern=r"^\d{4}-\d{2}-\d{2}$",
            description="Today's date for chat templates that write it: YYYY-MM-DD.",
        ),
    ] = PINNED_DATE
    trl: Annotated[
        dict[str, Any],
        Field(description="Further keys of TRL's own configuration class; they override ours."),
    ] = {}

    @model_validator(mode="before")
    @classmethod
    def _has_its_methods_rate(cls, given: Any) -> Any:
        """The default rate is LoRA's: all weights learn with less, a few with more."""
        if not isinstance(given, dict) or "learning_rate" in given:
            return given
        peft = given.get("peft")
        method = peft.get("method") if isinstance(peft, dict) else getattr(peft, "method", None)
        if not isinstance(method, str) or RATE_FACTORS.get(method, 1.0) == 1.0:
            return given
        return {**given, "learning_rate": default_rate(cls, method)}

    @model_validator(mode="after")
    def _renders(self) -> Self:
        if taken := sorted(RESERVED_KWARGS & set(self.chat_template_kwargs)):
            problem = f"chat_template_kwargs: {taken[0]!r} is not a value of the template: leave it out"
            raise PydanticCustomError("agreement", problem)
        try:
            datetime.date.fromisoformat(self.date)
        except ValueError:
            raise PydanticCustomError("agreement", f"date: {self.date!r} is not a day") from None
        return self

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.peft.method in _WHOLE_BASE and self.quantization != "none":
            problem = f"peft.method: {self.peft.method} needs quantization: none"
            raise PydanticCustomError("agreement", problem)
        if self.peft.method == "full" and self.adapter is not None:
            raise PydanticCustomError(
                "agreement", "peft.method: full starts from no adapter; leave adapter out"
            )
        refuse(sharding_keys(self.trl))
        refuse(length_of_training(self, self.max_steps))
        refuse(warmup_problem(self.warmup_steps, self.max_steps))
        refuse(adapter_shape(self, self.adapter))
        return self


def default_rate(kind: type[TrainingConfig], method: str) -> float:
    """The rate of a training for which none is given.

    Args:
        kind: The class of its configuration.
        method: The kind of trained weights, as ``peft.method`` names it; of others it is LoRA's.
    """
    return float(f"{kind.model_fields['learning_rate'].default * RATE_FACTORS.get(method, 1.0):.6g}")


def rendering_of(config: TrainingConfig, tools: Sequence[JsonValue] = ()) -> GenerationSettings:
    """The settings of rendering.

    Args:
        config: Gives values for the template, and the date.
        tools: Tools that the prompt describes.
    """
    return GenerationSettings(
        chat_template_kwargs=config.chat_template_kwargs, date=config.date, tools=tuple(tools)
    )


class PreferenceConfig(TrainingConfig):
    """Common keys of trainers on people's judgements."""

    eval_data: Annotated[
        tuple[Path, ...],
        BeforeValidator(listed),
        Field(
            description="Held-out pairs (prompt, chosen, rejected), to record the share of right preferences."
        ),
    ] = ()
    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False, description=RATE)] = 5e-5
    batch_size: Annotated[int, Field(ge=1, description="Examples of one forward pass.")] = 4


RunConfigT = TypeVar("RunConfigT", bound=RunConfig)


def with_leaks(config: RunConfigT) -> RunConfigT:
    """The configuration with golden cases in the data allowed, as by ``leakage: allow``."""
    return config.model_copy(update={"leakage": config.leakage.model_copy(update={"allow": True})})
