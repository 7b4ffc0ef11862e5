"""A golden set's check as a reward: training then optimises what the gate checks."""

from collections.abc import Sequence
from typing import Any

from harness.errors import SettingsError
from harness.golden.check_rules import CheckProblem, make_check
from harness.golden.schema import CHECK_TYPES, base_type
from harness.run.scoring import score_cases
from harness.types import CaseResult, Check, Completion, GoldenCase, Message
from trainers.rewards.answers import plain
from trainers.rewards.definition import RewardError, RewardFunction, answer_text
from trainers.rewards.settings import GoldenCheck
from tunegate.printable import shown_value

_KEYS = {"type", "threshold", "value"}


def golden_check(settings: GoldenCheck, place: str) -> RewardFunction:
    """The check's value on its scale, with the sign chosen so that higher is better; with a threshold 1 or 0.

    Args:
        settings: The check, and the column with its references.
        place: Where the reward is in the configuration, for messages.

    Raises:
        SettingsError: The check is not valid, or has no value that is known while sampling.
    """
    check = _make(settings, (_placeholder(settings),) if settings.references else (), place)
    for name in (base_type(single.type) for single in check.single_checks):
        if not CHECK_TYPES[name].reads_answer:
            raise SettingsError(f"{place}: {name} does not depend on the answer's text; take another check")
        if CHECK_TYPES[name].runs_code:
            raise SettingsError(f"{place}: {name} runs code, and a reward may not; take another check")
    kind = CHECK_TYPES[base_type(check.type)]
    name = kind.name
    if not kind.higher_is_better and kind.maximum is None and "threshold" not in settings.check:
        raise SettingsError(f"{place}: {name} has no upper end: give it a threshold")

    def reward(completions: Sequence[Any], **columns: Any) -> list[float]:
        given = columns[settings.references] if settings.references else [()] * len(completions)
        cases, answers = [], {}
        for number, (completion, value) in enumerate(zip(completions, given, strict=True)):
            references = _references(value)
            case = GoldenCase(
                id=str(number),
                set_name="reward",
                messages=(Message(role="user", content=""),),
                references=references,
                checks=(_make(settings, references, place),),
            )
            cases.append(case)
            answers[case.key] = Completion(
                text=answer_text(completion),
                stop_reason="stop",
                prompt_tokens=0,
                completion_tokens=0,
                latency_s=0.0,
            )
        return [_value(result) for result in score_cases(cases, answers)]

    return reward


def _placeholder(settings: GoldenCheck) -> str:
    """A reference for checking the settings; the real ones are known only row by row."""
    members = settings.check.get("checks")
    for check in [settings.check, *(members if isinstance(members, list) else [])]:
        known = check.get("choices") or check.get("labels") if isinstance(check, dict) else None
        if isinstance(known, list | dict) and known:
            return str(next(iter(known)))
    return "0"  # both text and JSON


def _references(value: Any) -> tuple[str, ...]:
    """A column's value as references: each entry of a list is one."""
    if isinstance(value, tuple | list):
        return tuple(plain(entry) for entry in value)
    return (plain(value),)


def _make(settings: GoldenCheck, references: tuple[str, ...], place: str) -> Check:
    check = settings.check
    options = {key: value for key, value in check.items() if key not in _KEYS}
    threshold = check.get("threshold")
    if threshold is not None and (isinstance(threshold, bool) or not isinstance(threshold, int | float)):
        raise SettingsError(f"{place}: check.threshold: found {shown_value(threshold)} (allowed: a number)")
    try:
        return make_check(
            str(check.get("type")), threshold, check.get("value"), options, references=references
        )
    except CheckProblem as problem:
        key = ".".join(map(str, ("check", *problem.key)))
        allowed = f" (allowed: {problem.allowed})" if problem.allowed else ""
        raise SettingsError(f"{place}: {key}: {problem.problem}{allowed}") from problem


def _value(result: CaseResult) -> float:
    if result.errors:
        raise RewardError(result.errors[0].error)
    score = result.scores[0]
    if score.passed is not None and score.threshold is not None:
        return float(score.passed)
    kind = CHECK_TYPES[base_type(score.metric)]
    return score.value if kind.higher_is_better else (kind.maximum or 0.0) - score.value
