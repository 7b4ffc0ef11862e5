"""The answer's side of a ``code`` check: a process that runs the model's code and lets the tests reach it."""

import builtins
import io
import sys
from collections.abc import Mapping
from typing import Any

from harness.metrics.code_link import Link
from harness.metrics.code_operations import PLAIN
from harness.metrics.code_remote import Side, plain_base
from harness.metrics.code_streams import ReadLines, WrittenText
from harness.metrics.code_wire import PlainFields

_LONGEST_OUTPUT = 16 * 2**20


class AnswerSide(Side):
    """The process in which the answer runs."""

    def __init__(self, link: Link, names: dict[str, Any]) -> None:
        """Serve the answer's names.

        Args:
            link: To the tests.
            names: The answer's namespace.
        """
        super().__init__(link, trusted=True)
        self._names = names
        self._output: list[list[str]] = []
        self._printed = 0

    def may(self, operation: str, target: Any, args: list[Any]) -> bool:
        """Everything: the tests are the user's.

        Args:
            operation: Its name.
            target: What it is about.
            args: Its further arguments.
        """
        return True

    def written_since(self) -> list[list[str]]:
        """What the answer printed since the last message."""
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        written, self._output, self._printed = self._output, [], 0
        return written

    def connect_streams(self) -> None:
        """From now on the answer prints to the streams of the tests, and reads theirs."""
        for name in ("stdout", "stderr"):
            raw: Any = WrittenText(name, self._output_of)
            setattr(
                sys, name, io.TextIOWrapper(raw, "utf-8", "surrogatepass", newline="", write_through=True)
            )
        raw = ReadLines(lambda: self.ask("line", None))
        sys.stdin = io.TextIOWrapper(raw, "utf-8", "surrogatepass")
        builtins.input = lambda prompt="": self.ask("input", str(prompt))

    def _output_of(self, name: str, text: str) -> None:
        self._printed += len(text)
        if self._printed > _LONGEST_OUTPUT:
            raise OSError("this code may not print more")
        self._output.append([name, text])

    def do_alive(self, _: Any) -> bool:
        """Whether this process still runs."""
        return True

    def do_name(self, name: str) -> Any:
        """What a name of the answer is.

        Raises:
            NameError: It isn't defined.
        """
        if name not in self._names:
            raise NameError(f"name {name!r} is not defined")
        return self._names[name]

    def do_plain(self, value: Any) -> Any:
        """An object of a subclass of plain data as the data, in a tuple; None for any other."""
        base = plain_base(value)
        if base is tuple and hasattr(type(value), "_fields"):
            return (PlainFields(type(value)._fields, tuple.__iter__(value)),)
        return None if base is None else (PLAIN[base](value),)

    def do_seed(self, module: str, *args: Any, **kwargs: Any) -> None:
        """Seed the answer's own random numbers as the tests seed theirs.

        Args:
            module: ``random`` or ``numpy.random``.
            *args: Of its function ``seed``.
            **kwargs: The same.
        """
        if module == "random":
            import random

            random.seed(*args, **kwargs)
            return
        import numpy

        numpy.random.seed(*args, **kwargs)


class NamesOfTests(dict[str, Any]):
    """Built-in names before the classes of the tests, for the code of the answer."""

    def __init__(self, known: Mapping[str, Any]) -> None:
        """Start with Python's own.

        Args:
            known: Names and what they are.
        """
        super().__init__(known)
        self.side: AnswerSide | None = None

    def __missing__(self, name: str) -> Any:
        """A class of the tests; before they run there is none."""
        if self.side is None or not name.isidentifier():
            raise KeyError(name)
        try:
            return self.side.ask("tests_class", name)
        except NameError:
            raise KeyError(name) from None
