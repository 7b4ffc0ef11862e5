"""Keys under ``gate:`` that can't do anything in their golden set: when that is so, and what helps."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from harness.golden.gated_cases import cases_of_metric, judged_cases
from harness.golden.schema import checks_of, may_vary
from harness.types import GoldenSet
from harness.types.golden import TIME_METRICS


@dataclass(frozen=True, slots=True, kw_only=True)
class GateContext:
    """What is known of a gate beside its golden set.

    Attributes:
        recorded: Keys of the cases with a noise record.
        exact: Whether greedy answers come out the same again.
    """

    recorded: Collection[str] = ()
    exact: bool = True


def _is_answered_once(golden_set: GoldenSet, known: GateContext) -> bool:
    """Whether no case can be tested on its own."""
    cases = [case for case in golden_set.cases if case.skip is None]
    can_be = any(case.repeat > 1 or case.key in known.recorded for case in cases)
    return golden_set.gate.max_regressed is not None and not can_be


def _only_grades(golden_set: GoldenSet, _known: GateContext) -> bool:
    return golden_set.gate.margin is not None and not judged_cases(golden_set)


def _varies(golden_set: GoldenSet, known: GateContext) -> bool:
    """Whether the set asks about its own cases, and can't of a gated metric, whose answers vary."""
    graded = [cases_of_metric(golden_set, metric) for metric in golden_set.gate.metric_margins]
    varying = any(case.generation.temperature > 0 or not known.exact for cases in graded for case in cases)
    return golden_set.gate.population == "cases" and varying


def _gates_times(golden_set: GoldenSet, _known: GateContext) -> bool:
    """Whether the set asks about its own cases, and can't of a time, which it gates."""
    gate = golden_set.gate
    return gate.population == "cases" and not TIME_METRICS.isdisjoint(gate.metric_margins)


def _is_scored_anew(golden_set: GoldenSet, _known: GateContext) -> bool:
    """Whether the set asks about its own cases, and can't of a gated score, which may vary."""
    scores = golden_set.gate.metric_margins.keys() - TIME_METRICS
    return golden_set.gate.population == "cases" and any(
        may_vary(check for case in cases_of_metric(golden_set, name) for check in checks_of(case, name))
        for name in scores
    )


@dataclass(frozen=True, slots=True)
class KeyRule:
    """When a key has no effect.

    Attributes:
        key: As a golden set has it.
        why: The reason.
        remedy: What to do.
        holds: Whether it is so, of a set and what else is known.
    """

    key: str
    why: str
    remedy: str
    holds: Callable[[GoldenSet, GateContext], bool]


KEY_RULES = (
    KeyRule("gate.margin", "no case passes or fails", "give a check a threshold", _only_grades),
    KeyRule(
        "gate.max_regressed",
        "each case is answered once",
        "give repeat, or record how answers vary: tunegate noise",
        _is_answered_once,
    ),
    KeyRule(
        "gate.population: cases",
        "for its metrics: graded answers that vary are a sample",
        "answer at temperature 0 in float32",
        _varies,
    ),
    KeyRule(
        "gate.population: cases",
        "for its times: each is measured once and varies",
        "gate them in a set of their own",
        _gates_times,
    ),
    KeyRule(
        "gate.population: cases",
        "for scores of a judge or of code that is not ours: another try may give others",
        "gate them in a set of their own",
        _is_scored_anew,
    ),
)


def idle_keys(golden_set: GoldenSet, known: GateContext | None = None) -> list[KeyRule]:
    """The rules that hold of a golden set.

    Args:
        golden_set: The whole set.
        known: What is known of its gate; None before there is one.
    """
    known = GateContext() if known is None else known
    return [rule for rule in KEY_RULES if rule.holds(golden_set, known)]
