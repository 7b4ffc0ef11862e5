"""What a golden set can show before any model has answered it, and what would make it show more."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from harness.comparison.metric_verdicts import gated_margins
from harness.comparison.pairing import PASS_RATE
from harness.comparison.regressed_cases import regressed_limits
from harness.golden.answering_order import answering_order
from harness.golden.reference_tokens import token_drop_of_cases
from harness.golden.schema import answers_vary
from harness.statistics.clustered_drop import first_drop_beyond
from harness.statistics.detectable_drops import USUAL_ALIKE, Flips, clusters_that_settle
from harness.statistics.looks import LookChances, look_chances
from harness.statistics.planning import cases_that_settle, least_of_cases, times_as_many
from harness.statistics.power import POWER, USUAL_CHURN
from harness.studies.metric_detects import (
    detectable_of_metric,
    detectable_of_verdicts,
    light_tailed_detectable,
)
from harness.studies.metric_power import (
    USUAL_SPREAD,
    Answers,
    answers_by_unit,
    chance_to_pass,
    gated_cases,
    light_tailed_pass,
    pass_of_verdicts,
)
from harness.studies.repeated_power import detectable_own, detectable_repeated, shows_single_cases
from harness.types import GoldenCase, GoldenSet
from harness.types.golden import ALPHA, is_within

# A drop that nobody overlooks: of a harmful candidate, for the share that a gate with looks answers.
HARM = 0.2
# The usual margin of perplexity, in nats.
LOG_MARGIN = 0.10
# Answers a case of a way to learn more from single ones.
ANSWERS = 5
# Below this chance to pass all metrics, a lint says so.
_MOSTLY = 0.5
# The most cases with several answers each.
_MOST_REPEATED = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LooksPower:
    """What a gate with several looks needs for a pass rate; further gated metrics have to pass then, too.

    Attributes:
        looks: Planned looks.
        pass_chance: How often an equal candidate passes; at most that often beside further metrics.
        equal_share: The mean share of cases that an equal candidate answers; beside others at least that.
        harmful_share: The same of one that lost HARM, which others can only stop earlier.
    """

    looks: int
    pass_chance: float
    equal_share: float
    harmful_share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to learn more from a set, and what it would buy.

    Attributes:
        name: In words.
        detectable: Smallest true drop that is found in 80 % of runs, on the metric's scale; None if unknown
            or none.
        pass_chance: How often an equal candidate passes.
        answers: Number of answers a side, where 1 is the set as it is.
        detectable_of_clusters: In clusters with one answer a case, the drop that is found if it takes whole
            clusters; None elsewhere.
    """

    name: str
    detectable: float | None
    pass_chance: float
    answers: float
    detectable_of_clusters: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricPower:
    """The power of a gated metric other than the pass rate.

    Attributes:
        cases: Number of cases that have it.
        units: Number of independent ones: a cluster counts once.
        pass_chance: How often an equal candidate passes; None if it is unknown.
        detectable_drop: Smallest true drop that regresses in 80 % of runs; None if there is none, or if it is
            unknown.
        detectable_cluster_drop: The same if it takes whole clusters; None without any, and where means or
            labels are compared by the spread of clusters.
        endless: Whether its scale has no end and its answers may vary. Nothing is then known before a run:
            what a case may lose is as much as the baseline's mean, and of a logarithm how much it varies.
    """

    cases: int
    units: int
    margin: float
    pass_chance: float | None
    detectable_drop: float | None = None
    detectable_cluster_drop: float | None = None
    endless: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SetPower:
    """The power of one golden set. A set that only grades has no figures of a pass rate.

    Attributes:
        cases: Number of cases that can pass or fail.
        units: Number of independent ones: a cluster counts once.
        margin: The pass rate's.
        detectable_drop: Smallest true drop of it that regresses in 80 % of runs; None if there is none. In
            clusters it takes cases one by one.
        detectable_cluster_drop: The same if it takes whole clusters, which is no easier; None without any.
        pass_chance: How often an equal candidate passes; None without a pass rate.
        units_if_equal: Independent cases with which an equal candidate is decided in 80 % of runs, as reports
            say it of what they saw; None beyond a million. Of several answers a case those that pass.
        units_if_fallen: The same of one that fell by the margin; of several answers those that regress.
        population: Whether the set asks about further cases (``sample``) or exactly its own (``cases``).
        metrics: Each further gated metric that any case has.
        unscored: Cases without a verdict and a gated score, if they are more than the set tolerates: then it
            never passes.
        repeated: Whether its pass rate has several answers a case, asked about further cases.
        looks: What several looks would need; None without any, for a set that is answered whole or repeated.
        ways: What would make it show more.
        computed: In which precision its answers are computed, or ``server``. Where nobody says it, this is
            empty: figures of a set about its own cases hold for float32 on one kind of device.
        bundled: Whether these are the forgetting probes that a gate asks beside the project's sets.
    """

    name: str
    cases: int
    units: int
    margin: float
    detectable_drop: float | None = None
    pass_chance: float | None = None
    detectable_cluster_drop: float | None = None
    units_if_equal: int | None = None
    units_if_fallen: int | None = None
    population: str = "sample"
    metrics: Mapping[str, MetricPower] = field(default_factory=dict)
    unscored: int = 0
    repeated: bool = False
    looks: LooksPower | None = None
    ways: tuple[Way, ...] = ()
    computed: str = ""
    bundled: bool = False

    @property
    def chances(self) -> list[float]:
        """How often an equal candidate passes each gated metric, where that is known, the pass rate first."""
        found = [self.pass_chance, *(each.pass_chance for each in self.metrics.values())]
        return [each for each in found if each is not None]


