"""The measured outcomes, and docs/compatibility.md that shows them."""

import json
import re
from collections import Counter
from importlib import metadata
from pathlib import Path

from tests.conformance.families import FAMILIES
from tests.conformance.kinds import KINDS
from tests.conformance.outcomes import EQUAL, NOT_MADE, REFUSED

ROOT = Path(__file__).parents[2]
OUTCOMES = Path(__file__).parent / "outcomes.json"
PAGE = ROOT / "docs" / "compatibility.md"
ALONE = "by itself"
_LIBRARIES = ("torch", "transformers", "peft")

_HEAD = """\
# Compatibility

Each side's answers equal those of a bare transformers + PEFT script for that model: one prompt at a time, greedy, in
float32, freshly loaded. Or the model is refused in one line (exit status 4) before anything is scored.

This page is written by `make conformance`, which makes a tiny model of each family and an adapter of each kind, answers
with both the bare script and the gate, and compares the texts: the adapter's and its base's, beside a plain adapter,
from the cache, and those of a plain adapter that is gated afterwards. {measured} combinations of {all} were measured:
{equal} equal, {refused} refused, {not_made} that PEFT itself can't make; none differs. Measured with {versions}.

The report says how each side was run: *mixed* batches with the others, *separate* ones, or a *single* prompt at a
time by the library's own `generate`, for models and adapters that can't be batched. Sides share one copy of the base
where asking shows that this changes no answer; else each has its own, and weights that are equal in all copies are stored
once.

Measured on the CPU. On other devices adapters of the kinds adamss and psoft are refused: what they act on is stored in no
file, PEFT computes it from the base at each load, and each device computes another one.
"""


def load_outcomes() -> dict[str, dict[str, list[str]]]:
    """Word and detail of each combination, by family and kind."""
    return json.loads(OUTCOMES.read_text(encoding="utf-8"))["outcomes"]


def store_outcomes(measured: dict[str, dict[str, list[str]]]) -> None:
    """Store what was measured in place of what was before, and write the page."""
    stored = load_outcomes() if OUTCOMES.is_file() else {}
    columns = [ALONE, *(kind.name for kind in KINDS)]
    outcomes = {}
    for family in FAMILIES:
        row = {**stored.get(family.name, {}), **measured.get(family.name, {})}
        outcomes[family.name] = {name: row[name] for name in columns if name in row}
    versions = {name: metadata.version(name).partition("+")[0] for name in _LIBRARIES}
    content = {"versions": versions, "outcomes": outcomes}
    OUTCOMES.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    PAGE.write_text(page_of(content), encoding="utf-8")


def page_of(content: dict) -> str:
    """The page as text."""
    outcomes = content["outcomes"]
    counts = Counter(word for row in outcomes.values() for word, _ in row.values())
    parts = [
        _HEAD.format(
            measured=sum(counts.values()),
            all=len(FAMILIES) * (len(KINDS) + 1),
            equal=counts[EQUAL],
            refused=counts[REFUSED],
            not_made=counts[NOT_MADE],
            versions=", ".join(f"{name} {version}" for name, version in content["versions"].items()),
        ),
        _families(outcomes),
        _kinds(outcomes),
        _refusals(outcomes),
    ]
    return "\n".join(parts)


def _families(outcomes) -> str:
    lines = [
        "## Families of models",
        "",
        "| family | configuration | chat template | by itself | kinds of adapters: equal | refused | can't be made |",
        "|---|---|---|---|--:|--:|--:|",
    ]
    for family in FAMILIES:
        row = outcomes[family.name]
        counts = Counter(word for kind, (word, _) in row.items() if kind != ALONE)
        template = (
            "none" if family.template is None else "its own" if "{" in family.template else family.template
        )
        lines.append(
            f"| {family.name} | `{family.config_class}` | {template} | {row[ALONE][0]} | {counts[EQUAL]} | "
            f"{counts[REFUSED]} | {counts[NOT_MADE]} |"
        )
    return "\n".join([*lines, ""])


def _kinds(outcomes) -> str:
    lines = [
        "## Kinds of adapters",
        "",
        "| kind | families measured | equal | refused in | PEFT can't make it for |",
        "|---|--:|--:|---|---|",
    ]
    for kind in KINDS:
        rows = {family.name: outcomes[family.name] for family in FAMILIES}
        found = {name: row[kind.name][0] for name, row in rows.items() if kind.name in row}
        equal = sum(word == EQUAL for word in found.values())
        lines.append(
            f"| {kind.name} | {len(found)} | {equal} | {_named(found, REFUSED)} | {_named(found, NOT_MADE)} |"
        )
    return "\n".join([*lines, ""])


def _named(found: dict[str, str], word: str) -> str:
    names = [name for name, each in found.items() if each == word]
    return "all" if len(names) == len(found) else ", ".join(names)


def _refusals(outcomes) -> str:
    lines = ["## What the refusals say", ""]
    said = Counter(detail for row in outcomes.values() for word, detail in row.values() if word == REFUSED)
    lines += [f"- {line} ({count})" for line, count in sorted(said.items())]
    return "\n".join([*lines, ""])


def without_places(line: str) -> str:
    """A refusal's line without paths, names of layers and numbers, which differ from run to run."""
    line = re.sub(r"\S*/(base|[\w-]+)(?=[:/ ])", "ADAPTER", line)
    return re.sub(r"\s+", " ", line)
