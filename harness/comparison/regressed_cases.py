"""Tests single cases: a regressed case is found even if the mean hardly changes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from harness.comparison.pairing import PASS_RATE, PairedMetric
from harness.statistics.agreement import flip_rate
from harness.statistics.looks import WHOLE, level_at, part_at
from harness.statistics.paired_binary import (
    Trials,
    case_p_values,
    counted_case_ps,
    counted_level,
    least_case_p,
    used_level,
)
from harness.types import (
    GateVerdict,
    GoldenSet,
    MetricComparison,
    RegressedCase,
    ServerUse,
    SetLooks,
    Stability,
    set_of,
)
from harness.types.golden import is_within


@dataclass(frozen=True, slots=True, kw_only=True)
class ResampledAnswers:
    """The result of resampling.

    Attributes:
        trials: The new answers with a verdict, by case key.
        times: Number of requested answers per case and side.
        judge_requests: Number of requests to judges for it.
        duration_s: Its duration in seconds.
        server: How servers of models were used for it; None without one.
    """

    trials: Mapping[str, Trials]
    times: int
    judge_requests: int
    duration_s: float
    server: ServerUse | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Regression:
    """A regression of the first test: a fallen pass rate's flipped cases, or too many regressed ones."""

    kind: Literal["flipped", "regressed"]
    set_name: str
    cases: tuple[str, ...]


def cases_in_all(rows: Iterable[MetricComparison], looks: Iterable[SetLooks] = ()) -> dict[str, int]:
    """Of how many cases of each set a share may regress: those compared, and those that looks may yet reach.

    Args:
        rows: The judged metrics.
        looks: How far the sets were answered, if look by look.

    Returns:
        Their number, by set.
    """
    more = {each.set_name: each.cases - each.answered for each in looks}
    return {row.set_name: row.n + more.get(row.set_name, 0) for row in rows if row.metric == PASS_RATE}


def regressions_of(
    rows: Sequence[MetricComparison],
    regressed: Sequence[RegressedCase],
    limits: Mapping[str, float],
    looks: Sequence[SetLooks] = (),
) -> list[Regression]:
    """The regressions that have to be confirmed.

    Args:
        rows: The judged metrics.
        regressed: The regressed cases.
        limits: Largest tolerated share of those by golden set.
        looks: As in :func:`cases_in_all`.
    """
    sizes = cases_in_all(rows, looks)
    found = [
        Regression(kind="flipped", set_name=row.set_name, cases=(*row.lost, *row.gained))
        for row in rows
        if row.metric == PASS_RATE and row.verdict is GateVerdict.REGRESS and not _is_exact(row)
    ]
    by_set: dict[str, list[str]] = {}
    for case in regressed:
        by_set.setdefault(set_of(case.key), []).append(case.key)
    return found + [
        Regression(kind="regressed", set_name=name, cases=tuple(keys))
        for name, keys in by_set.items()
        if not is_within(len(keys) / sizes[name], limits.get(name, 0.0))
    ]


def _is_exact(row: MetricComparison) -> bool:
    """Whether a drop of exactly these cases is known without doubt: new answers would be the same."""
    return row.population == "cases" and row.drop.low == row.drop.high


# Any number of forgetting probes may regress: their margin is the limit.
_ANY = 1.0


@dataclass(frozen=True, slots=True)
class CaseTest:
    """One golden set's cases, each tested on its own.

    Attributes:
        keys: The cases.
        trials: Each case's answers on both sides.
        p_values: Each case's p-value, corrected over the cases.
        together: The p-value of "no case of the set is answered worse" by the number of cases that show it;
            None where the smallest of the cases' own is one.
    """

    set_name: str
    keys: tuple[str, ...]
    trials: tuple[Trials, ...]
    p_values: tuple[float, ...]
    together: float | None = None

    @property
    def p_value(self) -> float:
        """Of "no case of the set is answered worse"."""
        return min(self.p_values) if self.together is None else self.together

    def used(self, level: float) -> float:
        """The largest probability within a level with which the test can find anything."""
        known = used_level if self.together is None else counted_level
        return known(self.trials, level)

    def used_part(self, level: float) -> float:
        """What the test uses of a level, a hair more than the p-value that it can show.

        One that can use nothing of it waits with a hair of the level until the others are rejected.
        """
        return max(self.used(level) * (1 + 1e-9), level * 1e-9)


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
        if all(least_case_p(each) > level for each in trials):
            continue
        if used_level(trials, level) > 0:
            together, own = None, case_p_values(trials)
        else:
            # So many cases could show something that one is no surprise: they are counted.
            together, own = counted_case_ps(trials)
        found.append(CaseTest(metric.set_name, metric.keys, trials, tuple(own), together))
    return found


