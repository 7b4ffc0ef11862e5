"""Checks before the first run which verdicts a golden set can give at all."""

import math
from collections.abc import Sequence
from statistics import NormalDist

from harness.golden.schema import CHECK_TYPES, base_type, decides
from harness.registry.metric import compared_scale
from harness.statistics.clusters import CONFIDENCE, Units, group, unseen_share
from harness.statistics.paired_binary import bound_without_flips
from harness.statistics.varying_answers import answers_vary, equal_varying_drop
from harness.types import GoldenCase, GoldenSet
from harness.types.golden import ALPHA, PROBE_MARGIN, TASK_MARGIN, is_within

# From the standard library, so that the lint imports no numerical library.
_Z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)


def least_drop_left_open(golden_set: GoldenSet) -> float:
    """The upper bound of the pass rate's drop if both models give equal answers to every case.

    Args:
        golden_set: The set; for a question about its own cases, without a noise record.
    """
    cases = _judged_cases(golden_set)
    if not cases:
        return 1.0
    if golden_set.gate.population == "cases":
        return equal_varying_drop(cases).high if answers_vary(cases) else 0.0
    return _bound_of_passes(cases)


def _judged_cases(golden_set: GoldenSet) -> list[GoldenCase]:
    """The cases that have a pass rate: all, or where graded metrics are gated those that can pass or fail."""
    cases = [case for case in golden_set.cases if case.skip is None]
    if not golden_set.gate.metric_margins:
        return cases
    return [case for case in cases if any(decides(check) for check in case.checks)]


def _units(cases: Sequence[GoldenCase]) -> Units:
    clusters = [place if case.cluster is None else case.cluster for place, case in enumerate(cases)]
    return group([0.0] * len(cases), clusters)


def _bound_of_passes(cases: Sequence[GoldenCase]) -> float:
    units = _units(cases)
    if units.count == len(cases):
        return bound_without_flips(units.count, _Z)
    # As in harness.statistics.clustered_drop: a whole cluster, of the size in which a case is on average.
    return min(bound_without_flips(units.count, _Z, 0.0) * units.count / units.effective, 1.0)


def why_it_never_regresses(golden_set: GoldenSet) -> tuple[str, str] | None:
    """Why a pass rate can never regress, however much is lost, and how to change that; None if it can.

    Args:
        golden_set: The whole set.
    """
    cases = _judged_cases(golden_set)
    if golden_set.gate.population == "cases" or not cases:
        return None
    count = _units(cases).count
    clustered = count < len(cases)
    if not clustered and any(case.repeat > 1 for case in cases):
        return None
    # Of single cases, half the chance of what was seen counts (mid-p).
    chance = 0.5**count if clustered else 0.5 ** (count + 1)
    if chance <= ALPHA:
        return None
    least = math.ceil(math.log2(1 / ALPHA)) - (0 if clustered else 1)
    what = "cluster" if clustered else "case"
    return (
        f"its pass rate can never regress: {count} {what}{'' if count == 1 else 's'} can all get worse by "
        f"chance with a probability of {chance:g}",
        f"make it {least} {what}s or more, or ask about these very cases (gate: {{population: cases}})",
    )


def why_it_never_passes(golden_set: GoldenSet) -> tuple[str, str] | None:
    """Why a pass rate can never pass, and how to change that; None for one that can, or that no case has.

    Args:
        golden_set: The whole set.
    """
    margin, cases = golden_set.gate.margin, _judged_cases(golden_set)
    if margin is None:
        margin = PROBE_MARGIN if golden_set.probes_forgetting else TASK_MARGIN
    if not cases:
        return None
    if margin >= 1:
        return (
            "it can never pass its gate: no drop can be beyond its margin of 1",
            "choose a smaller margin",
        )
    if is_within(bound := least_drop_left_open(golden_set), margin):
        return None
    vary = " whose answers vary" if golden_set.gate.population == "cases" else ""
    remedy = (
        "repeat each case, choose temperature: 0, or record how much they vary (tunegate noise)"
        if vary
        else f"add independent cases, widen the margin to {bound + 0.005:.2f}, or ask about these very cases "
        f"(gate: {{population: cases}})"
    )
    return (
        f"it can never pass its gate: with {_counted(cases)}{vary} even equal answers leave a drop of "
        f"{bound:.2f} possible, and its margin is {margin:g}",
        remedy,
    )


def _counted(cases: Sequence[GoldenCase]) -> str:
    count, noun = _units(cases).count, "case" if len(cases) == 1 else "cases"
    clusters = "" if count == len(cases) else f" in {count} cluster{'' if count == 1 else 's'}"
    return f"{len(cases)} {noun}{clusters}"


def why_metrics_never_pass(golden_set: GoldenSet) -> list[tuple[str, str]]:
    """For each gated metric that equal answers cannot pass, or only from a low mean, why, and what helps.

    Args:
        golden_set: The whole set.
    """
    found = []
    for metric, margin in golden_set.gate.metric_margins.items():
        cases = [
            case
            for case in golden_set.cases
            if case.skip is None and any(check.type == metric for check in case.single_checks)
        ]
        reproduce = golden_set.gate.population == "cases" and not answers_vary(cases)
        if not cases or base_type(metric) not in CHECK_TYPES:
            continue
        bound, most, scale = _bound_of_scores(metric, cases, margin)
        never = f"{metric} can never pass its gate"
        if margin >= scale:
            reason = f"no drop can be beyond its margin of {margin:g}"
            found.append((f"{never}: {reason}", "choose a smaller margin"))
            continue
        if reproduce or is_within(bound, margin):
            continue
        if most > margin:
            never = (
                f"{metric} can pass its gate only where the baseline is within {most:.2f} of its worst value"
            )
        found.append(
            (
                f"{never}: with {_counted(cases)} even equal answers leave a drop of {bound:.2f} possible, "
                f"and its margin is {margin:g}",
                f"add independent cases, or widen the margin to {bound + 0.005:.2f}",
            )
        )
    return found


def _bound_of_scores(metric: str, cases: Sequence[GoldenCase], margin: float) -> tuple[float, float, float]:
    """A metric's bound for equal answers from the best baseline, how near the worst one passes, its scale.

    As in harness.statistics.paired_graded: a share of units that none has shown may be lost completely, from
    where the baseline is, with one more case that loses the whole scale.
    """
    kind, units, n = CHECK_TYPES[base_type(metric)], _units(cases), len(cases)
    if kind.facts.kind == "binary":
        return _bound_of_passes(cases), 0.0, 1.0
    share = unseen_share(units.effective, ALPHA)
    if kind.light_tails:
        return (share if 0.5**units.count > ALPHA else 0.0), 0.0, math.inf
    share = max(share, bound_without_flips(units.count, _Z))
    least, top = compared_scale(kind.facts)
    scale = top - max(least, 0.0) if math.isfinite(least) else math.inf
    if not math.isfinite(scale):
        return share, 0.0, math.inf
    return share * scale, (margin / share * (n + 1) - scale) / n, scale