def power_of_set(
    golden_set: GoldenSet,
    margins: Mapping[str, float],
    churn: float,
    level: float,
    *,
    looks: int = 1,
    spread: float = USUAL_SPREAD,
    with_ways: bool = False,
) -> SetPower:
    """The power of a golden set, before any model has answered.

    Args:
        golden_set: The set; skipped cases don't count.
        margins: Its gated metrics' margins, among them that of its pass rate.
        churn: Share of single answers that flip by chance, each way.
        level: One-sided level of each hypothesis of a run; :mod:`harness.studies.metric_power` counts them.
        looks: Planned number of looks.
        spread: Standard deviation of a case's change of log-probability, in nats.
        with_ways: Whether to compute what would make it show more, which takes longer.
    """
    own, margin = golden_set.gate.population == "cases", margins[PASS_RATE]
    gated = gated_cases(golden_set, margins)
    further: dict[str, MetricPower] = {}
    for metric, cases in gated.items():
        further[metric] = _of_metric(metric, cases, margins[metric], churn, level, spread=spread, own=own)
    judged = gated.get(PASS_RATE, [])
    rate = further.pop(PASS_RATE, MetricPower(cases=0, units=0, margin=margin, pass_chance=0.0))
    found = SetPower(
        name=golden_set.name,
        cases=rate.cases,
        units=rate.units,
        margin=margin,
        population=golden_set.gate.population,
        metrics=further,
        unscored=_unscored(golden_set, gated),
    )
    if not judged:
        return found
    found = replace(found, pass_chance=rate.pass_chance)
    if own:
        return replace(found, detectable_drop=_detectable_own(judged, margin, churn, level))
    units = answers_by_unit(judged)
    singly = regressed_limits([golden_set])[golden_set.name] == 0
    found = replace(found, repeated=_repeated(units))
    if looks > 1 and margin < 1 and not found.repeated:
        found = replace(
            found, looks=_of_looks(replace(golden_set, cases=tuple(judged)), margin, churn, level, looks)
        )
    if with_ways:
        log = (spread, token_drop_of_cases(judged))
        found = replace(found, ways=tuple(_ways(units, margin, churn, level, log, singly=singly)))
    alone, whole = detectable_of_verdicts(units, margin, churn, level, singly=singly)
    return replace(
        found, detectable_drop=alone, detectable_cluster_drop=whole, **_needed(units, margin, churn, level)
    )


def _of_metric(
    metric: str,
    cases: Sequence[GoldenCase],
    margin: float,
    churn: float,
    level: float,
    *,
    spread: float,
    own: bool,
) -> MetricPower:
    """A gated metric's power; what a pass rate detects is told of the set."""
    alone, whole = None, None
    if metric != PASS_RATE:
        alone, whole = detectable_of_metric(metric, cases, margin, churn, level, spread=spread, own=own)
    passes = chance_to_pass(metric, cases, margin, churn, spread=spread, own=own)
    return MetricPower(
        cases=len(cases),
        units=len(answers_by_unit(cases)),
        margin=margin,
        pass_chance=passes,
        detectable_drop=alone,
        detectable_cluster_drop=whole,
        endless=passes is None,
    )


def _unscored(golden_set: GoldenSet, gated: Mapping[str, Sequence[GoldenCase]]) -> int:
    """Cases that never have a verdict nor a gated score; 0 if no more than are tolerated."""
    asked = sum(case.skip is None for case in golden_set.cases)
    idle = asked - len({case.id for cases in gated.values() for case in cases})
    return 0 if is_within(idle, golden_set.gate.max_unscored * asked) else idle


def _detectable_own(cases: Sequence[GoldenCase], margin: float, churn: float, level: float) -> float | None:
    """Of exactly these cases the drop is known, unless answers vary."""
    if margin >= 1:
        return None
    if not answers_vary(cases):
        return first_drop_beyond(margin, len(cases))
    return detectable_own([case.repeat for case in cases], margin, churn, level)


def pass_chance_of(cases: Sequence[GoldenCase], margin: float, churn: float) -> float:
    """Probability that an equal candidate passes these cases, asked about further cases like them.

    Args:
        cases: At least one case.
        margin: Largest tolerated drop.
        churn: Share of single answers that flip by chance, each way.
    """
    found = chance_to_pass(PASS_RATE, cases, margin, churn)
    assert found is not None
    return found


