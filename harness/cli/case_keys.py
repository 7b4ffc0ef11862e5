"""Further keys and checks of a new case, from options or asked for one by one.

What can be asked, and in which order, is read from the schema of golden sets and from the records of the
checks, so a new key or check is known here as soon as it is there.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from harness.cli.ask import ask
from harness.errors import GoldenError, SettingsError
from harness.golden.hints import did_you_mean, shown
from harness.golden.schema import CHECK_TYPES, CaseYaml, CheckYaml, GoldenSetYaml, base_type, check_names
from harness.golden.yaml_lines import parse_yaml_text
from tunegate.printable import say

# Keys with an option, or a question, of their own.
_ASKED_ELSEWHERE = frozenset({"id", "prompt", "system", "tags", "cluster", "references"})
FURTHER_KEYS = tuple(name for name in CaseYaml.model_fields if name not in _ASKED_ELSEWHERE)


def read_value(option: str, text: str) -> Any:
    """A value as YAML, by the rules of golden sets.

    Args:
        option: Where it was written, for the message.
        text: The value.

    Raises:
        SettingsError: It is no YAML, or YAML reads it otherwise than it looks.
    """
    one_line = "\n" not in text
    written = (
        f"value: {text}\n" if one_line else "value:\n" + "".join(f"  {line}\n" for line in text.splitlines())
    )
    try:
        return parse_yaml_text(Path(option), written).data["value"]
    except GoldenError as error:
        allowed = f" (allowed: {error.allowed})" if error.allowed else ""
        raise SettingsError(f"{option}: {error.problem}{allowed}") from error


def read_keys(written: Sequence[str]) -> dict[str, Any]:
    """The keys of ``--set NAME=VALUE``.

    Raises:
        SettingsError: A name is no key of a case, or a value no YAML.
    """
    keys: dict[str, Any] = {}
    for entry in written:
        name, sign, text = entry.partition("=")
        name = name.strip()
        if not sign:
            raise SettingsError(f"--set: found {shown(entry)} (allowed: NAME=VALUE, such as timeout=20)")
        if name not in CaseYaml.model_fields:
            whose = " of a case: write it into the file" if name in GoldenSetYaml.model_fields else ""
            hint = "" if whose else did_you_mean(name, CaseYaml.model_fields)
            raise SettingsError(f"--set: {name} is no key{whose}{hint} (allowed: {', '.join(FURTHER_KEYS)})")
        if name in {"id", "prompt"}:
            raise SettingsError(f"--set {name}: write --{name}")
        keys[name] = read_value(f"--set {name}", text)
    return keys


def read_checks(written: Sequence[str]) -> list[dict[str, Any]]:
    """The checks of ``--check YAML``.

    Raises:
        SettingsError: One is no mapping with a type.
    """
    checks = [read_value("--check", text) for text in written]
    for check in checks:
        if not isinstance(check, dict) or not isinstance(check.get("type"), str):
            raise SettingsError(
                f"--check: found {shown(check)} (allowed: a mapping such as {{type: is-json}})"
            )
    return checks


def ask_keys(check: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """Ask for further keys, by name, until an empty line.

    Args:
        check: Raises InputError for keys that are not valid; the question is then repeated.
    """
    found: dict[str, Any] = {}
    question = f"Further keys, such as {', '.join(FURTHER_KEYS[:4])} (? lists all), or Enter for none:"

    def known(name: str) -> None:
        if name.strip() == "?":
            raise SettingsError(
                "; ".join(f"{key}: {CaseYaml.model_fields[key].description}" for key in FURTHER_KEYS)
            )
        if name.strip() not in {"", *FURTHER_KEYS}:
            raise SettingsError(f"{name} is no key{did_you_mean(name, FURTHER_KEYS)} (? lists all)")

    while name := ask("--set", question, default="", check=known).strip():
        question = "Another key, or Enter for none:"
        value = _asked_again(name, lambda: _value(name, CaseYaml.model_fields[name]), check, found)
        found |= {} if value is None else {name: value}
    return found


def _asked_again(
    name: str,
    value_of: Callable[[], Any],
    check: Callable[[dict[str, Any]], object],
    found: Mapping[str, Any],
) -> Any:
    """A value that is valid beside the others; None for none."""
    while (value := value_of()) is not None:
        try:
            check({**found, name: value})
        except (GoldenError, SettingsError) as error:
            say(f"  {error}", err=True)
        else:
            return value
    return None


def _value(name: str, field: FieldInfo) -> Any:
    """What is typed for a key: a list by entries, a text as it is, all else as YAML; None for nothing."""
    if (model := _listed(field.annotation)) is CheckYaml:
        return ask_checks(f"{name}: ") or None
    if model is not None:
        return _entries(name, model, may_be_file=_has_text(field.annotation))
    if field.annotation == list[str]:
        return list(iter(lambda: ask("--set", f"{name}, one a line, Enter to end:", default=""), "")) or None
    question = f"{name} ({(field.description or '').rstrip('.')}), Enter for none:"
    if _has_text(field.annotation):
        return ask("--set", question, default="") or None
    return _typed(name, question)


def _typed(name: str, question: str) -> Any:
    """A value as YAML; None for an empty line."""
    text = ask("--set", question, default="", check=lambda typed: typed and read_value(name, typed))
    return read_value(name, text) if text else None


def _entries(name: str, model: type[BaseModel], *, may_be_file: bool) -> Any:
    """Entries of a list, key by key; an empty first key ends it."""
    entries: list[dict[str, Any]] = []
    first, *rest = model.model_fields
    while True:
        place = f"{name} {len(entries) + 1}"
        begin = ask("--set", f"{place}: {first}, or Enter to end:", default="")
        if not begin:
            return entries or None
        if may_be_file and begin.startswith("file://"):
            return begin
        values = {key: _value(f"{place}: {key}", model.model_fields[key]) for key in rest}
        entries.append({first: begin, **{key: value for key, value in values.items() if value is not None}})


def ask_checks(place: str = "", *, weighted: bool = False) -> list[dict[str, Any]]:
    """Ask for checks, key by key, until an empty line.

    Args:
        place: What they are for, in front of each question.
        weighted: Whether they are members of a group in which weights count.
    """

    def known(typed: str) -> None:
        name = typed.strip()
        if name == "?":
            raise SettingsError(", ".join(check_names()))
        if name and name not in check_names():
            raise SettingsError(f"{name} is no check{did_you_mean(name, check_names())} (? lists all)")

    checks = []
    question = f"{place}type of a check (? lists all), or Enter to end:"
    while name := ask("--check", question, default="", check=known).strip():
        keys = {key: value for key, value in _check_keys(name, place) if value is not None}
        weight = _typed("weight", f"{place}{name}: weight, Enter for 1:") if weighted else None
        keys |= {} if weight is None else {"weight": weight}
        checks.append({"type": name, **keys})
    return checks


def _check_keys(name: str, place: str) -> Iterator[tuple[str, Any]]:
    kind = CHECK_TYPES[base_type(name)]
    told = f"{place}{name}: "
    if kind.value != "refused":
        end = "" if kind.value == "required" else ", Enter for none"
        if kind.value_type in {"string", "pattern"}:
            yield "value", ask("--check", f"{told}value{end}:", default="" if end else None) or None
        else:
            yield "value", _typed("value", f"{told}value, as YAML{end}:")
    threshold = None
    if kind.kind == "graded" and not name.startswith("not-"):
        threshold = _typed("threshold", f"{told}threshold, Enter for none:")
        yield "threshold", threshold
    for key, field in kind.options.model_fields.items():
        if kind.group and key == "checks":
            yield key, ask_checks(f"{told}member: ", weighted=threshold is not None)
        else:
            usual = "" if field.is_required() else f", Enter for {json.dumps(field.default)}"
            yield key, _typed(key, f"{told}{key} ({(field.description or '').rstrip('.')}){usual}:")
    if kind.reads_answer and not kind.group:
        yield "transform", _typed("transform", f"{told}transform, as YAML, Enter for none:")


def _listed(annotation: Any) -> type[BaseModel] | None:
    """The model of a list's entries."""
    inside = get_args(annotation)
    if (
        getattr(annotation, "__origin__", None) is list
        and isinstance(inside[0], type)
        and issubclass(inside[0], BaseModel)
    ):
        return inside[0]
    return next((found for each in inside if (found := _listed(each)) is not None), None)


def _has_text(annotation: Any) -> bool:
    """Whether a text is a value as it is typed."""
    if getattr(annotation, "__origin__", None) in {list, dict}:
        return False
    return annotation is str or any(map(_has_text, get_args(annotation)))
