"""The session's own registry: records of its conftest files and plug-ins, and of installed plug-ins."""

from functools import partial

import pytest
from pluggy import HookCaller

from harness.registry import Registrar, Registry, active, use_registry
from tunegate.project_conftest import HOOK

_BEFORE: pytest.StashKey[Registry | None] = pytest.StashKey()


def open_registry(config: pytest.Config) -> None:
    """Use a new registry in this session, and let each plug-in with the hook add to it."""
    registry = Registry()
    config.stash[_BEFORE] = use_registry(registry)
    manager = config.pluginmanager
    for implementation in manager.hook.pytest_tunegate_register.get_hookimpls():
        others = [plugin for plugin in manager.get_plugins() if plugin is not implementation.plugin]
        # One at a time, so that one that breaks does not affect the others.
        call = manager.subset_hook_caller(HOOK, remove_plugins=others)
        registry.register(
            implementation.plugin_name,
            partial(_call, call),
            identity=implementation.function,
        )


def _call(hook: HookCaller, registrar: Registrar) -> None:
    hook(registry=registrar)


def close_registry(config: pytest.Config) -> None:
    """Restore the previous registry."""
    if _BEFORE in config.stash:
        use_registry(config.stash[_BEFORE])
        del config.stash[_BEFORE]


def registry_warnings() -> list[str]:
    """What was left out of plug-ins so far, one line each."""
    return [f"tunegate: warning: {warning}" for warning in active().warnings]
