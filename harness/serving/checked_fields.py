"""Parts of requests, of which nothing is ignored that may change the reply."""

from collections.abc import Mapping
from typing import ClassVar, Self

from pydantic import BaseModel, ConfigDict, model_validator


class CheckedFields(BaseModel):
    """A part of a request; a further field is refused.

    Attributes:
        neutral: Fields that are not supported, with their values that change no reply.
        without_effect: Fields that change none whatever they say.
    """

    model_config = ConfigDict(extra="allow")

    neutral: ClassVar[Mapping[str, tuple[object, ...]]] = {}
    without_effect: ClassVar[frozenset[str]] = frozenset()

    @model_validator(mode="after")
    def _supported(self) -> Self:
        for name, value in (self.__pydantic_extra__ or {}).items():
            if value is None or name in self.without_effect or value in self.neutral.get(name, ()):
                continue
            raise ValueError(f"{name} is not supported")
        return self
