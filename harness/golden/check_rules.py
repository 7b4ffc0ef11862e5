"""Rules for a valid check, beyond the shape of its keys."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from harness.golden.explain import allowed_by
from harness.golden.hints import did_you_mean, shown
from harness.golden.judge_template import TemplateFileError, find_template
from harness.golden.patterns import PatternError, check_pattern, schema_problem
from harness.golden.python_files import PythonFileError, find_python_file
from harness.golden.schema import CHECK_TYPES, check_names, decides
from harness.golden.transforms import StepError, Steps, read_steps
from harness.golden.value_rules import (
    TogetherError,
    are_texts,
    check_together,
    ending_in_breaks,
    is_blank,
    is_container,
)
from harness.golden.variables import as_json, as_texts, names_file
from harness.golden.yaml_lines import KeyPath
from harness.registry import Metric, Options
from harness.registry.builtin_metrics import BUILTIN_METRICS, PYTHON
from harness.registry.metric import CommonOptions, JudgedOptions
from harness.types import Check, JsonValue
from harness.types.golden import VALUE_IS_NULL
from harness.types.storage import parse_json

# An empty answer may be the right one here; other built-in metrics find nothing to compare in it.
_EMPTY_IS_AN_ANSWER = frozenset({"equals", "iequals", "exact-match", "f1", "squad-em", "squad-f1"})
# These look for white space too.
_SPACE_IS_A_VALUE = frozenset({"contains", "icontains"})
_NULL_IS_A_VALUE = frozenset({"json-equals", "json-path"})


class WrittenNull(Enum):
    """A value that is written as null, which is not the same as no value."""

    NULL = "null"


def written_value(value: JsonValue, *, is_there: bool) -> JsonValue | WrittenNull:
    """A check's value as it is written.

    Args:
        value: The value; None without one too.
        is_there: Whether one is written.
    """
    return WrittenNull.NULL if value is None and is_there else value


# The types of values in which a number is another one than its text.
_JSON_VALUES = frozenset({"json", "schema", "quantity"})


def value_of_kind(check_type: str, written: JsonValue, filled: JsonValue) -> JsonValue:
    """A filled value as a check reads it: JSON where it compares JSON, and otherwise text.

    Args:
        check_type: The check's type as written.
        written: Its value as written; ``file://NAME`` names a file, here of JSON.
        filled: The value, with files read and variables filled in.

    Raises:
        CheckProblem: The file is not JSON.
    """
    kind = CHECK_TYPES.get(check_type.removeprefix("not-"))
    if kind is None or kind.value_type not in _JSON_VALUES:
        return as_texts(filled)
    if kind.value_type == "quantity" or not (isinstance(written, str) and names_file(written)):
        return as_json(filled)
    try:
        return cast(JsonValue, parse_json(str(filled), parse_constant=_refuse_constant, once=True))
    except ValueError as error:
        raise CheckProblem(("value",), f"{written} is not JSON: {error}", "JSON in the file") from error


class CheckProblem(Exception):  # noqa: N818 # it becomes a GoldenError once the place is known
    """A fault of a check, the key with the fault, and what is allowed."""

    def __init__(self, key: KeyPath, problem: str, allowed: str = "") -> None:
        """Store the parts of the message."""
        super().__init__(problem)
        self.key, self.problem, self.allowed = key, problem, allowed


def make_check(
    name: str,
    threshold: float | None,
    value: JsonValue | WrittenNull,
    options: Mapping[str, JsonValue],
    *,
    references: Sequence[str],
    context: Sequence[str] = (),
    line: int = 0,
    directory: Path | None = None,
) -> Check:
    """A validated check.

    Args:
        name: The check's type as written.
        threshold: Its threshold, if any.
        value: Its value, if any; ``WrittenNull.NULL`` if null is written.
        options: Its other keys.
        references: The case's references, used in place of a missing value.
        context: Its retrieved passages.
        line: Its line in the golden set.
        directory: The golden set's, for a check whose function is in a file there.

    Raises:
        CheckProblem: The check is not valid.
    """
    place = _Place(references=references, context=context, line=line, directory=directory)
    made = _made(name, threshold, value, options, place)
    for single, as_written in made.signed_checks:
        if as_written is single.type.startswith("not-") and (text := ending_in_breaks(single)) is not None:
            problem = f"{name} doesn't see {shown(text)} at an answer's end, where the line break is missing"
            raise CheckProblem(("value",), problem, "the text without the line break")
    return made


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """What a check needs to know of its case."""

    references: Sequence[str]
    context: Sequence[str]
    line: int
    directory: Path | None


def _made(
    name: str,
    threshold: float | None,
    written: JsonValue | WrittenNull,
    options: Mapping[str, JsonValue],
    place: _Place,
    *,
    is_weighted: bool = False,
) -> Check:
    kind, is_null = _kind_of(name), isinstance(written, WrittenNull)
    value = None if isinstance(written, WrittenNull) else written
    own = {key: item for key, item in options.items() if not _is_common(kind, key)}
    # First: a missing value may be the key that was misspelt.
    given = _options(kind, json.dumps(own, sort_keys=True))
    _check_threshold(kind, threshold, negated=name.startswith("not-"))
    if not is_null:
        _check_value(kind, value, place.references)
    elif kind.name not in _NULL_IS_A_VALUE:
        raise CheckProblem(("value",), f"null is no value of {kind.name}", "a value, or no such key")
    if kind.needs_context and not any(passage.strip() for passage in place.context):
        raise CheckProblem((), f"{kind.name} needs retrieved_context")
    if kind.always_references and not place.references:
        raise CheckProblem((), f"{kind.name} needs references")
    common = _common({key: item for key, item in options.items() if key not in own})
    if common.weight is not None and not is_weighted:
        problem = (
            "only members of an all-of with a threshold have a weight: elsewhere it would change nothing"
        )
        raise CheckProblem(("weight",), problem, "no weight here, or a threshold of the group")
    _check_together(kind, value, given, place)
    steps = _steps(kind, common.transform, place.directory)
    check = Check(
        type=name,
        threshold=threshold,
        value=value,
        options={**given, VALUE_IS_NULL: True} if is_null else given,
        line=place.line,
        weight=1.0 if common.weight is None else common.weight,
        transform=steps.steps,
        transform_files=steps.files,
    )
    if kind.group:
        return replace(
            check, options={}, checks=_members(given["checks"], place, is_weighted=threshold is not None)
        )
    if "template" in given and kind.options is JudgedOptions:
        return _with_template(check, str(given["template"]), place)
    return _python_check(check, place) if kind.name == PYTHON else check


def _with_template(check: Check, path: str, place: _Place) -> Check:
    """A judged check with a wording of the project's own, identified by its file's content."""
    if place.directory is None:
        raise CheckProblem(("template",), "only a golden set's file can name a file", "no template")
    try:
        file, template = find_template(path, place.directory, check.type)
    except TemplateFileError as error:
        raise CheckProblem(("template",), str(error), error.allowed) from error
    options: dict[str, JsonValue] = {"template": path, "sha256": template.sha256}
    return replace(check, options=options, file=str(file))


def _kind_of(name: str) -> Metric:
    # As written: the name of a check, such as python:checks.py:polite, is not a type.
    kind = CHECK_TYPES.get(name.removeprefix("not-"))
    if kind is None:
        hint = did_you_mean(name, check_names())
        allowed = "" if hint else ", ".join(check_names())
        raise CheckProblem(("type",), f"unknown check type {name!r}{hint}", allowed)
    if name.startswith("not-") and not kind.invertible:
        remedy = (
            "negate a group: not-any-of" if kind.kind == "binary" else "it is a number: give it a threshold"
        )
        raise CheckProblem(("type",), f"{kind.name} can't be negated; {remedy}")
    return kind


def _members(
    written: Sequence[Mapping[str, JsonValue]], place: _Place, *, is_weighted: bool
) -> tuple[Check, ...]:
    """The checks of a group, each of which has to decide."""
    members = []
    for number, keys in enumerate(written):
        try:
            member = _member(keys, place, is_weighted=is_weighted)
        except CheckProblem as problem:
            inside = ("checks", number, *problem.key)
            raise CheckProblem(inside, problem.problem, problem.allowed) from problem
        members.append(member)
    return tuple(members)


def _member(keys: Mapping[str, JsonValue], place: _Place, *, is_weighted: bool) -> Check:
    name, threshold = keys.get("type"), keys.get("threshold")
    if not isinstance(name, str):
        raise CheckProblem(("type",), f"found {shown(name)}", "the check's type")
    if isinstance(threshold, bool) or not isinstance(threshold, int | float | None):
        raise CheckProblem(("threshold",), f"found {shown(threshold)}", "a number")
    options = {key: item for key, item in keys.items() if key not in {"type", "threshold", "value"}}
    value = written_value(keys.get("value"), is_there="value" in keys)
    member = _made(name, threshold, value, options, place, is_weighted=is_weighted)
    if not decides(member):
        raise CheckProblem((), f"{name} decides nothing in a group", "a threshold")
    return member


def _is_common(kind: Metric, key: str) -> bool:
    """Whether a key is one of all checks; a plug-in's metric may have one of that name of its own."""
    return key in CommonOptions.model_fields and key not in kind.options.model_fields


