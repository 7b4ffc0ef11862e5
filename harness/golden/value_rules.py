"""Rules for a check's value together with its other keys and the case's references."""

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import cast

from harness.golden.choices import letter_of, lettered, same_words
from harness.golden.hints import shown
from harness.golden.json_paths import JsonPathError, compiled_path
from harness.golden.quantities import Quantity, UnitError, check_unit, quantities
from harness.types import JsonValue


class TogetherError(ValueError):
    """A check's keys don't fit together: the key with the fault, and what is allowed."""

    def __init__(self, key: tuple[str | int, ...], problem: str, allowed: str = "") -> None:
        """Store the parts of the message."""
        super().__init__(problem)
        self.key, self.allowed = key, allowed


def check_together(
    name: str, value: JsonValue, options: Mapping[str, JsonValue], references: Sequence[str]
) -> None:
    """Check a valid value, valid options and the references together.

    Args:
        name: The check type.
        value: The check's value, or None.
        options: Its other keys that differ from their defaults.
        references: The case's references; they count if there is no value.

    Raises:
        TogetherError: They don't fit.
    """
    if name in _RULES:
        _RULES[name](value, options, references)


def _json_path(value: JsonValue, options: Mapping[str, JsonValue], references: Sequence[str]) -> None:
    try:
        compiled_path(str(options["path"]))
    except JsonPathError as error:
        raise TogetherError(("path",), f"not a JSONPath: {error}", "such as $.items[0].name") from error


def _multiple_choice(value: JsonValue, options: Mapping[str, JsonValue], references: Sequence[str]) -> None:
    choices = lettered(options["choices"])
    for text in references if value is None else [str(value)]:
        if letter_of(text, choices) is None:
            allowed = ", ".join(f"{letter} ({choice})" for letter, choice in choices.items())
            key = () if value is None else ("value",)
            raise TogetherError(key, f"{shown(text)} is no choice", allowed)


def _numeric(value: JsonValue, options: Mapping[str, JsonValue], references: Sequence[str]) -> None:
    for text in references if value is None else [value]:
        key = () if value is None else ("value",)
        unit = _wanted(text, options, key).unit
        try:
            if unit:
                check_unit(unit)
        except UnitError as error:
            raise TogetherError(key, str(error), "a unit such as km, or the number alone") from error
        except ImportError as error:
            remedy = "pip install 'tunegate[checks]', or the number alone"
            raise TogetherError(key, f"the unit {unit} needs the library pint", remedy) from error


def wanted_quantity(value: JsonValue, decimal: str) -> Quantity:
    """The quantity that a ``numeric`` check expects.

    Args:
        value: A number, or a text with one number.
        decimal: The decimal mark of texts.

    Raises:
        ValueError: It is something else.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Quantity(number=Fraction(repr(value)), unit="", written=repr(value))
    found = quantities(value, decimal) if isinstance(value, str) else []
    if len(found) != 1:
        raise ValueError(f"found {shown(value)}")
    return found[0]


def _wanted(value: JsonValue, options: Mapping[str, JsonValue], key: tuple[str | int, ...]) -> Quantity:
    try:
        return wanted_quantity(value, str(options.get("decimal", ".")))
    except ValueError as error:
        raise TogetherError(key, str(error), 'a number, or a text with one number, such as "5 km"') from error


def _code(value: JsonValue, options: Mapping[str, JsonValue], references: Sequence[str]) -> None:
    try:
        compile(str(value), "tests", "exec")
    except (SyntaxError, ValueError) as error:
        place = f"line {error.lineno}: {error.msg}" if isinstance(error, SyntaxError) else str(error)
        raise TogetherError(
            ("value",), f"the tests are not Python: {place}", "such as assert f(1) == 2"
        ) from error


def _tool_calls(value: JsonValue, options: Mapping[str, JsonValue], references: Sequence[str]) -> None:
    allowed = "a list of calls, each with name and perhaps arguments; an empty one for no call"
    if not isinstance(value, list):
        raise TogetherError(("value",), f"found {shown(value)}", allowed)
    for number, entry in enumerate(value):
        key = ("value", number)
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            raise TogetherError(key, f"found {shown(entry)}", allowed)
        if unknown := sorted(set(entry) - {"name", "arguments"}):
            raise TogetherError((*key, unknown[0]), "unknown key", "name, arguments")
        if not isinstance(entry.get("arguments", {}), dict):
            raise TogetherError((*key, "arguments"), f"found {shown(entry['arguments'])}", "a mapping")


def _classification(value: JsonValue, options: Mapping[str, JsonValue], references: Sequence[str]) -> None:
    labels = [str(label) for label in cast("Sequence[str]", options["labels"])]
    for text in references if value is None else [str(value)]:
        if same_words(text) not in map(same_words, labels):
            key = () if value is None else ("value",)
            raise TogetherError(key, f"{shown(text)} is no label", ", ".join(labels))


def _choice_likelihood(value: JsonValue, options: Mapping[str, JsonValue], references: Sequence[str]) -> None:
    choices = [str(choice) for choice in cast("Sequence[str]", options["choices"])]
    for text in references if value is None else [str(value)]:
        if text not in choices:
            key = () if value is None else ("value",)
            raise TogetherError(key, f"{shown(text)} is no choice", ", ".join(choices))


def _word_list(value: JsonValue, options: Mapping[str, JsonValue], references: Sequence[str]) -> None:
    entries = value if isinstance(value, list) else str(value).splitlines() if isinstance(value, str) else []
    if not any(isinstance(entry, str) and entry.strip(" *") for entry in entries) or not all(
        isinstance(entry, str) and (entry.strip(" *") or isinstance(value, str)) for entry in entries
    ):
        allowed = "a list of words or phrases, or file:// and a file with one a line"
        raise TogetherError(("value",), f"found {shown(value)}", allowed)


_RULES: Mapping[str, Callable[[JsonValue, Mapping[str, JsonValue], Sequence[str]], None]] = {
    "choice-likelihood": _choice_likelihood,
    "classification": _classification,
    "code": _code,
    "json-path": _json_path,
    "multiple-choice": _multiple_choice,
    "numeric": _numeric,
    "tool-calls": _tool_calls,
    "word-list": _word_list,
}
