"""The types of settings: how their texts are parsed, and the allowed values."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from pydantic import BeforeValidator, Field

from harness.types import RESERVED_KWARGS, JsonValue

_MOST_CONFIRMATIONS = 100
_MOST_LOOKS = 20
_KEPT = re.compile(r"([1-9]\d{0,8})(d?)")
# The kind of a judge, and the start of what it judges with; one letter is a drive of Windows.
_SPEC = r"[a-z][a-z0-9-]+:\S"


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """The option of one setting.

    Attributes:
        flag: The pytest option; None for a setting that only pyproject.toml and the environment have.
        help: Its description in ``--help`` and the reference page.
        metavar: The name of its value; None for an option without one.
        repeated: Whether the option may be given several times.
    """

    flag: str | None
    help: str
    metavar: str | None = None
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class AllowedValues:
    """The allowed values of a type, for messages."""

    text: str


def _switch(value: object) -> object:
    """Refuse numbers: a file that says 1 doesn't say true. The texts of options and variables are read."""
    return value if isinstance(value, bool | str) else "no switch"


def _number(value: object) -> object:
    """Refuse true and false as numbers: in Python they equal 1 and 0."""
    return "no number" if isinstance(value, bool) else value


def _whole(value: object) -> object:
    """Refuse 3.0 too."""
    return "no whole number" if isinstance(value, bool | float) else value


def _workers(value: object) -> object:
    """None for ``auto``."""
    return None if value == "auto" else _whole(value)


def _paths(value: object) -> object:
    """Paths as one text, as in PATH."""
    return tuple(part for part in value.split(os.pathsep) if part) if isinstance(value, str) else value


def _models(value: object) -> object:
    """One name, or a JSON list: any other separator may be in a name (``hf:org/name``, ``C:/a b``)."""
    if not isinstance(value, str):
        return value
    listed = _json_list(value)
    # An empty variable must not silently switch the gate off.
    return ((value,) if value.strip() else None) if listed is None else listed or None


def _json_list(text: str) -> list[object] | None:
    """A JSON list; None for any other text."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, list) else None


def _words(value: object) -> object:
    """A JSON list, or words."""
    if not isinstance(value, str):
        return value
    listed = _json_list(value)
    return tuple(value.split()) if listed is None else listed


def _judges(value: object) -> object:
    """A JSON list, or specs with a space in front of each kind: the path of a judge may have spaces too."""
    specs = value
    if isinstance(value, str):
        listed = _json_list(value)
        specs = re.split(rf"\s+(?={_SPEC})", value.strip()) if listed is None else listed
        specs = tuple(specs) or None
    if isinstance(specs, tuple | list):
        # The kinds are known after plug-ins are loaded: opening a judge checks them.
        return specs if all(re.match(_SPEC, str(spec)) for spec in specs) else None
    return specs


def _prices(value: object) -> object:
    """Two texts with a slash between them, or a list of numbers."""
    if isinstance(value, str):
        return tuple(value.split("/"))
    is_text = isinstance(value, list | tuple) and any(isinstance(each, str) for each in value)
    return "no prices" if is_text else value


def _kept_runs(value: object) -> object:
    """A number of runs and a number of days; either may be missing."""
    if value is None or isinstance(value, list | tuple):
        return value
    words = str(value).replace(" ", "").split(",")
    found = [_KEPT.fullmatch(word) for word in words]
    if isinstance(value, bool | float) or None in found:
        return "no number of runs or days"
    told = {each[2]: int(each[1]) for each in found if each is not None}
    return (told.get(""), told.get("d")) if len(told) == len(words) else "twice"


def _template_values(value: object) -> object:
    """A mapping, or JSON of a mapping; a value that isn't in JSON, such as a date of TOML, is a text."""
    try:
        values = json.loads(value) if isinstance(value, str) else value
        if not isinstance(values, Mapping):
            return None
        text = json.dumps(dict(values), default=str, allow_nan=False)
    except (RecursionError, ValueError):
        return None
    if taken := sorted(RESERVED_KWARGS & set(values)):
        raise ValueError(f"values that a template reads; {taken[0]} is not one")
    return json.loads(text)


