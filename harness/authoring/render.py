"""A case as readable YAML: bare words, block texts, one line per check."""

import re
from collections.abc import Mapping
from typing import Any

import yaml

from tunegate.yaml_scalars import is_bare_text

_WIDTH = 100
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
# Loading drops the last line break of these texts, so they may be written with a bare |.
_LOOSE = frozenset({"prompt", "system"})


def case_text(case: Mapping[str, Any], indent: str) -> str:
    """A case as an item of a YAML list, with line feeds as line ends.

    Args:
        case: Its keys, as in the YAML.
        indent: The spaces before the item's dash.
    """
    lines = [line for key, value in case.items() for line in _entry(key, value, loose=key in _LOOSE)]
    return "".join(f"{indent}{line}\n" if line else "\n" for line in _itemised(lines))


def _entry(key: str, value: Any, *, loose: bool = False) -> list[str]:
    """A key with its value: on one line, or as a block if it is long."""
    name = _scalar(key)
    if _is_block_text(value):
        return [f"{name}: {'|' if loose else '|-'}", *_indented(value.split("\n"))]
    flow = f"{name}: {flow_text(value)}"
    if not value or not isinstance(value, Mapping | list):
        return [flow]
    if key != "checks" and len(flow) <= _WIDTH and not _holds_block_text(value):
        return [flow]
    if isinstance(value, Mapping):
        return [f"{name}:", *_indented(_entries(value))]
    return [f"{name}:", *_indented([line for item in value for line in _item(item)])]


def _entries(mapping: Mapping[str, Any]) -> list[str]:
    return [line for key, value in mapping.items() for line in _entry(key, value)]


def _item(value: Any) -> list[str]:
    if _is_block_text(value):
        return ["- |-", *_indented(value.split("\n"))]
    flow = f"- {flow_text(value)}"
    if isinstance(value, Mapping) and value and (len(flow) > _WIDTH or _holds_block_text(value)):
        return _itemised(_entries(value))
    return [flow]


def _itemised(lines: list[str]) -> list[str]:
    """Lines of a mapping as one item of a list."""
    first, *rest = lines
    return [f"- {first}", *_indented(rest)]


def _indented(lines: list[str]) -> list[str]:
    return [f"  {line}" if line else "" for line in lines]


def _is_block_text(value: Any) -> bool:
    """Whether ``|`` can represent it: no outer white space, no control characters, no line of only spaces."""
    return (
        isinstance(value, str)
        and "\n" in value
        and value == value.strip()
        and all(not line or bool(line.strip()) for line in value.split("\n"))
        and all(character.isprintable() or character in "\n\t" for character in value)
    )


def _holds_block_text(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_is_block_text(item) or _holds_block_text(item) for item in value.values())
    return isinstance(value, list) and any(_is_block_text(item) or _holds_block_text(item) for item in value)


def flow_text(value: Any) -> str:
    """A value on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_scalar(key)}: {flow_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(flow_text(item) for item in value) + "]"
    return _scalar(value)


def _scalar(value: Any) -> str:
    """A text, number, boolean or null; a text is bare if YAML reads it as the same text."""
    if isinstance(value, str):
        if _WORD.fullmatch(value) and is_bare_text(value):
            return value
        if '"' in value and value.isprintable():
            return "'" + value.replace("'", "''") + "'"
        return _dumped(value, '"')
    if isinstance(value, bool | int | float) or value is None:
        return _dumped(value, None)
    raise TypeError(f"{value!r} is not allowed in a golden set")


def _dumped(value: Any, style: str | None) -> str:
    text = yaml.safe_dump(value, default_style=style, allow_unicode=True, width=float("inf"))
    return text.removesuffix("\n").removesuffix("\n...")
