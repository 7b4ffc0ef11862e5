"""Rules for a check's value with its other keys, the case's references, its options and its tools."""

import json
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from string import ascii_uppercase
from typing import TYPE_CHECKING, cast

from pydantic import ValidationError

from harness.golden.code_tests import CodeTestsError, read_code_tests
from harness.golden.hints import shown
from harness.golden.json_paths import JsonPathError, compiled_path
from harness.golden.patterns import schema_problem
from harness.golden.tool_schema import ToolYaml
from harness.golden.variables import read_if_file
from harness.types import Check, GoldenCase, JsonValue

if TYPE_CHECKING:
    from harness.golden.quantities import Quantity

# Controls, formats such as the zero-width space, and white space.
_UNSEEN = frozenset(("Cc", "Cf", "Zs", "Zl", "Zp"))


# Letters, marks and symbols that are drawn as nothing: fillers, joiners, variation selectors, empty Braille.
_DRAWN_EMPTY = frozenset(
    [
        *(0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0),
        *range(0x180B, 0x1810),
        *range(0xFE00, 0xFE10),
        *range(0xE0000, 0xE1000),
    ]
)


def is_blank(text: str) -> bool:
    """Whether no character of a text can be seen: white space, zero-width characters, or none at all."""
    return all(
        unicodedata.category(character) in _UNSEEN or ord(character) in _DRAWN_EMPTY for character in text
    )


# These look for their texts as they are written, with line breaks at their ends.
_AS_WRITTEN = frozenset({"contains", "icontains", "contains-any", "contains-all", "regex"})


def ending_in_breaks(check: Check) -> str | None:
    """A text of a check that begins or ends with a line break, where an answer's ends have none; or None.

    Line breaks alone are looked for on purpose.

    Args:
        check: A single check.
    """
    if check.type.removeprefix("not-") not in _AS_WRITTEN:
        return None
    texts = check.value if isinstance(check.value, list) else [check.value]
    return next(
        (text for text in texts if isinstance(text, str) and text.strip() and text.strip("\r\n") != text),
        None,
    )


def are_texts(value: JsonValue) -> bool:
    """Whether a value is a list of texts, of which none is empty."""
    return isinstance(value, list) and bool(value) and all(isinstance(item, str) and item for item in value)


def is_container(text: str) -> bool:
    """Whether a text is a JSON object or list."""
    try:
        return isinstance(json.loads(text), dict | list)
    except (ValueError, RecursionError):
        return False


LIKELIHOOD = "choice-likelihood"


def lettered(choices: JsonValue) -> dict[str, str]:
    """The choices of a ``multiple-choice`` check, by upper-case letter."""
    if isinstance(choices, Mapping):
        return {letter.upper(): str(text) for letter, text in choices.items()}
    return dict(zip(ascii_uppercase, map(str, cast("Sequence[str]", choices)), strict=False))


def likelihood_texts(case: GoldenCase) -> tuple[str, ...]:
    """The options of a case's ``choice-likelihood`` checks, each once, in order."""
    checks = [check for check in case.single_checks if check.type == LIKELIHOOD]
    return tuple(
        dict.fromkeys(
            str(text) for check in checks for text in cast("Sequence[str]", check.options["choices"])
        )
    )


def choices_key(case: GoldenCase) -> str:
    """The key of the losses on a case's options, besides those on its references."""
    return f"{case.key} (choices)"


def same_words(text: str) -> str:
    """A text for comparison: in one composition (NFC), no case, single spaces."""
    folded = unicodedata.normalize("NFC", text).casefold()
    return " ".join(unicodedata.normalize("NFC", folded).split())


# What may stand around a choice without changing it.
CHOICE_EDGES = " \t\r\n.,;:!?。！？、，\"'“”‘’()[]{}"


def letter_of(text: str, choices: Mapping[str, str]) -> str | None:
    """The letter of a choice that a golden set names by its letter or its text; None if it is neither.

    Args:
        text: The letter or the text.
        choices: The choices by letter.
    """
    if text.strip().upper() in choices:
        return text.strip().upper()
    return next(
        (letter for letter, choice in choices.items() if same_words(choice) == same_words(text)), None
    )


class ToolError(ValueError):
    """Tools that can't be used; the message says why."""


def read_tools(written: Sequence[ToolYaml] | str, directory: Path) -> tuple[JsonValue, ...]:
    """The tools, each as ``{"type": "function", "function": {...}}``.

    Args:
        written: The tools, or ``file://`` and a JSON file below the directory.
        directory: The directory of the file that names them.

    Raises:
        ToolError: They are not valid.
        TemplateError: The file can't be read.
    """
    tools = _of_file(written, directory) if isinstance(written, str) else list(written)
    names = [tool.name for tool in tools]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ToolError(f"the tool {twice[0]} occurs twice")
    for tool in tools:
        if problem := schema_problem(tool.parameters):
            raise ToolError(f"the parameters of {tool.name}: {problem}")
    return tuple({"type": "function", "function": tool.model_dump()} for tool in tools)


