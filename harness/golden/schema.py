"""The YAML of a golden set as pydantic models, for validation, JSON Schema and the reference page.

The check types are all metrics of the registry, including those of plug-ins.
"""

import datetime
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, AliasChoices, BaseModel, ConfigDict, Field, model_validator

from harness.golden.tool_schema import STRICT, Text, ToolCallYaml, ToolYaml
from harness.golden.transforms import python_steps
from harness.registry import Metric, active
from harness.registry.builtin_metrics import BUILTIN_METRICS
from harness.registry.content_metrics import SET_METRICS
from harness.types import PINNED_DATE, RESERVED_KWARGS, Check, GoldenCase, JsonValue


class _KnownMetrics(Mapping[str, Metric]):
    """The current metrics of the registry."""

    def __getitem__(self, name: str) -> Metric:
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)

    @property
    def _known(self) -> Mapping[str, Metric]:
        return active().merged(Metric, BUILTIN_METRICS)


CHECK_TYPES: Mapping[str, Metric] = _KnownMetrics()


def base_type(name: str) -> str:
    """The type behind a name: ``contains`` of ``not-contains``, ``python`` of ``python:checks.py:polite``."""
    return name.removeprefix("not-").partition(":")[0]


def is_binary(check: Check) -> bool:
    """Whether a check's values are true or false; those of some graded checks are without a threshold."""
    kind = CHECK_TYPES[base_type(check.type)]
    return kind.kind == "binary" or (kind.true_or_false and check.threshold is None)


def decides(check: Check) -> bool:
    """Whether this check decides if a case passes: it is true or false, or a number with a threshold."""
    return is_binary(check) or check.threshold is not None


def checks_of(case: GoldenCase, metric: str | None = None) -> list[Check]:
    """The checks of a case that give a metric's score; of a whole set's metric, those that it is made of.

    Args:
        case: The case.
        metric: The metric; None for whether the case passes.
    """
    if metric is None:
        return [check for check in case.checks if base_type(check.type) not in CHECK_TYPES or decides(check)]
    name = SET_METRICS.get(metric, metric)
    return [check for check in case.checks if check.type == name]


def may_vary(checks: Iterable[Check]) -> bool:
    """Whether the same answer may get another score from any of these checks, or of a group's members."""
    singles = [single for check in checks for single in check.single_checks]
    if any(single.transform and python_steps(single.transform) for single in singles):
        return True
    types = {base_type(single.type) for single in singles}
    # Of a metric that this installation lacks nothing is known.
    return any((kind := CHECK_TYPES.get(name)) is None or kind.may_vary for name in types)


def answers_vary(cases: Sequence[GoldenCase], metric: str | None = None) -> bool:
    """Whether another try may give any case another score: its answer is drawn, or its score may vary.

    Args:
        cases: The cases.
        metric: The metric of the score; None for whether a case passes.
    """
    if any(case.generation.temperature > 0 for case in cases):
        return True
    # Cases of another tool's log have scores without checks.
    named = [] if metric is None else [Check(type=SET_METRICS.get(metric, metric))]
    # Most sets have no check that may.
    return may_vary([*named, *(check for case in cases for check in case.checks)]) and may_vary(
        [*named, *(check for case in cases for check in checks_of(case, metric))]
    )


def check_names() -> list[str]:
    """All names that ``type:`` accepts, including the negated ones."""
    return [*CHECK_TYPES, *(f"not-{name}" for name, check in CHECK_TYPES.items() if check.invertible)]


ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
Fraction = Annotated[float, Field(ge=0, le=1)]


# pytest uses these marks itself, and its -m reads the others as operators.
_MARKS = "skip skipif xfail parametrize usefixtures filterwarnings tryfirst trylast"
_RESERVED = frozenset([*_MARKS.split(), "and", "or", "not", "True", "False", "None"])


def _not_reserved(name: str) -> str:
    if name in _RESERVED:
        raise ValueError(f"{name!r} has a meaning in pytest: use another word")
    return name


