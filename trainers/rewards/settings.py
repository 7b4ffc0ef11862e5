"""Rewards as a configuration names them: one class a type, distinguished by ``type``."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from harness.golden.patterns import PatternError, check_pattern, compiled
from trainers.config import StrictModel


def _pattern(text: str) -> str:
    try:
        check_pattern(text)
    except PatternError as error:
        raise PydanticCustomError("pattern", f"a regular expression; {error}") from error
    return text


def _one_group(text: str) -> str:
    if compiled(_pattern(text)).groups > 1:
        raise PydanticCustomError("pattern", "a regular expression with at most one group")
    return text


def _function_path(path: Path) -> Path:
    file, colon, function = path.name.rpartition(":")
    if not colon or not file or not function.isidentifier():
        raise PydanticCustomError("function", "a file and a function's name, such as rewards.py:reward")
    return path


class WeightedReward(StrictModel):
    """Common keys of all rewards; a subclass has a ``type`` that is the literal of its name."""

    weight: Annotated[
        float,
        Field(allow_inf_nan=False, description="Factor of this reward in the sum; below 0 it is a penalty."),
    ] = 1.0


class ValidJson(WeightedReward):
    """1 where the whole answer is JSON, else 0."""

    type: Literal["json-valid"]
    partial: Annotated[
        bool,
        Field(description="Else half the share of the answer that its longest JSON object or list is."),
    ] = False


class ExactAnswer(WeightedReward):
    """1 where the answer equals the row's column, else 0."""

    type: Literal["exact-answer"]
    column: Annotated[str, Field(min_length=1, description="Column with the right answer.")] = "answer"
    pattern: Annotated[
        str | None,
        AfterValidator(lambda text: None if text is None else _one_group(text)),
        Field(description="Compare only what its last match, or that match's group, holds."),
    ] = None
    ignore_case: Annotated[bool, Field(description="Take letters of either case for equal.")] = False


class RegexFormat(WeightedReward):
    """1 where the answer has the format, else 0."""

    type: Literal["regex"]
    pattern: Annotated[str, AfterValidator(_pattern), Field(description="Regular expression.")]
    full: Annotated[bool, Field(description="It must match the whole stripped answer, not a part.")] = True


class Length(WeightedReward):
    """1 within the limits, falling linearly to 0 outside."""

    type: Literal["length"]
    min: Annotated[int | None, Field(ge=1, description="Least length with full reward.")] = None
    max: Annotated[int | None, Field(ge=1, description="Greatest length with full reward.")] = None
    unit: Annotated[Literal["words", "characters"], Field(description="What is counted.")] = "words"

    @model_validator(mode="after")
    def _some_limit(self) -> Self:
        if self.min is None and self.max is None:
            raise PydanticCustomError("agreement", "give min, max or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise PydanticCustomError("agreement", f"min {self.min} is greater than max {self.max}")
        return self


class GoldenCheck(WeightedReward):
    """The value of a golden set's check, or with a threshold 1 if it passes, else 0."""

    type: Literal["check"]
    check: Annotated[
        dict[str, Any], Field(description="A check as in a golden set, such as {type: json-equals}.")
    ]
    references: Annotated[
        str | None, Field(min_length=1, description="Column with the reference, or a list of them.")
    ] = None


class PythonFunction(WeightedReward):
    """The value of your own function."""

    type: Literal["python"]
    path: Annotated[
        Path,
        AfterValidator(_function_path),
        Field(description="File and function, such as rewards.py:reward, relative to this file."),
    ]


class RewardModel(WeightedReward):
    """The reward of a reward model's adapter, such as one that ``reward`` wrote."""

    type: Literal["reward-model"]
    path: Annotated[Path, Field(description="Its adapter directory, relative to this file.")]
