"""What is decided about one metric's row, and what if its set were asked the gate's other question."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeAlias

from harness.comparison.metric_drop import (
    Population,
    compare_metric,
    end_of_pass,
    lowest_value,
)
from harness.comparison.missing_cases import Extremes, with_missing
from harness.comparison.pairing import PairedMetric
from harness.comparison.regressed_cases import CaseTest, level_of, shared_level
from harness.statistics.looks import WHOLE
from harness.statistics.paired_binary import weighted_holm
from harness.types import GateVerdict, MetricComparison, Standing, TooFew
from harness.types.golden import is_within

# A gain of less than so much of the margin is none: losses of equal texts differ with the rows beside them.
_ROUNDING_OF_BATCHES = 1e-4
# The share of its cases at each look, by golden set; none of one that is answered at once.
Looks: TypeAlias = Mapping[str, Sequence[float]]
_Key: TypeAlias = tuple[tuple[str, tuple[float, ...]], ...]


def decide(row: MetricComparison, margin: float, *, rejected: bool, gains_count: bool = True) -> GateVerdict:
    """A pass needs the bound that allows for unseen losses; a regression is shown by the data alone.

    Both hold whatever is missing: the pass at its worst, the regression at its best. A pass says nothing
    where nothing could be lost beyond the margin, unless something was gained. The row is in units of its
    scale, which tell rounding where no drop is tolerated, or one far below them.

    Args:
        row: The comparison, with what could be lost.
        margin: Largest tolerated drop.
        rejected: Whether "no drop" is.
        gains_count: Whether a gain is a pass where nothing could be lost; of what was kept it says nothing.
    """
    if is_within(end_of_pass(row), margin, unit=1.0) and not row.missing_unlimited:
        says = not row.nothing_to_lose or (gains_count and _gained(row, margin))
        return GateVerdict.PASS if says else GateVerdict.INCONCLUSIVE
    high = row.drop.high if row.high_at_best is None else min(row.drop.high, row.high_at_best)
    beyond = rejected and not is_within(high, margin, unit=1.0)
    return GateVerdict.REGRESS if beyond else GateVerdict.INCONCLUSIVE


def standing(row: MetricComparison) -> Standing | None:
    """What is also shown about a metric that passed; None if it did not pass.

    *Better*: the end that a pass needs within the margin is below zero, so also with unseen losses and with
    what is missing. *Equal*: the interval is within the margin on both sides, which is two one-sided tests
    (Schuirmann, D. J. (1987). A comparison of the two one-sided tests procedure and the power approach. J.
    Pharmacokinetics and Biopharmaceutics 15). Each bound alone is wrong in 5 %.
    """
    if row.verdict is not GateVerdict.PASS or row.margin is None:
        return None
    if _gained(row, row.margin):
        return Standing.BETTER
    return Standing.EQUAL if row.drop.low >= -row.margin else Standing.NO_WORSE


def is_untestable(row: MetricComparison) -> bool:
    """Whether a row is inconclusive since the margin allows to lose all that the baseline has."""
    return row.nothing_to_lose and row.verdict is GateVerdict.INCONCLUSIVE


def is_open(row: MetricComparison) -> bool:
    """Whether a row is inconclusive, and a loss could be shown."""
    return row.verdict is GateVerdict.INCONCLUSIVE and not row.nothing_to_lose


def _gained(row: MetricComparison, margin: float) -> bool:
    return end_of_pass(row) < -_ROUNDING_OF_BATCHES * margin


def most_to_lose(
    metric: str, baseline: float, scale: tuple[float, float], *, higher_is_better: bool
) -> float:
    """How far a metric's mean can fall from the baseline's; without limit on a scale without an end.

    Args:
        metric: The check type, or the pass rate.
        baseline: The baseline's mean.
        scale: Both ends of the scale.
        higher_is_better: If false, a rise of the value is a drop.
    """
    least, most = scale
    return abs(baseline - (lowest_value(metric, least) if higher_is_better else most))


def has_nothing_to_lose(metric: PairedMetric, margin: float) -> bool:
    """Whether the margin allows to lose all that the baseline has.

    Args:
        metric: The values.
        margin: Largest tolerated drop, in their unit.
    """
    return is_within(_room(metric), margin)


def if_there_is_so_much(metric: PairedMetric, drop: float | None) -> float | None:
    """A drop that would be found; None where the baseline doesn't have so much to lose.

    Args:
        metric: The values.
        drop: The drop; None for none.
    """
    return drop if drop is not None and is_within(drop, _room(metric), unit=1.0) else None


def _room(metric: PairedMetric) -> float:
    mean = math.fsum(metric.baseline) / len(metric.baseline)
    scale = metric.least, metric.most
    return most_to_lose(metric.metric, mean, scale, higher_is_better=metric.higher_is_better)


@dataclass(frozen=True, slots=True, kw_only=True)
class Questions:
    """Makes rows without a verdict, with what is missing, for the question that each set asks or another.

    Attributes:
        alpha: One-sided level of each interval.
        limits: Largest tolerated share of regressed cases by golden set.
        populations: The question for each golden set.
        extremes: What cases with a value on one side only could have been.
    """

    alpha: float
    limits: Mapping[str, float]
    populations: Mapping[str, Population]
    extremes: Mapping[tuple[str, str], Extremes]

    def confidences(self, metrics: Sequence[PairedMetric], looks: Looks) -> dict[str, float]:
        """Two-sided, of the intervals of each set.

        Args:
            metrics: The values of all sets.
            looks: The looks of each set.

        Returns:
            The confidence by golden set.
        """
        names = dict.fromkeys(each.set_name for each in metrics)
        return {name: 1 - 2 * level_of(looks.get(name, WHOLE), self.alpha) for name in names}

    def any_case_counts(self, name: str) -> bool:
        """Whether a set tolerates no regressed case."""
        return self.limits.get(name, 0.0) == 0

    def row(
        self, metric: PairedMetric, looks: Looks, finest: float | None, population: Population | None = None
    ) -> MetricComparison:
        """A metric's row; the detectable drop of a gated one depends on its margin, too.

        Args:
            metric: The values.
            looks: The looks of each set.
            finest: The level of its test; None if it is not gated.
            population: The question, if it is not its set's.
        """
        compare = partial(
            compare_metric,
            confidence=self.confidences([metric], looks)[metric.set_name],
            any_case_counts=self.any_case_counts(metric.set_name),
            population=population or self.populations.get(metric.set_name, "sample"),
            finest=1.0 if finest is None else finest,
        )
        row = compare(metric, detectable=finest is None)
        if finest is None:
            able = if_there_is_so_much(metric, row.minimum_detectable_drop)
            row = replace(row, minimum_detectable_drop=able)
        extreme = self.extremes.get((metric.set_name, metric.metric))
        return row if extreme is None else with_missing(row, extreme, compare)


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedTests:
    """The tests that share the level of one decision.

    Attributes:
        sets: The set of each gated metric.
        cases: The tests of single cases.
        alpha: The level of all of them together: for one of several models a part of the gate's.
        models: So many times each p-value counts beyond that.
        waiting: Number of tests that no look has reached.
    """

    sets: Sequence[str]
    cases: Sequence[CaseTest]
    alpha: float
    models: float = 1.0
    waiting: int = 0
    # What single cases can use of a level takes long to tell.
    _known: dict[_Key, tuple[list[float], list[float]]] = field(default_factory=dict, repr=False)

    def levels(self, looks: Looks) -> list[float]:
        """Each test's level for the first step of Holm's correction: those of metrics, then of cases."""
        return self._shared(looks)[1]

    def corrected(self, p_values: Sequence[float], looks: Looks) -> list[float]:
        """The p-values by Holm's correction. At a look each counts more, as its level is smaller there.

        Args:
            p_values: Those of metrics, then those of cases.
            looks: The looks of each set.

        Returns:
            The corrected ones, in order.
        """
        weights, levels = self._shared(looks)
        scaled = [p * (weight / level) for p, weight, level in zip(p_values, weights, levels, strict=False)]
        # What no look has reached is not rejected yet.
        waiting = [1.0] * (len(weights) - len(scaled))
        found = weighted_holm([*scaled, *waiting], weights)[: len(scaled)]
        return [min(p * self.models, 1.0) for p in found]

    def _shared(self, looks: Looks) -> tuple[list[float], list[float]]:
        key = tuple((name, tuple(shares)) for name, shares in looks.items())
        if key not in self._known:
            self._known[key] = shared_level(self.sets, self.cases, looks, self.alpha, self.waiting)
        return self._known[key]

    def of_rows(self, rows: Sequence[MetricComparison], looks: Looks) -> list[float]:
        """The corrected p-values of the gated metrics' rows, then those of cases.

        Args:
            rows: The rows.
            looks: The looks of each set.

        Returns:
            In that order.
        """
        return self.corrected([*(row.p_value for row in rows), *(test.p_value for test in self.cases)], looks)


# The row of a test, by its place, if its set were asked a question, given all sets' looks and its level.
Ask: TypeAlias = Callable[[int, Population, Looks, float], MetricComparison]


def other_question(
    place: int, rows: Sequence[MetricComparison], ask: Ask, tests: SharedTests, looks: Looks, alpha: float
) -> tuple[MetricComparison, bool] | None:
    """A pass rate's row for the gate's other question, as if its set had been asked that one.

    A set that asks about its own cases is answered at once. Other tests matter between the level of the first
    step and the whole one; there the set's other metrics are asked that question, too.

    Args:
        place: The test.
        rows: All tests' rows.
        ask: Makes the row of a test for another question.
        tests: How they share the level.
        looks: The looks of each set.
        alpha: What a corrected p-value is at most where it rejects.

    Returns:
        The row, and whether "no drop" is rejected; None if that question can't be answered.
    """
    name = rows[place].set_name
    asked: Population = "sample" if rows[place].population == "cases" else "cases"
    apart = {each: shares for each, shares in looks.items() if each != name}
    levels, found = tests.levels(apart), list(rows)
    found[place] = ask(place, asked, apart, levels[place])
    own = found[place]
    if own.population != asked:
        return None
    if own.p_value < levels[place] or not is_within(own.p_value, tests.alpha):
        return own, own.p_value < levels[place]
    for other, row in enumerate(rows):
        if row.set_name == name and other != place:
            found[other] = ask(other, asked, apart, levels[other])
    return own, tests.of_rows(found, apart)[place] <= alpha


def least_p_value(metric: PairedMetric, *, any_case_counts: bool) -> float:
    """The p-value if every case got worse, which a question about further cases has at least.

    Args:
        metric: The values.
        any_case_counts: As in :func:`harness.comparison.metric_drop.compare_metric`.
    """
    alone = metric.kind == "binary" and not metric.clustered
    if metric.repeated and any_case_counts and alone:
        orders = (math.comb(each.baseline + each.candidate, each.baseline) for each in metric.trials)
        return 0.5 * math.prod(1 / count for count in orders)
    # Cases that can be lost whole are counted, by mid-p, however many answers they have.
    whole = alone and all(value in {0.0, 1.0} for value in metric.baseline)
    return 0.5 ** (len(set(metric.clusters)) + whole)


def too_few(
    units: Sequence[int], least: Sequence[float], tests: SharedTests, looks: Looks
) -> list[TooFew | None]:
    """Why each metric's test can't reject "no drop" first, or never, however much is lost; None if it can.

    Args:
        units: The number of independent cases or clusters of each metric.
        least: The least p-value of each; 0 where none is known.
        tests: How they share the level.
        looks: The looks of each set.
    """
    levels = tests.levels(looks)
    if all(is_within(chance, level) for chance, level in zip(least, levels, strict=False)):
        return [None] * len(least)
    at_best = tests.corrected([*least, *(0.0 for _ in tests.cases)], looks)
    return [
        None
        if is_within(chance, levels[place])
        else _too_few(place, units[place], least, at_best[place], tests, looks)
        for place, chance in enumerate(least)
    ]


def _too_few(
    place: int, units: int, least: Sequence[float], at_best: float, tests: SharedTests, looks: Looks
) -> TooFew:
    """Why a test can't reject first.

    Args:
        place: The test.
        units: Its independent cases or clusters.
        least: The least p-value of each test.
        at_best: Its own, corrected, where all metrics have their least.
        tests: How they share the level.
        looks: The looks of each set.
    """
    chance, level, alpha = least[place], tests.levels(looks)[place], tests.alpha * tests.models
    alone = not is_within(chance, alpha)
    return TooFew(
        units=units,
        chance=chance,
        counts=1.0 if alone else alpha / level,
        models=1 if alone else round(tests.models),
        tests=1 if alone else len(least),
        looks=1 if alone else len(looks.get(tests.sets[place], WHOLE)),
        # Each further unit halves it at least.
        enough=units + math.ceil(math.log2(chance / level) - 1e-9),
        never=not is_within(at_best, alpha),
    )


def with_decision(
    row: MetricComparison, margin: float, p_value: float, alpha: float, *, gains_count: bool
) -> MetricComparison:
    """A row with its margin, its corrected p-value and its verdict.

    Args:
        row: The comparison, with what could be lost.
        margin: Largest tolerated drop.
        p_value: Its corrected p-value.
        alpha: What that is at most where "no drop" is rejected.
        gains_count: As in :func:`decide`.
    """
    verdict = decide(row, margin, rejected=p_value <= alpha, gains_count=gains_count)
    return replace(row, margin=margin, p_adjusted=p_value, verdict=verdict)
