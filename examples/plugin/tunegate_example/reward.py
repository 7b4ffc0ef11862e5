"""The reward ``polite``: the metric's value of a sampled answer."""

from typing import Annotated, Literal

from pydantic import Field

from trainers.rewards.definition import BuiltReward, one_each
from trainers.rewards.settings import WeightedReward
from tunegate_example.metric import polite_words


class PoliteWords(WeightedReward):
    """Half a point for each polite word, up to ``most``."""

    type: Literal["polite"]
    most: Annotated[int, Field(ge=1, description="Largest number of words that count.")] = 2


def build(settings: PoliteWords, place: str) -> BuiltReward:
    """The reward's function for these settings."""

    def score(text: str) -> float:
        return min(len(polite_words(text)), settings.most) / 2

    return BuiltReward(function=one_each(score))
