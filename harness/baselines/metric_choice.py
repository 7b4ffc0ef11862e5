"""Which metric of a log decides, and how to read it: ``acc``, ``rouge1:graded,0..100,margin=2``."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from harness.errors import SettingsError
from harness.types import LARGEST_VALUE, MetricFacts

_OPTION = "--metric"
_SCALE = re.compile(r"([^.=]*(?:\.\d+)?)\.\.(.*)")
_ALLOWED = "NAME or NAME:WORD,...: binary, graded, higher, lower, LEAST..MOST, margin=X, threshold=X"


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricChoice:
    """A metric that decides.

    Attributes:
        name: As in the log.
        kind: None: as the log says, or as its values are.
        higher_is_better: None: as the log says.
        scale: Both ends, None where there is none; the whole is None where nothing was given.
        margin: Largest tolerated drop, on the metric's scale.
        threshold: The value from which a case passes.
    """

    name: str
    kind: Literal["binary", "graded"] | None = None
    higher_is_better: bool | None = None
    scale: tuple[float | None, float | None] | None = None
    margin: float | None = None
    threshold: float | None = None


def parse_choice(text: str) -> MetricChoice:
    """A choice from its written form.

    Raises:
        SettingsError: It can't be read; the message lists the allowed words.
    """
    name, _, rest = text.partition(":")
    if not name.strip():
        raise SettingsError(f"{_OPTION} {text!r}: no name (allowed: {_ALLOWED})")
    choice = MetricChoice(name=name.strip())
    for word in (each.strip() for each in rest.split(",") if each.strip()):
        choice = _with_word(choice, word, text)
    return choice


def _with_word(choice: MetricChoice, word: str, text: str) -> MetricChoice:
    key, equals, value = word.partition("=")
    if word == "binary":
        return replace(choice, kind="binary")
    if word == "graded":
        return replace(choice, kind="graded")
    if word in {"higher", "lower"}:
        return replace(choice, higher_is_better=word == "higher")
    if equals and key == "margin":
        margin = _number(value, text)
        if margin < 0:
            raise SettingsError(f"{_OPTION} {text!r}: the margin is below 0")
        return replace(choice, margin=margin)
    if equals and key == "threshold":
        return replace(choice, threshold=_number(value, text))
    if (ends := _SCALE.fullmatch(word)) is not None:
        least, most = (_number(end, text) if end else None for end in ends.groups())
        if least is not None and most is not None and least >= most:
            raise SettingsError(f"{_OPTION} {text!r}: the scale's lower end is not below its upper end")
        return replace(choice, scale=(least, most))
    raise SettingsError(f"{_OPTION} {text!r}: {word!r} is unknown (allowed: {_ALLOWED})")


def _number(text: str, whole: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not abs(value) <= LARGEST_VALUE:
        raise SettingsError(f"{_OPTION} {whole!r}: {text!r} is not a number up to {LARGEST_VALUE:g}")
    return value


def chosen_facts(facts: MetricFacts | None, choice: MetricChoice) -> MetricFacts | None:
    """How to read a metric, with what was chosen in place of what the log says.

    Args:
        facts: The log's own; None if it says nothing.
        choice: The choice for it.

    Returns:
        The facts; None if the direction or the scale is still unknown.
    """
    if facts is None:
        # Of true and false more is better, unless the choice says otherwise.
        if choice.kind == "binary":
            return MetricFacts(kind="binary", higher_is_better=choice.higher_is_better is not False)
        # A guessed direction would turn a loss that rises into a pass.
        if choice.scale is None or choice.higher_is_better is None:
            return None
        facts = MetricFacts(kind="graded")
    least, most = (facts.least, facts.most) if choice.scale is None else choice.scale
    return replace(
        facts,
        kind=choice.kind or facts.kind,
        higher_is_better=facts.higher_is_better
        if choice.higher_is_better is None
        else choice.higher_is_better,
        least=least,
        most=most,
    )


def choices_by_name(texts: Sequence[str]) -> dict[str, MetricChoice]:
    """The choices by metric, in their order.

    Raises:
        SettingsError: One can't be read, or a metric is chosen twice.
    """
    found: dict[str, MetricChoice] = {}
    for choice in map(parse_choice, texts):
        if choice.name in found:
            raise SettingsError(f"{_OPTION} {choice.name}: given twice")
        found[choice.name] = choice
    return found
