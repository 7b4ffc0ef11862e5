"""The further keys of checks in golden sets."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from harness.types import JsonValue


class Options(BaseModel):
    """Base class of a check's further keys: unknown ones are refused, and so is the text "3" for a number."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, defer_build=True)


class CommonOptions(Options):
    """Keys of every check."""

    transform: Annotated[
        JsonValue, Field(description="Steps from the answer to the text that is checked: one, or a list.")
    ] = None
    weight: Annotated[
        float | None, Field(gt=0, description="In a group: the check's share, in proportion to the others.")
    ] = None


class PythonOptions(Options):
    """Keys of ``python``."""

    path: Annotated[
        str,
        Field(min_length=1, description="File beside the golden set and function, such as checks.py:polite."),
    ]


class RegexOptions(Options):
    """Keys of ``regex``."""

    ignore_case: Annotated[bool, Field(description="Ignore case.")] = False


class JsonEqualsOptions(Options):
    """Keys of ``json-equals``."""

    ignore: Annotated[list[str], Field(description="Top-level keys that are not compared.")] = []
    tolerance: Annotated[float, Field(ge=0, description="Largest absolute difference of two numbers.")] = 0.0


class LengthOptions(Options):
    """Keys of ``length``."""

    min: Annotated[int | None, Field(ge=0, description="Smallest length that passes.")] = None
    max: Annotated[int | None, Field(ge=0, description="Largest length that passes.")] = None
    unit: Annotated[
        Literal["characters", "words", "lines", "sentences"], Field(description="What is counted.")
    ] = "characters"

    @model_validator(mode="after")
    def _some_limit(self) -> "LengthOptions":
        if self.min is None and self.max is None:
            raise ValueError("give min, max or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is greater than max {self.max}")
        return self


class EncoderOptions(Options):
    """Keys of ``similar``."""

    model: Annotated[
        str, Field(description="Encoder: a catalogue name, a directory or a hub id of sentence-transformers.")
    ] = "minilm"


class BertScoreOptions(EncoderOptions):
    """Keys of ``bertscore``."""

    layer: Annotated[int | None, Field(ge=1, description="Encoder layer; the last one by default.")] = None


class ExactMatchOptions(Options):
    """Keys of ``exact-match``."""

    ignore_case: Annotated[bool, Field(description="Ignore case.")] = False
    ignore_space: Annotated[bool, Field(description="Ignore all white space.")] = False
    numbers: Annotated[bool, Field(description="Compare an answer that is a number by its value.")] = True


class JudgedOptions(Options):
    """Keys of the checks that a judge decides by one question."""

    template: Annotated[
        str | None,
        Field(min_length=1, description="File beside the golden set with a wording of your own."),
    ] = None


class RougeOptions(Options):
    """Keys of the ``rouge-*`` checks."""

    stem: Annotated[bool, Field(description="Compare word stems (Porter).")] = False


class RelevancyOptions(EncoderOptions):
    """Keys of ``answer-relevancy``."""

    questions: Annotated[
        int, Field(ge=1, le=20, description="How many questions the judge derives from the answer.")
    ] = 3


class RepetitionOptions(Options):
    """Keys of ``repetition``."""

    ngram: Annotated[int, Field(ge=1, description="Length in words of the repeated piece.")] = 4
