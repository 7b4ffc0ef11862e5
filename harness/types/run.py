"""A run: conversations, answers, scores and outcomes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BeforeValidator

from harness.types.golden import GoldenCase, GoldenSet, JsonValue, Message
from harness.types.metric import MetricFacts, ScoredTexts, TextLoss, UnscoredMetric
from harness.types.training import TrainingManifest, stored_manifest
from tunegate.printable import encodable

# The hash of weights that a server doesn't identify begins with it; the rest is of one session alone.
UNKNOWN_WEIGHTS = "unknown-weights-"
# Precisions in which the other rows of a batch don't change greedy text.
EXACT_DTYPES = frozenset({"float32", "float64"})


class GateVerdict(StrEnum):
    """The gate's verdict on a candidate, compared with its baseline."""

    PASS = "pass"
    REGRESS = "regress"
    INCONCLUSIVE = "inconclusive"


class Outcome(StrEnum):
    """The outcome of one case. Only *passed* and *failed* are verdicts; the others are never a score."""

    PASSED = "passed"
    FAILED = "failed"
    ERRORED = "errored"  # a metric, judge or the engine broke
    UNSCORED = "unscored"  # no check could give a verdict
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """One answer.

    Attributes:
        text: The answer, without the reasoning before it.
        stop_reason: ``stop`` when the model ended by itself, ``length`` when the token limit cut it.
        completion_tokens: Tokens of reasoning and answer.
        latency_s: The batch's wall time divided by its rows, in seconds.
        reasoning: The text of a reasoning model before its answer; None if there is none.
        prompt: The rendered prompt.
        prompt_sha256: Hash of that.
        earlier: The answers to the case's earlier turns, if it has several.
    """

    text: str
    stop_reason: Literal["stop", "length"]
    prompt_tokens: int
    completion_tokens: int
    latency_s: float
    reasoning: str | None = None
    prompt: str | None = None
    prompt_sha256: str | None = None
    earlier: tuple["Completion", ...] = ()

    @property
    def unanswered(self) -> bool:
        """Whether the model reasoned but gave no answer, for example because a limit cut its reasoning."""
        return self.reasoning is not None and not self.text.strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One metric's value for one completion.

    Attributes:
        value: 0 or 1 for binary metrics, the metric's own scale for graded ones.
        threshold: The limit that decided ``passed``, or None.
        passed: None if the metric is for information.
        explanation: The reason: what was missing, which part matched.
        labels: Of a classification, the expected label and the predicted one (empty: none can be read).
        unclear: Whether the answer can't be read as this check needs it: it then fails, negated or not.
        texts: Of a score of losses, the scored texts; None for others, and in records of earlier versions.
    """

    metric: str
    value: float
    threshold: float | None = None
    passed: bool | None = None
    explanation: str = ""
    labels: tuple[str, str] | None = None
    unclear: bool = False
    texts: ScoredTexts | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricError:
    """A metric that broke on one completion. It is stored as a value and is never a score."""

    metric: str
    error: str
    traceback: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeat:
    """One of several answers to a case."""

    completion: Completion | None
    scores: tuple[Score, ...] = ()
    errors: tuple[MetricError, ...] = ()
    outcome: Outcome

    @classmethod
    def of(cls, answer: "CaseResult | Repeat") -> "Repeat":
        """An answer as one of several."""
        return cls(
            completion=answer.completion, scores=answer.scores, errors=answer.errors, outcome=answer.outcome
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """One case with its answer, scores and outcome.

    Attributes:
        repeats: All answers, if the case has several; it passed if all of them did. Its completion, scores
            and errors are then those of the answer that decided.
        unscored: Checks without a score, and why.
    """

    case: GoldenCase
    completion: Completion | None
    scores: tuple[Score, ...] = ()
    errors: tuple[MetricError, ...] = ()
    outcome: Outcome
    repeats: tuple[Repeat, ...] = ()
    unscored: tuple[UnscoredMetric, ...] = ()

    @property
    def key(self) -> str:
        """The case's name across sets."""
        return self.case.key

    @property
    def has_failed(self) -> bool:
        """Whether a check that decides failed on an answer, whatever broke beside it."""
        scores = [*self.scores, *(score for each in self.repeats for score in each.scores)]
        wrong = any(score.passed is False for score in scores)
        return self.outcome is Outcome.FAILED or (self.outcome is not Outcome.PASSED and wrong)

    @property
    def is_unknown(self) -> bool:
        """Whether nobody knows if it passes, since something broke or was not scored."""
        return self.outcome in {Outcome.ERRORED, Outcome.UNSCORED} and not self.has_failed


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRef:
    """A model, identified by the content of its weights.

    Attributes:
        label: Its name for people: the adapter's path as given, or the base model's name.
        adapter_sha256: Hash of the adapter's weights and config; None for a bare base model.
        base_sha256: Hash of the base model's weights, config, tokenizer and chat template; empty for a model
            that another tool's log names.
        training: The training manifest; None if there is none.
        engine: Name of the plug-in's engine that runs it; None for tunegate's own.
        tokenizer_dir: The adapter whose tokenizer is the base's too; None where the base has its own.
        tokenizer_sha256: Hash of that tokenizer and its chat template.
        own_settings: What its generation config changes in greedy answers, such as
            ``repetition_penalty: 1.1``; used only where a golden set asks for it.
    """

    label: str
    base_model: str
    base_sha256: str
    adapter_dir: str | None = None
    adapter_sha256: str | None = None
    training: Annotated[TrainingManifest | None, BeforeValidator(stored_manifest)] = None
    engine: str | None = None
    tokenizer_dir: str | None = None
    tokenizer_sha256: str | None = None
    own_settings: tuple[str, ...] = ()

    @property
    def is_logged(self) -> bool:
        """Whether only its name is known, from another tool's log."""
        return not self.base_sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """How the engine ran one side of a session.

    Attributes:
        side: ``candidate``, ``baseline`` and so on.
        weights: Whether other sides shared the same copy of the base.
        batches: ``mixed`` with other sides' rows, ``separate``, or a ``single`` prompt at a time.
        decoder: Our own loop over ``batched`` rows, or the ``library``'s generate.
        unpacked: The packed numbers, such as fp8, from which its base was turned into plain ones; or None.
    """

    side: str
    weights: Literal["own", "shared"]
    batches: Literal["mixed", "separate", "single"]
    decoder: Literal["batched", "library"]
    unpacked: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerUse:
    """How models behind servers were asked, and what the servers reported.

    Attributes:
        url: The server that adapters are loaded into; None where each model has its own, or one is started.
        arguments: Further arguments of the server that is started.
        identity: The user's word for what that server computes with; empty if nobody knows.
        concurrency: Most requests to one server that were under way at a time.
        timeout_s: Longest time for one attempt, in seconds.
        prices: Of a million prompt tokens and a million completion tokens.
        requests: Sent requests, repeated ones included.
        retried: Of those, sent again after a fault.
        cost: In the currency of the prices; None without prices.
        reported: The models' names in the replies.
        fingerprints: The ``system_fingerprint`` of the replies.
        unmeasured: Why texts were not scored; empty if they were.
        notes: What a reader has to know of the replies, a sentence each.
    """

    url: str | None = None
    arguments: str = ""
    identity: str = ""
    concurrency: int = 8
    timeout_s: float = 120.0
    prices: tuple[float, float] | None = None
    requests: int = 0
    retried: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float | None = None
    reported: tuple[str, ...] = ()
    fingerprints: tuple[str, ...] = ()
    unmeasured: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionPlan:
    """How the answers were computed. It is part of the result: it changes greedy text in low precision.

    Attributes:
        batch_tokens: Token budget of one batch (rows × padded prompt and answer length).
        mixed: Several models answered in one batch (PEFT's ``adapter_names``).
        weights: How an adapter is applied: ``peft`` (separate from its base), ``merged`` (added to its
            weights), or ``nf4`` (separate, on a base in 4 bits).
        chat_template_kwargs: Values for chat templates, used where a case has no value of that name.
        placements: How each side was run; empty for answers from the cache.
        server: How servers were asked; None for models on this machine.
    """

    engine: str
    dtype: str
    device: str
    batch_tokens: int
    mixed: bool = False
    weights: Literal["peft", "merged", "nf4"] = "peft"
    chat_template_kwargs: Mapping[str, JsonValue] = field(default_factory=dict)
    placements: tuple[Placement, ...] = ()
    server: ServerUse | None = None

    @property
    def lasting(self) -> "ExecutionPlan":
        """The plan without what is counted anew in each run."""
        if self.server is None:
            return self
        return replace(self, server=ServerUse(identity=self.server.identity))


