"""A check's function in a project's own file, found and loaded."""

import hashlib
import importlib.util
import inspect
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.errors import SettingsError, faults_of
from harness.golden.transforms import python_path
from harness.types import Check
from tunegate.streams import own_streams


@cache
def load_check(file: str, name: str, sha256: str) -> Callable[..., object]:
    """The function of a check.

    Args:
        file: The Python file.
        name: The function's name.
        sha256: Hash of the file when the golden set was read.

    Raises:
        SettingsError: The file was changed since, can't be run, or has no such function.
    """
    shown, module = Path(file).name, _module_of(file, sha256)
    function: Any = getattr(module, name, None)
    if not callable(function):
        raise SettingsError(f"{shown}: has no function {name}")
    if inspect.iscoroutinefunction(function):
        raise SettingsError(f"{shown}: {name} is async (allowed: a plain function)")
    found: Callable[..., object] = function
    return found


@cache
def _module_of(file: str, sha256: str) -> ModuleType:
    """A file as a module: it is run once, however many of its functions are checks."""
    shown = Path(file).name
    try:
        content = Path(file).read_bytes()
    except OSError as error:
        raise SettingsError(f"{file}: can't be read: {error.strerror}") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise SettingsError(f"{shown} was changed since the golden set was read; run again")
    spec = importlib.util.spec_from_file_location(f"_tunegate_check_{sha256[:12]}", file)
    assert spec is not None  # the name ends in .py
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    with faults_of(shown, SettingsError), own_streams():
        # The content with that hash: Python's own cache of a file is of its time and size.
        exec(compile(content, file, "exec", dont_inherit=True), module.__dict__)
    return module


def load_steps_of(check: Check) -> list[Callable[..., object]]:
    """The functions among the steps of a check's ``transform``, in order.

    Raises:
        SettingsError: One is unavailable, or the check was not read from a golden set's file.
    """
    steps = [step for step in check.transform if isinstance(step, dict) and python_path(step) is not None]
    if len(steps) > len(check.transform_files):
        raise SettingsError(f"{python_path(steps[0])}: the golden set's directory is unknown")
    return [
        load_check(file, str(python_path(step)).rpartition(":")[2], str(step["sha256"]))
        for step, file in zip(steps, check.transform_files, strict=True)
    ]
