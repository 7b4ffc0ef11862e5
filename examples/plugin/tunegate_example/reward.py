"""The reward ``polite``: what the metric says of a sampled answer."""

from typing import Annotated, Literal

from pydantic import Field

from trainers.rewards.definition import BuiltReward, one_each
from trainers.rewards.settings import Weighted
from tunegate_example.metric import polite_words


class Polite(Weighted):
    """Half a point for each polite word, up to ``most``."""

    type: Literal["polite"]
    most: Annotated[int, Field(ge=1, description="Words beyond which no more is given.")] = 2


def build(settings: Polite, place: str) -> BuiltReward:
    """The reward's function, made of its settings."""

    def score(text: str) -> float:
        return min(len(polite_words(text)), settings.most) / 2

    return BuiltReward(function=one_each(score))
