"""Counts lost cases while models still answer, for whoever may want to stop."""

from collections.abc import Callable, Mapping, Sequence

from harness.engines.base import BASE, BASELINE
from harness.golden.checks import CHECK_TYPES, base_type, decides
from harness.run.generation import OnAnswers
from harness.run.scoring import score_cases
from harness.types import Check, Completion, GoldenCase, Outcome, Run


def count_lost(cases: Sequence[GoldenCase], stored: Run | None, on_lost: Callable[[int], None]) -> OnAnswers:
    """A function that counts the cases that a baseline passes and a candidate fails, as answers arrive.

    Only cases whose checks are all computed at once are counted: no judge, no encoder, nobody's code, one
    answer.

    Args:
        cases: The cases that are answered.
        stored: The baseline's run, if it doesn't answer in this session.
        on_lost: Called with the number of lost cases of all candidates, after it has changed.
    """
    counted = {case.key: case for case in cases if case.repeat == 1 and all(map(_is_quick, case.checks))}
    passed: dict[str, dict[str, bool]] = {}
    if stored is not None:
        passed[BASELINE] = {result.key: result.outcome is Outcome.PASSED for result in stored.results}
    told = 0

    def on_answers(side: str, answers: Mapping[str, Completion]) -> None:
        nonlocal told
        new = {key: answer for key, answer in answers.items() if key in counted}
        if side == BASE or not new:
            return
        results = score_cases([counted[key] for key in new], new)
        passed.setdefault(side, {}).update(
            {result.key: result.outcome is not Outcome.FAILED for result in results}
        )
        before = passed.get(BASELINE, {})
        lost = sum(
            before.get(key, False) and not is_passed
            for other, outcomes in passed.items()
            if other != BASELINE
            for key, is_passed in outcomes.items()
        )
        if lost != told:
            told = lost
            on_lost(lost)

    return on_answers


def both(first: OnAnswers, second: OnAnswers | None) -> OnAnswers:
    """A function that hands answers to two others.

    Args:
        first: Called first.
        second: Called second, if there is one.
    """
    if second is None:
        return first

    def on_answers(side: str, answers: Mapping[str, Completion]) -> None:
        first(side, answers)
        second(side, answers)

    return on_answers


def _is_quick(check: Check) -> bool:
    kinds = [CHECK_TYPES[base_type(single.type)] for single in check.single_checks]
    return decides(check) and all(
        kind.extra is None and kind.reads_answer and not kind.runs_code and not kind.judged for kind in kinds
    )
