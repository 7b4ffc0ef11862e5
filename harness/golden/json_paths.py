"""JSONPath queries (RFC 9535) of golden sets."""

from functools import cache, lru_cache
from typing import Any


class JsonPathError(ValueError):
    """A text is no JSONPath; the message says why."""


@cache
def _environment() -> Any:
    from jsonpath import JSONPathEnvironment

    environment = JSONPathEnvironment(strict=True)
    # Their patterns could run forever, and nothing could stop them.
    for name in ("match", "search"):
        del environment.function_extensions[name]
    return environment


@lru_cache(maxsize=512)
def compiled_path(text: str) -> Any:
    """A compiled query, whose ``finditer`` gives nodes, and whose ``singular_query`` says if one at most.

    Raises:
        JsonPathError: It is no query, or it uses ``match`` or ``search``.
    """
    from jsonpath.exceptions import JSONPathError

    try:
        return _environment().compile(text)
    except (JSONPathError, ValueError) as error:
        raise JsonPathError(str(error.args[0]).partition("\n")[0]) from error
    except RecursionError as error:
        raise JsonPathError("nested too deeply") from error
