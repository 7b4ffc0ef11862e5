"""A golden set of chosen probes, as text."""

from collections.abc import Collection, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from harness.authoring.append import name_of
from harness.authoring.levels.families import LEVELS
from harness.authoring.render import case_text, flow_text
from harness.golden.load import build_golden_set, level_directory, load_golden_set
from harness.golden.yaml_lines import parse_yaml, parse_yaml_text
from harness.types import GoldenSet


@cache
def level_sets() -> tuple[GoldenSet, ...]:
    """The probes of all levels, the easiest first; they are read once."""
    return tuple(load_golden_set(level_directory() / f"{level}.yaml") for level in LEVELS)


def chosen_text(
    path: Path,
    ids: Collection[str],
    *,
    notes: Sequence[str],
    description: str,
    generation: Mapping[str, Any],
) -> tuple[str, GoldenSet]:
    """A golden set with some of the levels' probes.

    Args:
        path: The file that it is for; the set is named after it.
        ids: Of the chosen probes.
        notes: Lines of the comment at its top.
        description: What the set measures.
        generation: How they were asked, if not as by default: a gate has to ask them so.

    Returns:
        The file's text, and the set that it is.

    Raises:
        GoldenError: The set isn't valid.
    """
    head: dict[str, Any] = {"name": name_of(path), "description": description, "probes_forgetting": True}
    if generation:
        head["generation"] = dict(generation)
    lines = [
        *(f"# {note}" for note in notes),
        *(f"{key}: {flow_text(value)}" for key, value in head.items()),
        "cases:",
    ]
    cases = [
        case_text(case, "  ")
        for level in LEVELS
        for case in parse_yaml(level_directory() / f"{level}.yaml").data["cases"]
        if case["id"] in ids
    ]
    text = "\n".join(lines) + "\n" + "".join(cases)
    return text, build_golden_set(parse_yaml_text(path, text))
