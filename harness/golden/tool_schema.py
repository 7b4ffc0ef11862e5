"""The YAML of a tool that the model may call, in our form or in that of OpenAI's API, and of a call."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from harness.types import JsonValue

Text = Annotated[str, Field(min_length=1)]
# Unknown keys are refused, and types are not converted.
STRICT = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, defer_build=True)


class ToolCallYaml(BaseModel):
    """A call of a tool."""

    model_config = STRICT

    name: Annotated[Text, Field(description="The tool.")]
    arguments: Annotated[dict[str, JsonValue], Field(description="Its arguments.")] = {}


def _in_openais_form(schema: dict[str, Any]) -> None:
    """Also the form of OpenAI's API, for editors."""
    own = {key: schema.pop(key) for key in list(schema)}
    function = {**own, "properties": {**own["properties"], "strict": {"type": "boolean"}}}
    wrapped = {"type": {"const": "function"}, "function": function}
    schema["anyOf"] = [own, {"properties": wrapped, "required": list(wrapped)}]


class ToolYaml(BaseModel):
    """A tool that the model may call."""

    model_config = ConfigDict(**{**STRICT, "json_schema_extra": _in_openais_form})

    name: Annotated[Text, Field(description="Its name.")]
    description: Annotated[str, Field(description="What it does.")] = ""
    parameters: Annotated[dict[str, JsonValue], Field(description="JSON Schema of its arguments.")] = {
        "type": "object",
        "properties": {},
    }

    @model_validator(mode="before")
    @classmethod
    def _of_openai(cls, given: Any) -> Any:
        """A tool as OpenAI's API takes it; ``strict`` is for its server."""
        if isinstance(given, dict) and given.get("type") == "function":
            given = {key: item for key, item in given.items() if key != "type"}
            given = given["function"] if list(given) == ["function"] else given
        is_bool = isinstance(given, dict) and isinstance(given.get("strict"), bool)
        return {key: given[key] for key in given if key != "strict"} if is_bool else given