def measured_churn(metric: PairedMetric, stability: Mapping[str, Stability]) -> float:
    """Probability that a case flips one way, measured by reruns of the baseline; 0 without reruns.

    Args:
        metric: A metric's values.
        stability: The noise record of the baseline's model, by case key.
    """
    if metric.metric != PASS_RATE or not stability:
        return 0.0
    rate = flip_rate(stability[key] for key in metric.keys if key in stability)
    # If two reruns disagree, a loss is as probable as a gain.
    return 0.0 if rate is None else rate / 2


def shared_case_tests(
    gated: Sequence[PairedMetric],
    limits: Mapping[str, float],
    stability: Mapping[str, Stability],
    alpha: float,
    *,
    others: int,
) -> list[CaseTest]:
    """The sets in which a regressed case can be shown at the level that the metrics' tests leave.

    Args:
        gated: The gated metrics.
        limits: Largest tolerated share of regressed cases by golden set.
        stability: The noise record of the baseline's model, by case key.
        alpha: The level of all tests together.
        others: Number of further tests.
    """
    metrics = len(gated) + others
    found = case_tests(gated, limits, stability, alpha / (metrics + 1))
    # Each further test leaves a smaller level for the others.
    while found and len(fewer := case_tests(gated, limits, stability, alpha / (metrics + len(found)))) < len(
        found
    ):
        found = fewer
    return found


def shared_level(
    sets: Sequence[str],
    tests: Sequence[CaseTest],
    looked: Mapping[str, Sequence[float]],
    alpha: float,
    waiting: int,
) -> tuple[list[float], list[float]]:
    """Each test's weight by Holm's correction, and its level at the latest look: of metrics, then of cases.

    The first step is the strictest: a finding there does not depend on the other tests. Each test has an even
    part of it; what the tests of single cases cannot use of theirs, the metrics share. This level is what is
    spread over the looks. Tests that no look has reached come last, with a weight alone.

    Args:
        sets: The set of each gated metric.
        tests: The tests of single cases.
        looked: The looks of each set; none of one that is answered at once.
        alpha: The level of all tests together.
        waiting: Number of tests that no look has reached.

    Returns:
        The weights, and the levels of all but those that wait.
    """
    even = alpha / max(len(sets) + len(tests) + waiting, 1)
    of_tests = [looked.get(test.set_name, WHOLE) for test in tests]
    used = [test.used_part(even) if at == WHOLE else even for test, at in zip(tests, of_tests, strict=True)]
    first = (alpha - sum(used)) / max(len(sets) + waiting, 1)
    parts = [level if at == WHOLE else part_at(at, level) for at, level in zip(of_tests, used, strict=True)]
    weights = [*([first] * len(sets)), *used, *([first] * waiting)]
    return weights, [*(level_of(looked.get(name, WHOLE), first) for name in sets), *parts]


def level_of(looks: Sequence[float], alpha: float) -> float:
    """The level of one hypothesis at its latest look; the whole one without looks.

    Args:
        looks: The share of the cases at each look so far.
        alpha: Its level over all looks.
    """
    return alpha if looks == WHOLE else level_at(looks, alpha)


def _with_record(trials: Trials, record: Stability | None) -> Trials:
    if record is None:
        return trials
    return Trials(
        baseline_passed=trials.baseline_passed + record.passed,
        baseline=trials.baseline + record.answers,
        candidate_passed=trials.candidate_passed,
        candidate=trials.candidate,
    )


def regressed_cases(test: CaseTest, p_all: float, alpha: float, times: float = 1.0) -> list[RegressedCase]:
    """The regressed cases, the most significant first.

    Args:
        test: The set's cases.
        p_all: The test's p-value after correction for the other tests of the run, and of other models.
        alpha: Probability of any false finding in the run.
        times: How many models share it.
    """
    factor = p_all / test.p_value if test.together is None else times
    least = 0.0 if test.together is None else p_all
    found = [
        RegressedCase(
            key=key,
            was=Stability(passed=trials.baseline_passed, answers=trials.baseline),
            now=Stability(passed=trials.candidate_passed, answers=trials.candidate),
            p_value=min(1.0, max(p_value * factor, least)),
        )
        for key, trials, p_value in zip(test.keys, test.trials, test.p_values, strict=True)
    ]
    shown = (case for case in found if case.p_value <= alpha)
    return sorted(shown, key=lambda case: (case.p_value, case.key))
