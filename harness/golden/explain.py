"""Pydantic's errors in terms of the golden set: line, key, what was found, what is allowed."""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from harness.errors import GoldenError
from harness.golden.hints import did_you_mean, shown
from harness.golden.schema import GenerationYaml, GoldenSetYaml
from harness.golden.yaml_lines import Document, KeyPath, dotted

_ALLOWED = {
    "bool_type": "true or false",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "a text; quote it if it looks like a number or a boolean",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "string_too_short": "a text that is not empty",
    "string_pattern_mismatch": "letters, digits, '.', '_' and '-', a letter or digit first",
}


def explain(document: Document, error: ValidationError, below: KeyPath = ()) -> GoldenError:
    """The first problem of a validation.

    Args:
        document: The validated document.
        error: Pydantic's error.
        below: Path of the validated part in the document, for a case's generation settings.
    """
    problems: list[Any] = error.errors(include_url=False)
    # Unknown keys first: a missing key may be the one that was misspelt.
    problem = next((p for p in problems if p["type"] == "extra_forbidden"), problems[0])
    inside = _key(problem)
    key: KeyPath = (*below, *inside)
    if problem["type"] == "extra_forbidden":
        return _unknown_key(document, key, sorted(GenerationYaml.model_fields) if below else _keys_at(key))
    if problem["type"] == "missing":
        return golden_error(document, key, "the key is missing")
    if problem["type"] == "value_error":
        return golden_error(document, key, str(problem["ctx"]["error"]))
    # Each branch of a union reports an error; the deepest one is the right one.
    same = [p for p in problems if _key(p)[: len(inside)] == inside]
    problem = next((p for p in same if p["type"] == "finite_number"), problem)
    key = (*below, *_key(problem))
    if problem["type"] == "finite_number":
        return golden_error(document, key, f"found {shown(problem['input'])}", "a finite number")
    return golden_error(document, key, f"found {shown(problem['input'])}", allowed_by(same))


def explain_settings(error: ValidationError) -> tuple[str, str]:
    """The first problem of generation settings that are not from a file: what was found, what is allowed."""
    problems: list[Any] = error.errors(include_url=False)
    problem = next((p for p in problems if p["type"] == "extra_forbidden"), problems[0])
    name = dotted(_key(problem))
    if problem["type"] == "extra_forbidden":
        known = sorted(GenerationYaml.model_fields)
        return f"unknown setting {name}{did_you_mean(name, known)}", ", ".join(known)
    if problem["type"] == "value_error":
        return f"{name}: {problem['ctx']['error']}", ""
    same = [p for p in problems if _key(p) == _key(problem)]
    return f"{name}: found {shown(problem['input'])}", allowed_by(same)


def golden_error(document: Document, key: KeyPath, problem: str, allowed: str = "") -> GoldenError:
    """A problem at a key, with its line.

    Args:
        document: The file.
        key: Keys and list positions that lead to the problem.
        problem: The fault.
        allowed: What is allowed.
    """
    return GoldenError(document.path, document.line(key), dotted(key), problem, allowed)


def allowed_by(problems: Iterable[Mapping[str, Any]]) -> str:
    """What is allowed, in words."""
    words = dict.fromkeys(
        _ALLOWED.get(p["type"]) or p["msg"].removeprefix("Input should be ") for p in problems
    )
    return next(iter(words)) if len(words) == 1 else " or ".join(word.partition(";")[0] for word in words)


def _unknown_key(document: Document, key: KeyPath, known: list[str]) -> GoldenError:
    hint = did_you_mean(str(key[-1]), known)
    # If no key of this level is similar, the key may belong one level up.
    if not hint and str(key[-1]) in GoldenSetYaml.model_fields and len(key) > 1:
        hint = "; it belongs at the top of the file"
    return golden_error(document, key, f"unknown key{hint}", ", ".join(known))


def _key(problem: Mapping[str, Any]) -> KeyPath:
    """The path of a problem, without the type names that pydantic adds for branches of unions."""
    return tuple(step for step in problem["loc"] if not _is_branch(step))


def _is_branch(step: object) -> bool:
    return isinstance(step, str) and (
        step in {"str", "int", "float", "bool", "JsonValue", "nullable"} or "[" in step
    )


def _keys_at(key: KeyPath) -> list[str]:
    """The allowed keys at the level of an unknown one."""
    model: Any = GoldenSetYaml
    for step in key[:-1]:
        if isinstance(step, int) or not hasattr(model, "model_fields"):
            continue
        # A step that is not a field is a user's name, such as a metric of the gate: the model stays.
        if step in model.model_fields:
            model = _model_in(model.model_fields[step].annotation)
    return sorted(model.model_fields)


def _model_in(annotation: Any) -> Any:
    """The pydantic model in an annotation such as ``list[CaseYaml] | None``."""
    if hasattr(annotation, "model_fields"):
        return annotation
    found = (_model_in(part) for part in getattr(annotation, "__args__", ()))
    return next((model for model in found if model is not None), None)
