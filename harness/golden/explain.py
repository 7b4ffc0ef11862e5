"""Pydantic's errors in terms of the golden set: line, key, what was found, what is allowed."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from harness.errors import GoldenError, as_one
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
    "too_short": "one or more",
    "string_too_short": "a text that is not empty",
    "string_pattern_mismatch": "letters, digits, '.', '_' and '-', a letter or digit first",
}


def explain(
    document: Document,
    error: ValidationError,
    below: KeyPath = (),
    known_at: Callable[[KeyPath], Iterable[str]] | None = None,
) -> list[GoldenError]:
    """All problems of a validation, one for each key, in the order of the file's lines.

    Args:
        document: The validated document.
        error: Pydantic's error.
        below: Path of the validated part in the document, for a case's generation settings.
        known_at: The allowed keys beside an unknown one; by default those of golden sets.
    """
    data = _part(document.data, below)
    by_key: dict[KeyPath, list[Any]] = {}
    for problem in error.errors(include_url=False):
        by_key.setdefault(_key(problem, data), []).append(problem)
    unknown = {key[:-1] for key, problems in by_key.items() if problems[0]["type"] == "extra_forbidden"}
    found = []
    for key, problems in _deepest(by_key).items():
        # A missing key may be the one that was misspelt.
        if problems[0]["type"] == "extra_forbidden":
            found.append(_unknown_key(document, (*below, *key), known_at))
        elif problems[0]["type"] != "missing" or key[:-1] not in unknown:
            found.append(_explained(document, (*below, *key), problems))
    return sorted(found, key=lambda each: each.line or 0)


def explain_settings(error: ValidationError, given: Mapping[str, object]) -> tuple[str, str]:
    """The first problem of settings that are not from a file.

    Args:
        error: Pydantic's error.
        given: The validated settings.

    Returns:
        What was found, and what is allowed, which may be empty.
    """
    problems: list[Any] = error.errors(include_url=False)
    problem = next((p for p in problems if p["type"] == "extra_forbidden"), problems[0])
    key = _key(problem, given)
    name = dotted(key)
    if problem["type"] == "extra_forbidden":
        known = sorted(GenerationYaml.model_fields)
        return f"unknown setting {name}{did_you_mean(name, known)}", ", ".join(known)
    if problem["type"] == "value_error":
        return f"{name}: {problem['ctx']['error']}", ""
    same = [p for p in problems if _key(p, given) == key]
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
    words = dict.fromkeys(map(_allowed, problems))
    return next(iter(words)) if len(words) == 1 else " or ".join(word.partition(";")[0] for word in words)


def _allowed(problem: Mapping[str, Any]) -> str:
    if problem["type"] == "too_short" and (least := problem["ctx"]["min_length"]) > 1:
        return f"at least {least}"
    return _ALLOWED.get(problem["type"]) or str(problem["msg"]).removeprefix("Input should be ")


def _explained(document: Document, key: KeyPath, problems: list[Any]) -> GoldenError:
    """The problem of a known key.

    Args:
        document: The validated document.
        key: The key.
        problems: What pydantic says of it, or of what is in it.
    """
    problem = problems[0]
    if problem["type"] == "missing":
        return golden_error(document, key, "the key is missing")
    if problem["type"] == "value_error":
        # Ours may have the keys below, with the place of the fault.
        message, *below = problem["ctx"]["error"].args
        return golden_error(document, (*key, *below), str(message))
    infinite = next((p for p in problems if p["type"] == "finite_number"), None)
    if infinite is not None:
        return golden_error(document, key, f"found {shown(infinite['input'])}", "a finite number")
    return golden_error(document, key, f"found {shown(problem['input'])}", allowed_by(problems))


def _deepest(by_key: Mapping[KeyPath, list[Any]]) -> dict[KeyPath, list[Any]]:
    """Problems by key, without those of values that are reported part by part.

    Each branch of a union reports an error, and only one that fits the value looks inside it.
    """
    outer = {key[:length] for key in by_key for length in range(len(key))}
    return {key: problems for key, problems in by_key.items() if key not in outer}


def _unknown_key(
    document: Document, key: KeyPath, known_at: Callable[[KeyPath], Iterable[str]] | None
) -> GoldenError:
    known = list((known_at or keys_at)(key))
    hint = did_you_mean(str(key[-1]), known)
    # If no key of this level is similar, the key may belong one level up.
    if known_at is None and not hint and str(key[-1]) in GoldenSetYaml.model_fields and len(key) > 1:
        hint = "; it belongs at the top of the file"
    return golden_error(document, key, f"unknown key{hint}", "" if hint else ", ".join(known))


def _part(data: Any, path: KeyPath) -> Any:
    for step in path:
        data = data[step]
    return data


def _key(problem: Mapping[str, Any], data: object) -> KeyPath:
    """The path of a problem, without the names that pydantic adds for branches of unions.

    Those are not in the data, unlike a key of the user that is called ``float``.

    Args:
        problem: One of pydantic's.
        data: The validated data.
    """
    key: list[str | int] = []
    steps = problem["loc"]
    for place, step in enumerate(steps):
        inside = data.get("function") if isinstance(data, Mapping) and step not in data else None
        if isinstance(inside, Mapping) and data.get("type") == "function":  # type: ignore[attr-defined]
            # A tool in OpenAI's form.
            data = inside
            key.append("function")
        if (isinstance(data, Mapping) and step in data) or (
            isinstance(data, list) and isinstance(step, int) and step < len(data)
        ):
            data = data[step]
        elif problem["type"] != "missing" or place < len(steps) - 1:
            continue
        key.append(step)
    return tuple(key)


def keys_at(key: KeyPath) -> list[str]:
    """The allowed keys at the level of an unknown one."""
    if key[:1] == ("cases",) and key[2:3] == ("generation",):
        # A case's overrides are a mapping at first.
        return sorted(GenerationYaml.model_fields)
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


def as_told(document: Document, faults: Sequence[GoldenError]) -> GoldenError:
    """All faults in the order of lines, one for each key: a fault of the defaults is found in each case.

    What YAML reads otherwise explains other faults of its key and around it, but not that a key is unknown.

    Args:
        document: The golden set's; what YAML reads otherwise is noted there.
        faults: All others, at least one if the document has none.
    """
    spelt = [f"{fault.key}." for fault in document.faults]
    own = [
        fault
        for fault in faults
        if str(fault.path) != str(document.path)
        or not any(f"{fault.key}.".startswith(key) or key.startswith(f"{fault.key}.") for key in spelt)
    ]
    by_key: dict[tuple[str, str], GoldenError] = {}
    for fault in (*document.faults, *own):
        by_key.setdefault((str(fault.path), fault.key), fault)
    by_key |= {(str(each.path), each.key): each for each in faults if each.problem.startswith("unknown key")}
    return as_one(sorted(by_key.values(), key=lambda fault: fault.line or 0))
