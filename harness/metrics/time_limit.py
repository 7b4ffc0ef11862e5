"""A limit on the processor time of regular expressions.

A golden set's pattern, or a pattern inside its JSON Schema, can backtrack practically forever
(``(a|aa)+$`` on sixty letters). The ``regex`` library stops a match when its time is up, in any thread and on
any system. It counts what the whole process uses, so a match that is stopped while others work is repeated.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from harness.errors import TunegateError
from harness.golden.patterns import compiled

SECONDS = 1.0
_T = TypeVar("_T")


class TooSlowError(TunegateError):
    """A pattern was stopped because it took too long."""


@dataclass(slots=True, kw_only=True)
class PatternTime:
    """The processor time that the patterns of one check may use together.

    Attributes:
        what: Name of the pattern in the message.
        seconds: The remaining time.
    """

    what: str
    seconds: float = SECONDS

    def search(self, pattern: str, text: str, *, ignore_case: bool = False, ecma: bool = False) -> Any:
        """The first match of a pattern in a text, or None.

        Args:
            pattern: A pattern of ``re``.
            text: The text.
            ignore_case: Whether letters match in either case.
            ecma: Whether it is meant as in a JSON Schema.

        Raises:
            TooSlowError: The time is over.
        """
        found = compiled(pattern, ignore_case=ignore_case, ecma=ecma)
        return self._run(lambda timeout: found.search(text, timeout=timeout))

    def fullmatch(self, pattern: str, text: str) -> Any:
        """A pattern's match of a whole text, or None.

        Args:
            pattern: A pattern of ``re``.
            text: The text.

        Raises:
            TooSlowError: The time is over.
        """
        return self._run(lambda timeout: compiled(pattern).fullmatch(text, timeout=timeout))

    def matches(self, pattern: str, text: str) -> list[Any]:
        """All matches of a pattern in a text.

        Args:
            pattern: A pattern of ``re``.
            text: The text.

        Returns:
            Match objects, in the text's order.

        Raises:
            TooSlowError: The time is over.
        """
        return self._run(lambda timeout: list(compiled(pattern).finditer(text, timeout=timeout)))

    def _run(self, match: Callable[[float], _T]) -> _T:
        started, timeout = time.thread_time(), self.seconds
        while timeout > 0:
            try:
                found = match(timeout)
            except TimeoutError:
                timeout *= 2
                if time.thread_time() - started >= self.seconds:
                    break
            else:
                self.seconds -= min(time.thread_time() - started, self.seconds)
                return found
        self.seconds = 0.0
        raise TooSlowError(
            f"{self.what} took more than {SECONDS:g} s of processor time on this answer: it backtracks. "
            "Rewrite repetitions that overlap, such as (a|aa)+ or (.*,)*"
        )
