"""JSON Schema of golden sets, for editors."""

from typing import Any, Literal

from pydantic import ConfigDict, Field, create_model

from harness.golden.schema import CHECK_TYPES, GenerationYaml, GoldenSetYaml, check_names
from harness.golden.transforms import PLAIN_STEPS, STEPS_WITH_TEXT
from harness.registry import Metric
from harness.registry.metric import CommonOptions


def golden_schema() -> dict[str, Any]:
    """JSON Schema of a golden set for editors, each check type with its own keys."""
    schema = GoldenSetYaml.model_json_schema()
    schema["$defs"]["TransformYaml"] = _transform_schema()
    schema["$defs"]["CheckYaml"] = {
        "description": "A check.",
        "oneOf": [_check_schema(name, CHECK_TYPES[name.removeprefix("not-")]) for name in check_names()],
    }
    generation = GenerationYaml.model_json_schema()
    schema["$defs"]["CaseYaml"]["properties"]["generation"] = {
        "type": "object",
        "description": "Overrides of the set's generation settings.",
        "properties": generation["properties"],
        "additionalProperties": False,
    }
    # Validators as JSON Schema: a set has cases or includes them, a case has a prompt or messages.
    schema["anyOf"] = [{"required": ["cases"]}, {"required": ["include"]}]
    schema["$defs"]["CaseYaml"]["oneOf"] = [{"required": [key]} for key in ("prompt", "messages", "turns")]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


_WEIGHT = {
    "type": "number",
    "exclusiveMinimum": 0,
    "description": CommonOptions.model_fields["weight"].description,
}


def _transform_schema() -> dict[str, Any]:
    steps: list[dict[str, Any]] = [
        {"const": name, "description": meaning} for name, meaning in PLAIN_STEPS.items()
    ]
    steps += [
        {
            "type": "object",
            "properties": {name: {"type": "string", "minLength": 1, "description": meaning}},
            "required": [name],
            "additionalProperties": False,
        }
        for name, (meaning, _) in STEPS_WITH_TEXT.items()
    ]
    return {
        "description": CommonOptions.model_fields["transform"].description,
        "anyOf": [*steps, {"type": "array", "minItems": 1, "items": {"anyOf": steps}}],
    }


_VALUE_TYPES: dict[str, Any] = {
    "string": str,
    "pattern": str,
    "strings": list[str],
    "schema": dict[str, Any],
    "json": Any,
    "quantity": float | str,
    "texts": str | list[str],
}


def _check_schema(name: str, check: Metric) -> dict[str, Any]:
    keys: dict[str, Any] = {"type": (Literal[name], ...)}
    if check.value != "refused":
        kind = _VALUE_TYPES[check.value_type]
        keys["value"] = (kind, ... if check.value == "required" else None)
    if check.kind == "graded" and name == check.name:
        limits = Field(default=None, ge=check.minimum, le=check.maximum)
        keys["threshold"] = (float, limits)
    for key, field in check.options.model_fields.items():
        keys[key] = (field.annotation, Field(default=field.default, description=field.description))
    model: Any = create_model(name, __config__=ConfigDict(extra="forbid"), **keys)
    made: dict[str, Any] = model.model_json_schema()
    properties = made["properties"]
    if check.group:
        properties["checks"]["items"] = {"$ref": "#/$defs/CheckYaml"}
    elif check.reads_answer:
        properties.setdefault("transform", {"$ref": "#/$defs/TransformYaml"})
    properties.setdefault("weight", _WEIGHT)
    summary = check.summary if name == check.name else f"Not {check.name}. {check.summary}"
    return {"description": summary, **made}
