"""The data that flows through a gate, as inert values: functions elsewhere act on it.

Words: a *metric* scores one completion; a *check* is a metric with its threshold inside a case;
a *summary* aggregates one metric over cases; *regressed* is said of a run, never of a case.
Fractions are in [0, 1], times in seconds, losses in nats per token.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from typing_extensions import TypeAliasType

# A named alias, since pydantic can only follow recursion through a name.
JsonValue = TypeAliasType(
    "JsonValue", "str | int | float | bool | list[JsonValue] | dict[str, JsonValue] | None"
)


class Outcome(StrEnum):
    """What became of one case. Only *passed* and *failed* are verdicts; the others are never a score."""

    PASSED = "passed"
    FAILED = "failed"
    ERRORED = "errored"  # a metric, judge or the engine broke
    UNSCORED = "unscored"  # there was nothing that could give a verdict
    SKIPPED = "skipped"


class GateVerdict(StrEnum):
    """What the gate says of a candidate against its baseline."""

    PASS = "pass"
    REGRESS = "regress"
    INCONCLUSIVE = "inconclusive"


# ---- golden sets: what is asked -------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationSettings:
    """How an answer is sampled. Temperature 0 is greedy decoding."""

    max_new_tokens: int = 128
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    stop: tuple[str, ...] = ()


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
    """

    type: str
    threshold: float | None = None
    value: JsonValue = None
    options: Mapping[str, JsonValue] = field(default_factory=dict)
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenCase:
    """One prompt and what a good answer to it satisfies.

    Attributes:
        id: Unique within its set.
        set_name: The golden set's name.
        messages: The conversation that the model continues.
        cluster: Cases that share a cluster are not independent; statistics resample whole clusters.
        must_pass: Failing this case fails the run on its own, whatever the comparison says.
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
    skip: str | None = None
    xfail: str | None = None
    line: int = 0

    @property
    def key(self) -> str:
        """Name of the case across sets, such as ``orders/bob-kettles``."""
        return f"{self.set_name}/{self.id}"

    @property
    def content_sha256(self) -> str:
        """Hash of what is asked and how it is checked; two runs pair a case only if it is equal."""
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
    """

    margin: float | None = None
    metric_margins: Mapping[str, float] = field(default_factory=dict)
    max_unscored: float = 0.05
    max_errored: float = 0.0


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


# ---- a run: what was answered ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """One answer.

    Attributes:
        stop_reason: ``stop`` when the model ended by itself, ``length`` when the token limit cut it.
        latency_s: The batch's wall time divided by its rows, in seconds.
    """

    text: str
    stop_reason: Literal["stop", "length"]
    prompt_tokens: int
    completion_tokens: int
    latency_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What one metric says of one completion.

    Attributes:
        value: 0 or 1 for binary metrics, the metric's own scale for graded ones.
        threshold: The limit that ``passed`` was decided with, or None if it was not decided.
        passed: None when the metric only informs.
        explanation: Why, for a person: what was missing, which part matched.
    """

    metric: str
    value: float
    threshold: float | None = None
    passed: bool | None = None
    explanation: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricError:
    """A metric that broke on one completion. It is kept as a value and is never a score."""

    metric: str
    error: str
    traceback: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """One case with its answer, its scores and what became of it."""

    case: GoldenCase
    completion: Completion | None
    scores: tuple[Score, ...] = ()
    errors: tuple[MetricError, ...] = ()
    outcome: Outcome

    @property
    def key(self) -> str:
        """The case's name across sets."""
        return self.case.key