def why_it_seldom_passes(golden_set: GoldenSet) -> str | None:
    """Why an equal model seldom passes all gated metrics of a set together; None if it mostly does.

    Args:
        golden_set: The whole set.
    """
    margins = {metric: margin for (_, metric), margin in gated_margins([golden_set]).items()}
    own = golden_set.gate.population == "cases"
    known = (
        chance_to_pass(metric, cases, margins[metric], USUAL_CHURN, own=own)
        for metric, cases in gated_cases(golden_set, margins).items()
    )
    chances = [each for each in known if each is not None]
    if len(chances) < 2 or (together := math.prod(chances)) >= _MOSTLY:
        return None
    return (
        f"an equal model passes its {len(chances)} gated metrics together in {together:.0%} of runs if they "
        f"are independent, in {min(chances):.0%} at most, with {USUAL_CHURN:.0%} of cases flipping each way: "
        f"gate fewer metrics, widen margins or add cases (tunegate power)"
    )


def _repeated(units: Answers) -> bool:
    return any(answers > 1 for unit in units for answers in unit)


def _needed(units: Answers, margin: float, churn: float, level: float) -> dict[str, Any]:
    """Independent cases, or clusters: those that an equal candidate needs, and a drop of the margin."""
    if margin >= 1:
        return {}
    if _repeated(units):

        def found(many: Answers) -> bool:
            drop = detectable_repeated(many, margin, churn, level, singly=False)
            return drop is not None and drop <= margin

        return {
            "units_if_equal": _least(units, lambda many: pass_of_verdicts(many, margin, churn) >= POWER),
            "units_if_fallen": _least(units, found),
        }
    sizes, worse = [float(len(unit)) for unit in units], min(churn + margin, 1 - churn)
    if max(sizes) == 1:
        equal, fallen = (cases_that_settle(lose, churn, margin, level) for lose in (churn, worse))
    else:
        equal, fallen = (
            _times(
                sizes,
                clusters_that_settle(
                    sizes, Flips(lose=lose, gain=churn, alike=USUAL_ALIKE), level, margin=margin
                ),
            )
            for lose in (churn, worse)
        )
    return {"units_if_equal": equal, "units_if_fallen": fallen}


def _least(units: Answers, suffices: Callable[[Answers], bool]) -> int | None:
    """How many cases with as many answers suffice, in tens, or how many clusters, a multiple of theirs."""
    if max(map(len, units)) > 1:
        return _times(units, times_as_many(units, suffices))
    asked = [units[place % len(units)] for place in range(_MOST_REPEATED)]
    return least_of_cases(lambda cases: suffices(asked[:cases]), most=_MOST_REPEATED)


def _times(units: Sequence[object], times: int | None) -> int | None:
    return None if times is None else times * len(units)


def _of_looks(golden_set: GoldenSet, margin: float, churn: float, level: float, looks: int) -> LooksPower:
    sizes = [float(len(cases)) for cases in answering_order(golden_set)]

    def simulated(drop: float) -> LookChances:
        flips = Flips(lose=min(churn + drop, 1 - churn), gain=churn, alike=USUAL_ALIKE)
        return look_chances(sizes, flips, ALPHA, level, margin=margin, looks=looks)

    equal, harmful = simulated(0.0), simulated(HARM)
    return LooksPower(
        looks=looks, pass_chance=equal.passes, equal_share=equal.share, harmful_share=harmful.share
    )


def _ways(
    units: Answers, margin: float, churn: float, level: float, log: tuple[float, float], *, singly: bool
) -> list[Way]:
    """The set as it is, with twice the cases, with several answers a case, and by log-probabilities.

    Of those the spread is given, and what one token of a reference may lose.
    """
    asked = [answers for unit in units for answers in unit]
    more = ANSWERS if max(asked) < ANSWERS else 2 * max(asked)
    by_name = {
        "as it is": units,
        "twice the cases": [*units, *units],
        f"{more} answers a case": [[more] * len(unit) for unit in units],
    }
    ways = []
    for name, of_way in by_name.items():
        # Single cases that are tested from now on share the level.
        fewer = level * ALPHA / (level + ALPHA)
        further = singly and not _repeated(units) and shows_single_cases(of_way, fewer)
        of_level = fewer if further else level
        alone, whole = detectable_of_verdicts(of_way, margin, churn, of_level, singly=singly)
        ways.append(
            Way(
                name=name,
                detectable=alone,
                detectable_of_clusters=whole,
                pass_chance=0.0 if margin >= 1 else pass_of_verdicts(of_way, margin, churn),
                answers=math.fsum(answers for unit in of_way for answers in unit) / math.fsum(asked),
            )
        )
    sizes = [float(len(unit)) for unit in units]
    return [
        *ways,
        Way(
            name="log-probability of references",
            detectable=light_tailed_detectable(sizes, log[0], level, LOG_MARGIN, log[1]),
            pass_chance=light_tailed_pass(sizes, LOG_MARGIN, *log),
            answers=0.0,
        ),
    ]
