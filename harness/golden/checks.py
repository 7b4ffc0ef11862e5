"""The check types that a golden set may use: their argument, threshold and options.

This table is what the loader validates against, what the JSON Schema and the reference page are made
from, and what ``harness.metrics`` implements, entry for entry (a test holds the two together).
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from harness.types import MetricFacts


class Options(BaseModel):
    """Base of a check's further keys: unknown ones are refused, and so is the text "3" for a number."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class RegexOptions(Options):
    """Keys of ``regex``."""

    ignore_case: Annotated[bool, Field(description="Match letters of either case.")] = False


class JsonEqualsOptions(Options):
    """Keys of ``json-equals``."""

    ignore: Annotated[list[str], Field(description="Top-level keys that are not compared.")] = []
    tolerance: Annotated[float, Field(ge=0, description="Largest absolute difference of two numbers.")] = 0.0


class LengthOptions(Options):
    """Keys of ``length``."""

    min: Annotated[int | None, Field(ge=0, description="Least length that passes.")] = None
    max: Annotated[int | None, Field(ge=0, description="Greatest length that passes.")] = None
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


class RougeOptions(Options):
    """Keys of the ``rouge-*`` checks."""

    stem: Annotated[bool, Field(description="Compare word stems (Porter).")] = False


class RelevancyOptions(EncoderOptions):
    """Keys of ``answer-relevancy``."""

    questions: Annotated[
        int, Field(ge=1, le=20, description="How many questions the judge makes of the answer.")
    ] = 3


class RepetitionOptions(Options):
    """Keys of ``repetition``."""

    ngram: Annotated[int, Field(ge=1, description="Length in words of the repeated piece.")] = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckType:
    """What one check type takes and means.

    Attributes:
        kind: ``binary`` checks are true or false and take no threshold; ``graded`` ones give a number
            and decide only when a threshold is written.
        value: Whether ``value:`` must be written, may be, or is refused. Where it is optional and
            missing, the case's references take its place (``is-json``: no schema is required).
        value_type: JSON type of ``value``.
        needs_references: The check can't run in a case without references (unless ``value`` is given).
        always_references: It needs references also where ``value`` is given.
        needs_context: It can't run in a case without retrieved passages.
        minimum: Least sensible threshold.
        maximum: Greatest sensible threshold; None when the scale is open.
        higher_is_better: False when a lower number is the better one: the threshold is then a maximum.
        logarithmic: Two runs are compared by its logarithm.
        version: Changes whenever it would give the same answer another value.
        invertible: ``not-TYPE`` exists.
        extra: The optional installation that brings the library, or None when the base has it.
        judged: A judge decides it.
    """

    name: str
    kind: Literal["binary", "graded"]
    summary: str
    value: Literal["required", "optional", "refused"]
    value_type: Literal["string", "strings", "pattern", "schema", "json"] = "string"
    needs_references: bool = False
    always_references: bool = False
    needs_context: bool = False
    minimum: float = 0.0
    maximum: float | None = 1.0
    higher_is_better: bool = True
    logarithmic: bool = False
    version: str = "1"
    invertible: bool = False
    options: type[Options] = Options
    extra: str | None = None
    judged: bool = False

    @property
    def facts(self) -> MetricFacts:
        """What a run that was scored with it says of it."""
        return MetricFacts(
            kind=self.kind,
            higher_is_better=self.higher_is_better,
            least=self.minimum,
            most=self.maximum,
            logarithmic=self.logarithmic,
            version=self.version,
        )


def _text(name: str, summary: str, value: Literal["required", "optional"], **rest: object) -> CheckType:
    return CheckType(
        name=name,
        kind="binary",
        summary=summary,
        value=value,
        needs_references=value == "optional",
        invertible=True,
        **rest,  # type: ignore[arg-type] # the keywords are CheckType's own, passed on as they came
    )


def _overlap(name: str, summary: str, **rest: object) -> CheckType:
    return CheckType(
        name=name,
        kind="graded",
        summary=summary,
        value="refused",
        needs_references=True,
        **rest,  # type: ignore[arg-type] # as above
    )


def _judged(
    name: str,
    kind: Literal["binary", "graded"],
    summary: str,
    value: Literal["required", "optional", "refused"],
    extra: Literal["judge", "rag"] = "judge",
    **rest: object,
) -> CheckType:
    return CheckType(
        name=name,
        kind=kind,
        summary=summary,
        value=value,
        extra=extra,
        judged=True,
        **rest,  # type: ignore[arg-type] # as above
    )


def _rag(name: str, summary: str, **rest: object) -> CheckType:
    """A metric of ragas; its ``value`` is the question, where that isn't the last message."""
    return _judged(name, "graded", summary, "optional", "rag", **rest)


def _passages(name: str, summary: str) -> CheckType:
    return CheckType(
        name=name,
        kind="graded",
        summary=summary,
        value="required",
        value_type="strings",
        needs_context=True,
        extra="rag",
    )


