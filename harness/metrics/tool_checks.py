"""Checks on the calls of tools in an answer."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, cast

from harness.metrics.call_json import CallError, known_tools
from harness.metrics.definition import ScoringRequest, binary, graded, one_by_one, unclear
from harness.metrics.json_checks import differences, schema_violation
from harness.metrics.written_calls import written_calls
from harness.types import JsonValue, Score, ToolCall


def _valid_calls(request: ScoringRequest) -> Score:
    tools = {
        tool["function"]["name"]: tool["function"] for tool in cast("Any", request.case.generation.tools)
    }
    try:
        calls = _calls(request)
    except CallError as error:
        return unclear(request, f"a call can't be read: {error}")
    if not calls:
        return binary(request, False, "the answer calls no tool")
    for call in calls:
        if call.name not in tools:
            return binary(request, False, f"there is no tool {call.name}; tools are {', '.join(tools)}")
        violation = schema_violation(dict(call.arguments), tools[call.name]["parameters"])
        if violation is not None:
            return binary(request, False, f"the arguments of {call.name}: {violation}")
    return binary(request, True, f"valid: {', '.join(call.name for call in calls)}")


def _calls(request: ScoringRequest) -> list[ToolCall]:
    value = request.check.value
    expected = value if isinstance(value, list) else []
    names = [str(entry.get("name") if isinstance(entry, dict) else entry) for entry in expected]
    return written_calls(request.text, known_tools(request.case.generation.tools, names))


def _tool_call_f1(request: ScoringRequest) -> Score:
    value = request.check.value
    expected = set(map(str, value)) if isinstance(value, list) else set()
    try:
        found = {call.name for call in _calls(request)}
    except CallError as error:
        return graded(request, 0.0, f"a call can't be read: {error}")
    shared = len(expected & found)
    score = 2 * shared / (len(expected) + len(found)) if found else 0.0
    missing, other = sorted(expected - found), sorted(found - expected)
    told = [f"missing {', '.join(missing)}"] if missing else []
    told += [f"not expected {', '.join(other)}"] if other else []
    return graded(request, score, "; ".join(told) or "all expected tools and no others")


def _tool_calls(request: ScoringRequest) -> Score:
    value, options = request.check.value, request.check.options
    expected = [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []
    try:
        found = _calls(request)
    except CallError as error:
        return unclear(request, f"a call can't be read: {error}")
    if len(found) > len(expected) and not options.get("others", False):
        names = ", ".join(call.name for call in found)
        return binary(request, False, f"expected {_counted(len(expected))}, found {len(found)}: {names}")
    matched = _in_order(expected, found) if options.get("ordered", False) else _in_any_order(expected, found)
    lacking = [entry for place, entry in enumerate(expected) if place not in matched]
    if not lacking:
        return binary(request, True, f"{_counted(len(expected))} as expected")
    return binary(request, False, _why(lacking[0], found, options.get("ordered", False) is True))


def _counted(number: int) -> str:
    return "no call" if number == 0 else "1 call" if number == 1 else f"{number} calls"


def _misfit(expected: Mapping[str, JsonValue], call: ToolCall) -> list[str]:
    """Differences of a call from an expected one; arguments count only where some are expected."""
    if expected["name"] != call.name:
        return [f"expected {expected['name']}, found {call.name}"]
    if "arguments" not in expected:
        return []
    return differences(expected["arguments"], dict(call.arguments), Decimal(0), call.name)


def _in_order(expected: Sequence[Mapping[str, JsonValue]], found: Sequence[ToolCall]) -> set[int]:
    """Places of expected calls that are found one after the other, from the first on."""
    place = 0
    for call in found:
        if place < len(expected) and not _misfit(expected[place], call):
            place += 1
    return set(range(place))


def _in_any_order(expected: Sequence[Mapping[str, JsonValue]], found: Sequence[ToolCall]) -> set[int]:
    """Places of expected calls in the largest matching with found ones (Kuhn's algorithm)."""
    fits = [[at for at, call in enumerate(found) if not _misfit(entry, call)] for entry in expected]
    taken: dict[int, int] = {}

    def placed(place: int, seen: set[int]) -> bool:
        for at in fits[place]:
            if at not in seen:
                seen.add(at)
                if at not in taken or placed(taken[at], seen):
                    taken[at] = place
                    return True
        return False

    return {place for place in range(len(expected)) if placed(place, set())}


def _why(lacking: Mapping[str, JsonValue], found: Sequence[ToolCall], ordered: bool) -> str:
    """Why an expected call is not among those of the answer."""
    of_name = [call for call in found if call.name == lacking["name"]]
    if not found:
        return f"the answer calls no tool; expected {lacking['name']}"
    if not of_name:
        return f"no call of {lacking['name']}, only of {', '.join(call.name for call in found)}"
    problems = min((_misfit(lacking, call) for call in of_name), key=len)
    if problems:
        return "; ".join(problems[:3])
    return f"{lacking['name']} is called {'in another order' if ordered else 'less often than expected'}"


valid_calls = one_by_one(_valid_calls)
tool_call_f1 = one_by_one(_tool_call_f1)
tool_calls = one_by_one(_tool_calls)
