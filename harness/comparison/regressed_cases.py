"""Cases that are each shown to be answered worse: one is found though the mean hardly moves."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.comparison.pairing import PairedMetric
from harness.statistics.per_case import Trials, case_p_values, least_case_p
from harness.types import GoldenSet, RegressedCase, Stability

# Of forgetting probes any number may regress: what they tolerate is their margin.
_ANY = 1.0


@dataclass(frozen=True, slots=True)
class CaseTest:
    """One golden set's cases, each tested on its own.

    Attributes:
        keys: The cases.
        trials: Each case's answers on both sides.
        p_values: Each case's, corrected over the cases.
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
    """Test each set's cases, where any of them could be shown to be worse at all.

    Args:
        metrics: The gated metrics; only pass rates hold the answers to single cases.
        limits: The share of cases that may regress, by set; a set without one is not tested.
        stability: Further answers of the baseline's model by case, from a noise record.
        level: Level at which the smallest p-value will be judged at first. A set of which no case can reach
            it is left out, so that it costs the other tests nothing. That depends only on how many answers of
            both sides together passed, on which the tests are conditional (Tarone, R. E. (1990). A modified
            Bonferroni method for discrete data. Biometrics 46).
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
    """The cases that are shown to be worse, the surest first.

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
