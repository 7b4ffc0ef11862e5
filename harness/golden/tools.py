"""Tools of a case: from the YAML, or a JSON file in OpenAI's format, to what chat templates read."""

import json
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from harness.golden.embedded_schema import schema_problem
from harness.golden.hints import shown
from harness.golden.schema import ToolYaml
from harness.golden.templates import read_if_file
from harness.types import JsonValue


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
    if isinstance(entry, dict) and entry.get("type") == "function":
        entry = entry.get("function")
    try:
        return ToolYaml.model_validate(entry)
    except ValidationError as error:
        problems = error.errors(include_url=False)
        # A missing key may be the one that was misspelt.
        problem = next((each for each in problems if each["type"] == "extra_forbidden"), problems[0])
        key = ".".join(map(str, problem["loc"])) or "a tool"
        raise ToolError(f"{place}: {key}: {problem['msg']}") from error
