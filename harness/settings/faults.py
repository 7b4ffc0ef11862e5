"""What is wrong with a setting, in one line."""

from pydantic import ValidationError

from harness.settings.model import allowed_values


def describe(error: ValidationError, source: str, value: object) -> str:
    """What is wrong with the first setting that is: who gave it, what was found, what is allowed.

    Args:
        error: Of one or more settings.
        source: The option, variable or key that gave the first of them.
        value: As it was given.
    """
    first = error.errors()[0]
    allowed = str(first.get("ctx", {}).get("error", "")) or allowed_values(str(first["loc"][0]))
    if isinstance(value, tuple) and len(value) == 1:
        (value,) = value
    return f"{source}: found {value!r} (allowed: {allowed})"
