"""A comparison: what changed between two runs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from harness.types.run import Stability


class GateVerdict(StrEnum):
    """What the gate says of a candidate against its baseline."""

    PASS = "pass"
    REGRESS = "regress"
    INCONCLUSIVE = "inconclusive"


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
        drop: Baseline minus candidate on the metric's scale, turned so that positive is worse. Its upper end
            allows for losses of a kind that no case shows: it is what a pass has to fit under the margin.
        population: Whether the drop is of further cases like these (``sample``) or of these very ``cases``.
        other_question: What the other of the two questions would have decided, of a gated pass rate.
        high_of_data: The upper end by the cases alone: what a regression has to show beyond the margin. None
            in records of earlier versions.
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
    high_of_data: float | None = None
    population: Literal["sample", "cases"] = "sample"
    other_question: GateVerdict | None = None
    verdict: GateVerdict | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RegressedCase:
    """A case that is shown, on its own, to be answered worse than before.

    Attributes:
        was: The baseline's answers to it, those of a noise record among them.
        now: The candidate's.
        p_value: One-sided, exact, corrected over the cases and the gated metrics.
    """

    key: str
    was: Stability
    now: Stability
    p_value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverSlice:
    """A part of a golden set that lost more cases than chance would put there.

    Attributes:
        kind: What its cases share.
        name: The tag or the cluster.
        n: Pairs in the slice.
        lost: Keys of its lost cases.
        lost_in_set: Lost cases of the whole set.
        drop: The slice's drop of the pass rate.
        drop_elsewhere: The drop of the set's other cases.
        p_value: One-sided, of "losses fall into it as anywhere", corrected over the set's slices.
    """

    set_name: str
    kind: Literal["tag", "cluster"]
    name: str
    n: int
    lost: tuple[str, ...]
    lost_in_set: int
    drop: Interval
    drop_elsewhere: float
    p_value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedTrait:
    """What lost cases have in common and kept ones have not.

    Attributes:
        trait: In words, such as ``answer cut at the token limit``.
        lost: Lost cases that have it, of ``of_lost``.
        kept: Cases that both sides pass and that have it, of ``of_kept``.
        p_value: One-sided, corrected over all traits that were looked at.
    """

    set_name: str
    trait: str
    lost: int
    of_lost: int
    kept: int
    of_kept: int
    p_value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """What fresh answers say of a regression that was found at first.

    Attributes:
        finding: What was resampled: a pass rate's ``flipped`` cases, or single ``regressed`` ones.
        cases: Keys of the cases that were resampled, on both sides.
        was: The baseline's fresh answers, of those with a verdict.
        now: The candidate's.
        p_value: One-sided, of "these cases are answered no worse", from the fresh answers alone; Holm's
            adjustment over all findings that were resampled. None where nothing could be asked.
        stands: Whether the regression stands.
        problem: Why it stands without having been confirmed; empty where the fresh answers decided.
        times: Fresh answers a case and side.
        judge_requests: How often a judge was asked, for all findings together.
        duration_s: How long resampling took, for all findings together, in seconds.
    """

    set_name: str
    finding: Literal["flipped", "regressed"]
    cases: tuple[str, ...]
    was: Stability | None = None
    now: Stability | None = None
    p_value: float | None = None
    stands: bool
    problem: str = ""
    times: int = 0
    judge_requests: int = 0
    duration_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SetCounts:
    """What became of one golden set's cases: the denominators of all its figures.

    Attributes:
        paired: Cases that are compared.
        candidate: How many of the candidate's cases had each outcome.
        baseline: The same of the baseline's.
        unpaired: How many cases are not compared, by cause.
    """

    set_name: str
    paired: int
    candidate: Mapping[str, int]
    baseline: Mapping[str, int]
    unpaired: Mapping[str, int] = field(default_factory=dict)


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
            None when it was not measured. A tripwire: it never makes a regression alone.
        tripped: The loss change is larger than its limit.
        divergence: KL(baseline ‖ candidate) on the same text, in nats per token: how far the next word's
            probabilities moved, whether for better or worse. For information.
        refusals: Of the probes that both sides answered, how many answers of the baseline and of the
            candidate refuse; None without probes.
    """

    overall: Retention | None
    by_skill: tuple[Retention, ...] = ()
    loss_change: Interval | None = None
    tripped: bool = False
    divergence: Interval | None = None
    refusals: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A candidate's run against its baseline's.

    Attributes:
        unstable: Of the compared cases those that the baseline's own reruns passed and failed, by key.
        forgetting: Against the baseline.
        forgetting_since_base: Against the model that the candidate was trained on, where the baseline is
            another one: what several adapters in a row lost. For information.
        unpaired: Keys of cases that are on one side only, changed between the runs, or have no
            verdict on one side: they are left out of every paired figure, and counted here.
        regressed_cases: Cases that are shown to be answered worse, each on its own.
        drivers: For each set that didn't pass: the slice that lost most, where one stands out.
        traits: What its lost cases have in common.
        counts: The denominators, by golden set.
        confirmations: What resampling showed of what regressed at first.
    """

    candidate_run: str
    baseline_run: str
    metrics: tuple[MetricComparison, ...]
    forgetting: Forgetting | None = None
    forgetting_since_base: Forgetting | None = None
    unpaired: tuple[str, ...] = ()
    unstable: Mapping[str, Stability] = field(default_factory=dict)
    regressed_cases: tuple[RegressedCase, ...] = ()
    drivers: tuple[DriverSlice, ...] = ()
    traits: tuple[SharedTrait, ...] = ()
    counts: tuple[SetCounts, ...] = ()
    confirmations: tuple[Confirmation, ...] = ()
