"""The verdict: pass, regress or inconclusive, each with a known error rate.

For each gated metric, with ``drop`` = baseline - candidate:

- *regress*: "no drop" is rejected at 5 % (one-sided, Holm over the gated metrics), and a drop beyond the
  margin is not excluded;
- *pass*: the drop's one-sided 95 % upper bound lies within the margin;
- *inconclusive*: neither.

The run regresses if any metric does, passes if all do, and is inconclusive otherwise. Without a real change a
run is called regressed with a probability of at most 5 %; with a real drop at the margin a metric passes with
a probability of at most about 5 %. Passing needs every metric to pass, so it needs no adjustment.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from harness.compare import (
    PASS_RATE,
    Pairing,
    compare_metric,
    compare_pass_rate,
    metrics_of,
    pair_results,
)
from harness.errors import BaselineError
from harness.forgetting.retention import LOSS_LIMIT, measure_forgetting
from harness.statistics.several import holm
from harness.types import (
    Comparison,
    Forgetting,
    GateVerdict,
    GoldenSet,
    MetricComparison,
    Outcome,
    Run,
    Verdict,
)

ALPHA = 0.05
TASK_MARGIN = 0.05
PROBE_MARGIN = 0.10
# The worst verdict of the parts is the verdict of the whole.
_WORST_FIRST = (GateVerdict.REGRESS, GateVerdict.INCONCLUSIVE, GateVerdict.PASS)


def run_gate(
    candidate: Run,
    baseline: Run,
    *,
    margin: float | None = None,
    forgetting_margin: float | None = None,
    alpha: float = ALPHA,
) -> tuple[Comparison, Verdict]:
    """Compare two runs and judge the candidate.

    Args:
        candidate: The run to be judged; its golden sets say what is gated.
        baseline: The run to compare with.
        margin: Largest tolerated drop of every task set's pass rate; by default each set's own, else 0.05.
        forgetting_margin: The same for the forgetting probes; by default each set's own, else 0.10.
        alpha: One-sided level of the regression test over all gated metrics.

    Raises:
        BaselineError: The runs have no case in common.
    """
    pairing = pair_results(candidate, baseline)
    shared = {result.key for result in candidate.results} & {result.key for result in baseline.results}
    if not shared:
        raise BaselineError(
            f"run {baseline.id} has no case of this one: choose a baseline of the same golden sets"
        )
    sets = {golden_set.name: golden_set for golden_set in candidate.golden_sets}
    margins = _margins(sets, pairing, margin, forgetting_margin)
    rows: list[MetricComparison] = []
    for name, pairs in pairing.by_set.items():
        rows.append(compare_pass_rate(name, pairs, alpha / len(margins)))
        graded = [compare_metric(name, metric, pairs, alpha / len(margins)) for metric in metrics_of(pairs)]
        rows += [row for row in graded if row is not None]
    judged = _judge(rows, margins, alpha)
    probes = [
        pair
        for name, pairs in pairing.by_set.items()
        if name in sets and sets[name].probes_forgetting
        for pair in pairs
    ]
    forgetting = measure_forgetting(probes, candidate.text_losses, baseline.text_losses)
    comparison = Comparison(
        candidate_run=candidate.id,
        baseline_run=baseline.id,
        metrics=tuple(judged),
        forgetting=forgetting,
        unpaired=pairing.unpaired,
    )
    return comparison, _verdict(candidate, baseline, comparison, sets)


def _margins(
    sets: Mapping[str, GoldenSet], pairing: Pairing, margin: float | None, forgetting_margin: float | None
) -> dict[tuple[str, str], float]:
    """The gated metrics, each with its tolerated drop."""
    margins: dict[tuple[str, str], float] = {}
    for name in pairing.by_set:
        golden_set = sets[name]
        chosen = forgetting_margin if golden_set.probes_forgetting else margin
        default = PROBE_MARGIN if golden_set.probes_forgetting else TASK_MARGIN
        of_set = golden_set.gate.margin if golden_set.gate.margin is not None else default
        margins[name, PASS_RATE] = of_set if chosen is None else chosen
        for metric, of_metric in golden_set.gate.metric_margins.items():
            margins[name, metric] = of_metric
    return margins


def _judge(
    rows: Sequence[MetricComparison], margins: Mapping[tuple[str, str], float], alpha: float
) -> list[MetricComparison]:
    gated = [row for row in rows if (row.set_name, row.metric) in margins]
    adjusted = {
        (row.set_name, row.metric): p_value
        for row, p_value in zip(gated, holm([row.p_value for row in gated]), strict=True)
    }
    judged = []
    for row in rows:
        key = (row.set_name, row.metric)
        if key not in margins:
            judged.append(row)
            continue
        within = row.drop.high <= margins[key]
        rejected = adjusted[key] <= alpha
        verdict = GateVerdict.PASS if within else GateVerdict.INCONCLUSIVE
        if rejected and not within:
            verdict = GateVerdict.REGRESS
        judged.append(replace(row, margin=margins[key], p_adjusted=adjusted[key], verdict=verdict))
    return judged


def _verdict(candidate: Run, baseline: Run, comparison: Comparison, sets: Mapping[str, GoldenSet]) -> Verdict:
    gated = [row for row in comparison.metrics if row.verdict is not None]
    found = [(row.verdict, _describe(row)) for row in gated if row.verdict is not None]
    found += [(GateVerdict.INCONCLUSIVE, reason) for reason in _without_verdict(candidate, "candidate", sets)]
    found += [(GateVerdict.INCONCLUSIVE, reason) for reason in _without_verdict(baseline, "baseline", sets)]
    if not gated:
        found.append((GateVerdict.INCONCLUSIVE, "no case has a verdict on both sides"))
    outcome = next(word for word in _WORST_FIRST if any(word is verdict for verdict, _ in found))
    reasons = [reason for word in _WORST_FIRST for verdict, reason in found if verdict is word]
    if comparison.forgetting is not None:
        reasons += _tripwire(comparison.forgetting)
    if candidate.partial:
        reasons.append(f"partial run: {len(candidate.results)} of {candidate.collected} cases were selected")
    if comparison.unpaired:
        reasons.append(f"{len(comparison.unpaired)} cases are left out: no verdict on both sides, or changed")
    return Verdict(outcome=outcome, reasons=tuple(reasons))


def _describe(row: MetricComparison) -> str:
    """One gated metric as a sentence, with the figures that its verdict rests on."""
    change = f"{row.baseline.mean.estimate:.3f} → {row.candidate.mean.estimate:.3f}"
    bounds = f"drop {row.drop.estimate:+.3f} [{row.drop.low:+.3f}, {row.drop.high:+.3f}], n={row.n}"
    name = f"{row.set_name} {row.metric}"
    if row.verdict is GateVerdict.REGRESS:
        flips = f"; {len(row.lost)} lost, {len(row.gained)} gained" if row.metric == PASS_RATE else ""
        return f"{name} fell: {change}, {bounds}, p={row.p_adjusted:.2g}{flips}"
    if row.verdict is GateVerdict.PASS:
        return f"{name} held: {change}, {bounds}: no drop beyond {row.margin:g}"
    able = row.minimum_detectable_drop
    reach = "can detect none" if able is None else f"can detect a drop from {able:.2f}"
    return f"{name} is open: {change}, {bounds}: beyond {row.margin:g} is not excluded; n={row.n} {reach}"


def _without_verdict(run: Run, side: str, sets: Mapping[str, GoldenSet]) -> list[str]:
    """Sets of which too many cases errored or were left unscored."""
    reasons = []
    for name, golden_set in sets.items():
        results = [
            result
            for result in run.results
            if result.case.set_name == name and result.outcome is not Outcome.SKIPPED
        ]
        limits = (
            (Outcome.ERRORED, golden_set.gate.max_errored),
            (Outcome.UNSCORED, golden_set.gate.max_unscored),
        )
        for outcome, limit in limits:
            count = sum(result.outcome is outcome for result in results)
            if results and count / len(results) > limit:
                reasons.append(
                    f"{name}: {count} of {len(results)} cases {outcome} in the {side}, tolerated {limit:.0%}"
                )
    return reasons


def _tripwire(forgetting: Forgetting) -> list[str]:
    change = forgetting.loss_change
    if change is None or not forgetting.tripped:
        return []
    return [
        f"tripwire: cross-entropy on general text rose by {change.estimate:.2f} nats per token "
        f"[{change.low:.2f}, {change.high:.2f}], limit {LOSS_LIMIT:.2f}"
    ]
