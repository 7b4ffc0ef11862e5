"""Golden sets and cases."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from typing_extensions import TypeAliasType

# A named alias, since pydantic can only follow recursion through a name.
JsonValue = TypeAliasType(
    "JsonValue", "str | int | float | bool | list[JsonValue] | dict[str, JsonValue] | None"
)

# Metrics that are made of an answer's time.
TIME_METRICS = frozenset({"latency", "throughput"})
# The date for templates that write today's date: the default in Llama's own templates.
PINNED_DATE = "2024-07-26"
# Arguments of transformers' apply_chat_template: a value of that name would change the function, not the text
# of the template.
RESERVED_KWARGS = frozenset(
    [
        *("messages", "conversation", "tools", "documents", "chat_template", "add_generation_prompt"),
        *("continue_final_message", "tokenize", "sanitize_control_tokens", "padding", "truncation"),
        *("max_length", "return_tensors", "return_dict", "return_assistant_tokens_mask"),
        *("tokenizer_kwargs", "strftime_now", "self", "conversations"),
    ]
)


# In a check's options: its value is JSON's null. A value of None means that there is none.
VALUE_IS_NULL = "value_is_null"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A call of a tool, by an assistant."""

    name: str
    # A mapping has no hash; messages are keys.
    arguments: Mapping[str, JsonValue] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One turn of a conversation.

    Attributes:
        content: The text; a tool's result.
        tool_calls: The assistant's calls of tools.
        name: Of a tool's result, the tool.
    """

    role: Literal["system", "user", "assistant", "tool"]
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    name: str | None = None

    @property
    def key(self) -> list[JsonValue]:
        """All of it, for hashes; earlier versions had role and content only."""
        calls: list[JsonValue] = [[call.name, dict(call.arguments)] for call in self.tool_calls]
        return [self.role, self.content, *([calls, self.name] if calls or self.name is not None else [])]

    @property
    def shown(self) -> str:
        """All of it as text, for people and judges."""
        calls = [
            f"{call.name}({json.dumps(dict(call.arguments), ensure_ascii=False)})" for call in self.tool_calls
        ]
        return "\n".join([*([self.content] if self.content or not calls else []), *calls])


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationSettings:
    """How a prompt is rendered and an answer is generated. Temperature 0 is greedy decoding.

    Attributes:
        task: The head of a multi-task model that answers; models that generate ignore it.
        chat_template_kwargs: Values that the chat template reads, such as ``enable_thinking``.
        date: Today's date for a chat template, as YYYY-MM-DD.
        max_reasoning_tokens: Most tokens of all reasoning before the answer; ``max_new_tokens`` then counts
            only the answer's. None: the reasoning counts as part of the answer's tokens.
        score_reasoning: Whether the reasoning stays a part of the text that checks see.
        use_model_settings: Whether the model's own generation config is used: penalties, suppressed tokens.
        tools: Tools that the chat template describes to the model, in OpenAI's format.
        decided_by: What ends an answer once all of it is found; empty for nothing.
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
    tools: tuple[JsonValue, ...] = ()
    decided_by: tuple[JsonValue, ...] = ()

    @property
    def token_limit(self) -> int:
        """Most tokens that are generated, reasoning and answer together."""
        return self.max_new_tokens + (self.max_reasoning_tokens or 0)

    @property
    def later_settings(self) -> dict[str, JsonValue]:
        """Settings that earlier versions did not have, if they differ from their defaults.

        Hashes include these only if they are given, so stored answers keep their hash.
        """
        usual = _USUAL_SETTINGS
        return {
            name: dict(value) if isinstance(value := getattr(self, name), Mapping) else value
            for name in _LATER
            if getattr(self, name) != getattr(usual, name)
        }

    def rendering(self, messages: Sequence[Message]) -> list[JsonValue]:
        """What a prompt is made of beside the conversation's texts, for hashes.

        These sort keys, and templates and requests don't: calls and tools are a text.
        """
        calls = [dict(call.arguments) for message in messages for call in message.tool_calls]
        written: list[JsonValue] = [json.dumps([calls, self.tools])] if calls or self.tools else []
        return [dict(self.chat_template_kwargs), self.date, *written]


