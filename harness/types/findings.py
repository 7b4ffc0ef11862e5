"""The gate's findings as typed data. Sentences, tables and pages are made from it.

Each kind of finding has its own data class, with its name in ``kind``. A finding with a verdict counts for
the run's verdict; one without is for information.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from harness.types.comparison import Confirmation, DriverSlice, RegressedCase, Retention, SharedTrait, TooFew
from harness.types.interval import Interval
from harness.types.run import GateVerdict, Outcome
from harness.types.side_findings import OwnSettingsFinding, PlansFinding, ScorersFinding, TimesFinding

_ROUGHLY = 0.25


class Standing(StrEnum):
    """What is also shown about a metric that passed."""

    BETTER = "better"
    EQUAL = "equal"
    NO_WORSE = "no-worse"


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricFinding:
    """One gated metric of one set, with the figures behind its verdict.

    Attributes:
        scale: ``binary`` (0 or 1 for each case) or ``graded``.
        baseline: The baseline's mean.
        candidate: The candidate's.
        drop: Baseline minus candidate, positive is worse.
        high_unseen: The drop's upper end, also for losses that no case shows; None in earlier records.
        n: Pairs.
        clusters: Number of independent cases or clusters.
        p_value: One-sided, corrected over all tests of the run, and over the models that are gated together.
        lost: How many cases the baseline passed and the candidate fails.
        gained: The reverse.
        margin: Largest tolerated drop.
        minimum_detectable_drop: None when no true drop would be found with probability 0.8. That of scores is
            known the worse, the fewer units show how much they vary.
        minimum_detectable_cluster_drop: The same for a drop that takes whole clusters; None without any.
        standing: For a metric that passed; None otherwise.
        cases_to_settle: Number of cases that would decide it with probability 0.8; None if unknown.
        population: Whether it is about further cases like these, or about exactly these cases.
        other_question: The verdict for the other of the two.
        missing: Number of cases with a value on one side only.
        high_at_best: The drop's upper end if none of them was lost; None where nothing is missing.
        high_of_compared: What ``high_unseen`` would be if nothing were missing; None likewise.
        missing_unlimited: Whether nothing limits what such a case lost.
        unseen_labels: Of a macro-F1, labels that no compared case has, and that may be lost.
        unsteady: Why equal answers to exactly these cases leave a drop possible; empty where it is known.
        steadied_by: What would tell: a noise record or repeated answers, only the latter, or more of them.
        nothing_to_lose: Whether it is inconclusive since the margin allows to lose all that there is.
        too_few: Why it can't regress by itself; None where it can.
        steady_answers: To each case, enough for a pass if they come out alike; 0 for no number, None unknown.
        steady_reruns: The same of a noise record; None where none is enough.
        steady_cases: The same of cases like these, with such a record; None where fewer are enough, or none.
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
    minimum_detectable_cluster_drop: float | None = None
    standing: Standing | None = None
    cases_to_settle: int | None = None
    high_unseen: float | None = None
    population: Literal["sample", "cases"] = "sample"
    other_question: GateVerdict | None = None
    missing: int = 0
    high_at_best: float | None = None
    high_of_compared: float | None = None
    missing_unlimited: bool = False
    unseen_labels: tuple[str, ...] = ()
    unsteady: str = ""
    steadied_by: Literal["noise", "repeat", "more"] = "noise"
    nothing_to_lose: bool = False
    too_few: TooFew | None = None
    steady_answers: int | None = None
    steady_reruns: int | None = None
    steady_cases: int | None = None

    @property
    def detects_roughly(self) -> bool:
        """Whether so few units tell the detectable drop of a score no better than to a quarter of it.

        They show their spread to a part 1 / sqrt(2 (units - 1)) of it: eight of ten sets within 1.28 of that.
        A share of the figure is the same in any unit: of costs of millionths, and of hundreds of tokens.
        """
        unknown = self.minimum_detectable_drop is None
        if unknown or self.scale == "binary" or self.population == "cases":
            return False
        return _ROUGHLY * math.sqrt(2 * (self.clusters - 1)) < 1.28


