"""Checks before the first run which verdicts a golden set can give at all."""

import math
from statistics import NormalDist

from harness.statistics.clusters import CONFIDENCE, group
from harness.statistics.paired_binary import bound_without_flips
from harness.types import GoldenSet
from harness.types.golden import ALPHA, PROBE_MARGIN, TASK_MARGIN


def least_drop_left_open(golden_set: GoldenSet) -> float:
    """The upper bound of the pass rate's drop if both models give equal answers to every case.

    Args:
        golden_set: A set that gates further cases like its own.
    """
    cases = [case for case in golden_set.cases if case.skip is None]
    clusters = [place if case.cluster is None else case.cluster for place, case in enumerate(cases)]
    if not cases:
        return 1.0
    # From the standard library, so that the lint imports no numerical library.
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    units = group([0.0] * len(cases), clusters)
    if units.count == len(cases):
        return bound_without_flips(units.count, z)
    # As in harness.statistics.clustered_drop: a whole cluster, of the size in which a case is on average.
    return min(bound_without_flips(units.count, z, 0.0) * units.count / units.effective, 1.0)


def why_it_never_regresses(golden_set: GoldenSet) -> tuple[str, str] | None:
    """Why a pass rate can never regress, however much is lost, and how to change that; None if it can.

    Args:
        golden_set: The whole set.
    """
    clusters = [case.cluster for case in golden_set.cases if case.skip is None]
    count = len(set(clusters) - {None}) + clusters.count(None)
    if golden_set.gate.population == "cases" or count == len(clusters) or 0.5**count <= ALPHA:
        return None
    least = math.ceil(math.log2(1 / ALPHA))
    return (
        f"its pass rate can never regress: {count} cluster{'' if count == 1 else 's'} can all get worse by "
        f"chance with a probability of {0.5**count:g}",
        f"make it {least} clusters or more, or ask about these very cases (gate: {{population: cases}})",
    )


def why_it_never_passes(golden_set: GoldenSet) -> tuple[str, str] | None:
    """Why a set can never pass, and how to change that; None for a set that can pass.

    Args:
        golden_set: The whole set.
    """
    margin = golden_set.gate.margin
    if margin is None:
        margin = PROBE_MARGIN if golden_set.probes_forgetting else TASK_MARGIN
    if golden_set.gate.population == "cases" or (bound := least_drop_left_open(golden_set)) <= margin:
        return None
    cases = [case for case in golden_set.cases if case.skip is None]
    clusters = {case.cluster or case.id for case in cases}
    count = (
        f"{len(cases)} cases"
        if len(clusters) == len(cases)
        else f"{len(cases)} cases in {len(clusters)} clusters"
    )
    return (
        f"it can never pass its gate: with {count} even equal answers leave a drop of {bound:.2f} possible, "
        f"and its margin is {margin:g}",
        f"add independent cases, widen the margin to {bound + 0.005:.2f}, or ask about these very cases "
        f"(gate: {{population: cases}})",
    )