_LATER = (
    *("task", "chat_template_kwargs", "date", "max_reasoning_tokens", "score_reasoning"),
    *("use_model_settings", "tools", "decided_by"),
)
_USUAL_SETTINGS = GenerationSettings()


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One metric of a case, with its threshold.

    Attributes:
        type: The metric's name, with ``not-`` in front if the check is negated.
        threshold: Smallest value that passes (largest, if lower is better), or None for the metric's default.
        value: The check's own argument: a substring, a pattern, a JSON Schema. None if the case's references
            are the argument.
        options: The check's other keys, already validated.
        line: 1-based line in the golden set, for messages.
        file: Path of the file with the check's function or wording; its content's hash is in the options.
        weight: Its share in its group, in proportion to the other members'.
        transform: Steps from the answer to the text that is checked.
        transform_files: The files of its steps that are functions, in order; their hashes are in the steps.
        checks: The members of a group; empty for every other check.
        turn: Number of the turn whose answer it checks, from 1; None for the last answer.
    """

    type: str
    threshold: float | None = None
    value: JsonValue = None
    options: Mapping[str, JsonValue] = field(default_factory=dict)
    line: int = 0
    file: str | None = None
    weight: float = 1.0
    transform: tuple[JsonValue, ...] = ()
    transform_files: tuple[str, ...] = ()
    checks: tuple["Check", ...] = ()
    turn: int | None = None

    @property
    def single_checks(self) -> tuple["Check", ...]:
        """The members of a group, those of its groups included; any other check is its own only one."""
        return tuple(single for member in self.checks for single in member.single_checks) or (self,)

    @property
    def signed_checks(self) -> tuple[tuple["Check", bool], ...]:
        """Each of its single checks, and whether it counts as written: not inside of one negated group."""
        as_written = not self.type.startswith("not-")
        below = [signed for member in self.checks for signed in member.signed_checks]
        return tuple((single, sign == as_written) for single, sign in below) or ((self, True),)

    @property
    def content(self) -> list[object]:
        """What the check depends on. Keys that earlier versions did not have count only if they are given."""
        later = {
            **({} if self.weight == 1 else {"weight": self.weight}),
            **({"transform": self.transform} if self.transform else {}),
            **({"checks": [member.content for member in self.checks]} if self.checks else {}),
            **({} if self.turn is None else {"turn": self.turn}),
        }
        return [self.type, self.threshold, self.value, dict(self.options), *([later] if later else [])]


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One of several turns of a case: what the user says, and good answers to it."""

    content: str
    references: tuple[str, ...] = ()


