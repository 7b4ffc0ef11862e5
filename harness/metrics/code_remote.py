"""The answer's names as the tests see them: each call is made in the answer's process.

The tests' process holds stand-ins; an operation on one is a message, its result is data or another stand-in.
So an answer can change everything about its own interpreter, and nothing about what the tests compare.
"""

import builtins
import importlib
import sys
from collections.abc import Callable, Collection, Iterator
from typing import Any

from harness.metrics.code_operations import ALWAYS, COMPARISONS, LENT, OPERATIONS, PLAIN
from harness.metrics.code_wire import AnswerEndedError, Link, Message


class _StandIn:
    """An object of the other process."""

    __slots__ = ("_tunegate_place", "_tunegate_side")


class Side:
    """One of the two processes, with what it has lent to the other."""

    def __init__(self, link: Link, *, lends: set[str], trusted: bool) -> None:
        """Nothing is lent yet.

        Args:
            link: To the other process.
            lends: Operations that the other process may ask for.
            trusted: Whether classes of exceptions that it names may be imported.
        """
        self._link, self._lends = link, lends
        self._trusted = trusted
        self._lent: list[Any] = []
        self._places: dict[int, int] = {}
        self._stand_ins: dict[int, Any] = {}
        self._classes: dict[tuple[str, ...], type] = {}
        self._errors: dict[int, type[BaseException]] = {}

    def ask(self, operation: str, target: Any, *args: Any, **kwargs: Any) -> Any:
        """Let the other process do something, and serve it while it does.

        Args:
            operation: Its name.
            target: A stand-in, or what the operation is about.
            *args: Its further arguments.
            **kwargs: Its named arguments.

        Returns:
            The result.

        Raises:
            AnswerEndedError: The other process has ended.
        """
        message = Message(self._lend, self._take)
        written = [operation, message.encode(target), message.encode(args), message.encode(kwargs)]
        sent = len(message.containers)
        self._link.send(["ask", *written])
        while (reply := self._link.receive())[0] == "ask":
            self._serve(reply)
        kind, value, changes = reply
        for place, contents in changes:
            if place >= sent:
                raise AnswerEndedError
            message.fill(message.containers[place], contents)
        if kind == "raise":
            raise self._error(message, value)
        return message.decode(value)

    def serve(self) -> None:
        """Do what the other process asks for, until it ends."""
        while True:
            try:
                asked = self._link.receive()
            except AnswerEndedError:
                return
            self._serve(asked)

    def _serve(self, asked: list[Any]) -> None:
        _, operation, target, args, kwargs = asked
        message = Message(self._lend, self._take)
        before: list[Any] = []
        try:
            do = self._own(operation)
            on, values, named = (message.decode(one) for one in (target, args, kwargs))
            before = [message.contents(one) for one in message.containers]
            done = do(on, *values, **named)
            reply = ["return", message.encode(done)]
        except AnswerEndedError:
            raise
        except BaseException as error:  # also an exit is the tests' to judge
            reply = ["raise", _described(message, error, self._lend)]
        changes = []
        for place, earlier in enumerate(before):
            now = message.contents(message.containers[place])
            if now != earlier:
                changes.append([place, now])
        self._link.send([*reply, changes])

    def _own(self, operation: str) -> Callable[..., Any]:
        if operation not in self._lends:
            raise PermissionError(f"this code may not use {operation} of the tests")
        return OPERATIONS[operation] if operation in OPERATIONS else getattr(self, f"do_{operation}")

    def _lend(self, value: Any) -> Any:
        if isinstance(value, _StandIn):
            return ["yours", object.__getattribute__(value, "_tunegate_place")]
        if isinstance(value, type) and value in self._errors.values():
            return ["yours", next(place for place, kind in self._errors.items() if kind is value)]
        module = getattr(value, "__module__", None) or getattr(
            getattr(value, "__self__", None), "__name__", None
        )
        name = getattr(value, "__qualname__", None)
        if (
            self._trusted is False
            and isinstance(module, str)
            and isinstance(name, str)
            and _importable(module, name, value)
        ):
            return ["import", module, name]
        if id(value) not in self._places:
            self._places[id(value)] = len(self._lent)
            self._lent.append(value)
        kind = type(value)
        offers = sorted(name for name in OPERATIONS if hasattr(kind, name) and name not in ALWAYS)
        if isinstance(value, type) and issubclass(value, BaseException):
            return ["error", self._places[id(value)], *_bases(value)]
        base = _plain_base(value)
        return ["mine", self._places[id(value)], kind.__name__, offers, base.__name__ if base else ""]

    def _take(self, handle: list[Any]) -> Any:
        kind, *parts = handle
        if kind == "yours":
            return self._lent[parts[0]]
        if kind == "import" and self._trusted:
            found = importlib.import_module(parts[0])
            for name in parts[1].split("."):
                found = getattr(found, name)
            return found
        if kind == "error":
            return self._error_class(*parts)
        if kind != "mine":
            raise ValueError(f"no handle is written like {kind}")
        place, name, offers, base = parts
        if place not in self._stand_ins:
            known = [one for one in offers if one in OPERATIONS]
            self._stand_ins[place] = self._stand_in(place, (str(name), str(base)), known)
        return self._stand_ins[place]

    def _stand_in(self, place: int, names: tuple[str, str], offers: list[str]) -> Any:
        key, (name, base) = (*names, *offers), names
        if key not in self._classes:
            methods: dict[str, Any] = {one: _method(one) for one in (*ALWAYS, *offers)}
            methods["__doc__"] = property(lambda one: _method("__getattr__")(one, "__doc__"))
            plain = vars(builtins).get(base)
            if isinstance(plain, type):
                # So that it is an instance of the data's type, as in the other process.
                methods["__class__"] = property(lambda _: plain)
            self._classes[key] = type(name, (_StandIn,), {"__slots__": (), "__module__": "answer", **methods})
        made: Any = object.__new__(self._classes[key])
        object.__setattr__(made, "_tunegate_place", place)
        object.__setattr__(made, "_tunegate_side", self)
        return made

    def _error_class(self, place: int, name: str, module: str, base: str) -> type[BaseException]:
        if place not in self._errors:
            parent = getattr(builtins, base, Exception)
            if not (isinstance(parent, type) and issubclass(parent, BaseException)):
                parent = Exception
            known = _library_error(module, name)
            self._errors[place] = known or type(name, (parent,), {"__module__": "answer"})
        return self._errors[place]

    def _error(self, message: Message, told: list[Any]) -> BaseException:
        kind, args, attributes = told
        made = self._take(kind)
        values = message.decode(args)
        error: BaseException = made.__new__(made, *values)
        error.args = values
        for name, value in attributes:
            if not name.startswith("_"):
                setattr(error, name, message.decode(value))
        return error


