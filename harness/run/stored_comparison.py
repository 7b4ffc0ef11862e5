"""Two runs compared as a gate compares a new one: with the noise record of the baseline's model."""

from collections.abc import Mapping

from harness.baselines.paired_runs import require_pairs, with_what_it_lacks
from harness.comparison.gate import run_gate
from harness.comparison.pairing import pair_runs
from harness.golden.schema import CHECK_TYPES, base_type
from harness.history.store import NoiseRecords, noted_stability
from harness.run.opponents import as_one_question, opponent_of
from harness.run.session import metric_facts
from harness.types import GateRecord, GoldenCase, Run, Stability


def compare_stored(
    candidate: GateRecord, baseline: GateRecord, noise: NoiseRecords, margin: float | None = None
) -> GateRecord:
    """Compare two stored runs; what was decided about them before is of no account.

    Args:
        candidate: The run to judge.
        baseline: The run to compare with.
        noise: The history's noise records.
        margin: Largest tolerated drop of the pass rate; None for each set's own.

    Raises:
        BaselineError: No case can be compared.
    """
    before = as_one_question(candidate.run, baseline.run, (opponent_of(baseline), opponent_of(candidate)))
    return compare_runs(candidate.run, before, noise, margin)[0]


def compare_runs(
    candidate: Run, baseline: Run, noise: NoiseRecords, margin: float | None = None
) -> tuple[GateRecord, Mapping[str, str]]:
    """Compare two runs whose cases are named alike.

    Args:
        candidate: The run to judge.
        baseline: The run to compare with.
        noise: The history's noise records.
        margin: As for :func:`compare_stored`.

    Returns:
        The record, and why each case that is not compared isn't.

    Raises:
        BaselineError: No case can be compared.
    """
    now, before = with_what_it_lacks(candidate, baseline), with_what_it_lacks(baseline, candidate)
    pairing = pair_runs(now, before)
    require_pairs(pairing.unpaired, pairing.pairs, pairing.refused)
    comparison, verdict = run_gate(now, before, margin=margin, stability=noise_between(noise, now, before))
    record = GateRecord(run=now, baseline=before, comparison=comparison, verdict=verdict)
    return record, pairing.unpaired


def noise_between(noise: NoiseRecords, candidate: Run, baseline: Run) -> dict[str, Stability]:
    """The noise record of the baseline's model; none of a model that another tool's log names.

    Args:
        noise: The history's noise records.
        candidate: The run to judge, whose cases count.
        baseline: The run to compare with.

    Returns:
        How often a case passed in reruns, by case key.
    """
    if not noise or baseline.model.is_logged:
        return {}
    cases = [result.case for result in candidate.results if _is_known(result.case)]
    return noted_stability(noise, baseline.model, baseline.plan, cases, metric_facts)


def _is_known(case: GoldenCase) -> bool:
    """Whether this installation has all metrics of a case: of others it knows no version."""
    return all(base_type(check.type) in CHECK_TYPES for check in (*case.checks, *case.single_checks))
