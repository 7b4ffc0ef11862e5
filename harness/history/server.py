"""The names of histories: a file, or a PostgreSQL database by its URL."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias
from urllib.parse import parse_qsl, unquote, urlsplit

from harness.errors import HistoryError
from tunegate.project import user_path

FILE_NAME = "history.sqlite"
_HIDDEN = "***"
_SCHEMES = {"postgresql", "postgres"}
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_HOST = re.compile(r"(\[[^\]]*\]|[^:\[\]]*)(?::([0-9]*))?")
_DEFAULT_SCHEMA = "tunegate"
_SCHEMA = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_PARAMETER = re.compile(r"[a-z_]+")
_SECRETS = {"password", "sslpassword"}
_ALLOWED = "postgresql://USER@HOST/DATABASE, or a file"


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryServer:
    """A history in a PostgreSQL database. Its text has no password.

    Attributes:
        options: What the connection is opened with, by libpq's names; a password among them.
        shown: The URL as it may be printed.
        schema: The schema of the tables.
    """

    options: Mapping[str, str] = field(repr=False, hash=False)
    shown: str
    schema: str = _DEFAULT_SCHEMA

    def __str__(self) -> str:
        """The URL without its password."""
        return self.shown

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no message may contain."""
        return tuple(value for name, value in self.options.items() if name in _SECRETS and value)


HistoryPlace: TypeAlias = Path | HistoryServer


def history_server(text: str) -> HistoryServer | None:
    """The server that a URL names; None for the path of a file.

    Raises:
        HistoryError: A URL of another kind, or one that can't be read. The message has no part of it that may
            be a password.
    """
    scheme = _URL.match(text)
    if scheme is None:
        return None
    if scheme[1].lower() not in _SCHEMES:
        raise HistoryError(f"{scheme[0]}: no history is kept there (allowed: {_ALLOWED})")
    unreadable = HistoryError(
        f"{scheme[0]}...: the history's URL can't be read: write special characters of its parts as %XX "
        f"(allowed: {_ALLOWED})"
    )
    try:
        parts = urlsplit(text)
        query = parse_qsl(parts.query, strict_parsing=bool(parts.query), keep_blank_values=True)
    except ValueError:
        raise unreadable from None
    account, _, address = parts.netloc.rpartition("@")
    hosts = [_HOST.fullmatch(each) for each in address.split(",")]
    database = parts.path.removeprefix("/")
    odd = parts.fragment or "/" in database or "@" in database or text.count("#")
    if odd or None in hosts or not all(_PARAMETER.fullmatch(name) for name, _ in query):
        raise unreadable
    user, divided, password = account.partition(":")
    found = [each.groups() for each in hosts if each is not None]
    options = {
        "user": unquote(user),
        "password": unquote(password),
        "host": ",".join(unquote(host).strip("[]") for host, _ in found),
        "port": ",".join(port or "" for _, port in found) if any(port for _, port in found) else "",
        "dbname": unquote(database),
        **dict(query),
    }
    schema = options.pop("schema", _DEFAULT_SCHEMA)
    if not _SCHEMA.fullmatch(schema):
        raise HistoryError(f"{scheme[0]}...: schema={schema}: (allowed: lower-case letters, digits and _)")
    shown_account = f"{user}:{_HIDDEN}@" if divided else f"{user}@" if user else ""
    shown_query = "&".join(f"{name}={_HIDDEN if name in _SECRETS else value}" for name, value in query)
    shown = f"{scheme[0]}{shown_account}{address}/{database}{'?' if query else ''}{shown_query}"
    return HistoryServer(
        options={name: value for name, value in options.items() if value}, shown=shown, schema=schema
    )


def place_of(name: str, root: Path) -> HistoryPlace:
    """The place that a setting names.

    Args:
        name: A URL, a file, or a folder with one.
        root: What a path is relative to.

    Raises:
        HistoryError: A URL that can't be read, or of another kind of database.
    """
    return history_server(name) or _file(root / user_path(name))


def _file(path: Path) -> Path:
    return path / FILE_NAME if path.is_dir() or (not path.suffix and not path.exists()) else path
