"""Tests single cases: a regressed case is found even if the mean hardly changes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.comparison.pairing import PairedMetric
from harness.statistics.per_case import Trials, case_p_values, least_case_p
from harness.types import GoldenSet, RegressedCase, Stability

# Any number of forgetting probes may regress: their margin is the limit.
_ANY = 1.0


@dataclass(frozen=True, slots=True)
class CaseTest:
    """One golden set's cases, each tested on its own.

    Attributes:
        keys: The cases.
        trials: Each case's answers on both sides.
        p_values: Each case's p-value, corrected over the cases.
    """

    set_name: str
    keys: tuple[str, ...]
    trials: tuple[Trials, ...]
    p_values: tuple[float, ...]

    @property
    def p_value(self) -> float:
        """Of "no case of the set is answered worse"."""
        return min(self.p_values)


def regressed_limits(golden_sets: Iterable[GoldenSet]) -> dict[str, float]:
    """The share of cases that may regress, by set."""
    return {
        golden_set.name: (_ANY if golden_set.probes_forgetting else 0.0)
        if golden_set.gate.max_regressed is None
        else golden_set.gate.max_regressed
        for golden_set in golden_sets
    }


def case_tests(
    metrics: Sequence[PairedMetric],
    limits: Mapping[str, float],
    stability: Mapping[str, Stability],
    level: float,
) -> list[CaseTest]:
    """Test each set's cases, if a regressed case can be shown at all.

    Args:
        metrics: The gated metrics; only pass rates have the answers to single cases.
        limits: The share of cases that may regress, by set; a set without one is not tested.
        stability: Further answers of the baseline's model by case, from a noise record.
        level: Level of the first step, for the smallest p-value. A set is left out if no case can reach it,
            so it costs the other tests nothing. This depends only on how many answers of both sides together
            passed, and the tests are conditional on that (Tarone, R. E. (1990). A modified Bonferroni method
            for discrete data. Biometrics 46).
    """
    found = []
    for metric in metrics:
        if not metric.trials or limits.get(metric.set_name, _ANY) >= _ANY:
            continue
        trials = tuple(
            _with_record(each, stability.get(key))
            for key, each in zip(metric.keys, metric.trials, strict=True)
        )
        if any(least_case_p(each) <= level for each in trials):
            found.append(CaseTest(metric.set_name, metric.keys, trials, tuple(case_p_values(trials))))
    return found


def _with_record(trials: Trials, record: Stability | None) -> Trials:
    if record is None:
        return trials
    return Trials(
        baseline_passed=trials.baseline_passed + record.passed,
        baseline=trials.baseline + record.answers,
        candidate_passed=trials.candidate_passed,
        candidate=trials.candidate,
    )


def regressed_cases(test: CaseTest, p_adjusted: float, alpha: float) -> list[RegressedCase]:
    """The regressed cases, the most significant first.

    Args:
        test: The set's cases.
        p_adjusted: The test's p-value after correction for the other tests of the run.
        alpha: Probability of any false finding in the run.
    """
    factor = p_adjusted / test.p_value
    found = [
        RegressedCase(
            key=key,
            was=Stability(passed=trials.baseline_passed, answers=trials.baseline),
            now=Stability(passed=trials.candidate_passed, answers=trials.candidate),
            p_value=min(1.0, p_value * factor),
        )
        for key, trials, p_value in zip(test.keys, test.trials, test.p_values, strict=True)
    ]
    return sorted(
        (case for case in found if case.p_value <= alpha), key=lambda case: (case.p_value, case.key)
    )
