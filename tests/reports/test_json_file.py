"""The JSON file holds the record whole, under a version, and is strict JSON whatever the texts hold."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from pydantic import TypeAdapter

from harness.types import GateRecord
from reports.json_file import SCHEMA_VERSION, record_schema, render_json


def test_the_record_comes_back_as_it_was(invented: Callable[..., GateRecord]) -> None:
    record = invented(lost=3, errored=1, probes_lost=2)
    fields = json.loads(render_json(record))
    assert fields.pop("schema_version") == SCHEMA_VERSION
    assert fields.pop("summary").startswith(record.verdict.outcome.upper())
    assert TypeAdapter(GateRecord).validate_python(fields) == record


def test_the_verdict_is_where_programs_look_for_it(invented: Callable[..., GateRecord]) -> None:
    assert json.loads(render_json(invented(orders=60, lost=25)))["verdict"]["outcome"] == "regress"


def test_without_a_baseline_the_other_parts_are_null(invented: Callable[..., GateRecord]) -> None:
    fields = json.loads(render_json(invented(compared=False)))
    assert list(fields) == ["schema_version", "summary", "run", "baseline", "comparison", "verdict", "sha256"]
    assert fields["baseline"] is fields["comparison"] is fields["verdict"] is None


def test_numbers_that_are_not_finite_become_null(invented: Callable[..., GateRecord]) -> None:
    """A training run that diverged has NaN among its losses, which JSON doesn't know."""
    record = invented(training={"losses": [1.0, math.nan, {"step": 3, "loss": math.inf}]})

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    fields = json.loads(render_json(record), parse_constant=refuse)
    assert fields["run"]["model"]["training"]["losses"] == [
        {"step": 1, "loss": 1.0},
        {"step": 2, "loss": None},
        {"step": 3, "loss": None},
    ]


def test_a_lone_surrogate_survives_as_ascii(invented: Callable[..., GateRecord]) -> None:
    record = invented()
    record = replace(record, run=replace(record.run, id="a\ud800b"))
    text = render_json(record)
    assert text.isascii()
    assert json.loads(text)["run"]["id"] == "a\ud800b"


def test_the_published_schema_is_todays() -> None:
    """A new field of a record changes it."""
    page = Path(__file__).parents[2] / "docs" / "schemas" / f"gate-{SCHEMA_VERSION}.json"
    known = json.loads(page.read_text(encoding="utf-8")) == record_schema()
    assert known, (
        f"renew it: tunegate report latest --json-schema > {page.relative_to(Path(__file__).parents[2])}"
    )


@pytest.mark.parametrize(
    "facts", [{"lost": 3, "errored": 1, "probes_lost": 2}, {"orders": 60, "lost": 25}, {"compared": False}]
)
def test_a_record_is_valid_under_the_schema(
    invented: Callable[..., GateRecord], facts: dict[str, object]
) -> None:
    fields = json.loads(render_json(invented(**facts)))
    jsonschema.validate(fields, record_schema())
    fields.pop("summary")
    with pytest.raises(jsonschema.ValidationError, match="'summary' is a required property"):
        jsonschema.validate(fields, record_schema())
