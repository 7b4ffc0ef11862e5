"""Addresses of servers, and their keys: from the environment to the request, and nowhere else."""

import os
import re
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from harness.errors import SettingsError

DEFAULT_URL = "https://api.openai.com/v1"
OPENAI_KEY = "OPENAI_API_KEY"
# The variable with the key of servers whose models are tested.
MODEL_KEY = "TUNEGATE_MODEL_API_KEY"
# Servers without keys take any word: "x" is no secret, and a part of many answers.
SECRET = 8
_LOCAL = frozenset({"127.0.0.1", "localhost", "::1"})
# Of one request; the client adds it.
_ROUTE = re.compile(r"/(?:chat/completions|completions|models)/*$")
_SECRET_ARGUMENT = re.compile(r"--(?:api|hf)[-_](?:key|token)\b")
_REFERENCE = re.compile(r"(?P<model>.+?)(?:@(?P<urls>https?://\S+))?")


def read_reference(
    reference: str, place: str, form: str, variables: Sequence[str]
) -> tuple[str, tuple[str, ...]]:
    """A model's name and the addresses of the servers that serve it.

    Args:
        reference: ``MODEL@URL``, with several addresses separated by commas; ``MODEL`` alone is OpenAI's own.
        place: What the reference is of, for messages.
        form: The allowed form, for messages.
        variables: The variables with keys, for messages.

    Returns:
        The model and one or more addresses.

    Raises:
        SettingsError: It is not a model at an address, or the address contains a key.
    """
    found = _REFERENCE.fullmatch(reference)
    is_named = found is not None and not re.search(r"\s|://", found["model"])
    # Without "http://" an address would be taken for a part of the name, and OpenAI would be asked.
    if found is None or not is_named or (not found["urls"] and "@" in found["model"]):
        raise SettingsError(f"{place} {shown(reference)!r}: no model at an address (allowed: {form})")
    together = found["urls"] or DEFAULT_URL
    # A password may hold a comma: it is not split into addresses, which messages would show.
    urls = [together] if "@" in together else together.split(",")
    return found["model"], tuple(dict.fromkeys(checked_url(url, place, variables) for url in urls))


def checked_url(url: str, place: str, variables: Sequence[str]) -> str:
    """An address without a slash at its end. It ends up in logs, caches and reports.

    Args:
        url: The address.
        place: What it is of, for messages.
        variables: The variables with keys, for messages.

    Raises:
        SettingsError: It names no server, or contains a key.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        # A password with a slash is read as a port, which the reason repeats.
        why = "" if "@" in url else f": {error}"
        raise SettingsError(f"{place}: {shown(url)!r} is not an address{why}") from None
    if "@" in url or parts.query or parts.fragment:
        raise SettingsError(
            f"{place}: the address {shown(url)!r} contains a user, query or fragment; "
            f"put a key into {' or '.join(variables)}"
        )
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        raise SettingsError(f"{place}: {shown(url)!r} names no server (allowed: http://HOST:PORT/v1)")
    if found := _ROUTE.search(parts.path):
        raise SettingsError(f"{place}: {shown(url)!r}: leave {found[0]!r} out (allowed: http://HOST:PORT/v1)")
    return url.rstrip("/")


def refuse_secrets(arguments: str) -> None:
    """Check that arguments of a server hold no key: they are stored with a run.

    Args:
        arguments: As a shell reads them.

    Raises:
        SettingsError: They do.
    """
    if found := _SECRET_ARGUMENT.search(arguments):
        raise SettingsError(
            f"--gate-server-args: {found[0]} would be stored with the run; set its variable instead "
            f"(VLLM_API_KEY and, for the requests, {MODEL_KEY}; HF_TOKEN)"
        )


def shown(text: str) -> str:
    """The text without possible secrets."""
    # A password may hold each of the characters that end one in an address.
    without_user = re.sub(r"(//|@).*@", r"\1…@", text, flags=re.DOTALL)
    return re.sub(r"[?#].*", "…", without_user, flags=re.DOTALL)


def find_key(environment: Mapping[str, str], url: str, own: str = MODEL_KEY) -> str | None:
    """The key for a server; None if the environment has none for it.

    The variable for this purpose is sent to any server that the user names. ``OPENAI_API_KEY`` is sent only
    to OpenAI and to this machine, not to other servers with the same protocol.

    Args:
        environment: Variables by name.
        url: The server's address.
        own: The variable for this purpose.

    Raises:
        SettingsError: No request can carry the key.
    """
    if (mine := _key_in(environment, own)) is not None:
        return mine
    host = urlsplit(url).hostname or ""
    trusted = host in _LOCAL or host == "openai.com" or host.endswith(".openai.com")
    return _key_in(environment, OPENAI_KEY) if trusted else None


def without_proxy(url: str) -> dict[str, None]:
    """What keeps a client from asking a server on this machine by the environment's proxy, as NO_PROXY would.

    A proxy is on another machine, where this address is another server's, which would get questions and key.
    """
    host = urlsplit(url).hostname or ""
    return {f"all://{f'[{host}]' if ':' in host else host}": None} if host in _LOCAL else {}


def _key_in(environment: Mapping[str, str], name: str) -> str | None:
    """A variable's key, without the line break of the file that it was read from.

    Raises:
        SettingsError: It has a character that no header can have, which a client's error would repeat.
    """
    key = environment.get(name, "").strip()
    if not all("!" <= letter <= "~" for letter in key):
        raise SettingsError(f"{name}: the key has a space or another character that no key can have")
    return key or None


def without_key(text: str, key: str | None, shortest: int = 1) -> str:
    """The text without the key: servers repeat it in their error messages.

    Args:
        text: A server's text.
        key: The key that it got, or None.
        shortest: How many characters it has at least, if it counts; SECRET for an answer, which is scored.
    """
    return text.replace(key, "***") if key and len(key) >= shortest else text


def without_keys(text: str, environment: Mapping[str, str] = os.environ, shortest: int = 1) -> str:
    """The text without any key that servers may have got.

    Args:
        text: What a server says; it is stored.
        environment: Holds the keys.
        shortest: As for without_key.
    """
    for name in (MODEL_KEY, OPENAI_KEY):
        text = without_key(text, environment.get(name, "").strip(), shortest)
    return text
