"""What would tell how answers to exactly these cases vary, as far as nothing tells it yet."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from harness.comparison.missing_cases import worst_trials
from harness.comparison.pairing import Pair, is_decided, stability_of
from harness.comparison.times import is_judged
from harness.statistics.paired_binary import Trials
from harness.statistics.varying_answers import remedies
from harness.types import UNKNOWN_WEIGHTS, Comparison, MetricComparison, MetricFinding, Run, Stability

_NO_RECORD = Stability(passed=0, answers=0)


def with_remedies(
    finding: MetricFinding, row: MetricComparison, runs: tuple[Run, Run], comparison: Comparison
) -> MetricFinding:
    """The finding with what would tell how answers vary, and how much of it is enough for a pass.

    Args:
        finding: A pass rate's finding, of exactly its cases.
        row: The pass rate.
        runs: The judged run, and the one that it is compared with.
        comparison: The comparison, with the noise record of the baseline's model.
    """
    candidate, baseline = runs
    then, noise = {result.key: result for result in baseline.results}, comparison.noise or {}
    of_set = [result for result in candidate.results if result.case.set_name == row.set_name]
    both = [(now, then[now.key]) for now in of_set if now.key in then and now.key not in comparison.unpaired]
    pairs = [pair for pair in both if is_decided(pair)]
    trials = [_trials(pair) for pair in pairs]
    # A pass has to hold if what one side lacks was lost, so whatever is enough has to be enough for that.
    lacking = _one_sided([(now, then[now.key]) for now in of_set if now.key in then])
    pairs, trials = [*pairs, *lacking], [*trials, *map(worst_trials, lacking)]
    records = [noise.get(now.key, _NO_RECORD) for now, _ in pairs]
    known = bool(pairs) and len(lacking) == finding.missing
    found = remedies(trials, finding.margin, records, _can_rerun(pairs, baseline)) if known else None
    by: Literal["noise", "repeat", "more"] = "repeat"
    if any(result.repeats for result in of_set):
        by = "more"
    elif found is not None and found.reruns is not None and found.cases is None:
        by = "noise"
    finding = replace(finding, steadied_by=by)
    if found is None:
        return finding
    return replace(
        finding, steady_answers=found.answers, steady_reruns=found.reruns, steady_cases=found.cases
    )


def _one_sided(pairs: Sequence[Pair]) -> list[Pair]:
    """The pairs of one case that has a verdict on one side only."""
    return [
        (now, then)
        for now, then in pairs
        if is_decided((now, now)) != is_decided((then, then))
        and now.case.content_sha256 == then.case.content_sha256
    ]


def _trials(pair: Pair) -> Trials:
    now, then = (stability_of(result) for result in pair)
    return Trials(then.passed, then.answers, now.passed, now.answers)


def _can_rerun(pairs: Sequence[Pair], baseline: Run) -> list[bool]:
    """Whether a noise record would tell anything of each case.

    Reruns are not judged, nor answered by vLLM, and no record is found of weights that were changed or that
    nobody identifies.
    """
    model = baseline.model
    known = not model.is_logged and not model.base_sha256.startswith(UNKNOWN_WEIGHTS)
    known &= baseline.plan.engine != "vllm" and baseline.plan.weights == "peft"
    return [known and not any(is_judged(check.type) for check in now.case.single_checks) for now, _ in pairs]