class _HashedRecord:
    """Remembers what a run needs a dozen times of each case; it is no field, and a changed copy has none."""

    __slots__ = ("_hash", "_key")
    _hash: str
    _key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenCase(_HashedRecord):
    """One prompt and what a good answer to it satisfies.

    Attributes:
        id: Unique within its set.
        set_name: The golden set's name.
        messages: The conversation that the model continues; in a case with turns, up to the first one.
        turns: All turns that the model answers, if there are several.
        cluster: Cases that share a cluster are not independent; statistics use whole clusters.
        must_pass: The run fails if this case fails, whatever the comparison shows.
        repeat: Number of sampled answers; they are averaged inside the case.
        line: 1-based line in the golden set, or in ``file``.
        file: The included file with the case; empty for the set's own.
        timeout_s: Most seconds for one answer; the case is errored if it took longer.
        description: What the case tests, for reports; it changes no result.
        probes_forgetting: Whether its set does: a reasoning without an answer then leaves the case open.
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
    file: str = ""
    turns: tuple[Turn, ...] = ()
    timeout_s: float | None = None
    description: str = ""
    probes_forgetting: bool = False

    @property
    def key(self) -> str:
        """Name of the case across sets, such as ``orders/bob-kettles``."""
        try:
            return self._key
        except AttributeError:
            object.__setattr__(self, "_key", found := f"{self.set_name}/{self.id}")
            return found

    @property
    def single_checks(self) -> tuple[Check, ...]:
        """All checks that score, members of groups included."""
        return tuple(single for check in self.checks for single in check.single_checks)

    @property
    def answer_keys(self) -> tuple[str, ...]:
        """A name for each answer: the case's own, then ``orders/bob-kettles#2`` and so on."""
        if self.repeat == 1:
            return (self.key,)
        return (self.key, *(f"{self.key}#{number}" for number in range(2, self.repeat + 1)))

    def asked_with(self, usual: Mapping[str, JsonValue]) -> "GoldenCase":
        """The case whose chat template gets these values too, where it has none of that name.

        Args:
            usual: Values by name.
        """
        if not usual:
            return self
        kwargs = {**usual, **self.generation.chat_template_kwargs}
        return replace(self, generation=replace(self.generation, chat_template_kwargs=kwargs))

    @property
    def content_sha256(self) -> str:
        """Hash of the prompt and the checks; two runs pair a case only if it is equal."""
        try:
            return self._hash
        except AttributeError:
            object.__setattr__(self, "_hash", found := self._content_sha256())
            return found

    def _content_sha256(self) -> str:
        later = self.generation.later_settings
        task = later.pop("task", None)
        content = {
            "messages": [message.key for message in self.messages],
            "references": self.references,
            "retrieved_context": self.retrieved_context,
            "checks": [check.content for check in self.checks],
            "generation": [
                self.generation.max_new_tokens,
                self.generation.temperature,
                self.generation.top_p,
                self.generation.seed,
                self.generation.stop,
                *([] if task is None else [task]),
                *([later] if later else []),
            ],
            **({} if self.timeout_s is None else {"timeout": self.timeout_s}),
            **({"turns": [[turn.content, turn.references] for turn in self.turns]} if self.turns else {}),
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def set_of(key: str) -> str:
    """The set in a case's key; the name of a set has no slash."""
    return key.partition("/")[0]


def id_of(key: str) -> str:
    """The case's id in its key."""
    return key.partition("/")[2]


# The level of error: one-sided, of all tests of a run together, and of each bound compared with a margin.
ALPHA = 0.05
# The largest tolerated drop of sets that name none: of tasks, and of forgetting probes.
TASK_MARGIN = 0.05
PROBE_MARGIN = 0.10
_ROUNDING = 1e-9


def is_within(value: float, limit: float, unit: float | None = None) -> bool:
    """Whether a value is at most what is tolerated, also where rounding has added a little.

    Args:
        value: A drop, or a share of cases.
        limit: The most that is tolerated.
        unit: A length of which a billionth is rounding; the limit by default, whatever the scale.
    """
    return value <= limit + _ROUNDING * (limit if unit is None else unit)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateSettings:
    """Margins and limits of the gate for a golden set.

    Attributes:
        margin: Largest tolerated drop of the set's pass rate, or None for the run's default.
        metric_margins: Graded metrics gated besides the pass rate, each with its tolerated drop.
        max_unscored: Largest tolerated fraction of unscored cases, and of those changed since the baseline.
        max_errored: Largest tolerated fraction of errored cases.
        max_regressed: Largest tolerated fraction of regressed cases; None for the default: 0, and any in
            forgetting probes.
        population: The question of the gate: would the drop show on further cases like these (``sample``), or
            did exactly these cases get worse, beyond the noise of the answers (``cases``)?
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
        probes_forgetting: The set tests what the base model could do before training, so it is compared as
            *retained* skills, not as the trained task.
        content_sha256: Hash of the file's bytes.
    """

    name: str
    path: str
    description: str = ""
    cases: tuple[GoldenCase, ...] = ()
    gate: GateSettings = GateSettings()
    probes_forgetting: bool = False
    content_sha256: str = ""
