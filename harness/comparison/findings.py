"""The findings of a comparison, typed and in order of weight, and the verdict that follows from them."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from harness.comparison.decisions import is_untestable, most_to_lose, standing
from harness.comparison.missing_cases import (
    asked_cases,
    changed_findings,
    why_refused,
)
from harness.comparison.missing_scores import unscored_findings
from harness.comparison.pairing import PASS_RATE, Pairing
from harness.comparison.regressed_cases import cases_in_all, regressed_limits
from harness.comparison.slices import source_findings
from harness.comparison.times import (
    own_settings_findings,
    plans_findings,
    scorers_findings,
    times_findings,
    why_unsteady,
)
from harness.comparison.unanswered import no_verdict_findings
from harness.comparison.whole_sets import LOSS_LIMIT
from harness.golden.counted_outcomes import can_pass_or_fail
from harness.golden.schema import decides
from harness.registry.metric import compared_scale
from harness.types import (
    Comparison,
    ConfirmationFinding,
    FailedTestsFinding,
    Finding,
    Forgetting,
    GateVerdict,
    GoldenCase,
    GoldenSet,
    MetricComparison,
    MetricFacts,
    MetricFinding,
    MustPassFinding,
    NotComparedFinding,
    NothingGatedFinding,
    NothingToLoseFinding,
    OtherTextFinding,
    Outcome,
    PartialRunFinding,
    RegressedCase,
    RegressedCasesFinding,
    RetentionFinding,
    Run,
    SetLooks,
    StoppedFinding,
    TripwireFinding,
    UnpairedFinding,
    Verdict,
    set_of,
)
from harness.types.golden import is_within

# The worst verdict of the parts is the verdict of the whole.
_WORST_FIRST = (GateVerdict.REGRESS, GateVerdict.INCONCLUSIVE, GateVerdict.PASS)


def outcome_of(findings: Iterable[Finding]) -> GateVerdict:
    """The run's verdict: the worst of its findings; inconclusive if no finding has one."""
    verdicts = {finding.verdict for finding in findings}
    return next((word for word in _WORST_FIRST if word in verdicts), GateVerdict.INCONCLUSIVE)


def findings_of(
    candidate: Run,
    baseline: Run,
    comparison: Comparison,
    pairing: Pairing,
    clusters: Mapping[tuple[str, str], int],
    further: Sequence[GoldenCase] = (),
) -> list[Finding]:
    """All findings, those that decide the verdict first.

    Args:
        candidate: The judged run.
        baseline: The run that it was compared with.
        comparison: The comparison, each gated metric judged.
        pairing: The cases that are compared and those that aren't.
        clusters: Number of independent cases or clusters of each set's metric.
        further: Cases that are yet to be answered.
    """
    sets, results = candidate.golden_sets, (*candidate.results, *baseline.results)
    lacking = pairing.undecided or any(
        result.outcome in {Outcome.ERRORED, Outcome.UNSCORED} for result in results
    )
    deciding = [
        *_with_untestable(
            metric_findings(comparison, clusters, (candidate, baseline)), comparison, candidate
        ),
        *regressed_case_findings(comparison, regressed_limits(sets), candidate.looks),
        *must_pass_findings(candidate),
        *confirmation_findings(comparison),
        *retention_findings(comparison, sets),
        *_tripwire_findings(comparison.forgetting),
        *(changed_findings(candidate, baseline, pairing, further) if pairing.unpaired or further else ()),
        *(
            no_verdict_findings({"candidate": candidate, "baseline": baseline}, sets, pairing.undecided)
            if lacking
            else ()
        ),
        *(unscored_findings(sets, pairing) if any(now.unscored for now, _ in pairing.all_pairs) else ()),
        *not_compared_findings(sets, candidate, comparison.metrics, pairing.refused, further),
    ]
    found = [finding for word in _WORST_FIRST for finding in deciding if finding.verdict is word]
    if comparison.drivers or comparison.traits:
        found += source_findings(comparison.drivers, comparison.traits)
    found += _other_text_findings(comparison.forgetting)
    found += _stopped_findings(candidate, deciding)
    found += [*plans_findings(candidate, baseline), *times_findings(candidate, baseline, comparison.metrics)]
    found += scorers_findings(candidate, baseline, pairing.metrics)
    found += own_settings_findings(candidate, baseline)
    found += _pairing_findings(candidate, pairing)
    return found or [Finding(verdict=GateVerdict.INCONCLUSIVE, data=NothingGatedFinding())]