@dataclass(frozen=True, slots=True, kw_only=True)
class SetLooks:
    """How far a gate with several looks has answered a golden set.

    Attributes:
        look: Number of the latest look at the set, from 1; of one that no look reached, of the latest at all.
        planned: Number of planned looks.
        fractions: The share of its cases that had been answered at each look, in increasing order.
        cases: Number of its selected cases.
        answered: Number of those that the looks have reached.
        out_of_turn: Keys of must-pass cases that were answered before their turn; no comparison counts them.
    """

    set_name: str
    look: int
    planned: int
    fractions: tuple[float, ...]
    cases: int
    answered: int
    out_of_turn: tuple[str, ...] = ()

    @property
    def stopped(self) -> bool:
        """Whether some cases were not needed."""
        return self.answered < self.cases


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Where a run happened.

    Attributes:
        commit: The project's commit; None outside git, like the three below.
        dirty: Whether the project had uncommitted changes.
        author: The name of the commit's author.
        subject: The first line of the commit's message.
        machine: Its processor, and its GPU if one is used; None in records of earlier versions.
        branch: The project's branch; None outside git, where git is on none, and in earlier records.
    """

    python: str
    platform: str
    packages: Mapping[str, str]
    commit: str | None = None
    dirty: bool | None = None
    author: str | None = None
    subject: str | None = None
    machine: str | None = None
    branch: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One model's answers to the selected cases, scored.

    Attributes:
        id: Sorts by time, such as ``20260131-142501-7f3a``.
        started_at: ISO 8601 in UTC.
        collected: Number of cases in the golden sets; more than ``len(results)`` in a partial run.
        golden_sets: The sets' headers, with empty ``cases``: the cases are in ``results``.
        metrics: How to read the scores of each metric, by its name in the scores. A metric without an entry
            can be shown, but not compared.
        looks: How far each set was answered, if the gate had several looks.
        left_out: What belongs to the gate and said nothing, because it was not selected, skipped or never
            reached: keys of cases, then the project's own tests, with the reason where it is another.
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
    metrics: Mapping[str, MetricFacts] = field(default_factory=dict)
    looks: tuple[SetLooks, ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def partial(self) -> bool:
        """True when a selection (``-k``, ``--lf``, a single file) or an early stop left something out."""
        return bool(self.left_out) or self.lacks_cases

    @property
    def lacks_cases(self) -> bool:
        """True when not all cases were answered."""
        return len(self.results) < self.collected

    @property
    def stopped(self) -> bool:
        """True when a gate with several looks was decided before all cases were answered."""
        return any(each.stopped for each in self.looks)

    @property
    def selected(self) -> int:
        """Number of selected cases: those with a result, and those that an early stop left out."""
        return len(self.results) + sum(
            each.cases - each.answered - len(each.out_of_turn) for each in self.looks
        )


def conversation(case: GoldenCase, earlier: Sequence[Completion]) -> tuple[Message, ...]:
    """The messages before an answer: the case's own, then the model's earlier answers and what follows each.

    Args:
        case: The case.
        earlier: The model's answers to the case's first turns; none for a case of one turn.
    """
    messages = list(case.messages)
    for answer, turn in zip(earlier, case.turns[1:], strict=False):
        messages.append(Message(role="assistant", content=encodable(answer.text)))
        messages.append(Message(role="user", content=turn.content))
    return tuple(messages)
