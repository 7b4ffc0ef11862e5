"""Asking rewards: what they give is checked, and a fault is named by reward, row and remedy."""

import math
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn

from harness.errors import InputError, handled_faults
from harness.metrics.call_limit import limited_batch
from trainers.rewards.definition import Reward, RewardError
from tunegate.printable import shown_value
from tunegate.streams import own_streams

_REMEDY = "fix it, then continue with --resume if a checkpoint was written"


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardBatch:
    """Answers to score, at least one, each with the place of its prompt and the other columns of its row.

    Every row has the same columns, None where it has nothing there.
    """

    prompts: Sequence[Any]
    completions: Sequence[Any]
    columns: Sequence[dict[str, Any]]
    places: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardTotals:
    """One weighted sum an answer, and the values that it is made of by reward; None: doesn't apply."""

    totals: list[float]
    parts: dict[str, list[float | None]]


def score_answers(rewards: Sequence[Reward], asked: RewardBatch) -> RewardTotals:
    """Ask every reward for every answer and add up, each with its weight.

    Args:
        rewards: The rewards, built.
        asked: The answers.

    Raises:
        RewardError: A reward raised, gave another number of values than answers or something else than
            finite numbers, or none applies to an answer.
    """
    parts = {reward.name: _values(reward, asked) for reward in rewards}
    totals = []
    for number in range(len(asked.completions)):
        applying = [
            reward.weight * value for reward in rewards if (value := parts[reward.name][number]) is not None
        ]
        if not applying:
            raise RewardError(f"rewards: none applies to {_row(asked, number)}: each gave None; {_REMEDY}")
        try:
            total = math.fsum(applying)
        except (OverflowError, ValueError):
            total = math.nan
        if not math.isfinite(total):
            said = f"{_row(asked, number)}: the weighted sum of {applying} is no finite number"
            raise RewardError(f"rewards: {said}; {_REMEDY}")
        totals.append(total)
    return RewardTotals(totals=totals, parts=parts)


def _values(reward: Reward, asked: RewardBatch) -> list[float | None]:
    everyone = range(len(asked.completions))
    with handled_faults(partial(_refuse, reward, asked)), own_streams():
        given = _call(reward, asked, everyone)
    if not isinstance(given, Sequence) and hasattr(given, "tolist"):
        given = given.tolist()  # an array or a tensor
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise RewardError(
            f"{reward.place}: gave a {type(given).__name__} "
            f"(allowed: a list with one number an answer); {_REMEDY}"
        )
    if len(given) != len(everyone):
        problem = (
            f"gave {len(given)} numbers for {len(everyone)} answers ({_row(asked, 0)} and the rows after)"
        )
        raise RewardError(f"{reward.place}: {problem}; it must give one an answer: {_REMEDY}")
    return [_number(reward, asked, number, value) for number, value in enumerate(given)]


def _call(reward: Reward, asked: RewardBatch, which: Sequence[int]) -> Any:
    columns = {name: [asked.columns[number][name] for number in which] for name in asked.columns[which[0]]}
    # Copies: what a reward changes in its arguments is seen by no other reward, and in no later step.
    call = partial(
        reward.function,
        completions=deepcopy([asked.completions[number] for number in which]),
        prompts=deepcopy([asked.prompts[number] for number in which]),
        **deepcopy(columns),
    )
    return limited_batch(call, reward.place, len(which))


def _refuse(reward: Reward, asked: RewardBatch, error: BaseException) -> NoReturn:
    """Name the first answer on which the reward breaks alone; else only the batch.

    Raises:
        RewardError: That line.
    """
    where, faults = f"the batch from {_row(asked, 0)} on", list[BaseException]()
    for number in range(len(asked.completions)):
        with handled_faults(faults.append):
            _call(reward, asked, [number])
        if faults:
            where = _row(asked, number)
            break
    blamed = faults[0] if faults else error
    line = str(blamed).strip().partition("\n")[0]
    told = line if isinstance(blamed, InputError) else f"{type(blamed).__name__}: {line}"
    raise RewardError(f"{reward.place}: broke on {where}: {told}; {_REMEDY}") from error


def _number(reward: Reward, asked: RewardBatch, number: int, value: Any) -> float | None:
    if value is None:
        return None
    try:
        # A text is no number, whatever it spells.
        found = math.nan if isinstance(value, str | bytes) else float(value)
    except Exception:  # of any library's number: too large, several in one
        found = math.nan
    if not math.isfinite(found):
        problem = f"gave {shown_value(value)} for {_row(asked, number)} (allowed: a finite number, or None)"
        raise RewardError(f"{reward.place}: {problem}; {_REMEDY}")
    return found


def _row(asked: RewardBatch, number: int) -> str:
    return f"{asked.places[number]} (answer {number + 1} of {len(asked.completions)})"