def _of_file(text: str, directory: Path) -> list[ToolYaml]:
    if not text.startswith("file://"):
        raise ToolError(f"found {shown(text)} (allowed: a list of tools, or file:// and a JSON file)")
    try:
        found = json.loads(read_if_file(text, directory))
    except (ValueError, RecursionError) as error:
        if isinstance(error, json.JSONDecodeError | RecursionError):
            raise ToolError(f"{text} is not JSON: {error}") from error
        raise
    if not isinstance(found, list) or not found:
        raise ToolError(f"{text} is no list of tools")
    return [_tool(entry, text) for entry in found]


def _tool(entry: object, place: str) -> ToolYaml:
    try:
        return ToolYaml.model_validate(entry)
    except ValidationError as error:
        problems = error.errors(include_url=False)
        # A missing key may be the one that was misspelt.
        problem = next((each for each in problems if each["type"] == "extra_forbidden"), problems[0])
        key = ".".join(map(str, problem["loc"])) or "a tool"
        raise ToolError(f"{place}: {key}: {problem['msg']}") from error


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


def _told_apart(written: JsonValue, choices: Mapping[str, str]) -> None:
    """Refuse options of which an answer can't name one alone."""
    if len(choices) < len(cast("Sequence[str]", written)):
        raise TogetherError(("choices",), "two choices have one letter, whatever its case", "other letters")
    if odd := [letter for letter in choices if len(letter) != 1]:
        raise TogetherError(("choices",), f"a choice's letter is {odd[0]} in upper case", "another letter")
    texts = [same_words(text) for text in choices.values()]
    if len(set(texts)) < len(texts):
        raise TogetherError(("choices",), "two choices are the same", "different ones")
    for letter, text in choices.items():
        other = text.strip(CHOICE_EDGES).upper()
        if other != letter and other in choices:
            problem = f"the choice {shown(text)} is {letter}, and {other} is the letter of another one"
            remedy = f"choices whose texts are no letters, or a mapping such as {{{other}: {other}, …}}"
            raise TogetherError(("choices",), problem, remedy)


def _multiple_choice(value: JsonValue, options: Mapping[str, JsonValue], references: Sequence[str]) -> None:
    choices = lettered(options["choices"])
    _told_apart(options["choices"], choices)
    for text in references if value is None else [str(value)]:
        if letter_of(text, choices) is None:
            allowed = ", ".join(f"{letter} ({choice})" for letter, choice in choices.items())
            key = () if value is None else ("value",)
            raise TogetherError(key, f"{shown(text)} is no choice", allowed)


def _numeric(value: JsonValue, options: Mapping[str, JsonValue], references: Sequence[str]) -> None:
    from harness.golden.unit_conversion import UnitError, check_unit

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


def wanted_quantity(value: JsonValue, decimal: str) -> "Quantity":
    """The quantity that a ``numeric`` check expects.

    Args:
        value: A number, or a text with one number.
        decimal: The decimal mark of texts.

    Raises:
        ValueError: It is something else.
    """
    # Only here: most golden sets compare no numbers.
    from harness.golden.quantities import Quantity, quantities
    from harness.golden.unit_conversion import joined

    if isinstance(value, int | float) and not isinstance(value, bool):
        return Quantity(number=Fraction(repr(value)), unit="", written=repr(value))
    found = joined(quantities(value, decimal)) if isinstance(value, str) else []
    if len(found) != 1 or found[0].is_hedged:
        raise ValueError(f"found {shown(value)}")
    return found[0]


def _wanted(value: JsonValue, options: Mapping[str, JsonValue], key: tuple[str | int, ...]) -> "Quantity":
    try:
        return wanted_quantity(value, str(options.get("decimal", ".")))
    except ValueError as error:
        raise TogetherError(key, str(error), 'a number, or a text with one number, such as "5 km"') from error


def _code(value: JsonValue, options: Mapping[str, JsonValue], references: Sequence[str]) -> None:
    try:
        compile(str(value), "tests", "exec")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        place = (
            f"line {error.lineno}: {error.msg}"
            if isinstance(error, SyntaxError)
            else str(error) or "nested too deeply"
        )
        raise TogetherError(
            ("value",), f"the tests are not Python: {place}", "such as assert f(1) == 2"
        ) from error
    try:
        read_code_tests(str(value))
    except CodeTestsError as error:
        raise TogetherError(("value",), error.problem, error.remedy) from error


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
    if isinstance(value, str):
        # As in the metric: # begins a comment.
        entries = [line for line in entries if not str(line).strip().startswith("#")]
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
