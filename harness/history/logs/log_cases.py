"""A run's cases as another tool's log has them, before it is known what decides."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.types import Message, MetricFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class LogAnswer:
    """One answer with its values.

    Attributes:
        values: By metric, on the tool's own scale.
        passed: The tool's verdict on the answer, if it gives one.
        text: None if the log has none.
        error: Why there is no value; empty if nothing broke.
        explanations: By metric, the tool's reasons.
        is_cut: A token limit ended it.
        latency_s: Seconds; 0 if the log has none, as for the tokens.
        line: 1-based line in the file, for messages.
    """

    values: Mapping[str, float] = field(default_factory=dict)
    passed: bool | None = None
    text: str | None = None
    error: str = ""
    explanations: Mapping[str, str] = field(default_factory=dict)
    is_cut: bool = False
    latency_s: float = 0.0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    line: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogCase:
    """One case.

    Attributes:
        set_name: The tool's task, without a slash.
        id: Unique in its set.
        messages: The prompt; empty if the log has none.
        identity: What else the case depends on, such as the tool's own hash of it.
        answers: One, or several to the same case.
    """

    set_name: str
    id: str
    answers: tuple[LogAnswer, ...]
    messages: tuple[Message, ...] = ()
    references: tuple[str, ...] = ()
    cluster: str | None = None
    tags: tuple[str, ...] = ()
    identity: str = ""

    @property
    def key(self) -> str:
        """The case's name across sets."""
        return f"{self.set_name}/{self.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLog:
    """A whole log.

    Attributes:
        path: The file that was read.
        tool: Name and version of the tool.
        model: The model's name.
        started_at: ISO 8601.
        facts: How to read each metric; one without an entry is only compared if its scale is given.
        deciding: By set, the metric that decides if none is chosen. A set without an entry is decided by the
            tool's own verdicts.
        dtype: Precision of the weights, where the log says it.
        notes: What was left out, one line each.
    """

    path: Path
    tool: str
    model: str
    started_at: str
    duration_s: float = 0.0
    cases: tuple[LogCase, ...]
    facts: Mapping[str, MetricFacts] = field(default_factory=dict)
    deciding: Mapping[str, str] = field(default_factory=dict)
    dtype: str = "unknown"
    device: str = "unknown"
    notes: tuple[str, ...] = ()
