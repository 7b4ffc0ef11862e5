"""A reward function of the user's own: ``file.py:function``."""

import hashlib
import importlib.util
import inspect
import sys
from pathlib import Path

from harness.errors import SettingsError, faults_of
from trainers.rewards.definition import RewardFunction


def load_function(path: Path, place: str) -> tuple[RewardFunction, str]:
    """Run the file and take the function out of it.

    Args:
        path: The file, a colon and the function's name.
        place: Where the reward is in the configuration, for messages.

    Returns:
        The function and the file's SHA-256.

    Raises:
        SettingsError: The file can't be read or run, or has no such function.
    """
    file_name, _, name = str(path).rpartition(":")
    file = Path(file_name)
    try:
        content = file.read_bytes()
    except OSError as error:
        raise SettingsError(f"{place}: {file}: can't be read: {error.strerror}") from error
    digest = hashlib.sha256(content).hexdigest()
    spec = importlib.util.spec_from_file_location(f"_reward_{digest[:12]}", file)
    if spec is None or spec.loader is None:
        raise SettingsError(f"{place}: {file}: no Python file (allowed: a name that ends in .py)")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    with faults_of(f"{place}: {file}", SettingsError):
        # The content with that hash: Python's own cache of a file is of its time and size.
        exec(compile(content, file, "exec", dont_inherit=True), module.__dict__)
    function = getattr(module, name, None)
    if not callable(function):
        raise SettingsError(f"{place}: {file}: has no function {name}")
    if inspect.iscoroutinefunction(function):
        raise SettingsError(f"{place}: {name} is async (allowed: a plain function)")
    return function, digest