def _not_the_librarys(values: dict[str, Any]) -> dict[str, Any]:
    if taken := sorted(RESERVED_KWARGS & set(values)):
        raise ValueError(f"{taken[0]!r} is not a value of the template: leave it out")
    return values


def _day(text: str) -> str:
    try:
        day = datetime.date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or day.isoformat() != text:
        raise ValueError(f"{text!r} is not a day: write it as YYYY-MM-DD")
    return text


Tag = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/+-]*$"), AfterValidator(_not_reserved)]
Scalar: TypeAlias = str | int | float | bool
Role: TypeAlias = Literal["system", "user", "assistant", "tool"]


class _StrictModel(BaseModel):
    """Unknown keys are refused, and types are not converted: neither "3" nor true is a number."""

    model_config = STRICT


class GenerationYaml(_StrictModel):
    """How answers are sampled."""

    max_new_tokens: Annotated[int, Field(ge=1, le=32768, description="Most tokens in an answer.")] = 128
    temperature: Annotated[float, Field(ge=0, le=5, description="0 is greedy decoding.")] = 0.0
    top_p: Annotated[float, Field(gt=0, le=1, description="Nucleus sampling: the mass that is kept.")] = 1.0
    seed: Annotated[
        int, Field(ge=0, lt=2**32, description="Seed of the samples; ignored by greedy decoding.")
    ] = 0
    stop: Annotated[
        list[Text] | Text,
        Field(description="Text or texts that end an answer, special tokens too; they are cut off."),
    ] = []
    task: Annotated[
        Text | None, Field(description="Head of a multi-task model that answers; other models ignore it.")
    ] = None
    chat_template_kwargs: Annotated[
        dict[str, JsonValue],
        AfterValidator(_not_the_librarys),
        Field(description="Values that the model's chat template reads, such as enable_thinking."),
    ] = {}
    date: Annotated[
        str,
        AfterValidator(_day),
        Field(description="The date for chat templates that write today's date: YYYY-MM-DD, in quotes."),
    ] = PINNED_DATE
    max_reasoning_tokens: Annotated[
        int | None,
        Field(
            ge=1,
            le=131072,
            description="Most tokens of a reasoning; max_new_tokens then counts only the answer.",
        ),
    ] = None
    score_reasoning: Annotated[
        bool, Field(description="Checks see the reasoning too, as a part of the answer.")
    ] = False
    use_model_settings: Annotated[
        bool,
        Field(description="Use the model's own generation config: penalties, suppressed tokens and so on."),
    ] = False
    stop_when_decided: Annotated[
        bool, Field(description="End an answer once each check has found what it looks for.")
    ] = False


class MessageYaml(_StrictModel):
    """One turn."""

    role: Annotated[Role, Field(description="Who speaks; tool: a tool's result.")]
    content: Annotated[str, Field(description="The text, or the tool's result.")] = ""
    tool_calls: Annotated[list[ToolCallYaml], Field(description="The assistant's calls of tools.")] = []
    name: Annotated[Text | None, Field(description="Of a tool's result: the tool.")] = None

    @model_validator(mode="after")
    def _fits_its_role(self) -> "MessageYaml":
        if self.tool_calls and self.role != "assistant":
            raise ValueError(f"a {self.role} message calls no tools")
        if self.name is not None and self.role != "tool":
            raise ValueError("only a tool's result has a name")
        if self.name is None and self.role == "tool":
            raise ValueError("a tool's result has the name of its tool")
        if "content" not in self.model_fields_set and not self.tool_calls:
            raise ValueError("the content is missing")
        return self


class CheckYaml(_StrictModel):
    """A check; its other keys depend on the type."""

    model_config = ConfigDict(**{**STRICT, "extra": "allow"})

    type: Annotated[str, Field(description="The check's type, or not- and the type.")]
    threshold: Annotated[
        float | None,
        Field(description="Smallest value that passes (largest, where lower is better); graded checks only."),
    ] = None
    value: Annotated[JsonValue, Field(description="The check's own argument.")] = None


