"""A comparison: what changed between two runs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from harness.types.interval import Interval
from harness.types.run import GateVerdict
from harness.types.stability import Stability


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricSummary:
    """A metric's mean over cases. It always has n and an interval."""

    metric: str
    n: int
    mean: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class TooFew:
    """Why a test of "no drop" can't be the first to reject it, or never, however much is lost.

    Attributes:
        units: The independent cases or clusters.
        chance: The probability that all of them get worse by chance: the least p-value that there is. Of a
            set's figure it is that of all but the cluster that has most cases, if one has.
        counts: How many times that counts, for the models, tests and looks that share the level.
        models: How many models share it; 1 where the others don't matter.
        tests: The same of gated metrics.
        looks: The same of looks.
        enough: So many cases or clusters are enough.
        never: Whether it can never reject; otherwise it can beside another metric that does.
    """

    units: int
    chance: float
    counts: float
    models: int
    tests: int
    looks: int
    enough: int
    never: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricComparison:
    """One metric of one golden set, candidate against baseline, paired by case.

    Attributes:
        metric: ``pass-rate`` or a check type.
        kind: ``binary`` (0 or 1 for each case) or ``graded``.
        n: Pairs in which both sides have a verdict.
        drop: Baseline minus candidate on the metric's scale, with the sign chosen so that positive is worse.
            A regression needs its upper end to be beyond the margin.
        high_unseen: The upper end that also allows for losses that no case shows; a pass needs it to be
            within the margin. None in records of earlier versions, and where it is the interval's own.
        drop_of_others: Of a whole set's metric, the drop without the cluster that has most cases: a
            regression needs it to be above 0, too. None without such a cluster.
        population: Whether the drop is about further cases like these (``sample``) or about exactly these
            ``cases``.
        other_question: The verdict for the other of these two questions, for a gated pass rate.
        p_value: One-sided, of "no drop".
        p_adjusted: Holm's adjustment over the gated metrics, times the number of models that are gated
            together (not in records of earlier versions): it is what decides, compared with 0.05. None when
            not gated.
        lost: Keys of cases that the baseline passed and the candidate fails (graded: the largest drops).
        gained: The reverse.
        margin: Largest tolerated drop; None when not gated.
        minimum_detectable_drop: True drop that this comparison would call a regression with
            probability 0.8; None if n is too small for any. In clusters: one that takes cases one by one.
        minimum_detectable_cluster_drop: The same for one that takes whole clusters; None without clusters of
            passes and fails, in records of earlier versions, and if no drop is found at all.
        cases_to_settle: Number of cases like these with which the verdict would be pass or regress with
            probability 0.8; None if unknown or decided.
        missing: Number of cases with a value on one side only, of a gated metric. They are in no mean, but
            the drop's lower end and the p-value hold if none of them was lost, ``high_unseen`` if all were.
        high_at_best: The drop's upper end if none of them was lost: a regression needs it, too, to be beyond
            the margin. None where nothing is missing, and in records of earlier versions.
        high_of_compared: What ``high_unseen`` would be if nothing were missing. None as before.
        missing_unlimited: Whether the scale has no end, so that nothing limits what such a case lost.
        unseen_labels: Of a whole set's metric, the labels that no compared case has, and that may be lost.
        nothing_to_lose: Whether the margin allows to lose all that the baseline has. Then it passes by a gain
            alone, but for probes; otherwise nothing is shown. False in records of earlier versions.
        too_few: Why it can't regress by itself; None where it can, and in records of earlier versions.
        verdict: None when not gated.
    """

    set_name: str
    metric: str
    kind: Literal["binary", "graded"]
    n: int
    candidate: MetricSummary
    baseline: MetricSummary
    drop: Interval
    drop_of_others: Interval | None = None
    p_value: float
    p_adjusted: float | None = None
    lost: tuple[str, ...] = ()
    gained: tuple[str, ...] = ()
    margin: float | None = None
    minimum_detectable_drop: float | None = None
    minimum_detectable_cluster_drop: float | None = None
    high_unseen: float | None = None
    population: Literal["sample", "cases"] = "sample"
    other_question: GateVerdict | None = None
    cases_to_settle: int | None = None
    missing: int = 0
    high_at_best: float | None = None
    high_of_compared: float | None = None
    missing_unlimited: bool = False
    unseen_labels: tuple[str, ...] = ()
    nothing_to_lose: bool = False
    too_few: TooFew | None = None
    verdict: GateVerdict | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RegressedCase:
    """A single case that is shown to be answered worse than before.

    Attributes:
        was: The baseline's answers to it, including those of a noise record.
        now: The candidate's.
        p_value: One-sided, exact, corrected over the cases, the gated metrics and the models, as there.
    """

    key: str
    was: Stability
    now: Stability
    p_value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverSlice:
    """A part of a golden set that lost more cases than chance explains.

    Attributes:
        kind: The common property of its cases.
        name: The tag or the cluster.
        n: Pairs in the slice.
        lost: Keys of its lost cases.
        lost_in_set: Lost cases of the whole set.
        drop: The slice's drop of the pass rate.
        drop_elsewhere: The drop of the set's other cases.
        p_value: One-sided, of "it lost no more than the rest", corrected over the set's slices.
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
    """A property that lost cases have, and kept ones or the baseline's answers don't.

    Attributes:
        trait: In words, such as ``answer cut at the token limit``.
        lost: Lost cases that have it, of ``of_lost``.
        kept: Cases that both sides pass and that have it, of ``of_kept``.
        p_value: One-sided, corrected over all tested traits.
        keys: The lost cases that have it; empty in records of earlier versions.
        before: Number of the lost cases' old answers that have it, if hardly any case is kept: the lost
            answers are then compared with these. Otherwise None.
    """

    set_name: str
    trait: str
    lost: int
    of_lost: int
    kept: int
    of_kept: int
    p_value: float
    keys: tuple[str, ...] = ()
    before: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """The result of resampling a regression.

    Attributes:
        finding: The resampled cases: a pass rate's ``flipped`` cases, or single ``regressed`` ones.
        cases: Keys of the cases that both sides answered again.
        was: The baseline's new answers with a verdict.
        now: The candidate's.
        p_value: One-sided, of "these cases are answered no worse", from the new answers alone; Holm's
            adjustment over all resampled findings. None if resampling was impossible.
        stands: Whether the regression stands.
        problem: Why it stands without confirmation; empty if the new answers decided.
        times: New answers per case and side.
        judge_requests: Number of requests to judges, for all findings together.
        duration_s: Duration of resampling in seconds, for all findings together.
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
    """Counts of one golden set's cases: the denominators of all its figures.

    Attributes:
        paired: Cases that are compared.
        candidate: Number of the candidate's cases by outcome; of those that only grade, with a gated score,
            under ``graded`` (under ``unscored`` in records of earlier versions).
        baseline: The same of the baseline's.
        unpaired: Number of cases that are not compared, by cause.
    """

    set_name: str
    paired: int
    candidate: Mapping[str, int]
    baseline: Mapping[str, int]
    unpaired: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """The share of one skill's probes that the candidate still passes, of those that the baseline passed.

    Attributes:
        passed_by_baseline: Their number; of several answers to each, the sum of their passed shares, rounded.
        retained: The same of those that the candidate passes too.
    """

    skill: str
    passed_by_baseline: int
    retained: int
    rate: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgetting:
    """Skills of the baseline that the candidate lost.

    Attributes:
        overall: Retention over all probes; None when the baseline passed none of them.
        by_skill: The same for each skill (a probe set's tag).
        loss_change: Candidate minus baseline cross-entropy on general English prose, in nats per token;
            None when it was not measured. A tripwire: it never makes a regression alone.
        passages: How many passages of that prose are compared, of how many: the others have more tokens on
            one side, by another tokenizer. None when it was not measured, and in records of earlier versions.
        tripped: The loss change is larger than its limit.
        loss_by_kind: The same change on code, dialogue and other languages, by kind. For information.
        divergence: KL(baseline ‖ candidate) on the same text, in nats per token: how much the next word's
            probabilities changed, for better or worse. For information.
        refusals: Number of refusals by the baseline and by the candidate among the probes that both answered;
            None without probes.
    """

    overall: Retention | None
    by_skill: tuple[Retention, ...] = ()
    loss_change: Interval | None = None
    passages: tuple[int, int] | None = None
    tripped: bool = False
    loss_by_kind: Mapping[str, Interval] = field(default_factory=dict)
    divergence: Interval | None = None
    refusals: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A candidate's run against its baseline's.

    Attributes:
        unstable: The compared cases that the baseline's own reruns both passed and failed, by key.
        noise: The baseline's noise record as far as the verdict used it, by case key; empty without one, None
            in records of earlier versions.
        forgetting: Compared with the baseline.
        forgetting_since_base: Compared with the candidate's base, if the baseline is another model: what
            several adapters in a row lost. For information.
        unpaired: Keys of cases that are on one side only, changed between the runs, or have no
            verdict on one side: no paired figure includes them.
        regressed_cases: Single cases that are shown to be answered worse.
        drivers: For each set that didn't pass: the slice that lost most, if there is a significant one.
        traits: Common properties of its lost cases.
        counts: The denominators, by golden set.
        confirmations: The results of resampling the regressions.
        inexact: Why equal models may give other greedy answers in the two runs; empty if they reproduce, and
            in records of earlier versions.
        models: How many models were gated together: so many times each p-value of a regression counts.
        regress_level: One-sided level of all tests of a regression at a look of a training; None for what a
            gate of so many models has, and in records of earlier versions.
    """

    candidate_run: str
    baseline_run: str
    metrics: tuple[MetricComparison, ...]
    forgetting: Forgetting | None = None
    forgetting_since_base: Forgetting | None = None
    unpaired: tuple[str, ...] = ()
    unstable: Mapping[str, Stability] = field(default_factory=dict)
    noise: Mapping[str, Stability] | None = None
    regressed_cases: tuple[RegressedCase, ...] = ()
    drivers: tuple[DriverSlice, ...] = ()
    traits: tuple[SharedTrait, ...] = ()
    counts: tuple[SetCounts, ...] = ()
    confirmations: tuple[Confirmation, ...] = ()
    inexact: str = ""
    models: int = 1
    regress_level: float | None = None
