"""A case is written as a person would write it, and reads back as it is."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from harness.authoring.render import case_text


def test_a_case_as_it_stands_in_the_file():
    case = {
        "id": "bob-4",
        "prompt": "Line one\n\n  line two: {x}",
        "references": ['{"a": "it\'s"}', "one\ntwo"],
        "checks": [
            {"type": "json-equals"},
            {"type": "contains", "value": "a: b"},
            {"type": "contains-any", "value": ["yes", "maybe"]},
            {
                "type": "is-json",
                "value": {
                    "type": "object",
                    "properties": {"name": {"type": "string"}, "no": {"type": "integer"}},
                    "required": ["name", "no"],
                },
            },
        ],
        "tags": ["sums"],
        "must_pass": True,
    }
    assert (
        case_text(case, "  ")
        == """\
  - id: bob-4
    prompt: |
      Line one

        line two: {x}
    references:
      - '{"a": "it''s"}'
      - |-
        one
        two
    checks:
      - {type: json-equals}
      - {type: contains, value: "a: b"}
      - {type: contains-any, value: ["yes", maybe]}
      - type: is-json
        value:
          type: object
          properties: {name: {type: string}, "no": {type: integer}}
          required: [name, "no"]
    tags: [sums]
    must_pass: true
"""
    )


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=10,
)


@given(case=st.dictionaries(st.text(max_size=8), VALUES, min_size=1, max_size=4))
def test_any_case_reads_back(case):
    """Two keys' texts may have gained a last line break, which loading drops."""
    (read,) = yaml.safe_load(case_text(case, "  "))
    loose = {
        key: value.removesuffix("\n") if key in {"prompt", "system"} and isinstance(value, str) else value
        for key, value in read.items()
    }
    wanted = {
        key: value.removesuffix("\n") if key in {"prompt", "system"} and isinstance(value, str) else value
        for key, value in case.items()
    }
    assert loose == wanted


def test_what_yaml_does_not_know_is_refused():
    with pytest.raises(TypeError, match="is not allowed in a golden set"):
        case_text({"id": object()}, "")
