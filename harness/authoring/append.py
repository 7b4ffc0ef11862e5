"""Adds a case to a golden set's text without changing the rest."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from harness.authoring.render import case_text, flow_text
from harness.errors import GoldenError
from harness.golden.load import INCLUDED, build_golden_set
from harness.golden.yaml_lines import Document, composed, parse_yaml, parse_yaml_text
from harness.types import GoldenCase, GoldenSet
from harness.types.storage import one_writer, write_whole

_INDENT = "  "


def append_case(path: Path, case: Mapping[str, Any]) -> GoldenSet:
    """Add a case after the last one; comments, order, quoting and every other byte stay unchanged.

    Args:
        path: The golden set; created if it doesn't exist.
        case: The case's keys as in the YAML.

    Returns:
        The set with the new case.

    Raises:
        GoldenError: The set, or the case in it, is not valid, or the file can't be written; the file is
            unchanged.
    """
    try:
        # Another process may be adding a case too: none is lost between reading and writing.
        with one_writer(path):
            text, golden_set = with_case(path, case)
            write_whole(path, text)
    except OSError as error:
        raise GoldenError(path, None, "", f"can't be written: {error.strerror}") from error
    return golden_set


def with_case(path: Path, case: Mapping[str, Any]) -> tuple[str, GoldenSet]:
    """The text of a golden set with one more case, and the resulting set.

    Nothing is written, so this also shows the complete case: its messages with the set's system message, its
    generation settings, its checks with the set's defaults.

    Args:
        path: The golden set's file; a new set is named after it.
        case: The case, with the keys of the YAML format.

    Returns:
        The text, and the set that is read from it.

    Raises:
        GoldenError: The set, or the case in it, is not valid, or the case can't be added.
    """
    if not path.exists():
        name = "" if _is_part(path) else f"name: {flow_text(name_of(path))}\n"
        text = f"{name}cases:\n{case_text(case, _INDENT)}"
        return text, _built(parse_yaml_text(path, text))
    document = parse_yaml(path)
    cases = _cases_node(document)
    own = [] if cases is None else document.data["cases"] or []
    old = _built(document) if own or cases is None else None
    # White space at the end may or may not belong to the last case's text: the version that loads equally is
    # right.
    for text in _candidates(document, cases, case):
        new = parse_yaml_text(path, text)
        made = Document(path, text, {**document.data, "cases": [*own, dict(case)]}, new.lines)
        golden_set = _built(new)
        same = old is None or _alike(old, golden_set)
        if same and golden_set == _built(made):
            return text, golden_set
    line = cases.start_mark.line + 1 if cases and cases.start_mark else None
    raise GoldenError(path, line, "cases", "a case can't be added without changing others", "- id: … by hand")


def name_of(path: Path) -> str:
    """A set's name, made from its file's name."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).strip("-._") or "cases"


def cases_of_last(golden_set: GoldenSet) -> tuple[GoldenCase, ...]:
    """The cases of a set's last entry: one, or one for each combination of its variables."""
    last = golden_set.cases[-1]
    return tuple(case for case in golden_set.cases if (case.file, case.line) == (last.file, last.line))


def _is_part(path: Path) -> bool:
    """Whether a file is a part of the sets that include it."""
    return path.name.startswith(INCLUDED)


def _built(document: Document) -> GoldenSet:
    """The document's set; a part is read as a set of its own, without the defaults of others."""
    if not _is_part(document.path) or not isinstance(document.data, dict):
        return build_golden_set(document)
    data = {"name": name_of(document.path), **document.data}
    return build_golden_set(Document(document.path, document.text, data, document.lines))


def _alike(old: GoldenSet, new: GoldenSet) -> bool:
    """Whether the new set is the old one with one more entry, and all cases keep their lines."""
    kept = new.cases[: len(old.cases)]
    return replace(new, cases=kept, content_sha256=old.content_sha256) == old


def _cases_node(document: Document) -> yaml.Node | None:
    """The list of cases; an empty list may be missing. None in a set that only includes cases."""
    path, root = document.path, composed(document)
    pairs: list[tuple[yaml.Node, yaml.Node]] = root.value if isinstance(root, yaml.MappingNode) else []
    in_brackets = isinstance(root, yaml.MappingNode) and root.flow_style
    for key, value in pairs:
        if key.value != "cases":
            continue
        if isinstance(value, yaml.SequenceNode) and (value.flow_style or in_brackets):
            line = value.start_mark.line + 1
            raise GoldenError(
                path, line, "cases", "the list is written in brackets", "one case per line, with -"
            )
        if isinstance(value, yaml.SequenceNode) or document.data["cases"] is None:
            return value
    if not in_brackets and isinstance(document.data, dict) and document.data.get("include"):
        return None
    raise GoldenError(path, None, "cases", "there is no list of cases to add to", "cases: as a list")


def _candidates(document: Document, cases: yaml.Node | None, case: Mapping[str, Any]) -> Iterator[str]:
    """The text with the case after the last one's own lines, then after its blank lines."""
    text, lines = document.text, document.text.splitlines(keepends=True)
    line_break = next((end for end in ("\r\n", "\n", "\r") if end in text), "\n")
    if cases is None:
        gap = "" if text.endswith(("\n", "\r")) else line_break
        yield text + gap + f"cases:\n{case_text(case, _INDENT)}".replace("\n", line_break)
        return
    indent = " " * cases.start_mark.column if cases.value else _INDENT
    added = case_text(case, indent).replace("\n", line_break)
    for number in dict.fromkeys(_ends(cases, lines)):
        before = "".join(lines[:number])
        gap = "" if not before or before.endswith(("\n", "\r")) else line_break
        yield before + gap + added + "".join(lines[number:])


def _ends(cases: yaml.Node, lines: list[str]) -> Iterator[int]:
    """Possible numbers of lines before the new case, the likeliest first."""
    last = cases
    while isinstance(last, yaml.SequenceNode | yaml.MappingNode) and last.value and not last.flow_style:
        last = last.value[-1] if isinstance(last, yaml.SequenceNode) else last.value[-1][1]
    least = last.start_mark.line + 1
    whole = max(last.end_mark.line + (1 if last.end_mark.column > 0 else 0), least)
    # A block's end mark comes after trailing blank lines: go back to its last own line.
    number = min(whole, len(lines))
    while number > least and not lines[number - 1].strip():
        number -= 1
    yield number
    yield whole
