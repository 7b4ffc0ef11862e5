"""The registry that this process reads."""

import sys

from harness.registry.plugins import Registry


class _Current:
    registry: Registry | None = None


def active() -> Registry:
    """The process's registry; at first one that holds the installed plug-ins and warns on standard error."""
    if _Current.registry is None:
        _Current.registry = Registry(warn=_print)
    return _Current.registry


def use_registry(registry: Registry | None) -> Registry | None:
    """Read another registry from now on.

    Args:
        registry: The new one; None for a fresh one when it is next read.

    Returns:
        The one that was read so far, so that it can be put back.
    """
    before, _Current.registry = _Current.registry, registry
    return before


def _print(warning: str) -> None:
    print(f"tunegate: warning: {warning}", file=sys.stderr)