def _common(written: Mapping[str, JsonValue]) -> CommonOptions:
    try:
        return CommonOptions.model_validate_json(json.dumps(written))
    except ValidationError as error:
        key = tuple(error.errors(include_url=False)[0]["loc"])[:1]
        same = [p for p in error.errors(include_url=False) if p["loc"][:1] == key]
        raise CheckProblem(key, f"found {shown(written[str(key[0])])}", allowed_by(same)) from error


def _steps(kind: Metric, written: JsonValue, directory: Path | None) -> Steps:
    if written is None:
        return Steps()
    if kind.group:
        raise CheckProblem(("transform",), f"{kind.name} has none: write it in its members")
    if not kind.reads_answer or kind.name == "pairwise":
        raise CheckProblem(("transform",), f"{kind.name} does not depend on the answer's text alone", "none")
    try:
        return read_steps(written, directory)
    except StepError as error:
        raise CheckProblem(("transform",), str(error), error.allowed) from error


def _check_together(kind: Metric, value: JsonValue, options: Mapping[str, Any], place: _Place) -> None:
    """Check what a type's value and keys have to be together."""
    try:
        check_together(kind.name, value, options, place.references)
    except TogetherError as error:
        raise CheckProblem(error.key, str(error), error.allowed) from error


def _python_check(check: Check, place: _Place) -> Check:
    """A check by a function of the project, named after it and identified by its file's content."""
    path = str(check.options["path"])
    if place.directory is None:
        raise CheckProblem(("path",), "only a golden set's file can name a function", "another check")
    try:
        file, sha256 = find_python_file(path, place.directory)
    except PythonFileError as error:
        raise CheckProblem(("path",), str(error), error.allowed) from error
    options: dict[str, JsonValue] = {**check.options, "sha256": sha256}
    return replace(check, type=f"{PYTHON}:{path}", options=options, file=str(file))


