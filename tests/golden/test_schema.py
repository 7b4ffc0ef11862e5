"""The JSON Schema for editors agrees with the loader."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from harness.golden.editor_schema import golden_schema
from harness.golden.load import load_golden_set
from harness.golden.schema import check_names

ROOT = Path(__file__).parents[2]
SHIPPED = sorted(p for p in (ROOT / "golden_sets").rglob("*.yaml") if p.parent.name != "judge")


def test_the_committed_schema_is_the_models_own():
    """Renew it with ``tunegate golden schema --write golden_sets/schema.json``."""
    assert json.loads((ROOT / "golden_sets" / "schema.json").read_text()) == golden_schema()


def test_every_check_type_has_its_keys():
    names = [
        branch["properties"]["type"]["const"] for branch in golden_schema()["$defs"]["CheckYaml"]["oneOf"]
    ]
    assert names == check_names()


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_sets_load_and_validate(path):
    assert load_golden_set(path).cases
    jsonschema.validate(yaml.safe_load(path.read_text()), golden_schema())


@pytest.mark.parametrize(
    "case",
    [
        {"id": "a", "prompt": "p", "checks": [{"type": "contains", "valu": "x"}]},
        {"id": "a", "prompt": "p", "checks": [{"type": "f1", "threshold": 2}]},
        {"id": "a", "prompt": "p", "messages": [], "checks": [{"type": "is-json"}]},
        {"id": "a b", "prompt": "p", "checks": [{"type": "is-json"}]},
    ],
)
def test_the_schema_refuses_what_the_loader_refuses(case):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"name": "x", "cases": [case]}, golden_schema())