class ExampleYaml(_StrictModel):
    """A question with its answer, before the prompt."""

    user: Annotated[Text, Field(description="What the user says.")]
    assistant: Annotated[Text, Field(description="The good answer.")]


class DefaultsYaml(_StrictModel):
    """Defaults for every case of the set."""

    checks: Annotated[
        list[CheckYaml], Field(description="Checks of every case; a case's own check of a type replaces it.")
    ] = []
    tags: Annotated[list[Tag], Field(description="Tags of every case.")] = []
    system: Annotated[str | None, Field(description="System message of every case.")] = None
    examples: Annotated[list[ExampleYaml], Field(description="Examples before every case's prompt.")] = []
    tools: Annotated[
        list[ToolYaml] | Text, Field(description="Tools of every case, or file:// and JSON.")
    ] = []
    repeat: Annotated[int, Field(ge=1, le=100, description="Answers sampled for every case.")] = 1


class TurnYaml(_StrictModel):
    """One of several turns: the model answers each."""

    user: Annotated[Text, Field(description="What the user says.")]
    checks: Annotated[list[CheckYaml], Field(description="What the answer to it must satisfy.")] = []
    references: Annotated[list[str], Field(description="Good answers to it.")] = []


class CaseYaml(_StrictModel):
    """One prompt and what a good answer satisfies."""

    id: Annotated[str, Field(pattern=ID_PATTERN, max_length=120, description="Unique in the set.")]
    description: Annotated[str, Field(description="What the case tests, for reports.")] = ""
    prompt: Annotated[str | None, Field(description="What the user says.")] = None
    messages: Annotated[
        list[MessageYaml] | None, Field(description="A whole conversation, in place of prompt.")
    ] = None
    turns: Annotated[
        list[TurnYaml] | None,
        Field(min_length=2, description="Several turns, in place of prompt; the model answers each."),
    ] = None
    system: Annotated[str | None, Field(description="System message; replaces the set's default.")] = None
    examples: Annotated[
        list[ExampleYaml] | None,
        Field(description="Examples before the prompt, as messages; they replace the set's."),
    ] = None
    tools: Annotated[
        list[ToolYaml] | Text | None,
        Field(description="Tools that the model may call, or file:// and JSON; they replace the set's."),
    ] = None
    vars: Annotated[
        dict[str, Scalar | Annotated[list[Scalar], Field(min_length=1)]],
        Field(
            description="Values of {{name}} in texts and check values; a list gives a case for each value."
        ),
    ] = {}
    references: Annotated[list[str], Field(description="Good answers; the closest one counts.")] = []
    checks: Annotated[list[CheckYaml], Field(description="What the answer must satisfy.")] = []
    tags: Annotated[list[Tag], Field(description="For -m and slices; the first names a probe's skill.")] = []
    cluster: Annotated[
        str | None, Field(description="Cases of one cluster are not independent of each other.")
    ] = None
    retrieved_context: Annotated[list[str], Field(description="Passages retrieved for the prompt.")] = []
    metadata: Annotated[dict[str, JsonValue], Field(description="Kept with the case, not used.")] = {}
    generation: Annotated[
        dict[str, Any], Field(description="Overrides of the set's generation settings.")
    ] = {}
    must_pass: Annotated[bool, Field(description="The run fails if this case fails.")] = False
    repeat: Annotated[
        int | None, Field(ge=1, le=100, description="Answers sampled, averaged inside the case.")
    ] = None
    timeout: Annotated[
        float | None, Field(gt=0, description="Most seconds for an answer; the case is errored beyond.")
    ] = None
    skip: Annotated[str | None, Field(min_length=1, description="Reason why the case is left out.")] = None
    xfail: Annotated[str | None, Field(min_length=1, description="Reason why it is known to fail.")] = None

    @model_validator(mode="after")
    def _one_prompt(self) -> "CaseYaml":
        if [self.prompt, self.messages, self.turns].count(None) != 2:
            raise ValueError("give one of prompt, messages and turns")
        if self.prompt is not None and not self.prompt.strip():
            raise ValueError("the prompt is empty")
        if self.messages is not None and (
            not self.messages or self.messages[-1].role not in {"user", "tool"}
        ):
            below = ("messages", len(self.messages) - 1) if self.messages else ("messages",)
            raise ValueError("the last message must be the user's, or a tool's result", *below)
        for place, turn in enumerate((self.messages or ())[1:], start=1):
            if turn.role == "system":
                raise ValueError("a system message comes first", "messages", place)
        if self.messages and self.system is not None:
            raise ValueError("write the system message among the messages")
        return self

    @model_validator(mode="after")
    def _answered_calls(self) -> "CaseYaml":
        """A tool's result comes after a call of the tool; no template says what another one belongs to."""
        waiting: list[str] = []
        for number, turn in enumerate(self.messages or (), start=1):
            if turn.role != "tool":
                waiting = [call.name for call in turn.tool_calls]
            elif turn.name not in waiting:
                problem = f"message {number} is a result of {turn.name}, which no message before it calls"
                raise ValueError(problem, "messages", number - 1)
            else:
                waiting.remove(turn.name)
        return self


