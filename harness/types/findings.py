"""What the gate found, as typed data: sentences, tables and pages are written from it, never the reverse.

Each kind of finding has its own data class, told apart by ``kind``. A finding with a verdict counts towards
the run's; one without is for information.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, TypeAlias

from harness.types.comparison import (
    Confirmation,
    DriverSlice,
    GateVerdict,
    Interval,
    RegressedCase,
    Retention,
    SharedTrait,
)
from harness.types.run import ExecutionPlan, Outcome


class Standing(StrEnum):
    """What a metric that passed is shown to be besides."""

    BETTER = "better"
    EQUAL = "equal"
    NO_WORSE = "no-worse"


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricFinding:
    """One gated metric of one set, with the figures that its verdict rests on.

    Attributes:
        scale: ``binary`` (0/1 a case) or ``graded``.
        baseline: The baseline's mean.
        candidate: The candidate's.
        drop: Baseline minus candidate, positive is worse.
        n: Pairs.
        clusters: Independent cases or clusters behind them.
        p_value: One-sided, corrected over all tests of the run.
        lost: How many cases the baseline passed and the candidate fails.
        gained: The reverse.
        margin: Largest tolerated drop.
        minimum_detectable_drop: None when no true drop would be found with probability 0.8.
        standing: Of a metric that passed; None otherwise.
        cases_to_settle: About how many cases would decide it; None where that can't be said.
        population: Whether it is about further cases like these, or about these very cases.
        other_question: What the other of the two would have decided.
    """

    kind: Literal["metric"] = "metric"
    scale: Literal["binary", "graded"]
    baseline: float
    candidate: float
    drop: Interval
    n: int
    clusters: int
    p_value: float
    lost: int
    gained: int
    margin: float
    minimum_detectable_drop: float | None = None
    standing: Standing | None = None
    cases_to_settle: int | None = None
    population: Literal["sample", "cases"] = "sample"
    other_question: GateVerdict | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RegressedCasesFinding:
    """Cases of one set that are shown to be answered worse, each on its own.

    Attributes:
        cases: The surest first.
        n: Compared cases of the set.
        tolerated: Largest tolerated share of them.
    """

    kind: Literal["regressed-cases"] = "regressed-cases"
    cases: tuple[RegressedCase, ...]
    n: int
    tolerated: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MustPassFinding:
    """Cases of one set that must pass, whatever the comparison says, and did not."""

    kind: Literal["must-pass"] = "must-pass"
    cases: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedTestsFinding:
    """Hand-written tests that asked the model and failed, by their node ids."""

    kind: Literal["failed-tests"] = "failed-tests"
    tests: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmationFinding:
    """What resampling showed of a regression."""

    kind: Literal["confirmation"] = "confirmation"
    confirmation: Confirmation


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionFinding:
    """Retained skills: over all probes, and the skills that lost any, the worst first."""

    kind: Literal["retention"] = "retention"
    overall: Retention
    worst: tuple[Retention, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NotComparedFinding:
    """A metric that could not be compared.

    Attributes:
        reason: Why its values can't be compared; empty where no case has it on both sides.
    """

    kind: Literal["not-compared"] = "not-compared"
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NothingToLoseFinding:
    """The baseline passes so few cases of a set that no loss of them would be beyond the margin.

    Attributes:
        passed: Mean passes of the baseline, in cases.
        n: Compared cases.
        margin: Largest tolerated drop.
    """

    kind: Literal["nothing-to-lose"] = "nothing-to-lose"
    passed: float
    n: int
    margin: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NoVerdictFinding:
    """Too many cases of a set errored, or were left unscored, on one side.

    Attributes:
        n: Cases that were asked.
        tolerated: Largest tolerated share of them.
    """

    kind: Literal["no-verdict"] = "no-verdict"
    side: Literal["candidate", "baseline"]
    outcome: Outcome
    cases: int
    n: int
    tolerated: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverFinding:
    """The slice of a set that lost most."""

    kind: Literal["driver"] = "driver"
    driver: DriverSlice


@dataclass(frozen=True, slots=True, kw_only=True)
class TraitsFinding:
    """What the lost cases of a set have in common."""

    kind: Literal["traits"] = "traits"
    traits: tuple[SharedTrait, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TripwireFinding:
    """Cross-entropy on general text rose beyond its limit, in nats per token."""

    kind: Literal["tripwire"] = "tripwire"
    change: Interval
    limit: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PlansFinding:
    """The sides were computed in different ways, which can flip cases without a change of the model."""

    kind: Literal["plans"] = "plans"
    candidate: ExecutionPlan
    baseline: ExecutionPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class PartialRunFinding:
    """A selection left cases out."""

    kind: Literal["partial-run"] = "partial-run"
    selected: int
    collected: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UnpairedFinding:
    """Cases that take part in no comparison: how many, by cause."""

    kind: Literal["unpaired"] = "unpaired"
    causes: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class NothingGatedFinding:
    """No metric has a margin, so nothing can be judged."""

    kind: Literal["nothing-gated"] = "nothing-gated"


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteFinding:
    """A sentence that an earlier version stored; today's findings hold no text."""

    kind: Literal["note"] = "note"
    text: str


FindingData: TypeAlias = (
    MetricFinding
    | RegressedCasesFinding
    | MustPassFinding
    | FailedTestsFinding
    | ConfirmationFinding
    | RetentionFinding
    | NotComparedFinding
    | NothingToLoseFinding
    | NoVerdictFinding
    | DriverFinding
    | TraitsFinding
    | TripwireFinding
    | PlansFinding
    | PartialRunFinding
    | UnpairedFinding
    | NothingGatedFinding
    | NoteFinding
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that the gate found.

    Attributes:
        verdict: What it says of the run; None where it only informs.
        set_name: The golden set that it is about; None where it is about the whole run.
        metric: The metric that it is about, where it is about one.
        data: The figures; their class tells the kind.
    """

    verdict: GateVerdict | None = None
    set_name: str | None = None
    metric: str | None = None
    data: FindingData

    @property
    def kind(self) -> str:
        """The data's kind, such as ``metric`` or ``regressed-cases``."""
        return self.data.kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The gate's verdict, with the findings in order of weight: those that decided it come first."""

    outcome: GateVerdict
    findings: tuple[Finding, ...]