def _check_threshold(kind: Metric, threshold: float | None, *, negated: bool) -> None:
    if threshold is None:
        return
    if negated:
        raise CheckProblem(("threshold",), f"not-{kind.name} is true or false", "no threshold")
    if kind.kind == "binary":
        raise CheckProblem(("threshold",), f"{kind.name} is true or false", "no threshold")
    least, most = kind.minimum, kind.maximum
    if (least is not None and threshold < least) or (most is not None and threshold > most):
        between = f"{least:g} or more" if most is None else f"{most:g} or less"
        between = between if least is None or most is None else f"{least:g} to {most:g}"
        raise CheckProblem(("threshold",), f"found {threshold:g}", f"{between} for {kind.name}")


def _check_value(kind: Metric, value: JsonValue, references: Sequence[str]) -> None:
    if value is None:
        _check_references(kind, references)
        return
    if kind.value == "refused":
        raise CheckProblem(("value",), f"{kind.name} takes no value", "the case's references")
    match kind.value_type:
        case "string":
            _check_text(kind, value)
        case "strings" if not are_texts(value):
            allowed = "a list of texts; quote those that look like a number or a boolean"
            raise CheckProblem(("value",), f"found {shown(value)}", allowed)
        case "texts" if not isinstance(value, str) and not are_texts(value):
            raise CheckProblem(("value",), f"found {shown(value)}", "a text, or a list of texts")
        case "pattern":
            _check_pattern(value)
        case "schema":
            if problem := schema_problem(value):
                raise CheckProblem(("value",), problem)
        case "json" if isinstance(value, str) and is_container(value):
            # It would be compared as a text, which never equals a JSON object or list.
            raise CheckProblem(("value",), "JSON as quoted text", "the same as YAML, without the quotes")
        case _:
            pass