class MetricGateYaml(_StrictModel):
    """How one graded metric is gated."""

    margin: Annotated[
        float | None,
        Field(ge=0, description="Largest tolerated drop, on the metric's scale (perplexity: 0.10 nats)."),
    ] = None


class GateYaml(_StrictModel):
    """Margins and limits of the gate for this set."""

    margin: Annotated[
        Fraction | None, Field(description="Largest tolerated drop of the pass rate (0.05; probes 0.10).")
    ] = None
    metrics: Annotated[
        dict[str, MetricGateYaml], Field(description="Graded metrics gated besides the pass rate.")
    ] = {}
    max_unscored: Annotated[Fraction, Field(description="Largest tolerated share of unscored cases.")] = 0.05
    max_errored: Annotated[Fraction, Field(description="Largest tolerated share of errored cases.")] = 0.0
    max_regressed: Annotated[
        Fraction | None,
        Field(
            # The name in earlier versions is still accepted.
            validation_alias=AliasChoices("max_regressed", "max_broken"),
            description="Largest tolerated share of regressed cases (0; probes any).",
        ),
    ] = None
    population: Annotated[
        Literal["sample", "cases"],
        Field(description="What gates: further cases like these, or these very cases."),
    ] = "sample"


class GoldenSetYaml(_StrictModel):
    """A golden set."""

    name: Annotated[
        str,
        Field(pattern=ID_PATTERN, max_length=120, description="The set's name; also a marker for -m."),
        AfterValidator(_not_reserved),
    ]
    description: Annotated[str, Field(description="What the set measures.")] = ""
    probes_forgetting: Annotated[
        bool, Field(description="The set tests what the base could do before training.")
    ] = False
    generation: Annotated[GenerationYaml, Field(description="How answers are sampled.")] = GenerationYaml()
    defaults: Annotated[DefaultsYaml, Field(description="Defaults for every case.")] = DefaultsYaml()
    include: Annotated[
        list[Text], Field(description="Files with further cases; their names begin with _.")
    ] = []
    cases: Annotated[list[CaseYaml] | None, Field(min_length=1, description="The cases.")] = None
    gate: Annotated[GateYaml, Field(description="Margins and limits of the gate for this set.")] = GateYaml()

    @model_validator(mode="after")
    def _some_cases(self) -> "GoldenSetYaml":
        if self.cases is None and not self.include:
            raise ValueError("no cases: write them under cases, or include a file")
        return self


class IncludedYaml(_StrictModel):
    """A file that golden sets include."""

    description: Annotated[str, Field(description="What its cases are.")] = ""
    cases: Annotated[list[CaseYaml], Field(min_length=1, description="The cases.")]
