"""Both processes of a ``code`` check: what each asks of the other, and what it lets the other do.

The tests take nothing on the answer's word that they could compare as data. An object of a class that they
don't name is asked for its parts only: one that agrees with everything gets no operator.
"""

import builtins
import decimal
import fractions
import sys
from collections.abc import Callable, Iterator
from typing import Any

from harness.golden.code_tests import CodeTests
from harness.metrics.code_link import Link
from harness.metrics.code_operations import ARITHMETIC, COMPARISONS, LENT, OPERATIONS, QUESTIONS
from harness.metrics.code_remote import Side, StandIn
from harness.metrics.code_wire import DefaultedDict

_NUMBERS = (int, float, complex, decimal.Decimal, fractions.Fraction)
# Of a generator: they end it by StopIteration, as next does.
_ENDING = {"send", "throw", "__next__"}
# What functools.wraps copies from a function of the tests.
_DESCRIBING = {"__module__", "__name__", "__qualname__", "__doc__"}
_OF_OBJECTS = {*OPERATIONS} - {"__delattr__", "__dir__", "__instancecheck__", "__subclasscheck__"}


class TestsSide(Side):
    """The process in which the tests run."""

    __test__ = False

    def __init__(self, link: Link, written: CodeTests, names: dict[str, Any]) -> None:
        """Ask for the answer's names as they are needed.

        Args:
            link: To the answer.
            written: What the tests say about themselves.
            names: The namespace of the tests.
        """
        super().__init__(link, trusted=False)
        self._written, self._names = written, names
        self._callable: dict[str, Any] = {}
        self._ending: set[int] = set()

    def lookup(self, name: str) -> Any:
        """A name of the answer's namespace.

        Args:
            name: The name.

        Raises:
            NameError: It isn't defined.
        """
        if name not in self._callable:
            found = self.ask("name", name)
            if not callable(found):
                return found
            self._callable[name] = found
        return self._callable[name]

    def require_alive(self) -> None:
        """The answer's process must not have ended, even where the tests expect any exception.

        Raises:
            AnswerEndedError: It has.
        """
        self.ask("alive", None)

    def write(self, output: list[list[str]]) -> None:
        """Print what the answer printed, to the streams that the tests may have replaced."""
        for name, text in output:
            print(text, end="", file=sys.stderr if name == "stderr" else sys.stdout)

    def names_class(self, classes: list[str]) -> bool:
        """Whether the tests use one of these names, written as classes are."""
        return not self._written.classes.isdisjoint(classes)

    def may(self, operation: str, target: Any, args: list[Any]) -> bool:
        """What the answer may do: with the tests' own classes and their objects all but reach behind them.

        Args:
            operation: Its name.
            target: What it is about.
            args: Its further arguments.
        """
        if operation in {"input", "line", "run", "tests_class"}:
            return True
        if isinstance(target, type) and self._is_own(target):
            return operation in LENT or operation == "__instancecheck__"
        if self._is_own(type(target)):
            public = operation not in {"__getattr__", "__setattr__"} or not str(args[0]).startswith("_")
            return operation in _OF_OBJECTS and public
        return operation in LENT or (operation == "__getattr__" and args[0] in _DESCRIBING)

    def _is_own(self, kind: type) -> bool:
        name = kind.__name__
        return name in self._written.own_classes and self._names.get(name) is kind

    def do_tests_class(self, name: str) -> Any:
        """A class that the tests define.

        Raises:
            NameError: They define no class of this name.
        """
        found = self._names.get(name)
        if not isinstance(found, type) or not self._is_own(found):
            raise NameError(f"name {name!r} is not defined")
        return found

    def do_input(self, prompt: str) -> str:
        """What the tests' ``input`` gives, which may be one of their own."""
        asked = self._names.get("input", builtins.input)
        return str(asked(prompt) if prompt else asked())

    def do_line(self, _: Any) -> str:
        """The next line of the tests' standard input."""
        return str(sys.stdin.readline())

    def apply(self, operation: str, stand_in: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Do something with an object of the answer, so far as it may answer for itself.

        Args:
            operation: Its name.
            stand_in: The object.
            args: The operation's further arguments.
            kwargs: Its named ones.

        Raises:
            TypeError: It is compared, computed with or asked as the data that it isn't.
            RuntimeError: The answer ended an iteration of the tests.
        """
        if operation in COMPARISONS and not isinstance(args[0], StandIn):
            return self._compared(stand_in, operation, args[0])
        if operation == "__ne__":
            return not self.ask("__eq__", stand_in, *args)
        if operation == "__getattr__" and not stand_in._tunegate_named and args[0] in QUESTIONS:
            raise TypeError(f"{type(stand_in).__name__} is the answer's own type, and has no {args[0]}")
        place = object.__getattribute__(stand_in, "_tunegate_place")
        try:
            done = super().apply(operation, stand_in, args, kwargs)
        except StopIteration:
            if operation == "__next__" or place in self._ending:
                raise
            raise RuntimeError("the answer raised StopIteration") from None
        if operation == "__getattr__" and args[0] in _ENDING and isinstance(done, StandIn):
            self._ending.add(object.__getattribute__(done, "_tunegate_place"))
        if operation in ARITHMETIC - {"__contains__"} and _is_number(done) and any(map(_is_number, args)):
            plain = self.ask("plain", stand_in)
            if plain is not None:
                return OPERATIONS[operation](plain[0], *args)
            told = f"{type(stand_in).__name__} is the answer's own type, and no number to compute with"
            raise TypeError(told)
        return done

    def _compared(self, stand_in: Any, operation: str, data: Any) -> Any:
        """An object of the answer against data of the tests: as the data that it is made of, if it is.

        One that says itself what it equals, or what it is less than, would pass any test.
        """
        plain = self.ask("plain", stand_in)
        if plain is not None:
            return COMPARISONS[operation](plain[0], data)
        if operation in {"__eq__", "__ne__"}:
            return operation == "__ne__"
        own, other = type(stand_in).__name__, type(data).__name__
        told = f"{own} is the answer's own type, and no {other} to compare with"
        raise TypeError(told)

    def _take(self, handle: list[Any]) -> Any:
        found = super()._take(handle)
        if isinstance(found, type) and issubclass(found, BaseException) and issubclass(AssertionError, found):
            raise TypeError(f"{found.__name__} as a value of the answer would catch the tests' own failures")
        if handle[0] == "mine" and handle[4] and not found._tunegate_named:
            return self._as_data(found, handle[3])
        return found

    def _as_data(self, stand_in: Any, offers: list[str]) -> Any:
        """An object of a class that the tests don't name, as the data that it is made of."""
        plain = self.ask("plain", stand_in)
        if plain is None or isinstance(plain[0], StandIn):
            return stand_in
        if isinstance(plain[0], dict) and "__missing__" in offers:
            return DefaultedDict(plain[0], lambda key: self.ask("__missing__", stand_in, key))
        return plain[0]


def _is_number(value: Any) -> bool:
    return type(value) in _NUMBERS


class NamesOfBoth(dict[str, Any]):
    """Built-in names behind those of the answer, for the code of the tests."""

    def __init__(self, side: TestsSide, redefined: str | None) -> None:
        """Start with Python's own.

        Args:
            side: Where the answer's are looked up.
            redefined: The one function of Python's that is the answer's, if that is what the tests are about:
                an ``abs`` of its own could make every difference small.
        """
        super().__init__(vars(builtins))
        self._side, self._redefined = side, redefined

    def __getitem__(self, name: str) -> Any:
        """Python's, else the answer's, also what it has defined since."""
        if name in self and name != self._redefined:
            return super().__getitem__(name)
        try:
            return self._side.lookup(name)
        except NameError:
            raise KeyError(name) from None

    def __iter__(self) -> Iterator[str]:
        """Python's own names."""
        return super().__iter__()


def run_in_both(side: TestsSide, tests: str) -> None:
    """Let what the tests start act on the answer, too: awaiting, and seeds of random numbers.

    Args:
        side: Of the tests.
        tests: Their source.
    """
    if "asyncio" in tests:
        import asyncio

        asyncio.run = _running(asyncio.run)
    if "random" in tests:
        import random

        random.seed = _seeding(side, "random", random.seed)
    if "random.seed" in tests and "numpy" in tests:
        import numpy

        numpy.random.seed = _seeding(side, "numpy.random", numpy.random.seed)


def _running(run: Callable[..., Any]) -> Callable[..., Any]:
    async def awaited(awaitable: Any) -> Any:
        return await awaitable

    return lambda main, **rest: run(awaited(main) if isinstance(main, StandIn) else main, **rest)


def _seeding(side: TestsSide, module: str, seed: Callable[..., Any]) -> Callable[..., None]:
    def seeded(*args: Any, **kwargs: Any) -> None:
        seed(*args, **kwargs)
        side.ask("seed", module, *args, **kwargs)

    return seeded