DTYPES = ("auto", "float32", "bfloat16", "float16")
WEIGHTS = ("stored", "nf4")
ENGINES = ("transformers", "vllm", "ray[+vllm][:ADDRESS]")
FAIL_ON = ("regress", "inconclusive", "case")
Dtype: TypeAlias = Annotated[
    Literal["auto", "float32", "bfloat16", "float16"], AllowedValues(" | ".join(DTYPES))
]
EngineName: TypeAlias = Annotated[
    str, Field(pattern=r"^(transformers|vllm|ray(\+vllm)?(:\S+)?)$"), AllowedValues(" | ".join(ENGINES))
]
StoredWeights: TypeAlias = Annotated[Literal["stored", "nf4"], AllowedValues(" | ".join(WEIGHTS))]
FailOn: TypeAlias = Annotated[Literal["regress", "inconclusive", "case"], AllowedValues(" | ".join(FAIL_ON))]
# An empty path would be the project's folder, and an empty variable is no choice.
_WRITTEN, _NOT_EMPTY = Field(pattern=r"\S"), AllowedValues("a text that is not empty")
Text: TypeAlias = Annotated[str, _WRITTEN, _NOT_EMPTY]
OptionalText: TypeAlias = Annotated[str | None, _WRITTEN, _NOT_EMPTY]
Words: TypeAlias = Annotated[str, AllowedValues("a text")]
Switch: TypeAlias = Annotated[bool, BeforeValidator(_switch), AllowedValues("true | false")]
Paths: TypeAlias = Annotated[
    tuple[str, ...], BeforeValidator(_paths), Field(min_length=1), AllowedValues("a path or a list of paths")
]
OptionalPaths: TypeAlias = Annotated[
    tuple[str, ...] | None, BeforeValidator(_paths), AllowedValues("a path or a list of paths")
]
Models: TypeAlias = Annotated[
    tuple[str, ...],
    BeforeValidator(_models),
    AllowedValues('a directory or name, several as JSON such as ["adapters/a", "adapters/b"]'),
]
Judges: TypeAlias = Annotated[
    tuple[str, ...],
    BeforeValidator(_judges),
    AllowedValues("openai:MODEL@URL | local:MODEL | reward:DIR, several separated by spaces"),
]
Trackers: TypeAlias = Annotated[
    tuple[str, ...],
    BeforeValidator(_words),
    AllowedValues("mlflow | wandb | tensorboard | trackio, or one with :TARGET; several separated by spaces"),
]
Fraction: TypeAlias = Annotated[
    float | None,
    Field(ge=0, le=1, allow_inf_nan=False),
    BeforeValidator(_number),
    AllowedValues("a number from 0 to 1"),
]
Positive: TypeAlias = Annotated[
    int, Field(ge=1), BeforeValidator(_whole), AllowedValues("a whole number from 1")
]
Tokens: TypeAlias = Annotated[
    int | None, Field(ge=1), BeforeValidator(_whole), AllowedValues("a whole number from 1")
]
WorkerCount: TypeAlias = Annotated[
    int | None,
    Field(ge=1),
    BeforeValidator(_workers),
    AllowedValues("auto | a whole number from 1"),
]
Times: TypeAlias = Annotated[
    int,
    Field(ge=0, le=_MOST_CONFIRMATIONS),
    BeforeValidator(_whole),
    AllowedValues(f"a whole number from 0 to {_MOST_CONFIRMATIONS}"),
]
Looks: TypeAlias = Annotated[
    int,
    Field(ge=1, le=_MOST_LOOKS),
    BeforeValidator(_whole),
    AllowedValues(f"a whole number from 1 to {_MOST_LOOKS}"),
]
Seconds: TypeAlias = Annotated[
    float,
    Field(gt=0, allow_inf_nan=False),
    BeforeValidator(_number),
    AllowedValues("a number of seconds above 0"),
]
_Price: TypeAlias = Annotated[float, Field(ge=0, allow_inf_nan=False), BeforeValidator(_number)]
Prices: TypeAlias = Annotated[
    tuple[_Price, _Price] | None, BeforeValidator(_prices), AllowedValues("two numbers such as 0.15/0.60")
]
TemplateValues: TypeAlias = Annotated[
    Mapping[str, JsonValue],
    BeforeValidator(_template_values),
    AllowedValues('JSON such as {"enable_thinking": false}'),
]
KeptRuns: TypeAlias = Annotated[
    tuple[int | None, int | None] | None,
    BeforeValidator(_kept_runs),
    AllowedValues("a number of runs such as 200, of days such as 90d, or both: 200,90d"),
]


# Nodes of a Ray cluster with a server on each.
_RAY_VLLM = "ray+vllm"


def ray_address(engine: str) -> str | None:
    """The address of the Ray cluster that answers, empty for the usual one; None where none does.

    Args:
        engine: The engine's name.
    """
    kind, _, address = engine.partition(":")
    return address if kind in {"ray", _RAY_VLLM} else None


def runs_vllm(engine: str) -> bool:
    """Whether servers with vLLM's API run the models: one, or one on each node of a Ray cluster.

    Args:
        engine: The engine's name.
    """
    return engine.partition(":")[0] in {"vllm", _RAY_VLLM}