def _described(message: Message, error: BaseException, lend: Callable[[Any], Any]) -> list[Any]:
    kind = type(error)
    attributes = [[name, message.encode(value)] for name, value in vars(error).items()]
    return [lend(kind), message.encode(tuple(error.args)), attributes]


def _bases(kind: type) -> list[str]:
    """Name and module of a class of exceptions, and its nearest base among the built-in ones."""
    base = next(one.__name__ for one in kind.__mro__ if getattr(builtins, one.__name__, None) is one)
    return [kind.__name__, kind.__module__, base]


def _library_error(module: str, name: str) -> type[BaseException] | None:
    """The class itself, if it is of Python: then the tests can name it, too."""
    if module.partition(".")[0] not in sys.stdlib_module_names or module not in sys.modules:
        return None
    found = getattr(sys.modules[module], name, None)
    return found if isinstance(found, type) and issubclass(found, BaseException) else None


def _plain_base(value: Any) -> type | None:
    return next((kind for kind in PLAIN if isinstance(value, kind)), None)


def _importable(module: str, name: str, value: Any) -> bool:
    """Whether a function or class is one of Python's, which the other process has as well."""
    if module.partition(".")[0] not in sys.stdlib_module_names or module == "__main__":
        return False
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found is value


def _method(operation: str) -> Callable[..., Any]:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        side: Side = object.__getattribute__(self, "_tunegate_side")
        if operation in COMPARISONS and not isinstance(args[0], _StandIn):
            return _compared(side, self, operation, args[0])
        # What was copied before is no part of an object of the answer.
        return side.ask(operation, self, *(() if operation == "__deepcopy__" else args), **kwargs)

    method.__name__ = operation
    return method


def _compared(side: Side, stand_in: Any, operation: str, data: Any) -> Any:
    """An object of the answer against data of the tests: as the data that it is made of, if it is.

    One that says itself what it equals, or what it is less than, would pass any test.
    """
    plain = side.ask("plain", stand_in)
    if plain is not None:
        return COMPARISONS[operation](plain[0], data)
    if operation in {"__eq__", "__ne__"}:
        return operation == "__ne__"
    told = f"{type(stand_in).__name__} is the answer's own type, and no {type(data).__name__} to compare with"
    raise TypeError(told)


class AnswerSide(Side):
    """The process in which the answer runs."""

    def __init__(self, link: Link, names: dict[str, Any]) -> None:
        """Serve the answer's names.

        Args:
            link: To the tests.
            names: The answer's namespace.
        """
        super().__init__(link, lends={*OPERATIONS, "names", "name", "plain"}, trusted=True)
        self._names = names

    def do_names(self, _: Any) -> list[str]:
        """The names that the answer defines."""
        return [name for name in self._names if not name.startswith("__")]

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
        base = _plain_base(value)
        return None if base is None else (PLAIN[base](value),)


class TestsSide(Side):
    """The process in which the tests run."""

    __test__ = False

    def __init__(self, link: Link) -> None:
        """Ask for the answer's names as they are needed.

        Args:
            link: To the answer.
        """
        super().__init__(link, lends=LENT, trusted=False)
        self._known: set[str] = set(self.ask("names", None))
        self._callable: dict[str, Any] = {}

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

    def knows(self, name: str) -> bool:
        """Whether the answer defined a name when it was run."""
        return name in self._known


class NamesOfBoth(dict[str, Any]):
    """Built-in names behind those of the answer, for the code of the tests."""

    def __init__(self, side: TestsSide, used: Collection[str]) -> None:
        """Start with Python's own.

        Args:
            side: Where the answer's are looked up.
            used: Names in the tests. If one of the answer's own is among them, the answer redefines none of
                Python's: an ``abs`` of its own could make every difference small.
        """
        super().__init__(vars(builtins))
        self._side = side
        self._redefines = not any(side.knows(name) for name in used if name not in self)

    def __getitem__(self, name: str) -> Any:
        """The answer's, else Python's, else what the answer has defined since."""
        if self._side.knows(name) and (self._redefines or name not in self):
            return self._side.lookup(name)
        if name in self:
            return super().__getitem__(name)
        try:
            return self._side.lookup(name)
        except NameError:
            raise KeyError(name) from None

    def __iter__(self) -> Iterator[str]:
        """Python's own names."""
        return super().__iter__()
