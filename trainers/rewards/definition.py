"""A built reward, and the answer's text in TRL's arguments."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.errors import SettingsError

RewardFunction = Callable[..., Sequence[float | None]]
"""``(completions, *, prompts, **columns)``: one number per answer, or None if the reward does not apply.

It is TRL's signature: a completion is a text or a list of turns, a column has one value per answer.
"""


class RewardError(SettingsError):
    """A reward broke on an answer, or gave a value that is not a finite number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reward:
    """One reward of a configuration.

    Attributes:
        name: Its name in logs and manifest, unique among the run's rewards.
        place: Its position in the configuration, for messages, such as ``rewards[1] (exact-answer)``.
        weight: Its factor in the sum.
        column: Column that every row must have, or None.
        facts: Its notes in the manifest besides its settings, such as a file's hash.
    """

    name: str
    place: str
    weight: float
    function: RewardFunction
    column: str | None = None
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltReward:
    """A reward built from its settings.

    Attributes:
        column: Column that every row must have, or None.
        facts: Its notes in the manifest besides its settings, such as a file's hash.
        name: Its name in logs and manifest; by default its type.
    """

    function: RewardFunction
    column: str | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    name: str | None = None


def answer_text(completion: Any) -> str:
    """The text of a completion, which is that text or turns that end with it."""
    return completion if isinstance(completion, str) else str(completion[-1]["content"])


def one_each(score: Callable[..., float], column: str | None = None) -> RewardFunction:
    """A reward function of one that scores a single answer's text, given its row's column if there is one.

    Args:
        score: Gives a number for an answer's text, and the column's value where a column is named.
        column: The column that is read, or None.
    """

    def reward(completions: Sequence[Any], **columns: Any) -> list[float]:
        texts = [answer_text(completion) for completion in completions]
        if column is None:
            return [score(text) for text in texts]
        return [score(text, value) for text, value in zip(texts, columns[column], strict=True)]

    return reward