@dataclass(frozen=True, slots=True, kw_only=True)
class RegressedCasesFinding:
    """Single cases of one set that are shown to be answered worse.

    Attributes:
        cases: The most significant first.
        n: Compared cases of the set.
        tolerated: Largest tolerated share.
        in_all: Cases that this is a share of, with those that looks have yet to reach; None for ``n``.
    """

    kind: Literal["regressed-cases"] = "regressed-cases"
    cases: tuple[RegressedCase, ...]
    n: int
    tolerated: float
    in_all: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MustPassFinding:
    """Cases of one set that must pass and failed, or, where the verdict is inconclusive, have no verdict."""

    kind: Literal["must-pass"] = "must-pass"
    cases: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedTestsFinding:
    """Hand-written tests that used the model and failed, by their node ids."""

    kind: Literal["failed-tests"] = "failed-tests"
    tests: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmationFinding:
    """The result of resampling a regression."""

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
        reason: Why its values can't be compared; empty if no case has it on both sides.
    """

    kind: Literal["not-compared"] = "not-compared"
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NothingToLoseFinding:
    """The baseline passes so few cases of a set that losing them all would be within the margin.

    Attributes:
        passed: Mean passes of the baseline, in cases; of another metric how far it can fall, over all cases.
        n: Compared cases.
        margin: Largest tolerated drop.
    """

    kind: Literal["nothing-to-lose"] = "nothing-to-lose"
    passed: float
    n: int
    margin: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NoVerdictFinding:
    """Too many cases of a set errored, or are unscored, on one side; or lack a gated score on both.

    Attributes:
        n: Cases that were answered; those with that check, where a score is missing.
        tolerated: Largest tolerated share of them.
        unanswered: How many of the cases are probes that got a reasoning and no answer.
    """

    kind: Literal["no-verdict"] = "no-verdict"
    side: Literal["candidate", "baseline", "both"]
    outcome: Outcome
    cases: int
    n: int
    tolerated: float
    unanswered: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedCasesFinding:
    """More of a set's cases were changed since the baseline than it tolerates as unscored.

    Attributes:
        cases: Cases with another prompt or checks, with a metric that was another one, or replaced by others.
        n: Answered cases, without those that are new.
        tolerated: Largest tolerated share of them.
        causes: How many are not compared for which reason; empty in records of earlier versions.
    """

    kind: Literal["changed-cases"] = "changed-cases"
    cases: int
    n: int
    tolerated: float
    causes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverFinding:
    """The slice of a set that lost most."""

    kind: Literal["driver"] = "driver"
    driver: DriverSlice


@dataclass(frozen=True, slots=True, kw_only=True)
class TraitsFinding:
    """Common traits of a set's lost cases."""

    kind: Literal["traits"] = "traits"
    traits: tuple[SharedTrait, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TripwireFinding:
    """The cross-entropy on general text rose beyond its limit, in nats per token."""

    kind: Literal["tripwire"] = "tripwire"
    change: Interval
    limit: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherTextFinding:
    """The change on code, dialogue or another language, in nats per token, is surely beyond the limit."""

    kind: Literal["other-text"] = "other-text"
    texts: Mapping[str, Interval]
    limit: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PartialRunFinding:
    """A selection left cases out."""

    kind: Literal["partial-run"] = "partial-run"
    selected: int
    collected: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoppedFinding:
    """A set of which a gate with several looks needed only a part.

    Attributes:
        look: Number of the look, from 1.
        planned: Number of planned looks.
        answered: Cases that were answered in their turn.
        cases: Its selected cases.
        passed: Whether the set itself was decided; otherwise another finding had decided the run.
    """

    kind: Literal["stopped"] = "stopped"
    look: int
    planned: int
    answered: int
    cases: int
    passed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class UnpairedFinding:
    """Number of cases that are not compared, by cause."""

    kind: Literal["unpaired"] = "unpaired"
    causes: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class NothingGatedFinding:
    """No metric has a margin, so nothing can be judged."""

    kind: Literal["nothing-gated"] = "nothing-gated"


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteFinding:
    """A sentence that an earlier version stored; current findings contain no text."""

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
    | ChangedCasesFinding
    | DriverFinding
    | TraitsFinding
    | TripwireFinding
    | OtherTextFinding
    | PlansFinding
    | TimesFinding
    | ScorersFinding
    | OwnSettingsFinding
    | PartialRunFinding
    | StoppedFinding
    | UnpairedFinding
    | NothingGatedFinding
    | NoteFinding
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that the gate found.

    Attributes:
        verdict: Its verdict on the run; None if it is for information.
        set_name: Its golden set; None if it is about the whole run.
        metric: Its metric, if any.
        data: The figures; their class is the kind.
    """

    verdict: GateVerdict | None = None
    set_name: str | None = None
    metric: str | None = None
    # With the discriminator a kind of a later version is told from damage.
    data: Annotated[FindingData, Field(discriminator="kind")]

    @property
    def kind(self) -> str:
        """The data's kind, such as ``metric`` or ``regressed-cases``."""
        return self.data.kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The gate's verdict, with the findings in order of weight: those that decided it come first."""

    outcome: GateVerdict
    findings: tuple[Finding, ...]
