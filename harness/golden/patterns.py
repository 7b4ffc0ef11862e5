"""Regular expressions of golden sets and rewards: Python's ``re``, matched by the library ``regex``."""

import re
from functools import lru_cache
from typing import Any

from harness.golden.re_syntax import rewritten


class PatternError(ValueError):
    """A text is no regular expression; the message says why."""


def check_pattern(pattern: str) -> None:
    """Refuse a text that is no pattern.

    Raises:
        PatternError: It is none.
    """
    compiled(pattern)


@lru_cache(maxsize=512)
def compiled(pattern: str, *, ignore_case: bool = False, ecma: bool = False) -> Any:
    """A pattern of Python's ``re``, compiled by ``regex``, whose methods take a ``timeout``.

    Args:
        pattern: A pattern of Python's ``re``.
        ignore_case: Whether letters match in either case.
        ecma: Whether it is meant as in a JSON Schema.

    Raises:
        PatternError: It is no pattern.
    """
    import regex

    try:
        text, flags = rewritten(pattern, re.IGNORECASE if ignore_case else 0, ecma=ecma)
        return regex.compile(text, flags)
    except (re.error, regex.error, OverflowError) as error:
        raise PatternError(str(error)) from error
    except RecursionError as error:
        raise PatternError("nested too deeply") from error