def metric_findings(
    comparison: Comparison, clusters: Mapping[tuple[str, str], int], runs: tuple[Run, Run] | None = None
) -> list[Finding]:
    """Each gated metric with its verdict.

    Args:
        comparison: The comparison, each gated metric judged.
        clusters: Number of independent cases or clusters of each set's metric.
        runs: The compared runs, the candidate first; None where nothing is asked of them.
    """
    return [
        Finding(
            verdict=row.verdict,
            set_name=row.set_name,
            metric=row.metric,
            data=_metric_finding(row, clusters.get((row.set_name, row.metric), row.n), comparison, runs),
        )
        for row in comparison.metrics
        if row.verdict is not None
    ]


def _metric_finding(
    row: MetricComparison, clusters: int, comparison: Comparison, runs: tuple[Run, Run] | None
) -> MetricFinding:
    found = MetricFinding(
        scale=row.kind,
        baseline=row.baseline.mean.estimate,
        candidate=row.candidate.mean.estimate,
        drop=row.drop,
        high_unseen=row.high_unseen,
        n=row.n,
        clusters=clusters,
        p_value=row.p_value if row.p_adjusted is None else row.p_adjusted,
        lost=len(row.lost),
        gained=len(row.gained),
        margin=row.margin or 0.0,
        minimum_detectable_drop=row.minimum_detectable_drop,
        minimum_detectable_cluster_drop=row.minimum_detectable_cluster_drop,
        standing=standing(row),
        cases_to_settle=row.cases_to_settle,
        population=row.population,
        other_question=row.other_question,
        missing=row.missing,
        high_at_best=row.high_at_best,
        high_of_compared=row.high_of_compared,
        missing_unlimited=row.missing_unlimited,
        unseen_labels=row.unseen_labels,
        unsteady=why_unsteady(row, comparison.inexact),
        nothing_to_lose=is_untestable(row),
        too_few=row.too_few,
    )
    if not found.unsteady or runs is None:
        return found
    from harness.comparison.steadying import with_remedies

    return with_remedies(found, row, runs, comparison)


def regressed_case_findings(
    comparison: Comparison, limits: Mapping[str, float], looks: Sequence[SetLooks] = ()
) -> list[Finding]:
    """For each set the regressed cases, and whether it tolerates that many.

    At a look only more of them than the whole set tolerates are a regression: the others may be all there
    are. A pass needs that the cases so far have no larger share than is tolerated.

    Args:
        comparison: The comparison.
        limits: Largest tolerated share of regressed cases by golden set.
        looks: How far the sets were answered, if look by look.
    """
    sizes, wholes = (cases_in_all(comparison.metrics, each) for each in ((), looks))
    by_set: dict[str, list[RegressedCase]] = {}
    for case in comparison.regressed_cases:
        by_set.setdefault(set_of(case.key), []).append(case)
    found = []
    for name, cases in by_set.items():
        n, whole, limit = sizes[name], wholes[name], limits.get(name, 0.0)
        verdict = GateVerdict.PASS if is_within(len(cases) / n, limit) else GateVerdict.INCONCLUSIVE
        verdict = verdict if is_within(len(cases) / whole, limit) else GateVerdict.REGRESS
        in_all = None if whole == n else whole
        data = RegressedCasesFinding(cases=tuple(cases), n=n, tolerated=limit, in_all=in_all)
        found.append(Finding(verdict=verdict, set_name=name, metric=PASS_RATE, data=data))
    return found


