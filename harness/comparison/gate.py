"""The verdict: pass, regress or inconclusive, each with a known error rate.

For each gated metric, with ``drop`` = baseline - candidate, at the level of 5 %:

- *regress*: "no drop" is rejected (one-sided, Holm over the gated metrics), and the drop's upper bound lies
  beyond the margin;
- *pass*: the drop's one-sided 95 % upper bound lies within the margin;
- *inconclusive*: neither.

Besides, where cases were asked several times, or are known from a noise record, each case is tested on its
own, at the same joint level: a set regresses if more of them are shown to be broken than it tolerates.

Where fresh answers are available, a regression has to show in them too
(:mod:`harness.comparison.confirmation`).

The run regresses if any metric does, passes if all do, and is inconclusive otherwise. Without a real change a
run is called regressed with a probability of at most 5 %; with a real drop at the margin a metric passes with
a probability of about 5 %. Passing needs every metric to pass, so it needs no adjustment for their number.
``docs/gate.md`` shows both by simulation.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from harness.comparison.confirmation import Resample, confirm
from harness.comparison.forgetting import measure_forgetting
from harness.comparison.metric_drop import compare_metric, smallest_detectable
from harness.comparison.pairing import (
    PASS_RATE,
    PairedMetric,
    Pairing,
    is_decided,
    pair_runs,
    paired_metrics,
    set_counts,
)
from harness.comparison.regressed_cases import CaseTest, broken_cases, broken_limits, case_tests
from harness.comparison.repeats import flip_rate
from harness.comparison.slices import driver_slice, shared_traits
from harness.errors import BaselineError
from harness.presentation.sentences import (
    describe_broken,
    describe_confirmation,
    describe_driver,
    describe_forgetting,
    describe_missing,
    describe_pairing,
    describe_plans,
    describe_row,
    describe_traits,
    describe_tripwire,
    describe_without_verdict,
)
from harness.statistics.multiple_testing import holm
from harness.types import (
    Comparison,
    Forgetting,
    GateVerdict,
    GoldenSet,
    MetricComparison,
    RegressedCase,
    Run,
    Stability,
    TextLoss,
    Verdict,
)

ALPHA = 0.05
TASK_MARGIN = 0.05
PROBE_MARGIN = 0.10
# The worst verdict of the parts is the verdict of the whole.
_WORST_FIRST = (GateVerdict.REGRESS, GateVerdict.INCONCLUSIVE, GateVerdict.PASS)

# A golden set's name and a metric's.
_Name = tuple[str, str]


def run_gate(
    candidate: Run,
    baseline: Run,
    *,
    margin: float | None = None,
    forgetting_margin: float | None = None,
    alpha: float = ALPHA,
    stability: Mapping[str, Stability] | None = None,
    divergences: Sequence[TextLoss] = (),
    ask_again: Resample | None = None,
) -> tuple[Comparison, Verdict]:
    """Compare two runs and judge the candidate.

    Args:
        candidate: The run to be judged; its golden sets say what is gated.
        baseline: The run to compare with.
        margin: Largest tolerated drop of every task set's pass rate; by default each set's own, else 0.05.
        forgetting_margin: The same for the forgetting probes; by default each set's own, else 0.10.
        alpha: Probability of either wrong word: one-sided level of the regression test over all gated
            metrics, and of each metric's bound that is held against its margin.
        stability: How the baseline's model fared when it was asked again with nothing changed, by case key.
            Cases that never changed can then be shown to be broken by few answers.
        divergences: KL(baseline ‖ candidate) on the bundled passages, where both models could be asked.
        ask_again: Gets fresh answers to the cases that make a regression; it has to show in those too.

    Raises:
        BaselineError: The runs have no case in common.
    """
    if {result.key for result in candidate.results}.isdisjoint(result.key for result in baseline.results):
        raise BaselineError(
            f"run {baseline.id} has no case of this one: choose a baseline of the same golden sets"
        )
    pairing = pair_runs(candidate, baseline)
    metrics = paired_metrics(pairing)
    margins = gated_margins(candidate.golden_sets, margin, forgetting_margin)
    limits = broken_limits(candidate.golden_sets)
    rows, broken = judge(metrics, margins, alpha, limits=limits, stability=stability or {})
    if ask_again is not None:
        rows, broken, confirmations = confirm(rows, broken, limits, ask_again)
    else:
        confirmations = []
    open_rates = [
        (metric, [pair for pair in pairing.pairs if pair[0].case.set_name == metric.set_name])
        for metric, row in zip(metrics, rows, strict=True)
        if metric.metric == PASS_RATE and row.verdict in {GateVerdict.REGRESS, GateVerdict.INCONCLUSIVE}
    ]
    comparison = Comparison(
        candidate_run=candidate.id,
        baseline_run=baseline.id,
        metrics=tuple(rows),
        forgetting=forgetting_between(candidate, baseline, alpha=alpha, divergences=divergences),
        unpaired=tuple(pairing.unpaired),
        unstable={
            result.key: noted
            for result, _ in pairing.pairs
            if (noted := (stability or {}).get(result.key)) and 0 < noted.passed < noted.answers
        },
        broken=tuple(broken),
        counts=tuple(set_counts(candidate, baseline, pairing)),
        drivers=tuple(
            driver for metric, of_set in open_rates if (driver := driver_slice(metric, of_set, 1 - 2 * alpha))
        ),
        traits=tuple(trait for metric, of_set in open_rates for trait in shared_traits(metric, of_set)),
        confirmations=tuple(confirmations),
    )
    return comparison, _verdict(candidate, baseline, comparison, pairing, metrics)


def forgetting_between(
    candidate: Run, before: Run, *, alpha: float = ALPHA, divergences: Sequence[TextLoss] = ()
) -> Forgetting | None:
    """What the candidate lost of what another run could do; None when nothing was measured.

    Args:
        candidate: The run to be judged; its golden sets say which cases are probes.
        before: What it is held against: the baseline, or the base behind it.
        alpha: Each interval's one-sided level.
        divergences: KL(before ‖ candidate) on the bundled passages.
    """
    probed = {golden_set.name for golden_set in candidate.golden_sets if golden_set.probes_forgetting}
    probes = [
        pair
        for pair in pair_runs(candidate, before).pairs
        if is_decided(pair) and pair[0].case.set_name in probed
    ]
    return measure_forgetting(
        probes, candidate.text_losses, before.text_losses, confidence=1 - 2 * alpha, divergences=divergences
    )


def gated_margins(
    golden_sets: Sequence[GoldenSet], margin: float | None = None, forgetting_margin: float | None = None
) -> dict[_Name, float]:
    """What is gated, each with its tolerated drop: a run's option, else the set's own, else the default."""
    margins: dict[_Name, float] = {}
    for golden_set in golden_sets:
        chosen = forgetting_margin if golden_set.probes_forgetting else margin
        default = PROBE_MARGIN if golden_set.probes_forgetting else TASK_MARGIN
        of_set = default if golden_set.gate.margin is None else golden_set.gate.margin
        margins[golden_set.name, PASS_RATE] = of_set if chosen is None else chosen
        for metric, of_metric in golden_set.gate.metric_margins.items():
            margins[golden_set.name, metric] = of_metric
    return margins


def judge_metrics(
    metrics: Sequence[PairedMetric], margins: Mapping[_Name, float], alpha: float = ALPHA
) -> list[MetricComparison]:
    """As :func:`judge`, the metrics alone."""
    return judge(metrics, margins, alpha)[0]


def judge(
    metrics: Sequence[PairedMetric],
    margins: Mapping[_Name, float],
    alpha: float = ALPHA,
    *,
    limits: Mapping[str, float] | None = None,
    stability: Mapping[str, Stability] | None = None,
) -> tuple[list[MetricComparison], list[RegressedCase]]:
    """Compare each metric, judge those that have a margin, and find the cases that broke.

    All p-values of the run share one level by Holm's correction: those of the gated metrics, and that of
    "no case broke" of each set in which a case could be shown to be broken.

    Args:
        metrics: The paired values.
        margins: Largest tolerated drop by golden set and metric.
        alpha: As of :func:`run_gate`.
        limits: Largest tolerated share of broken cases by golden set; 0 by default.
        stability: As of :func:`run_gate`.
    """
    confidence = 1 - 2 * alpha
    gated = [place for place, each in enumerate(metrics) if (each.set_name, each.metric) in margins]
    chosen = {metrics[place].set_name: 0.0 for place in gated} if limits is None else limits
    rows = [
        compare_metric(metric, confidence, any_case_counts=chosen.get(metric.set_name, 0.0) == 0)
        for metric in metrics
    ]
    tests = _case_tests([metrics[place] for place in gated], chosen, stability or {}, alpha)
    adjusted = holm([*(rows[place].p_value for place in gated), *(test.p_value for test in tests)])
    broken = [
        case
        for test, p_adjusted in zip(tests, adjusted[len(gated) :], strict=True)
        for case in broken_cases(test, p_adjusted, alpha)
    ]
    for place, p_adjusted in zip(gated, adjusted, strict=False):
        row, tolerated = rows[place], margins[rows[place].set_name, rows[place].metric]
        rows[place] = replace(
            row,
            margin=tolerated,
            p_adjusted=p_adjusted,
            # Holm's first step is the strictest: what is found there is found whatever the others do.
            minimum_detectable_drop=smallest_detectable(
                metrics[place],
                alpha / len(adjusted),
                tolerated,
                confidence,
                least_churn=_measured_churn(metrics[place], stability or {}),
            ),
            verdict=_judge(row.drop.high, tolerated, rejected=p_adjusted <= alpha),
        )
    return rows, broken


def _measured_churn(metric: PairedMetric, stability: Mapping[str, Stability]) -> float:
    """Probability that a case flips one way, as reruns of the baseline showed; 0 without any."""
    if metric.metric != PASS_RATE:
        return 0.0
    rate = flip_rate(stability[key] for key in metric.keys if key in stability)
    # Two reruns that disagree are as often a loss as a gain.
    return 0.0 if rate is None else rate / 2


def _case_tests(
    gated: Sequence[PairedMetric],
    limits: Mapping[str, float],
    stability: Mapping[str, Stability],
    alpha: float,
) -> list[CaseTest]:
    """The sets of which a case can be shown to be broken at the level that is left for it."""
    found = case_tests(gated, limits, stability, alpha / (len(gated) + 1))
    # Each further test leaves less to the others.
    while found and len(
        fewer := case_tests(gated, limits, stability, alpha / (len(gated) + len(found)))
    ) < len(found):
        found = fewer
    return found


def _judge(highest_drop: float, margin: float, *, rejected: bool) -> GateVerdict:
    if highest_drop <= margin:
        return GateVerdict.PASS
    return GateVerdict.REGRESS if rejected else GateVerdict.INCONCLUSIVE


def _verdict(
    candidate: Run,
    baseline: Run,
    comparison: Comparison,
    pairing: Pairing,
    metrics: Sequence[PairedMetric],
) -> Verdict:
    sets = {golden_set.name: golden_set for golden_set in candidate.golden_sets}
    found: list[tuple[GateVerdict, str]] = []
    for row, paired in zip(comparison.metrics, metrics, strict=True):
        if row.verdict is not None:
            found.append((row.verdict, describe_row(row, len(set(paired.clusters)))))
    found += [
        (GateVerdict.REGRESS if beyond else GateVerdict.PASS, reason)
        for reason, beyond in describe_broken(comparison, broken_limits(sets.values()))
    ]
    found += [
        (GateVerdict.REGRESS if each.stands else GateVerdict.INCONCLUSIVE, describe_confirmation(each))
        for each in comparison.confirmations
    ]
    probes = [row.verdict for row in comparison.metrics if sets[row.set_name].probes_forgetting]
    for word in _WORST_FIRST[:2]:
        # Beside the probes' own row: what was forgotten, by skill.
        if comparison.forgetting is not None and word in probes:
            found += [(word, reason) for reason in describe_forgetting(comparison.forgetting)]
            break
    hindrances = [
        *describe_missing(sets.values(), candidate, comparison.metrics, pairing.refused),
        *describe_without_verdict(candidate, "candidate", sets.values()),
        *describe_without_verdict(baseline, "baseline", sets.values()),
    ]
    found += [(GateVerdict.INCONCLUSIVE, reason) for reason in hindrances]
    verdicts = {verdict for verdict, _ in found} or {GateVerdict.INCONCLUSIVE}
    reasons = [reason for word in _WORST_FIRST for verdict, reason in found if verdict is word]
    reasons += [describe_driver(driver) for driver in comparison.drivers]
    reasons += describe_traits(comparison.traits)
    if comparison.forgetting is not None:
        reasons += describe_tripwire(comparison.forgetting)
    reasons += [*describe_plans(candidate, baseline), *describe_pairing(candidate, pairing)]
    return Verdict(
        outcome=next(word for word in _WORST_FIRST if word in verdicts),
        reasons=tuple(reasons) or ("nothing is gated",),
    )
