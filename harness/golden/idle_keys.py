"""Keys under ``gate:`` that can't do anything in their golden set: when that is so, and what helps."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from harness.golden.gated_cases import cases_of_metric, judged_cases
from harness.types import GoldenSet


def _is_answered_once(golden_set: GoldenSet, recorded: Collection[str]) -> bool:
    """Whether no case can be tested on its own."""
    cases = [case for case in golden_set.cases if case.skip is None]
    is_known = any(case.repeat > 1 or case.key in recorded for case in cases)
    return golden_set.gate.max_regressed is not None and not is_known


def _only_grades(golden_set: GoldenSet, _recorded: Collection[str]) -> bool:
    return golden_set.gate.margin is not None and not judged_cases(golden_set)


def _varies(golden_set: GoldenSet, _recorded: Collection[str]) -> bool:
    """Whether the set asks about its own cases, and can't of a gated metric."""
    graded = (cases_of_metric(golden_set, metric) for metric in golden_set.gate.metric_margins)
    varying = any(case.generation.temperature > 0 for cases in graded for case in cases)
    return golden_set.gate.population == "cases" and varying


@dataclass(frozen=True, slots=True)
class KeyRule:
    """When a key has no effect.

    Attributes:
        key: As a golden set has it.
        why: The reason.
        remedy: What to do.
        holds: Whether it is so, of a set and the keys of its cases in a noise record.
    """

    key: str
    why: str
    remedy: str
    holds: Callable[[GoldenSet, Collection[str]], bool]


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
        "answer at temperature 0",
        _varies,
    ),
)


def idle_keys(golden_set: GoldenSet, recorded: Collection[str] = ()) -> list[KeyRule]:
    """The rules that hold of a golden set.

    Args:
        golden_set: The whole set.
        recorded: Keys of the cases with a noise record.
    """
    return [rule for rule in KEY_RULES if rule.holds(golden_set, recorded)]