@dataclass(frozen=True, slots=True, kw_only=True)
class TextLoss:
    """Cross-entropy of a model on one bundled passage of general text."""

    passage: str
    nats_per_token: float
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRef:
    """Which weights answered, by content.

    Attributes:
        label: What a person calls it: the adapter's path as given, or the base model's name.
        adapter_sha256: Hash of the adapter's weights and config; None for a bare base model.
        base_sha256: Hash of the base model's weights, config, tokenizer and chat template.
        training: The adapter's ``training_manifest.json``, when there is one.
    """

    label: str
    base_model: str
    base_sha256: str
    adapter_dir: str | None = None
    adapter_sha256: str | None = None
    training: Mapping[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionPlan:
    """How the answers were computed: part of the result, since it changes greedy text in low precision.

    Attributes:
        batch_tokens: Token budget of one batch (rows × padded prompt and answer length).
        mixed: Several models answered in one batch (PEFT's ``adapter_names``).
    """

    engine: str
    dtype: str
    device: str
    batch_tokens: int
    mixed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Where a run happened."""

    python: str
    platform: str
    packages: Mapping[str, str]
    commit: str | None = None
    dirty: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One model's answers to the selected cases, scored.

    Attributes:
        id: Sorts by time, such as ``20260131-142501-7f3a``.
        started_at: ISO 8601 in UTC.
        collected: How many cases the golden sets held; more than ``len(results)`` in a partial run.
        golden_sets: The sets' headers, their ``cases`` left empty: the cases stand in ``results``.
    """

    id: str
    started_at: str
    duration_s: float
    model: ModelRef
    plan: ExecutionPlan
    environment: Environment
    golden_sets: tuple[GoldenSet, ...]
    collected: int
    results: tuple[CaseResult, ...]
    text_losses: tuple[TextLoss, ...] = ()

    @property
    def partial(self) -> bool:
        """True when a selection (``-k``, ``--lf``, a single file) left cases out."""
        return len(self.results) < self.collected


# ---- a comparison: what changed -------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """An estimate with its two-sided interval and how that was computed."""

    estimate: float
    low: float
    high: float
    confidence: float
    method: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricSummary:
    """A metric's mean over cases. It never stands without n and an interval."""

    metric: str
    n: int
    mean: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricComparison:
    """One metric of one golden set, candidate against baseline, paired by case.

    Attributes:
        metric: ``pass-rate`` or a check type.
        kind: ``binary`` (0/1 a case) or ``graded``.
        n: Pairs in which both sides have a verdict.
        drop: Baseline minus candidate on the metric's scale, turned so that positive is worse.
        p_value: One-sided, of "no drop".
        p_adjusted: Holm's adjustment over the gated metrics; None when not gated.
        lost: Keys of cases that the baseline passed and the candidate fails (graded: the largest drops).
        gained: The reverse.
        margin: Largest tolerated drop; None when not gated.
        minimum_detectable_drop: True drop that this comparison would call a regression with
            probability 0.8; None when n is too small for any.
        verdict: None when not gated.
    """

    set_name: str
    metric: str
    kind: Literal["binary", "graded"]
    n: int
    candidate: MetricSummary
    baseline: MetricSummary
    drop: Interval
    p_value: float
    p_adjusted: float | None = None
    lost: tuple[str, ...] = ()
    gained: tuple[str, ...] = ()
    margin: float | None = None
    minimum_detectable_drop: float | None = None
    verdict: GateVerdict | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """Of the probes of one skill that the baseline passed, how many the candidate still passes."""

    skill: str
    passed_by_baseline: int
    retained: int
    rate: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgetting:
    """What the candidate lost of what the baseline could do.

    Attributes:
        overall: Retention over all probes; None when the baseline passed none of them.
        by_skill: The same for each skill (a probe set's tag).
        loss_change: Candidate minus baseline cross-entropy on general text, in nats per token;
            None when it was not measured. A tripwire, never the only reason of a verdict.
        tripped: The loss change is larger than its limit.
    """

    overall: Retention | None
    by_skill: tuple[Retention, ...] = ()
    loss_change: Interval | None = None
    tripped: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A candidate's run against its baseline's.

    Attributes:
        unpaired: Keys of cases that are on one side only, changed between the runs, or have no
            verdict on one side: they are left out of every paired figure, and counted here.
    """

    candidate_run: str
    baseline_run: str
    metrics: tuple[MetricComparison, ...]
    forgetting: Forgetting | None = None
    unpaired: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The gate's word, with the reasons in order of weight."""

    outcome: GateVerdict
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRecord:
    """Everything that one ``pytest --model`` session found out; what history keeps and reports show."""

    run: Run
    baseline: Run | None = None
    comparison: Comparison | None = None
    verdict: Verdict | None = None
