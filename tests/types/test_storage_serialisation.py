"""Dataclasses as JSON text and back: nothing is lost, nothing is repaired, damage is told."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import pytest
from pydantic import BaseModel

from harness.types.storage import DamagedFactsError, decode, encode, finite_facts, plain, to_json


class Colour(StrEnum):
    RED = "red"


class Notes(BaseModel):
    """A file's model."""

    a: int = 1
    b: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    value: float
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outer:
    text: str
    inner: tuple[Inner, ...] = ()
    by_name: Mapping[str, Inner | None] = field(default_factory=dict)
    colour: Colour = Colour.RED
    notes: Notes | None = None


WHOLE = Outer(
    text="naïve 日本 \ud800 \x00",
    inner=(Inner(value=0.1, names=("a", "")), Inner(value=-0.0)),
    by_name={"lone \udcff": Inner(value=1e308), "none": None},
    notes=Notes(b=3),
)


def test_what_is_written_is_read_again():
    text = encode(WHOLE)
    assert text.isascii()
    assert decode(Outer, text) == WHOLE
    assert decode(Outer, text).by_name.keys() == WHOLE.by_name.keys()


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, 5e-324, 2.0**53 + 2])
def test_each_number_survives(value):
    again = decode(Inner, encode(Inner(value=value))).value
    assert again == value or (math.isnan(again) and math.isnan(value))


def test_a_file_s_model_is_stored_as_its_file_holds_it():
    """A key that the file leaves out stays out."""
    assert plain(WHOLE)["notes"] == {"b": 3}
    assert plain({"list": [Notes()]}) == {"list": [{}]}


def test_other_programs_get_no_number_that_json_lacks():
    facts = finite_facts({"x": (Inner(value=math.nan), [math.inf]), "y": 1.0})
    assert facts == {"x": [{"value": None, "names": []}, [None]], "y": 1.0}
    assert json.loads(to_json({"x": Inner(value=-math.inf)})) == {"x": {"value": None, "names": []}}


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"value": "x"}', '{"text": 3}', "null", "[" * 5000, '{"value": 1' + "0" * 5000 + "}"],
)
def test_a_damaged_text_is_one_error(text):
    with pytest.raises(DamagedFactsError) as caught:
        decode(Inner, text)
    assert "\n" not in str(caught.value)


def test_what_is_wrong_in_a_text_is_told_with_its_place():
    with pytest.raises(DamagedFactsError, match=r"^value: Input should be a valid number"):
        decode(Inner, '{"value": "x"}')
    with pytest.raises(DamagedFactsError, match=r"^names\.1: Input should be a valid string$"):
        decode(Inner, '{"value": 1, "names": ["a", 3]}')
