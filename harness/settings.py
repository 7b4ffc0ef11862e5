"""The gate's settings.

A flag wins over an environment variable, that over ``[tool.tunegate]``, that over the default. One table
names each setting once; options, environment variables, pyproject keys and the reference page follow it.
"""

import json
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, cast

from harness.errors import SettingsError
from harness.types import RESERVED_KWARGS, JsonValue

DTYPES = ("auto", "float32", "bfloat16", "float16")
_MOST_CONFIRMATIONS = 100
FAIL_ON = ("regress", "inconclusive", "case")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How one gate runs.

    Attributes:
        model: The candidates: each an adapter directory, model directory, catalogue name or hub id, or a
            directory of several adapters. Empty: no gate.
        baseline: ``base``, ``none``, another model, or a stored run.
        golden: Files and directories of golden sets, relative to the project's root.
        paths: What to collect besides golden sets when the command line names nothing.
        margin: Largest tolerated drop of every task set's pass rate; None leaves it to the sets.
        forgetting_margin: The same for the forgetting probes.
        forgetting: Whether the forgetting probes and the general text are run.
        dtype: Precision of the weights; ``auto`` is float32 on a CPU and bfloat16 on a GPU that has it.
        device: A torch device, or ``auto``.
        batch_tokens: Token budget of a batch.
        cache: Whether answers and scores are read from and written to the cache.
        fail_on: What fails the run besides errors and must-pass cases.
        confirm: How often what makes a regression is resampled, a side; 0 leaves it at the first verdict.
        directory: Where history, cache and reports are kept, relative to the project's root.
        chat_template_kwargs: Values for the models' chat templates, where a case gives none of that name.
        allow_python_checks: Whether ``python`` checks may run the project's own code.
        judge: Specs of the judge, or of an odd number of judges.
        judge_concurrency: Questions to a judge that are under way at a time.
        judge_timeout_s: Longest time for one attempt at a question, in seconds.
        judge_prices: Of a million prompt tokens and a million completion tokens; None: no cost is reported.
    """

    model: tuple[str, ...] = ()
    baseline: str = "base"
    golden: tuple[str, ...] = ("golden_sets",)
    paths: tuple[str, ...] = ()
    margin: float | None = None
    forgetting_margin: float | None = None
    forgetting: bool = True
    dtype: str = "auto"
    device: str = "auto"
    batch_tokens: int = 4096
    cache: bool = True
    fail_on: Literal["regress", "inconclusive", "case"] = "regress"
    confirm: int = 0
    directory: str = ".tunegate"
    accept: str | None = None
    accept_reason: str | None = None
    accept_dirty: bool = False
    chat_template_kwargs: Mapping[str, JsonValue] = field(default_factory=dict)
    allow_python_checks: bool = False
    judge: tuple[str, ...] = ()
    judge_concurrency: int = 8
    judge_timeout_s: float = 60.0
    judge_prices: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """How one setting is written down.

    Attributes:
        flag: The pytest option, or None for a setting that only pyproject.toml and the environment have.
        help: What it does, for ``--help`` and the reference page.
        parse: Turns the written text into the value; raises ValueError with what is allowed.
    """

    flag: str | None
    help: str
    parse: Callable[[str], object]
    metavar: str | None = None


def _fraction(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError("a number from 0 to 1") from None
    if not 0 <= value <= 1:
        raise ValueError("a number from 0 to 1")
    return value


def _positive(text: str) -> int:
    if not text.strip().isdecimal() or int(text) < 1:
        raise ValueError("a whole number from 1")
    return int(text)


def _count(text: str) -> int:
    if not text.strip().isdecimal() or int(text) > _MOST_CONFIRMATIONS:
        raise ValueError(f"a whole number from 0 to {_MOST_CONFIRMATIONS}")
    return int(text)


def _one_of(*allowed: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in allowed:
            raise ValueError(" | ".join(allowed))
        return text

    return parse


def boolean(text: str) -> bool:
    """True or false; on the command line the flag alone means true (--gate-no-..., false)."""
    known = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if text.lower() not in known:
        raise ValueError("true | false")
    return known[text.lower()]


def _paths(text: str) -> tuple[str, ...]:
    return tuple(part for part in text.split(os.pathsep) if part)


def _models(text: str) -> tuple[str, ...]:
    models = _paths(text)
    if not models:
        # Never silently no gate where one was asked for, such as by a variable that is empty.
        raise ValueError(f"a directory or name, several separated by {os.pathsep!r}")
    return models


def _judges(text: str) -> tuple[str, ...]:
    specs = tuple(text.split())
    # Which kinds there are is known once plug-ins are: opening a judge tells.
    if not specs or not all(re.match(r"[a-z][a-z0-9-]*:.", spec) for spec in specs):
        raise ValueError("openai:MODEL@URL | local:MODEL | reward:DIR, several separated by spaces")
    return specs


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError("a number of seconds above 0") from None
    if not 0 < value < float("inf"):
        raise ValueError("a number of seconds above 0")
    return value


def _template_values(text: str) -> dict[str, JsonValue]:
    try:
        values = dict(json.loads(text).items())
    except (ValueError, AttributeError):
        raise ValueError('JSON such as {"enable_thinking": false}') from None
    if taken := sorted(RESERVED_KWARGS & set(values)):
        raise ValueError(f"values that a template reads; {taken[0]} is none")
    return values


def _prices(text: str) -> tuple[float, float]:
    try:
        prompt, completion = (float(part) for part in text.split("/"))
    except ValueError:
        raise ValueError("two numbers such as 0.15/0.60") from None
    if not (0 <= prompt < float("inf") and 0 <= completion < float("inf")):
        raise ValueError("two numbers such as 0.15/0.60")
    return prompt, completion


SETTINGS: Mapping[str, Setting] = {
    "model": Setting(
        flag="--model",
        metavar="DIR|NAME",
        parse=_models,
        help="the candidate: an adapter directory, a model directory, a catalogue name or a hub id; "
        "repeated, or a directory of adapters: several, gated together and ranked",
    ),
    "baseline": Setting(
        flag="--gate-baseline",
        metavar="base|none|NAME|RUN|DIR",
        parse=str,
        help="compare with the adapter's base, nothing, an accepted or stored run, commit:REV, another model",
    ),
    "golden": Setting(
        flag="--gate-golden",
        metavar="PATH",
        parse=_paths,
        help="golden set or directory of them; may be repeated (default: golden_sets)",
    ),
    "paths": Setting(
        flag=None,
        parse=_paths,
        help="hand-written tests to run along when the command line names no path",
    ),
    "margin": Setting(
        flag="--gate-margin",
        metavar="DROP",
        parse=_fraction,
        help="largest tolerated drop of a task set's pass rate, 0 to 1 (default: the set's own, else 0.05)",
    ),
    "forgetting_margin": Setting(
        flag="--gate-forgetting-margin",
        metavar="DROP",
        parse=_fraction,
        help="the same for the forgetting probes (default: the set's own, else 0.10)",
    ),
    "forgetting": Setting(
        flag="--gate-no-forgetting",
        parse=boolean,
        help="leave out the forgetting probes and the general text",
    ),
    "dtype": Setting(
        flag="--gate-dtype",
        metavar="|".join(DTYPES),
        parse=_one_of(*DTYPES),
        help="precision of the weights (default: auto, float32 on a CPU)",
    ),
    "device": Setting(
        flag="--gate-device", metavar="DEVICE", parse=str, help="cpu, cuda, cuda:1, mps (default: auto)"
    ),
    "batch_tokens": Setting(
        flag="--gate-batch-tokens",
        metavar="N",
        parse=_positive,
        help="token budget of a batch, rows x length (default: 4096)",
    ),
    "cache": Setting(
        flag="--gate-no-cache", parse=boolean, help="neither read nor write kept answers and scores"
    ),
    "fail_on": Setting(
        flag="--gate-fail-on",
        metavar="|".join(FAIL_ON),
        parse=_one_of(*FAIL_ON),
        help="fail on a regression, also on an inconclusive gate, or on any failed case (default: regress)",
    ),
    "confirm": Setting(
        flag="--gate-confirm",
        metavar="N",
        parse=_count,
        help="resample the cases that make a regression N times on both sides; it has to show again "
        "(default: 0, don't)",
    ),
    "directory": Setting(
        flag="--gate-directory",
        metavar="DIR",
        parse=str,
        help="where history, cache and reports are kept (default: .tunegate)",
    ),
    "accept": Setting(
        flag="--gate-accept",
        metavar="NAME",
        parse=str,
        help="unless it regressed, accept this run as the baseline NAME, in baselines/NAME.json",
    ),
    "accept_reason": Setting(
        flag="--gate-accept-reason", metavar="TEXT", parse=str, help="why, for the baseline's file"
    ),
    "accept_dirty": Setting(
        flag="--gate-accept-dirty", parse=boolean, help="accept a run of uncommitted changes too"
    ),
    "chat_template_kwargs": Setting(
        flag="--gate-chat-template-kwargs",
        metavar="JSON",
        parse=_template_values,
        help="values for the models' chat templates, such as {\"enable_thinking\": false}; a case's own win",
    ),
    "allow_python_checks": Setting(
        flag="--gate-allow-python",
        parse=boolean,
        help="let python checks run functions of this project",
    ),
    "judge": Setting(
        flag="--gate-judge",
        metavar="SPEC",
        parse=_judges,
        help="who judges: openai:MODEL@URL, local:MODEL or reward:DIR; repeated, a panel of an odd number",
    ),
    "judge_concurrency": Setting(
        flag="--gate-judge-concurrency",
        metavar="N",
        parse=_positive,
        help="questions to a judge under way at a time (default: 8)",
    ),
    "judge_timeout_s": Setting(
        flag="--gate-judge-timeout",
        metavar="SECONDS",
        parse=_seconds,
        help="longest time for one attempt at a question (default: 60)",
    ),
    "judge_prices": Setting(
        flag="--gate-judge-prices",
        metavar="IN/OUT",
        parse=_prices,
        help="prices of a million prompt and completion tokens, to say what judging cost",
    ),
}


def environment_variable(name: str) -> str:
    """The environment variable of a setting."""
    return f"TUNEGATE_{name.upper()}"


def load_settings(flags: Mapping[str, object], root: Path, environment: Mapping[str, str]) -> Settings:
    """Put the settings together.

    Args:
        flags: Values given on the command line by setting name; None where a flag was not given.
        root: The project's root; its pyproject.toml may hold ``[tool.tunegate]``.
        environment: The process's environment.

    Raises:
        SettingsError: An unknown key, or a value that isn't allowed.
    """
    chosen: dict[str, object] = dict(_from_pyproject(root / "pyproject.toml"))
    for name, setting in SETTINGS.items():
        variable = environment_variable(name)
        if variable in environment:
            chosen[name] = _parsed(variable, environment[variable], setting)
        value = flags.get(name)
        if isinstance(value, str):
            chosen[name] = _parsed(setting.flag or name, value, setting)
        elif value is not None:
            chosen[name] = value
    return Settings(**cast("dict[str, Any]", chosen))


def _parsed(source: str, text: str, setting: Setting) -> object:
    try:
        return setting.parse(text)
    except ValueError as error:
        raise SettingsError(f"{source}: found {text!r} (allowed: {error})") from None


def _from_pyproject(path: Path) -> Mapping[str, object]:
    if not path.is_file():
        return {}
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8")).get("tool", {}).get("tunegate", {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: {error}") from error
    known = [field.name for field in fields(Settings)]
    chosen: dict[str, object] = {}
    for key, value in table.items():
        name = key.replace("-", "_")
        if name not in known:
            raise SettingsError(f"{path}: [tool.tunegate] {key}: unknown key (allowed: {', '.join(known)})")
        source = f"{path}: [tool.tunegate] {key}"
        if (
            isinstance(value, list)
            and name in {"model", "golden", "paths", "judge"}
            and all(isinstance(v, str) for v in value)
        ):
            chosen[name] = tuple(value)
        elif isinstance(value, dict) and name == "chat_template_kwargs":
            chosen[name] = _parsed(source, json.dumps(value, default=str), SETTINGS[name])
        elif isinstance(value, bool):
            chosen[name] = _parsed(source, str(value).lower(), SETTINGS[name])
        elif isinstance(value, str | int | float):
            chosen[name] = _parsed(source, str(value), SETTINGS[name])
        else:
            raise SettingsError(f"{source}: found {value!r} (allowed: a text, number or list of paths)")
    return chosen
