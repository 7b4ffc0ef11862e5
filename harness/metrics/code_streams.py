"""Standard streams of the answer's process that end in the process of the tests."""

import io
from collections.abc import Callable
from typing import Any


class WrittenText(io.RawIOBase):
    """The bytes that the answer prints, as text for the tests."""

    def __init__(self, name: str, told: Callable[[str, str], None]) -> None:
        """Keep nothing.

        Args:
            name: Of the stream.
            told: Is given the name and each text.
        """
        super().__init__()
        self._name, self._told = name, told

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: Any) -> int:
        """Tell what is written; how many bytes that were."""
        if len(data):
            self._told(self._name, bytes(data).decode("utf-8", "replace"))
        return len(data)


class ReadLines(io.RawIOBase):
    """The lines of the tests' standard input, as bytes for the answer."""

    def __init__(self, line: Callable[[], str]) -> None:
        """Read nothing yet.

        Args:
            line: Gives the next one, with its end; empty at the end.
        """
        super().__init__()
        self._line, self._rest = line, b""

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer from one line; how many bytes that were."""
        data = self._rest or str(self._line()).encode("utf-8", "surrogatepass")
        size = min(len(buffer), len(data))
        buffer[:size], self._rest = data[:size], data[size:]
        return size