def must_pass_findings(candidate: Run) -> list[Finding]:
    """The cases that must pass, by set: one that failed is a regression, one without a verdict no pass."""
    found: dict[tuple[GateVerdict, str], list[str]] = {}
    for result in candidate.results:
        if result.case.must_pass and (result.has_failed or result.is_unknown):
            verdict = GateVerdict.REGRESS if result.has_failed else GateVerdict.INCONCLUSIVE
            found.setdefault((verdict, result.case.set_name), []).append(result.key)
    return [
        Finding(verdict=verdict, set_name=name, data=MustPassFinding(cases=tuple(keys)))
        for (verdict, name), keys in found.items()
    ]


def failed_tests_findings(tests: Sequence[str]) -> list[Finding]:
    """The hand-written tests of the model that failed, as one finding; none where all passed."""
    data = FailedTestsFinding(tests=tuple(tests))
    return [Finding(verdict=GateVerdict.REGRESS, data=data)] if tests else []


def with_further(verdict: Verdict, findings: Sequence[Finding]) -> Verdict:
    """The verdict with further findings besides the comparison, in order of weight.

    Args:
        verdict: The gate's verdict.
        findings: The further findings, each with its own verdict.
    """
    found = [*findings, *verdict.findings]
    ordered = [each for word in (*_WORST_FIRST, None) for each in found if each.verdict is word]
    return Verdict(outcome=outcome_of(found), findings=tuple(ordered))


def confirmation_findings(comparison: Comparison) -> list[Finding]:
    """The result of resampling each regression."""
    return [
        Finding(
            verdict=GateVerdict.REGRESS if each.stands else GateVerdict.INCONCLUSIVE,
            set_name=each.set_name,
            metric=PASS_RATE,
            data=ConfirmationFinding(confirmation=each),
        )
        for each in comparison.confirmations
    ]


def retention_findings(comparison: Comparison, golden_sets: Iterable[GoldenSet]) -> list[Finding]:
    """The forgotten skills, if the probes' pass rate did not pass.

    Args:
        comparison: The comparison, each gated metric judged.
        golden_sets: The candidate's sets; they say which contain probes.
    """
    forgetting = comparison.forgetting
    probes = {golden_set.name for golden_set in golden_sets if golden_set.probes_forgetting}
    rows = (row for row in comparison.metrics if row.set_name in probes and not is_untestable(row))
    verdicts = {row.verdict for row in rows}
    verdict = next((word for word in _WORST_FIRST[:2] if word in verdicts), None)
    if forgetting is None or forgetting.overall is None or verdict is None:
        return []
    worst = sorted(forgetting.by_skill, key=lambda skill: (skill.rate.estimate, skill.skill))
    lost = tuple(skill for skill in worst if skill.retained < skill.passed_by_baseline)
    return [Finding(verdict=verdict, data=RetentionFinding(overall=forgetting.overall, worst=lost))]


def _with_untestable(
    findings: Sequence[Finding], comparison: Comparison, candidate: Run
) -> Iterator[Finding]:
    """The findings of metrics, each behind the reason why nothing of it could be lost, if that is so."""
    empty = nothing_to_lose_findings(comparison.metrics, candidate.metrics)
    reasons = {(each.set_name, each.metric): each for each in empty}
    for finding in findings:
        if (reason := reasons.get((finding.set_name, finding.metric))) is not None:
            yield reason
        yield finding


def nothing_to_lose_findings(
    rows: Sequence[MetricComparison], facts: Mapping[str, MetricFacts]
) -> list[Finding]:
    """Metrics of which the baseline is too near the worst value for a drop that is not allowed.

    Args:
        rows: The judged metrics.
        facts: How to read each metric's values.
    """
    return [
        Finding(
            verdict=GateVerdict.INCONCLUSIVE,
            set_name=row.set_name,
            metric=row.metric,
            data=NothingToLoseFinding(passed=_passed(row, facts), n=row.n, margin=row.margin or 0.0),
        )
        for row in rows
        if is_untestable(row)
    ]


