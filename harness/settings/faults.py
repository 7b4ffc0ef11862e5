"""Faults of settings in one line."""

from pydantic import ValidationError

from harness.settings.model import allowed_values


def describe(error: ValidationError, source: str, value: object) -> str:
    """The first fault: its source, what was found, what is allowed.

    Args:
        error: The error of one or more settings.
        source: The option, variable or key of the first one.
        value: Its value.
    """
    first = error.errors()[0]
    allowed = str(first.get("ctx", {}).get("error", "")) or allowed_values(str(first["loc"][0]))
    if isinstance(value, tuple) and len(value) == 1:
        (value,) = value
    return f"{source}: found {value!r} (allowed: {allowed})"
