"""How often an equal model passes each gated metric of a set, before any model has answered."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from harness.comparison.metric_verdicts import gated_margins
from harness.comparison.pairing import PASS_RATE
from harness.comparison.regressed_cases import regressed_limits
from harness.golden.gated_cases import cases_of_metric, is_graded, judged_cases, largest_drop
from harness.golden.reference_tokens import has_light_tails, lone_drop_of_cases
from harness.golden.schema import answers_vary
from harness.registry.content_metrics import MACRO_F1
from harness.statistics.clusters import CONFIDENCE, Units, unseen_share
from harness.statistics.detectable_drops import USUAL_ALIKE, Flips, drawn_drops, verdict_chances
from harness.statistics.paired_graded import mean_drop
from harness.statistics.planning import pass_chance
from harness.studies.label_power import macro_f1_pass
from harness.studies.repeated_power import means_within, repeated_own_pass, repeated_pass, shows_single_cases
from harness.types import GoldenCase, GoldenSet
from harness.types.golden import ALPHA, is_within

# Standard deviation of a case's change of log-probability, in nats, while nothing is known.
USUAL_SPREAD = 0.2
_RUNS = 400
# Log-probabilities of fewer cases are simulated.
_SIMULATED_BELOW = 30
_RESAMPLES = 499
# Where more cases are graded, counts and means say the same.
_BOOTSTRAPPED_UP_TO = 400

# For each cluster the number of answers to each of its cases.
Answers = Sequence[Sequence[int]]


def gated_cases(golden_set: GoldenSet, margins: Mapping[str, float]) -> dict[str, list[GoldenCase]]:
    """The cases of each gated metric.

    Args:
        golden_set: The set; skipped cases don't count.
        margins: Its gated metrics' margins, among them that of its pass rate.

    Returns:
        The cases by metric; one that no case has is not compared, and so is left out.
    """
    found = {
        metric: judged_cases(golden_set) if metric == PASS_RATE else cases_of_metric(golden_set, metric)
        for metric in margins
    }
    return {metric: cases for metric, cases in found.items() if cases}


def answers_by_unit(cases: Sequence[GoldenCase]) -> list[list[int]]:
    """For each cluster, or single case, the number of answers to each of its cases."""
    units: dict[tuple[str, str], list[int]] = {}
    for case in cases:
        unit = ("case", case.id) if case.cluster is None else ("cluster", case.cluster)
        units.setdefault(unit, []).append(case.repeat)
    return list(units.values())


def hypotheses(golden_set: GoldenSet, margins: Mapping[str, float]) -> int:
    """How many tests share a run's level: of gated metrics, and of single cases if one can show anything.

    Args:
        golden_set: The set.
        margins: Its gated metrics' margins.
    """
    gated = gated_cases(golden_set, margins)
    judged = gated.get(PASS_RATE)
    tested = regressed_limits([golden_set])[golden_set.name] < 1 and judged is not None
    # The first step's level depends on how many others there are.
    even = ALPHA / (len(gated) + 1)
    return len(gated) + int(
        tested and judged is not None and shows_single_cases(answers_by_unit(judged), even)
    )


def margins_by_set(
    sets: Sequence[GoldenSet], margin: float | None, forgetting_margin: float | None
) -> dict[str, dict[str, float]]:
    """Each set's gated metrics with their margins.

    Args:
        sets: Golden sets.
        margin: The project's margin of tasks; None for that of each set.
        forgetting_margin: The same of probes.

    Returns:
        Margins by metric, by set.
    """
    margins = gated_margins(sets, margin, forgetting_margin)
    return {
        each.name: {metric: of for (name, metric), of in margins.items() if name == each.name}
        for each in sets
    }


def shared_level(sets: Sequence[GoldenSet], margins: Mapping[str, Mapping[str, float]]) -> float:
    """The level of each test in a run: those of all its sets share one.

    Args:
        sets: The run's golden sets.
        margins: Their gated metrics' margins, by set.
    """
    return ALPHA / max(sum(hypotheses(each, margins[each.name]) for each in sets), 1)


def has_no_end(metric: str) -> bool:
    """Whether a metric's scale has no end: nothing is known of what it may lose before it is measured.

    Args:
        metric: A gated metric. A log-probability has none either, but is known to move a little. What a case
            may lose of a time's logarithm is known too, but not how much times vary.
    """
    return math.isinf(largest_drop(metric)) and not has_light_tails(metric)


def chance_to_pass(
    metric: str,
    cases: Sequence[GoldenCase],
    margin: float,
    churn: float,
    *,
    spread: float = USUAL_SPREAD,
    own: bool = False,
) -> float | None:
    """Probability that an equal model passes a gated metric; None where nothing is known of its moves.

    A log-probability moves by the spread in each case, and one token of a short reference may break down
    where nobody has seen it. Any other score is taken to move as a verdict does: by the whole scale, in a few
    cases, which is the hardest kind of move to exclude.

    Args:
        metric: The metric; the pass rate is one.
        cases: The cases that have it, at least one.
        margin: Largest tolerated drop.
        churn: Share of single answers that flip by chance, each way.
        spread: Standard deviation of a case's change of log-probability, in nats.
        own: Whether the set asks about exactly its own cases.
    """
    if is_within(scale := largest_drop(metric), margin):
        # No drop can be beyond it, so nothing is shown.
        return 0.0
    reproduces = own and not answers_vary(cases, None if metric == PASS_RATE else metric)
    if reproduces or has_no_end(metric):
        return 1.0 if reproduces else None
    units = answers_by_unit(cases)
    if own and metric == PASS_RATE:
        return repeated_own_pass([answers for unit in units for answers in unit], margin, churn)
    if metric == MACRO_F1:
        return macro_f1_pass(cases, margin, churn)
    if has_light_tails(metric):
        sizes, lone = [float(len(unit)) for unit in units], lone_drop_of_cases(metric, cases)
        return light_tailed_pass(sizes, margin, spread, lone)
    graded = metric != PASS_RATE and is_graded(metric, cases)
    return pass_of_verdicts(units, margin / scale, churn, graded=graded)


def pass_of_verdicts(units: Answers, margin: float, churn: float, *, graded: bool = False) -> float:
    """Probability that an equal model passes, asked about further cases, where scores are 0 or 1.

    Args:
        units: For each cluster the number of answers to each of its cases.
        margin: Largest tolerated drop.
        churn: Share of single answers that flip by chance, each way; in clusters half of them as a whole.
        graded: Whether the gate compares means although the scores are 0 or 1.
    """
    sizes = [len(unit) for unit in units]
    if any(answers > 1 for unit in units for answers in unit):
        return repeated_pass(units, margin, churn, graded=graded)
    if max(sizes) == 1:
        counted = not graded or len(units) > _BOOTSTRAPPED_UP_TO
        within = None if counted else _graded_within(len(units), margin)
        return pass_chance(len(units), churn, margin, within=within)
    flips = Flips(lose=churn, gain=churn, alike=USUAL_ALIKE)
    if not graded:
        return verdict_chances(sizes, flips, ALPHA, margin=margin).passes
    return means_within(drawn_drops(sizes, flips, _RUNS), sizes, margin)


def _graded_within(n: int, margin: float) -> Callable[[int, int], bool]:
    """Whether the mean of so many lost and gained cases is within the margin."""

    def within(lost: int, gained: int) -> bool:
        moves = (1.0,) * lost + (-1.0,) * gained + (0.0,) * (n - lost - gained)
        found = mean_drop(Units(sums=moves, sizes=(1.0,) * n), CONFIDENCE, span=1.0, resamples=_RESAMPLES)
        return is_within(found.high_unseen, margin)

    return within


def light_tailed_pass(sizes: Sequence[float], margin: float, spread: float, lone: float = 0.0) -> float:
    """The same of a log-probability whose changes are normal, in clusters alike.

    By simulation of few units, otherwise by the normal approximation of Student's t.

    Args:
        sizes: Number of cases of each cluster.
        margin: Largest tolerated drop.
        spread: Standard deviation of a case's change.
        lone: How far the mean would fall if in every case one token of its reference broke down.
    """
    from scipy.special import ndtr, stdtrit

    if 0.5 ** len(sizes) > ALPHA:
        return 0.0
    if len(sizes) < _SIMULATED_BELOW:
        return _simulated_pass(tuple(sizes), margin / spread, lone / spread)
    units = Units(sums=tuple(sizes), sizes=tuple(sizes))
    error = spread / math.sqrt(units.effective)
    needed = float(stdtrit(units.effective - 1, (1 + CONFIDENCE) / 2)) * error
    unseen = unseen_share(units.effective, ALPHA) * lone
    return float(ndtr((margin - max(needed, unseen)) / error))


@lru_cache(maxsize=256)
def _simulated_pass(sizes: tuple[float, ...], margin: float, lone: float) -> float:
    """The same for a margin, and what a token may lose, in standard deviations of the changes."""
    import numpy as np

    changes = np.random.default_rng(0).normal(0.0, 1.0, (_RUNS, len(sizes))) * np.array(sizes)
    return means_within(changes, sizes, margin, light_tails=True, lone=lone)