def _check_text(kind: Metric, value: JsonValue) -> None:
    if not isinstance(value, str) or not value:
        raise CheckProblem(("value",), f"found {shown(value)}", "a text; quote it if it looks like a number")
    if is_blank(value) and kind.name in BUILTIN_METRICS and kind.name not in _SPACE_IS_A_VALUE:
        raise CheckProblem(("value",), f"found {shown(value)}, in which nothing can be seen", "a text")


def _check_references(kind: Metric, references: Sequence[str]) -> None:
    """Check that a check without a value has what it needs."""
    if kind.value == "required":
        raise CheckProblem((), f"{kind.name} needs a value")
    if kind.needs_references and not references:
        other = "" if kind.value == "refused" else " or a value"
        raise CheckProblem((), f"{kind.name} needs references{other}")
    known = kind.name in BUILTIN_METRICS and kind.name not in _EMPTY_IS_AN_ANSWER
    if known and kind.needs_references and any(map(is_blank, references)):
        allowed = "a text; for an empty answer: equals"
        raise CheckProblem((), f"{kind.name} has nothing to compare with in an empty reference", allowed)
    if kind.value_type == "json" and kind.needs_references:
        for reference in references:
            _require_json(reference)


def _check_pattern(value: JsonValue) -> None:
    if not isinstance(value, str) or not value:
        raise CheckProblem(("value",), f"found {shown(value)}", "a regular expression")
    try:
        check_pattern(value)
    except PatternError as error:
        raise CheckProblem(("value",), f"not a regular expression: {error}") from error


def _require_json(reference: str) -> None:
    """Refuse a reference that no JSON answer can equal."""
    try:
        parse_json(reference, parse_constant=_refuse_constant)
    except ValueError as error:
        raise CheckProblem((), f"the reference {shown(reference)} is not JSON: {error}", "JSON") from error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


@cache
def _options_of(options: type[Options], written: str) -> dict[str, Any]:
    return options.model_validate_json(written).model_dump(exclude_defaults=True)


def _options(kind: Metric, written: str) -> dict[str, Any]:
    try:
        return dict(_options_of(kind.options, written))
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        key = tuple(problem["loc"])
        keys = ["type", *(["threshold"] if kind.kind == "graded" else [])]
        keys += ["value"] if kind.value != "refused" else []
        keys += kind.options.model_fields
        if problem["type"] == "extra_forbidden":
            hint = did_you_mean(str(key[0]), keys)
            allowed = "" if hint else ", ".join(keys)
            raise CheckProblem(key, f"unknown key of {kind.name}{hint}", allowed) from error
        if problem["type"] in {"missing", "value_error"}:
            reason = "the key is missing" if problem["type"] == "missing" else str(problem["ctx"]["error"])
            raise CheckProblem(key, reason) from error
        same = [p for p in error.errors(include_url=False) if p["loc"][:1] == key[:1]]
        raise CheckProblem(key[:1], f"found {shown(problem['input'])}", allowed_by(same)) from error