def not_compared_findings(
    golden_sets: Iterable[GoldenSet],
    candidate: Run,
    rows: Sequence[MetricComparison],
    refused: Mapping[str, str],
    further: Sequence[GoldenCase] = (),
) -> list[Finding]:
    """Gated metrics that were answered but could not be compared.

    Args:
        golden_sets: The candidate's sets.
        candidate: The judged run.
        rows: The metrics that were compared.
        refused: Metrics that can't be compared, each with the reason.
        further: Cases that are yet to be answered.
    """
    deciding = {case.set_name for case in further if any(map(decides, case.checks))}
    compared = {(row.set_name, row.metric) for row in rows}
    found = []
    for golden_set in golden_sets:
        gated = golden_set.gate.metric_margins
        missing = {metric for metric in (*gated, PASS_RATE) if (golden_set.name, metric) not in compared}
        results = asked_cases(candidate, golden_set) if missing else []
        # A set whose cases only grade, with a graded metric gated, has no pass rate to compare.
        decided = any(can_pass_or_fail(result, candidate.metrics) for result in results)
        if gated and not decided and golden_set.name not in deciding:
            missing.discard(PASS_RATE)
        found += [
            Finding(
                verdict=GateVerdict.INCONCLUSIVE,
                set_name=golden_set.name,
                metric=metric,
                data=NotComparedFinding(reason=why_refused(metric, refused, results)),
            )
            for metric in sorted(missing)
            if results
        ]
    return found


def _tripwire_findings(forgetting: Forgetting | None) -> list[Finding]:
    if forgetting is None or forgetting.loss_change is None or not forgetting.tripped:
        return []
    # It never makes a regression, but a model with such a rise can't pass.
    data = TripwireFinding(change=forgetting.loss_change, limit=LOSS_LIMIT)
    return [Finding(verdict=GateVerdict.INCONCLUSIVE, data=data)]


def _other_text_findings(forgetting: Forgetting | None) -> list[Finding]:
    """Other kinds of text than English prose whose cross-entropy surely rose beyond the limit."""
    kinds = {} if forgetting is None else forgetting.loss_by_kind
    lost = {kind: change for kind, change in kinds.items() if not change.low <= LOSS_LIMIT}
    return [Finding(data=OtherTextFinding(texts=lost, limit=LOSS_LIMIT))] if lost else []


def _stopped_findings(candidate: Run, deciding: Sequence[Finding]) -> list[Finding]:
    """For each set of which a gate with several looks needed only a part, how far it went."""
    undecided = {finding.set_name for finding in deciding if finding.verdict is not GateVerdict.PASS}
    return [
        Finding(
            set_name=each.set_name,
            data=StoppedFinding(
                look=each.look,
                planned=each.planned,
                answered=each.answered,
                cases=each.cases,
                passed=each.answered > 0 and each.set_name not in undecided,
            ),
        )
        for each in candidate.looks
        if each.stopped
    ]


def _pairing_findings(candidate: Run, pairing: Pairing) -> list[Finding]:
    found = []
    if candidate.selected < candidate.collected:
        data = PartialRunFinding(selected=candidate.selected, collected=candidate.collected)
        found.append(Finding(data=data))
    if causes := dict(Counter(pairing.unpaired.values()).most_common()):
        found.append(Finding(data=UnpairedFinding(causes=causes)))
    return found + [
        Finding(metric=metric, data=NotComparedFinding(reason=reason))
        for metric, reason in pairing.refused.items()
    ]


def _passed(row: MetricComparison, facts: Mapping[str, MetricFacts]) -> float:
    """How far a metric can fall, of all cases together: a number of them, or a sum in any unit."""
    mean, of_metric = row.baseline.mean.estimate, facts.get(row.metric)
    # Passes, and the metrics of whole sets, are shares.
    scale = (0.0, 1.0) if of_metric is None else compared_scale(of_metric)
    higher = of_metric is None or of_metric.higher_is_better
    passed = most_to_lose(row.metric, mean, scale, higher_is_better=higher) * row.n
    return round(passed, 2) if row.kind == "binary" else passed