_ALL = (
    _text(
        "equals", "The answer, stripped of outer white space, is the value (or one reference).", "optional"
    ),
    _text("iequals", "As equals, letters of either case.", "optional"),
    _text("contains", "The value (or one reference) stands in the answer.", "optional"),
    _text("icontains", "As contains, letters of either case.", "optional"),
    _text(
        "contains-any", "At least one of the values stands in the answer.", "required", value_type="strings"
    ),
    _text("contains-all", "All of the values stand in the answer.", "required", value_type="strings"),
    _text("starts-with", "The answer, stripped, starts with the value (or one reference).", "optional"),
    _text(
        "regex",
        "The pattern matches somewhere in the answer (Python's re.search).",
        "required",
        value_type="pattern",
        options=RegexOptions,
    ),
    CheckType(
        name="is-json",
        kind="binary",
        summary="The whole answer is JSON and, when a schema is given, valid under it.",
        value="optional",
        value_type="schema",
        invertible=True,
    ),
    _text(
        "json-equals",
        "The answer is JSON equal to the value (or one reference), key order aside.",
        "optional",
        value_type="json",
        options=JsonEqualsOptions,
    ),
    CheckType(
        name="length",
        kind="binary",
        summary="The answer's length lies within min and max.",
        value="refused",
        invertible=True,
        options=LengthOptions,
    ),
    CheckType(
        name="is-refusal",
        kind="binary",
        summary="The answer declines to answer (by its wording).",
        value="refused",
        invertible=True,
    ),
    CheckType(
        name="repetition",
        kind="graded",
        summary="Fraction of the answer's word n-grams that repeat an earlier one; lower is better.",
        value="refused",
        higher_is_better=False,
        options=RepetitionOptions,
    ),
    CheckType(
        name="exact-match",
        kind="binary",
        summary="SQuAD's exact match: equal to a reference, case, punctuation and articles aside.",
        value="refused",
        needs_references=True,
        invertible=True,
    ),
    _overlap("f1", "SQuAD's token F1 against the closest reference."),
    _overlap(
        "entity-f1",
        "F1 of the entities that the answer lists as JSON, each with type and text.",
        value_type="json",
    ),
    _overlap("bleu", "Sentence BLEU (sacreBLEU, add-k smoothing) over 100.", extra="metrics"),
    _overlap("chrf", "chrF (sacreBLEU), character n-gram F-score over 100.", extra="metrics"),
    _overlap("rouge-1", "ROUGE-1 F-measure: shared words.", options=RougeOptions, extra="metrics"),
    _overlap("rouge-2", "ROUGE-2 F-measure: shared word pairs.", options=RougeOptions, extra="metrics"),
    _overlap(
        "rouge-l",
        "ROUGE-L F-measure: longest common word subsequence.",
        options=RougeOptions,
        extra="metrics",
    ),
    _overlap(
        "rouge-lsum",
        "ROUGE-Lsum F-measure: ROUGE-L sentence by sentence (one a line).",
        options=RougeOptions,
        extra="metrics",
    ),
    _overlap(
        "bertscore",
        "BERTScore F1: greedy cosine matching of contextual token vectors, not rescaled.",
        minimum=-1.0,
        options=BertScoreOptions,
        extra="metrics",
    ),
    _overlap(
        "similar",
        "Cosine of the sentence embeddings. It does not see negation: never the only check.",
        minimum=-1.0,
        options=EncoderOptions,
        extra="metrics",
    ),
    _overlap(
        "perplexity",
        "Perplexity of the reference under the model, given the prompt; lower is better.",
        minimum=1.0,
        maximum=None,
        higher_is_better=False,
        logarithmic=True,
        extra="local",
    ),
    _judged("llm-rubric", "binary", "A judge finds that the answer satisfies the rubric.", "required"),
    _judged(
        "llm-reference",
        "graded",
        "A judge's grade of the answer against the references.",
        "refused",
        needs_references=True,
        minimum=1.0,
        maximum=5.0,
    ),
    _judged(
        "factuality",
        "binary",
        "A judge finds that the answer agrees with the facts of the references.",
        "refused",
        needs_references=True,
    ),
    _judged("tone", "binary", "A judge finds that the answer is written in the wanted tone.", "required"),
    _judged(
        "pairwise",
        "graded",
        "A judge prefers the answer to the baseline's, asked in both orders: 1, 0.5 for a tie, 0.",
        "optional",
    ),
    _rag(
        "faithfulness",
        "Statements of the answer that follow from the passages, over all (ragas).",
        needs_context=True,
    ),
    _rag(
        "context-recall",
        "Statements of the first reference that stand in the passages, over all (ragas).",
        always_references=True,
        needs_context=True,
    ),
    _rag(
        "context-precision",
        "Average precision of the passages' order, useful ones first (ragas).",
        always_references=True,
        needs_context=True,
    ),
    _rag(
        "answer-relevancy",
        "Cosine of the question with questions made of the answer; 0 if it commits to nothing (ragas).",
        minimum=-1.0,
        options=RelevancyOptions,
    ),
    _passages(
        "string-context-recall", "Wanted passages that were retrieved, over all, by their letters (ragas)."
    ),
    _passages(
        "string-context-precision", "Average precision of the passages' order, wanted ones first (ragas)."
    ),
)

CHECK_TYPES: dict[str, CheckType] = {check.name: check for check in _ALL}


def base_type(name: str) -> str:
    """Name of the check type behind a possibly inverted name: ``not-contains`` is ``contains``."""
    return name.removeprefix("not-")


def check_names() -> list[str]:
    """All names that ``type:`` takes, the inverted ones included."""
    return [*CHECK_TYPES, *(f"not-{name}" for name, check in CHECK_TYPES.items() if check.invertible)]
