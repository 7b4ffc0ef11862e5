"""Adding a case to a golden set's text: nothing that stands there is touched."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from harness.errors import GoldenError
from harness.golden.load import build_golden_set
from harness.golden.yaml_lines import parse_yaml, parse_yaml_text
from harness.types import GoldenSet

_INDENT = "  "


def append_case(path: Path, case: Mapping[str, Any]) -> GoldenSet:
    """Put a case behind the last one; comments, order, quoting and every other byte stay as they are.

    Args:
        path: The golden set; made when it doesn't exist.
        case: The case's keys as in the YAML.

    Returns:
        The set as it now stands.

    Raises:
        GoldenError: The set, or the case in it, is not valid; the file is left as it was.
    """
    if not path.exists():
        text = f"name: {path.stem}\ncases:\n"
        new = text + case_text(case, _INDENT)
    else:
        document = parse_yaml(path)
        cases = _cases_node(document.root)
        if cases is None:
            raise GoldenError(path, None, "cases", "there is no list of cases to add to", "cases: as a list")
        if cases.flow_style:
            line = cases.start_mark.line + 1
            raise GoldenError(
                path, line, "cases", "the list is written in brackets", "one case a line, with -"
            )
        end = _end_of(document.text, cases)
        before, after = document.text[:end], document.text[end:]
        gap = "" if before.endswith("\n") else "\n"
        new = before + gap + case_text(case, " " * cases.start_mark.column) + after
    golden_set = build_golden_set(parse_yaml_text(path, new))
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_bytes(new.encode("utf-8"))
    temporary.replace(path)
    return golden_set


def _cases_node(root: yaml.Node) -> yaml.SequenceNode | None:
    if not isinstance(root, yaml.MappingNode):
        return None
    found = (value for key, value in root.value if key.value == "cases")
    node = next(found, None)
    return node if isinstance(node, yaml.SequenceNode) and node.value else None


def _end_of(text: str, cases: yaml.SequenceNode) -> int:
    """Offset behind the last case's last line; blank lines and comments after it belong to what follows."""
    last: yaml.Node = cases
    while isinstance(last, yaml.SequenceNode | yaml.MappingNode) and last.value and not last.flow_style:
        last = last.value[-1] if isinstance(last, yaml.SequenceNode) else last.value[-1][1]
    lines = text.splitlines(keepends=True)
    # A block's end mark stands behind trailing blank lines and comments: go back to its last own line.
    number = last.end_mark.line + (1 if last.end_mark.column > 0 else 0)
    number = max(number, last.start_mark.line + 1)
    while number > last.start_mark.line + 1 and not lines[number - 1].strip():
        number -= 1
    return len("".join(lines[:number]))


def case_text(case: Mapping[str, Any], indent: str) -> str:
    """A case as YAML list item: block text for prompts of several lines, one line for each check."""
    lines: list[str] = []
    for key, value in case.items():
        lines += _entry(key, value)
    return "".join(
        f"{indent}{'- ' if number == 0 else '  '}{line}\n" if line else "\n"
        for number, line in enumerate(lines)
    )


def _entry(key: str, value: Any) -> list[str]:
    if isinstance(value, str) and "\n" in value and value == value.strip() and _is_plain(value):
        return [f"{key}: |", *(f"  {line}" if line.strip() else "" for line in value.split("\n"))]
    if key == "checks" and isinstance(value, list):
        return ["checks:", *(f"  - {_flow(check)}" for check in value)]
    return [f"{key}: {_flow(value)}"]


def _flow(value: Any) -> str:
    """A value on one line; plain words are left bare, as a person would write them."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(item) for item in value) + "]"
    if isinstance(value, str) and value.replace("-", "").isalpha() and value.isascii():
        bare = yaml.safe_load(value)
        if bare == value:
            return value
    if isinstance(value, str):
        return yaml.safe_dump(value, default_style='"', allow_unicode=True, width=math.inf).rstrip("\n")
    return json.dumps(value)


def _is_plain(text: str) -> bool:
    """Whether block text can hold it: YAML allows no control characters there."""
    return all(character.isprintable() or character == "\n" for character in text)
