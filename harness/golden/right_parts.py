"""The parts of a golden set that are right, so that the faults of all others are found in the same go."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from harness.golden.schema import CaseYaml

_PROMPTS = ("prompt", "messages", "turns")
# Without these, a case would seem to have faults that it doesn't have.
_NEEDED = ("id", "checks", "references", "vars", "turns", "retrieved_context")
# In place of a check that can't be read.
_ANY_CHECK = {"type": "is-json"}


def right_parts(
    data: Mapping[str, Any], paths: Iterable[tuple[Any, ...]]
) -> tuple[dict[str, Any], list[int]]:
    """A set without its faulty parts: keys, checks, and cases that can't be understood without the part.

    Args:
        data: The document, with a list of cases.
        paths: Where the faults are, as pydantic names them.

    Returns:
        The rest, and the places of its cases in the document.
    """
    below: dict[Any, list[tuple[Any, ...]]] = {}
    for path in paths:
        below.setdefault(path[0] if path else "", []).append(tuple(path[1:]))
    rest = {"name": "unnamed", **data}
    of_cases: dict[Any, list[tuple[Any, ...]]] = {}
    for path in below.pop("cases", []):
        of_cases.setdefault(path[0] if path else None, []).append(path[1:])
    made = {place: _right_case(case, of_cases.get(place, [])) for place, case in enumerate(data["cases"])}
    cases = {place: case for place, case in made.items() if case is not None}
    for name, inner in below.items():
        part = data.get(name)
        if name in {"defaults", "gate"} and isinstance(part, Mapping):
            rest[name] = _right_keys(part, inner)
        elif name != "name":
            rest.pop(name, None)
        else:
            rest[name] = "unnamed"
    rest["cases"] = list(cases.values())
    return rest, list(cases)


def _right_case(case: Any, faults: list[tuple[Any, ...]]) -> Any:
    """A case without its faulty keys; None where nothing can be said of the rest."""
    if not faults:
        return case
    if not isinstance(case, Mapping) or "id" not in case:
        return None
    unknown = {path[0] for path in faults if path} - set(CaseYaml.model_fields)
    meant = {close for key in unknown for close in difflib.get_close_matches(str(key), _NEEDED)}
    if meant or any(path[:1] == (key,) for key in _NEEDED for path in faults if not _is_check(path)):
        return None
    rest = _right_keys(case, faults)
    if () in faults:
        rest = {key: value for key, value in rest.items() if key not in _PROMPTS}
    return rest if any(key in rest for key in _PROMPTS) else {**rest, "prompt": "?"}


def _right_keys(part: Mapping[str, Any], faults: list[tuple[Any, ...]]) -> dict[str, Any]:
    rest = dict(part)
    for path in faults:
        if _is_check(path) and isinstance(rest.get("checks"), list):
            rest["checks"] = [*rest["checks"]]
            rest["checks"][path[1]] = _ANY_CHECK
        elif path[:1] == ("checks",):
            rest["checks"] = [_ANY_CHECK]
        elif path[:1] == ("metrics",) and isinstance(rest.get("metrics"), Mapping):
            rest["metrics"] = {key: value for key, value in rest["metrics"].items() if key not in path[1:2]}
        elif path:
            rest.pop(path[0], None)
    return rest


def _is_check(path: tuple[Any, ...]) -> bool:
    return len(path) > 1 and path[0] == "checks" and isinstance(path[1], int)
