"""Whether the time that a text takes grows as its length does, on any machine."""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class LongText:
    """A part that is repeated between two others."""

    part: str
    times: int
    before: str = ""
    after: str = ""

    def __str__(self) -> str:
        return f"{self.before}{self.part} x {self.times}{self.after}"[:30]

    def of(self, times: int) -> str:
        return self.before + self.part * times + self.after


def grows_as_its_length(read: Callable[[str], object], text: LongText) -> bool:
    """Ten times the length takes 10 times as long, and 100 times where each part is read once for each.

    Both are processor time of one process, so that slow and busy machines find the same; what is imported at
    the first text isn't measured. Below the half of a second nothing is told.
    """
    small, large = text.times // 10, text.times
    read(text.of(10))
    return _took(read, text.of(large), 1) <= max(0.5, 40 * _took(read, text.of(small), 3))


def _took(read: Callable[[str], object], text: str, most: int) -> float:
    found = []
    for _ in range(most):
        started = time.process_time()
        read(text)
        found.append(time.process_time() - started)
    return min(found)
