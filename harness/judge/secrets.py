"""The judge's key: from the environment to the request, and nowhere else."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from harness.judge.spec import KEY_VARIABLES

_LOCAL = frozenset({"127.0.0.1", "localhost", "::1"})


def find_key(environment: Mapping[str, str], url: str) -> str | None:
    """The key for a server; None if the environment has none for it.

    ``TUNEGATE_JUDGE_API_KEY`` is sent to any server that the spec names. ``OPENAI_API_KEY`` is sent only to
    OpenAI and to this machine, not to other servers with the same protocol.

    Args:
        environment: Variables by name.
        url: The server's address.
    """
    own, openai = (environment.get(name) or None for name in KEY_VARIABLES)
    if own is not None:
        return own
    host = urlsplit(url).hostname or ""
    trusted = host in _LOCAL or host == "openai.com" or host.endswith(".openai.com")
    return openai if trusted else None


def without_key(text: str, key: str | None) -> str:
    """The text without the key: servers repeat it in their error messages.

    Args:
        text: A server's text.
        key: The key that it got, or None.
    """
    if not key:
        return text
    return text.replace(key, "***")
