"""The sockets that a server listens at, taken before its models are loaded."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from harness.errors import SettingsError


@contextmanager
def bound_sockets(host: str, port: int) -> Iterator[list[socket.socket]]:
    """A socket at each address of a host; nothing can connect before a server listens there.

    Args:
        host: A name or an address.
        port: The port; 0 for a free one.

    Raises:
        SettingsError: Nobody can listen there.
    """
    with ExitStack() as kept:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
            sockets = [
                _bound(kept.enter_context(socket.socket(family, kind, protocol)), address)
                for family, kind, protocol, _, address in found
            ]
        except (OSError, UnicodeError) as error:
            raise unheard(host, port, reason=error) from None
        yield sockets


def unheard(host: str, port: int, *, reason: Exception) -> SettingsError:
    """What is said where a server can't listen.

    Args:
        host: A name or an address.
        port: The port.
        reason: Why not.
    """
    why = getattr(reason, "strerror", None) or reason
    return SettingsError(f"--host {host} --port {port}: can't listen there: {why}")


def _bound(found: socket.socket, address: Any) -> socket.socket:
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if found.family == socket.AF_INET6:
        found.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    found.bind(address)
    return found
