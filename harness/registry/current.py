"""The current registry of this process."""

from harness.registry.plugins import Registry
from tunegate.printable import say
from tunegate.project_conftest import registering_conftest


class _Current:
    registry: Registry | None = None


def active() -> Registry:
    """The process's registry.

    At first it has the installed plug-ins, and in a command those of the project's conftest.py; it warns on
    standard error.
    """
    if _Current.registry is None:
        _Current.registry = Registry(warn=_print, conftest=registering_conftest())
    return _Current.registry


def use_registry(registry: Registry | None) -> Registry | None:
    """Use another registry from now on.

    Args:
        registry: The new one; None for a new one at the next use.

    Returns:
        The previous one, so that it can be restored.
    """
    before, _Current.registry = _Current.registry, registry
    return before


def _print(warning: str) -> None:
    say(f"tunegate: warning: {warning}", err=True)
