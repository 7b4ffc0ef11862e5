"""Why the gate says what it says, in sentences for a person."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from harness.comparison.forgetting import LOSS_LIMIT
from harness.comparison.pairing import PASS_RATE, Pairing
from harness.statistics.power import cases_that_settle
from harness.types import (
    CaseResult,
    Comparison,
    Confirmation,
    DriverSlice,
    Forgetting,
    GateVerdict,
    GoldenSet,
    Interval,
    MetricComparison,
    Outcome,
    RegressedCase,
    Retention,
    Run,
    SharedTrait,
)

_MOST_SKILLS = 3
_MOST_BROKEN = 3
_MOST_NAMED = 5


def describe_row(row: MetricComparison, units: int) -> str:
    """One gated metric, with the figures that its verdict rests on.

    Args:
        row: The judged metric.
        units: Independent cases or clusters behind it.
    """
    change = f"{row.baseline.mean.estimate:.3f} → {row.candidate.mean.estimate:.3f}"
    count = f"n={row.n}" if units == row.n else f"n={row.n} in {units} clusters"
    bounds = f"drop {_span(row.drop)}, {count}"
    name, margin = f"{row.set_name} {row.metric}", row.margin or 0.0
    if row.verdict is GateVerdict.REGRESS:
        counts = f"; {_flips(row)}" if row.kind == "binary" else ""
        return f"{name} fell: {change}, {bounds}, p={_p(row)}{counts}"
    if row.verdict is GateVerdict.PASS:
        return f"{name} held: {change}, {bounds}: {_shown(row, margin)}"
    able = row.minimum_detectable_drop
    reach = (
        "so few cases can detect none"
        if able is None
        else f"a true drop of {able:.2f} or more would be detected"
    )
    return (
        f"{name} is open: {change}, {bounds}: a drop of more than {margin:g} is not excluded; "
        f"{reach}{_to_settle(row, margin, units)}"
    )


def standing(row: MetricComparison) -> Literal["better", "equal", ""]:
    """What a metric that passed is shown to be besides: better than the baseline, or equal within the margin.

    *Better*: the drop's interval lies below zero. *Equal*: it lies within the margin on both sides, which is
    two one-sided tests (Schuirmann, D. J. (1987). A comparison of the two one-sided tests procedure and the
    power approach. J. Pharmacokinetics and Biopharmaceutics 15). Each bound alone is wrong in 5 %.
    """
    if row.verdict is not GateVerdict.PASS or row.margin is None:
        return ""
    if row.drop.high < 0:
        return "better"
    return "equal" if row.drop.low >= -row.margin else ""


def _shown(row: MetricComparison, margin: float) -> str:
    found = standing(row)
    if found == "better":
        return f"it is better, by {-row.drop.high:.3f} at least"
    if found == "equal":
        return f"a change of more than {margin:g} either way is excluded"
    return f"a drop of more than {margin:g} is excluded"


def _span(value: Interval) -> str:
    return f"{value.estimate:+.3f} [{value.low:+.3f}, {value.high:+.3f}]"


def _p(row: MetricComparison) -> str:
    return f"{row.p_value if row.p_adjusted is None else row.p_adjusted:.2g}"


def _flips(row: MetricComparison) -> str:
    cases = "case" if len(row.lost) == 1 else "cases"
    return f"{len(row.lost)} {cases} lost, {len(row.gained)} gained"


def _to_settle(row: MetricComparison, margin: float, units: int) -> str:
    """How many cases would do; only where cases are counted one by one."""
    if row.kind != "binary" or units < row.n or row.drop.method != "Tango score":
        return ""
    cases = cases_that_settle(len(row.lost), len(row.gained), row.n, margin, row.drop.confidence)
    return "" if cases is None else f"; about {cases} such cases would settle it"


def describe_broken(comparison: Comparison, limits: Mapping[str, float]) -> list[tuple[str, bool]]:
    """For each set with broken cases: what broke, and whether that is more than it tolerates."""
    sizes = {row.set_name: row.n for row in comparison.metrics if row.metric == PASS_RATE}
    by_set: dict[str, list[RegressedCase]] = {}
    for case in comparison.broken:
        by_set.setdefault(case.key.partition("/")[0], []).append(case)
    reasons = []
    for set_name, cases in by_set.items():
        named = ", ".join(_broke(case) for case in cases[:_MOST_BROKEN])
        more = f" and {len(cases) - _MOST_BROKEN} more" if len(cases) > _MOST_BROKEN else ""
        count = f"{len(cases)} of {sizes[set_name]} cases broke, each beyond chance"
        limit = limits.get(set_name, 0.0)
        tolerated = f"; {limit:.0%} are tolerated" if limit else ""
        reasons.append(
            (f"{set_name}: {count}: {named}{more}{tolerated}", len(cases) > limit * sizes[set_name])
        )
    return reasons


def _broke(case: RegressedCase) -> str:
    name = case.key.partition("/")[2]
    was, now = (f"{side.passed}/{side.answers}" for side in (case.was, case.now))
    return f"{name} {was} → {now} (p={case.p_value:.2g})"


def describe_confirmation(found: Confirmation) -> str:
    """What asking again showed, and what it cost."""
    cases = "case" if len(found.cases) == 1 else "cases"
    what = f"{found.set_name}: {len(found.cases)} {found.finding} {cases}"
    if found.was is None or found.now is None:
        return f"{what} could not be asked again, so the finding stands: {found.problem}"
    judged = f" and {found.judge_requests} judge requests" if found.judge_requests else ""
    cost = f"{2 * found.times * len(found.cases)} fresh answers{judged} in {found.duration_s:.0f} s"
    shown = (
        f"baseline {found.was.passed}/{found.was.answers}, candidate {found.now.passed}/{found.now.answers}, "
        f"p={found.p_value:.2g}; {cost}"
    )
    if found.problem:
        return f"{what} asked again, {shown}: {found.problem}, so the finding stands"
    return f"{what} asked again {'confirm it' if found.stands else 'do not confirm a drop'}: {shown}"


def describe_driver(driver: DriverSlice) -> str:
    """The slice that lost most, with its interval and its lost cases."""
    ids = [key.partition("/")[2] for key in driver.lost]
    named = ", ".join(ids[:_MOST_NAMED]) + (
        f" and {len(ids) - _MOST_NAMED} more" if len(ids) > _MOST_NAMED else ""
    )
    return (
        f"{driver.set_name}: {len(ids)} of {driver.lost_in_set} lost cases are of {driver.kind}"
        f" {driver.name}: drop {_span(driver.drop)}, n={driver.n},"
        f" elsewhere {driver.drop_elsewhere:+.3f}: {named}"
    )


def describe_traits(traits: Sequence[SharedTrait]) -> list[str]:
    """What lost cases have in common, set by set, each with its counts."""
    by_set: dict[str, list[str]] = {}
    for each in traits:
        counts = f"{each.lost} of {each.of_lost} lost, {each.kept} of {each.of_kept} kept"
        by_set.setdefault(each.set_name, []).append(f"{each.trait} ({counts})")
    return [f"{name}: lost cases have in common: {'; '.join(shared)}" for name, shared in by_set.items()]


def describe_forgetting(forgetting: Forgetting) -> list[str]:
    """Retained skills in one sentence, the worst of them named."""
    kept = forgetting.overall
    if kept is None:
        return []
    worst = sorted(forgetting.by_skill, key=lambda skill: (skill.rate.estimate, skill.skill))
    named = [_kept(skill) for skill in worst if skill.retained < skill.passed_by_baseline][:_MOST_SKILLS]
    details = f"; least of {', '.join(named)}" if named else ""
    rate = f"{kept.rate.estimate:.0%} [{kept.rate.low:.0%}, {kept.rate.high:.0%}]"
    return [f"forgetting: kept {kept.retained} of {kept.passed_by_baseline} passed probes, {rate}{details}"]


def _kept(skill: Retention) -> str:
    return f"{skill.skill} {skill.retained}/{skill.passed_by_baseline}"


def describe_tripwire(forgetting: Forgetting) -> list[str]:
    """The change of cross-entropy, where it is beyond its limit."""
    change = forgetting.loss_change
    if change is None or not forgetting.tripped:
        return []
    return [
        f"tripwire: cross-entropy on general text rose by {change.estimate:.2f} nats per token "
        f"[{change.low:.2f}, {change.high:.2f}], limit {LOSS_LIMIT:.2f}"
    ]


def describe_missing(
    golden_sets: Iterable[GoldenSet],
    candidate: Run,
    rows: Sequence[MetricComparison],
    refused: Mapping[str, str],
) -> list[str]:
    """What is gated and was asked, but could not be compared.

    Args:
        golden_sets: Say what is gated.
        candidate: Was asked.
        rows: What was compared.
        refused: Metrics that can't be compared, each with the reason.
    """
    compared = {(row.set_name, row.metric) for row in rows}
    reasons = []
    for golden_set in golden_sets:
        results = _asked(candidate, golden_set)
        gated = golden_set.gate.metric_margins
        missing = [metric for metric in gated if (golden_set.name, metric) not in compared]
        # A set whose cases are all graded, with a graded metric gated, has no pass rate to compare.
        if not gated or any(result.outcome is not Outcome.UNSCORED for result in results):
            missing += [PASS_RATE] if (golden_set.name, PASS_RATE) not in compared else []
        if results:
            reasons += [
                f"{golden_set.name} {metric}: {refused.get(metric, 'no case has it on both sides')}"
                for metric in sorted(missing)
            ]
    return reasons


def describe_without_verdict(run: Run, side: str, golden_sets: Iterable[GoldenSet]) -> list[str]:
    """Sets of which too many cases errored or were left unscored."""
    reasons = []
    for golden_set in golden_sets:
        results, limits = _asked(run, golden_set), golden_set.gate
        errored = sum(result.outcome is Outcome.ERRORED for result in results)
        # A case without a verdict is not missing where one of its scores is what is gated.
        unscored = sum(
            result.outcome is Outcome.UNSCORED
            and not any(score.metric in limits.metric_margins for score in result.scores)
            for result in results
        )
        for count, what, limit in (
            (errored, "errored", limits.max_errored),
            (unscored, "were left unscored", limits.max_unscored),
        ):
            if results and count / len(results) > limit:
                reasons.append(
                    f"{golden_set.name}: {count} of {len(results)} cases {what} in the {side}, "
                    f"{limit:.0%} are tolerated"
                )
    return reasons


def _asked(run: Run, golden_set: GoldenSet) -> list[CaseResult]:
    return [
        result
        for result in run.results
        if result.case.set_name == golden_set.name and result.outcome is not Outcome.SKIPPED
    ]


def describe_plans(candidate: Run, baseline: Run) -> list[str]:
    """Different ways of computing, which make answers differ without a change of the model."""
    now, then = candidate.plan, baseline.plan
    ways = [(plan.engine, plan.dtype, plan.device, plan.weights) for plan in (now, then)]
    # In float32 the shape of the batches does not change greedy text; in lower precision it does.
    if ways[0] == ways[1] and (now == then or now.dtype == "float32"):
        return []
    here, there = (
        f"{' '.join(way)}, {plan.batch_tokens} tokens a batch"
        for way, plan in zip(ways, (now, then), strict=True)
    )
    return [f"the sides were computed differently ({here}; baseline {there}): some flips may come from that"]


def describe_pairing(candidate: Run, pairing: Pairing) -> list[str]:
    """Cases that took no part: not selected, or not comparable, by cause."""
    reasons = []
    if candidate.partial:
        reasons.append(f"partial run: {len(candidate.results)} of {candidate.collected} cases were selected")
    if pairing.unpaired:
        causes = Counter(pairing.unpaired.values()).most_common()
        total = len(pairing.unpaired)
        listed = ", ".join(f"{count} {cause}" for cause, count in causes)
        reasons.append(f"{total} {'case is' if total == 1 else 'cases are'} not compared: {listed}")
    reasons += [f"{metric} is not compared: {reason}" for metric, reason in pairing.refused.items()]
    return reasons
