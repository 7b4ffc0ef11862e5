"""The connection between the processes of a ``code`` check."""

import json
import socket
import struct
from typing import Any

_LARGEST = 64 * 2**20


class AnswerEndedError(BaseException):
    """The other process has ended; no test can catch it with its own exceptions."""


class Link:
    """Frames of JSON over a connection."""

    def __init__(self, connection: socket.socket) -> None:
        """Use an open connection."""
        self._connection = connection

    def send(self, message: Any) -> None:
        """Send one message."""
        body = json.dumps(message).encode()
        try:
            self._connection.sendall(struct.pack("!I", len(body)) + body)
        except ConnectionError:
            raise AnswerEndedError from None

    def receive(self) -> Any:
        """The next message.

        Raises:
            AnswerEndedError: The other side has ended, or sends more than anyone reads.
        """
        (size,) = struct.unpack("!I", self._exactly(4))
        if size > _LARGEST:
            raise AnswerEndedError
        return json.loads(self._exactly(size))

    def _exactly(self, size: int) -> bytes:
        parts = bytearray()
        while len(parts) < size:
            try:
                part = self._connection.recv(min(size - len(parts), 2**20))
            except ConnectionError:
                part = b""
            if not part:
                raise AnswerEndedError
            parts += part
        return bytes(parts)
