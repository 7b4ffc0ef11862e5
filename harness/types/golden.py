"""Golden sets: what is asked."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from typing_extensions import TypeAliasType

# A named alias, since pydantic can only follow recursion through a name.
JsonValue = TypeAliasType(
    "JsonValue", "str | int | float | bool | list[JsonValue] | dict[str, JsonValue] | None"
)

# What templates that write today's date are told: the day that Llama's own templates fall back to.
PINNED_DATE = "2024-07-26"
# What transformers' apply_chat_template takes itself: a value of that name would change what it does, and not
# what the template writes.
RESERVED_KWARGS = frozenset(
    [
        *("messages", "conversation", "tools", "documents", "chat_template", "add_generation_prompt"),
        *("continue_final_message", "tokenize", "sanitize_control_tokens", "padding", "truncation"),
        *("max_length", "return_tensors", "return_dict", "return_assistant_tokens_mask"),
        *("tokenizer_kwargs", "strftime_now"),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationSettings:
    """How a prompt is written and an answer is made. Temperature 0 is greedy decoding.

    Attributes:
        task: Which of a multi-task model's heads answers; models that generate pay no heed to it.
        chat_template_kwargs: Values that the chat template reads, such as ``enable_thinking``.
        date: The day that a chat template is told is today, as YYYY-MM-DD.
        max_reasoning_tokens: Most tokens of the reasoning before the answer; ``max_new_tokens`` then counts
            the answer's alone. None: the reasoning counts as part of the answer's tokens.
        score_reasoning: Whether the reasoning stays a part of the text that checks see.
        use_model_settings: Whether the model's own generation config is heeded: penalties, suppressed tokens.
    """

    max_new_tokens: int = 128
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    stop: tuple[str, ...] = ()
    task: str | None = None
    chat_template_kwargs: Mapping[str, JsonValue] = field(default_factory=dict)
    date: str = PINNED_DATE
    max_reasoning_tokens: int | None = None
    score_reasoning: bool = False
    use_model_settings: bool = False

    @property
    def token_limit(self) -> int:
        """Most tokens that are generated, reasoning and answer together."""
        return self.max_new_tokens + (self.max_reasoning_tokens or 0)

    @property
    def later_settings(self) -> dict[str, JsonValue]:
        """Settings that first answers and runs were stored without, where they differ from their defaults.

        Hashes hold these only where they are given, so that what was stored before keeps its hash.
        """
        usual = _USUAL_SETTINGS
        return {
            name: dict(value) if isinstance(value := getattr(self, name), Mapping) else value
            for name in _LATER
            if getattr(self, name) != getattr(usual, name)
        }


_LATER = (
    *("task", "chat_template_kwargs", "date", "max_reasoning_tokens", "score_reasoning"),
    "use_model_settings",
)
_USUAL_SETTINGS = GenerationSettings()


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One metric with its threshold, as a case asks for it.

    Attributes:
        type: The metric's name, with ``not-`` in front when the check is inverted.
        threshold: Least value that passes (greatest, for metrics where lower is better), or None
            for the metric's default.
        value: The check's own argument: a substring, a pattern, a JSON Schema. None when the
            case's references are the argument.
        options: The check's other keys, already validated.
        line: 1-based line in the golden set, for messages.
        file: Of a ``python`` check, where its file is; what it holds stands in the options as a hash.
    """

    type: str
    threshold: float | None = None
    value: JsonValue = None
    options: Mapping[str, JsonValue] = field(default_factory=dict)
    line: int = 0
    file: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenCase:
    """One prompt and what a good answer to it satisfies.

    Attributes:
        id: Unique within its set.
        set_name: The golden set's name.
        messages: The conversation that the model continues.
        cluster: Cases that share a cluster are not independent; statistics resample whole clusters.
        must_pass: Failing this case fails the run on its own, whatever the comparison says.
        repeat: How many answers are drawn; they are averaged inside the case.
        line: 1-based line in the golden set.
    """

    id: str
    set_name: str
    messages: tuple[Message, ...]
    references: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()
    tags: tuple[str, ...] = ()
    cluster: str | None = None
    retrieved_context: tuple[str, ...] = ()
    metadata: Mapping[str, JsonValue] = field(default_factory=dict)
    generation: GenerationSettings = GenerationSettings()
    must_pass: bool = False
    repeat: int = 1
    skip: str | None = None
    xfail: str | None = None
    line: int = 0

    @property
    def key(self) -> str:
        """Name of the case across sets, such as ``orders/bob-kettles``."""
        return f"{self.set_name}/{self.id}"

    @property
    def answer_keys(self) -> tuple[str, ...]:
        """A name for each answer: the case's own, then ``orders/bob-kettles#2`` and so on."""
        return (self.key, *(f"{self.key}#{number}" for number in range(2, self.repeat + 1)))

    @property
    def content_sha256(self) -> str:
        """Hash of what is asked and how it is checked; two runs pair a case only if it is equal."""
        later = self.generation.later_settings
        task = later.pop("task", None)
        content = {
            "messages": [[m.role, m.content] for m in self.messages],
            "references": self.references,
            "retrieved_context": self.retrieved_context,
            "checks": [[c.type, c.threshold, c.value, dict(c.options)] for c in self.checks],
            "generation": [
                self.generation.max_new_tokens,
                self.generation.temperature,
                self.generation.top_p,
                self.generation.seed,
                self.generation.stop,
                *([] if task is None else [task]),
                *([later] if later else []),
            ],
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class GateSettings:
    """What a golden set asks of the gate.

    Attributes:
        margin: Largest tolerated drop of the set's pass rate, or None for the run's default.
        metric_margins: Graded metrics gated besides the pass rate, each with its tolerated drop.
        max_unscored: Largest tolerated fraction of unscored cases.
        max_errored: Largest tolerated fraction of errored cases.
        max_regressed: Largest tolerated fraction of cases that are shown, each on its own, to be answered
            worse; None for the default: 0, and any in forgetting probes.
        population: What gates: would the drop show on further cases like these (``sample``), or did these
            very cases get worse, beyond the noise of the answers (``cases``)?
    """

    margin: float | None = None
    metric_margins: Mapping[str, float] = field(default_factory=dict)
    max_unscored: float = 0.05
    max_errored: float = 0.0
    max_regressed: float | None = None
    population: Literal["sample", "cases"] = "sample"


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenSet:
    """The cases of one YAML file.

    Attributes:
        probes_forgetting: The set measures what the base model could already do, so it is compared
            as *retained* skills rather than as the trained task.
        content_sha256: Hash of the file's bytes.
    """

    name: str
    path: str
    description: str = ""
    cases: tuple[GoldenCase, ...] = ()
    gate: GateSettings = GateSettings()
    probes_forgetting: bool = False
    content_sha256: str = ""
