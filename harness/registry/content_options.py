"""The further keys of the checks in ``content_metrics``."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from harness.registry.metric import Options
from harness.types import JsonValue

Words = Annotated[str, Field(min_length=1)]
Dialect = Literal[
    "bigquery",
    "clickhouse",
    "databricks",
    "duckdb",
    "hive",
    "mysql",
    "oracle",
    "postgres",
    "presto",
    "redshift",
    "snowflake",
    "spark",
    "sqlite",
    "trino",
    "tsql",
]
Statement = Literal["select", "insert", "update", "delete", "merge", "create", "alter", "drop"]


class GroupOptions(Options):
    """Keys of ``any-of`` and ``all-of``."""

    checks: Annotated[
        list[dict[str, JsonValue]],
        Field(min_length=1, description="The checks of the group; each must decide."),
    ]


class JsonPathOptions(Options):
    """Keys of ``json-path``."""

    path: Annotated[str, Field(min_length=1, description="JSONPath (RFC 9535), such as $.items[0].name.")]
    tolerance: Annotated[float, Field(ge=0, description="Largest absolute difference of two numbers.")] = 0.0


class LikelihoodOptions(Options):
    """Keys of ``choice-likelihood``."""

    choices: Annotated[list[Words], Field(min_length=2, max_length=26, description="The options' texts.")]
    normalise: Annotated[
        Literal["none", "characters", "bytes"],
        Field(description="characters, bytes: likelihoods are compared per character or byte."),
    ] = "none"

    @model_validator(mode="after")
    def _different(self) -> "LikelihoodOptions":
        if len(set(self.choices)) < len(self.choices):
            raise ValueError("two choices are the same")
        return self


class SqlOptions(Options):
    """Keys of ``is-sql``."""

    dialect: Annotated[Dialect | None, Field(description="The database; a general SQL without it.")] = None
    statements: Annotated[
        list[Statement] | None, Field(min_length=1, description="Allowed statements; all without it.")
    ] = None
    tables: Annotated[
        list[Words] | None, Field(min_length=1, description="Allowed tables; all without it.")
    ] = None


class NumericOptions(Options):
    """Keys of ``numeric``."""

    tolerance: Annotated[
        float, Field(ge=0, description="Largest absolute difference, in the value's unit.")
    ] = 0.0
    relative: Annotated[float, Field(ge=0, description="Largest difference as a share of the value.")] = 0.0
    pick: Annotated[
        Literal["only", "first", "last"], Field(description="Which number of the answer counts.")
    ] = "only"
    decimal: Annotated[Literal[".", ","], Field(description="The decimal mark of answer and value.")] = "."


class ChoiceOptions(Options):
    """Keys of ``multiple-choice``."""

    choices: Annotated[
        dict[str, Words] | list[Words],
        Field(description="The options by letter; a list is lettered A, B, C and so on."),
    ]

    @model_validator(mode="after")
    def _told_apart(self) -> "ChoiceOptions":
        named = self.choices if isinstance(self.choices, dict) else dict.fromkeys(map(str, self.choices), "")
        if not 2 <= len(self.choices) <= 26:
            raise ValueError(f"{len(self.choices)} choices (allowed: 2 to 26)")
        if isinstance(self.choices, dict):
            if wrong := [name for name in named if len(name) != 1 or not name.isalnum()]:
                raise ValueError(f"the choice {wrong[0]!r} is not one letter or digit")
            texts = list(self.choices.values())
        else:
            texts = self.choices
        if len({" ".join(text.casefold().split()) for text in texts}) < len(texts):
            raise ValueError("two choices are the same")
        return self


class CostOptions(Options):
    """Keys of ``cost``."""

    prompt_price: Annotated[float, Field(ge=0, description="Price of a million tokens of prompts.")] = 0.0
    completion_price: Annotated[float, Field(ge=0, description="Price of a million tokens of answers.")] = 0.0

    @model_validator(mode="after")
    def _some_price(self) -> "CostOptions":
        if not self.prompt_price and not self.completion_price:
            raise ValueError("give prompt_price, completion_price or both")
        return self


class CodeOptions(Options):
    """Keys of ``code``."""

    timeout: Annotated[float, Field(gt=0, le=600, description="Most seconds for the code and its tests.")] = (
        10.0
    )
    memory: Annotated[int, Field(ge=64, le=65536, description="Most memory, in megabytes.")] = 1024


class ToolCallsOptions(Options):
    """Keys of ``tool-calls``."""

    ordered: Annotated[bool, Field(description="The calls come in this order.")] = False
    others: Annotated[bool, Field(description="Further calls are allowed.")] = False


class ClassificationOptions(Options):
    """Keys of ``classification``."""

    labels: Annotated[list[Words], Field(min_length=2, description="All labels.")]

    @model_validator(mode="after")
    def _different(self) -> "ClassificationOptions":
        if len({" ".join(label.casefold().split()) for label in self.labels}) < len(self.labels):
            raise ValueError("two labels are the same")
        return self
