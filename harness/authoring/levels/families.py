"""Families of probes: questions that are made in one way, and count as one draw."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

LEVELS = ("easy", "medium", "hard")
Check = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A question, what its answer is checked for, and answers that show that the checks work.

    Attributes:
        ask: The question; the last one, if there are earlier ones.
        right: An answer that passes.
        wrong: Answers that fail.
        earlier: What the user says before, in turns of their own.
        earlier_checks: Of the answer to each of these.
    """

    ask: str
    right: str
    checks: Sequence[Check]
    wrong: tuple[str, ...] = ()
    earlier: tuple[str, ...] = ()
    earlier_checks: tuple[Check, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Probes that are made in one way.

    Attributes:
        name: Unique; the cluster of its cases.
        skill: What it tests; the first tag of its cases.
        level: One of :data:`LEVELS`.
        tokens: Most tokens of an answer.
        tags: Further tags.
    """

    name: str
    skill: str
    level: str
    probes: tuple[Probe, ...]
    tokens: int = 64
    tags: tuple[str, ...] = ()


def words(text: str) -> tuple[str, ...]:
    """The words of a text, as a list to draw from."""
    return tuple(text.split())


# A fine-tune that answers everything in the form of its own task has lost the plain answer too.
PLAIN: Check = {"type": "not-starts-with", "value": "{"}


def no_echo(ask: str) -> Check:
    """A check that fails an answer which only repeats the question."""
    return {"type": "not-iequals", "value": ask}


def matches(pattern: str, *, ignore_case: bool = True) -> Check:
    """A check of a pattern.

    Args:
        pattern: A regular expression.
        ignore_case: Whether letters of either case match.
    """
    return {"type": "regex", "value": pattern, **({"ignore_case": True} if ignore_case else {})}


def result(value: int) -> Check:
    """A check of the last number of an answer: work may be before it, and it may have any markup."""
    return {"type": "numeric", "value": value, "pick": "last"}


def first_of(answer: str, others: Sequence[str] = ()) -> Check:
    """A check that an answer names the right one before any other.

    Args:
        answer: A pattern of the right one.
        others: Patterns of what else might be said.
    """
    # An underscore may be a mark of emphasis, so \b does not do.
    start, end = r"(?<![^\W_])", r"(?![^\W_])"
    wrong = "|".join(["not", "never", "neither", *others])
    return matches(rf"^(?:(?!{start}(?:{wrong}){end}|n['’]t\b)[\s\S])*?{start}(?:{answer}){end}")


def yes_or_no(answer: str) -> Check:
    """A check of an answer that begins with yes or no, as it was asked to.

    Args:
        answer: Which of them.
    """
    return matches(rf"^\W*((the )?(final )?answer( is)?\W+)?{answer}\b")


def fact(name: str, skill: str, level: str, ask: str, right: str, pattern: str, wrong: str) -> Family:
    """A family of one question in plain words.

    Args:
        name: Of the family.
        skill: What it tests.
        level: Its level.
        ask: The question.
        right: An answer that passes.
        pattern: What the answer contains, in letters of either case.
        wrong: An answer that fails.
    """
    probe = Probe(ask=ask, right=right, checks=[matches(pattern), PLAIN], wrong=(wrong,))
    return Family(name=name, skill=skill, level=level, probes=(probe,), tokens=48)
