"""The session's own registry: what its conftest files and plug-ins register, beside what is installed."""

from functools import partial

import pytest
from pluggy import HookCaller

from harness.registry import Registrar, Registry, active, use_registry
from harness.registry.plugins import HOOK

_BEFORE: pytest.StashKey[Registry | None] = pytest.StashKey()


def open_registry(config: pytest.Config) -> None:
    """Read a fresh registry in this session, and let each plug-in that has the hook add to it."""
    registry = Registry()
    config.stash[_BEFORE] = use_registry(registry)
    manager = config.pluginmanager
    for implementation in manager.hook.pytest_tunegate_register.get_hookimpls():
        others = [plugin for plugin in manager.get_plugins() if plugin is not implementation.plugin]
        # One at a time, so that one that breaks leaves the others alone.
        call = manager.subset_hook_caller(HOOK, remove_plugins=others)
        registry.register(
            implementation.plugin_name,
            partial(_call, call),
            identity=implementation.function,
        )


def _call(hook: HookCaller, registrar: Registrar) -> None:
    hook(registry=registrar)


def close_registry(config: pytest.Config) -> None:
    """Read the registry of before again."""
    if _BEFORE in config.stash:
        use_registry(config.stash[_BEFORE])
        del config.stash[_BEFORE]


def registry_warnings() -> list[str]:
    """What was left out of plug-ins so far, a line each."""
    return [f"tunegate: warning: {warning}" for warning in active().warnings]
