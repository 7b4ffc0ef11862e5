"""The JSON file holds the record whole, under a version, and is strict JSON whatever the texts hold."""

import json
import math
from collections.abc import Callable
from dataclasses import replace

from pydantic import TypeAdapter

from harness.types import GateRecord
from reports.json_file import SCHEMA_VERSION, render_json


def test_the_record_comes_back_as_it_was(invented: Callable[..., GateRecord]) -> None:
    record = invented(lost=3, errored=1, probes_lost=2)
    fields = json.loads(render_json(record))
    assert fields.pop("schema_version") == SCHEMA_VERSION
    assert TypeAdapter(GateRecord).validate_python(fields) == record


def test_the_verdict_is_where_programs_look_for_it(invented: Callable[..., GateRecord]) -> None:
    assert json.loads(render_json(invented(orders=60, lost=25)))["verdict"]["outcome"] == "regress"


def test_without_a_baseline_the_other_parts_are_null(invented: Callable[..., GateRecord]) -> None:
    fields = json.loads(render_json(invented(compared=False)))
    assert list(fields) == ["schema_version", "run", "baseline", "comparison", "verdict"]
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
