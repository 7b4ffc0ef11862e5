"""``python``: a function of the project as a check. It runs only if the project allows it."""

import inspect
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from typing import Any, cast

from harness.errors import SettingsError
from harness.golden.schema import base_type, is_binary
from harness.metrics.call_limit import LIMIT_S, limited_call
from harness.metrics.definition import ScoringRequest, binary, graded, one_by_one
from harness.metrics.python_source import load_check, load_steps_of
from harness.registry.builtin_metrics import PYTHON
from harness.types import Check, Score

NOT_ALLOWED = (
    "it runs code of this project: allow that with --gate-allow-python, or allow-python-checks = true under "
    "[tool.tunegate]"
)


def load_check_of(check: Check) -> Callable[..., object]:
    """The function of a ``python`` check.

    Raises:
        SettingsError: It is unavailable, or the check was not read from a golden set's file.
    """
    path, sha256 = str(check.options.get("path")), str(check.options.get("sha256"))
    if check.file is None:
        raise SettingsError(f"{path}: the golden set's directory is unknown")
    return load_check(check.file, path.rpartition(":")[2], sha256)


def load_functions(check: Check, place: str) -> None:
    """Load all functions of a check, so that what is wrong with one is known before a model loads.

    Args:
        check: Any check.
        place: The case, for the message.

    Raises:
        SettingsError: One is unavailable.
    """
    try:
        load_steps_of(check)
        if base_type(check.type) == PYTHON:
            load_check_of(check)
    except SettingsError as error:
        raise SettingsError(f"{place}: {error}") from error


def _run(request: ScoringRequest) -> Score:
    """True or false without a threshold, else a number from 0 to 1."""
    check = request.check
    if not request.allowed.python:
        raise PermissionError(f"{check.type}: {NOT_ALLOWED}")
    function, name = load_check_of(check), str(check.options["path"]).rpartition(":")[2]
    try:
        place = f"{request.case.key}: {check.options['path']}"
        limit_s = cast("float", check.options.get("timeout", LIMIT_S))
        value = limited_call(partial(_called, function, request), place, limit_s)
    except SystemExit as error:
        raise RuntimeError(f"{name} called sys.exit({error})") from error
    if is_binary(check):
        if not isinstance(value, bool):
            raise TypeError(f"{name} gave {value!r} (allowed: True or False; or write a threshold)")
        return binary(request, value, f"{name} gave {value}")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} gave {value!r} (allowed: a number from 0 to 1; or no threshold)")
    if not 0 <= value <= 1:
        raise ValueError(f"{name} gave {value} (allowed: a number from 0 to 1)")
    return graded(request, float(value), f"{name} gave {value:.3g}")


def _called(function: Callable[..., object], request: ScoringRequest) -> Any:
    """The function's value for the answer; it also gets the case, as a copy, if it takes it."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    taken = [each for each in inspect.signature(function).parameters.values() if each.kind in kinds]
    # A second argument with a default is a switch of the function's own, unless it is called case.
    takes_case = any(each.default is each.empty or each.name == "case" for each in taken[1:2])
    value = function(request.text, deepcopy(request.case)) if takes_case else function(request.text)
    # A library's own number, such as numpy's.
    return value.item() if hasattr(value, "item") else value


python = one_by_one(_run)
