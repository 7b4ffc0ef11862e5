"""The answer's names as the tests see them: each call is made in the answer's process.

The tests' process holds stand-ins; an operation on one is a message, its result is data or another stand-in.
So an answer can change everything about its own interpreter, and nothing about what the tests compare.
"""

import builtins
import importlib
import sys
import threading
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

from harness.metrics.code_link import AnswerEndedError, Link
from harness.metrics.code_operations import ALWAYS, ARITHMETIC, OPERATIONS, PLAIN
from harness.metrics.code_wire import Message

if TYPE_CHECKING:
    import asyncio


class StandIn:
    """An object of the other process."""

    __slots__ = ("_tunegate_place", "_tunegate_side")
    # Whether the tests name its class, so that its operators are part of what they test.
    _tunegate_named = False


class Side:
    """One of the two processes, with what it has lent to the other."""

    def __init__(self, link: Link, *, trusted: bool) -> None:
        """Nothing is lent yet.

        Args:
            link: To the other process.
            trusted: Whether what it names may be imported.
        """
        self._link, self._trusted = link, trusted
        self._loop: asyncio.AbstractEventLoop | None = None
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
        self._link.send(["ask", *written, self.written_since()])
        while (reply := self._link.receive())[0] == "ask":
            self._serve(reply)
        kind, value, changes, output = reply
        self.write(output)
        for place, contents in changes:
            if place >= sent:
                raise AnswerEndedError
            message.fill(message.containers[place], contents)
        if kind == "raise":
            raise self._error(message, value)
        return message.decode(value)

    def apply(self, operation: str, stand_in: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Do something with an object of the other process.

        Args:
            operation: Its name.
            stand_in: The object.
            args: The operation's further arguments.
            kwargs: Its named ones.
        """
        # What was copied before is no part of an object of the answer.
        return self.ask(operation, stand_in, *(() if operation == "__deepcopy__" else args), **kwargs)

    def written_since(self) -> list[list[str]]:
        """What this process has written since the last message: names of streams, and texts."""
        return []

    def write(self, output: list[list[str]]) -> None:
        """Write what the other process has written.

        Args:
            output: As :meth:`written_since` gives it.
        """

    def may(self, operation: str, target: Any, args: list[Any]) -> bool:
        """Whether the other process may ask for an operation.

        Args:
            operation: Its name.
            target: What it is about.
            args: Its further arguments.
        """
        raise NotImplementedError

    def do_run(self, awaitable: Any) -> Any:
        """The result of something that is awaited by the other process.

        Args:
            awaitable: An object of this process.
        """
        import asyncio

        async def awaited() -> Any:
            return await awaitable

        try:
            asyncio.get_running_loop()
        except RuntimeError:
            self._loop = self._loop or asyncio.new_event_loop()
            return self._loop.run_until_complete(awaited())
        found: list[Any] = []
        thread = threading.Thread(target=lambda: found.append(_outcome(awaited)))
        thread.start()
        thread.join()
        if isinstance(found[0][1], BaseException):
            raise found[0][1]
        return found[0][0]

    def serve(self) -> None:
        """Do what the other process asks for, until it ends."""
        while True:
            try:
                asked = self._link.receive()
            except AnswerEndedError:
                return
            self._serve(asked)

    def _serve(self, asked: list[Any]) -> None:
        _, operation, target, args, kwargs, output = asked
        self.write(output)
        message = Message(self._lend, self._take)
        before: list[Any] = []
        try:
            on, values, named = (message.decode(one) for one in (target, args, kwargs))
            do = self._own(operation, on, values)
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
        self._link.send([*reply, changes, self.written_since()])

    def _own(self, operation: str, target: Any, args: list[Any]) -> Callable[..., Any]:
        if not self.may(operation, target, args):
            if operation == "__getattr__":
                raise AttributeError(f"this code may not use {args[0]} of the tests")
            raise PermissionError(f"this code may not use {operation} of the tests")
        return OPERATIONS[operation] if operation in OPERATIONS else getattr(self, f"do_{operation}")

    def _lend(self, value: Any) -> Any:
        if isinstance(value, StandIn):
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
        offers = sorted(
            name for name in (*OPERATIONS, "__await__") if hasattr(kind, name) and name not in ALWAYS
        )
        if isinstance(value, type) and issubclass(value, BaseException):
            return ["error", self._places[id(value)], *_bases(value)]
        base = plain_base(value)
        classes = [one.__name__ for one in kind.__mro__ if one is not object]
        return ["mine", self._places[id(value)], classes, offers, base.__name__ if base else ""]

    def _take(self, handle: list[Any]) -> Any:
        kind, *parts = handle
        if kind == "type":
            found = getattr(builtins, parts[0])
            if not isinstance(found, type):
                raise ValueError(f"{parts[0]} is no type")
            return found
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
        place, classes, offers, base = parts
        if place not in self._stand_ins:
            known = [one for one in offers if one in OPERATIONS or one == "__await__"]
            self._stand_ins[place] = self._stand_in(place, [*map(str, classes)], str(base), known)
        return self._stand_ins[place]

    def names_class(self, classes: list[str]) -> bool:
        """Whether this side knows an object by its class, so that its operators are trusted.

        Args:
            classes: Names of its class and that one's bases.
        """
        return True

    def _stand_in(self, place: int, classes: list[str], base: str, offers: list[str]) -> Any:
        named, name = self.names_class(classes), classes[0]
        if not named:
            offers = [one for one in offers if one not in ARITHMETIC]
        key = (name, base, str(named), *offers)
        if key not in self._classes:
            methods: dict[str, Any] = {one: _method(one) for one in (*ALWAYS, *offers)}
            methods["_tunegate_named"] = named
            if "__await__" in methods:
                methods["__await__"] = _awaited
            methods["__doc__"] = property(lambda one: _method("__getattr__")(one, "__doc__"))
            plain = vars(builtins).get(base)
            if isinstance(plain, type):
                # So that it is an instance of the data's type, as in the other process.
                methods["__class__"] = property(lambda _: plain)
            self._classes[key] = type(name, (StandIn,), {"__slots__": (), "__module__": "answer", **methods})
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
        made = self._error_class(*kind[1:]) if kind[0] == "error" else self._take(kind)
        values = message.decode(args)
        # Python's own set further attributes from their arguments.
        own = made.__module__ == "builtins"
        error: BaseException = made(*values) if own else made.__new__(made, *values)
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
    # An answer that skips a test case would pass it.
    if module.partition(".")[0] not in sys.stdlib_module_names - {"unittest"} or module not in sys.modules:
        return None
    found = getattr(sys.modules[module], name, None)
    return found if isinstance(found, type) and issubclass(found, BaseException) else None


def plain_base(value: Any) -> type | None:
    """The type of data that a value is one of, by its own class or by a base."""
    return next((kind for kind in PLAIN if isinstance(value, kind)), None)


def _outcome(awaited: Callable[[], Any]) -> tuple[Any, BaseException | None]:
    import asyncio

    try:
        return asyncio.run(awaited()), None
    except BaseException as error:  # it is raised where it was awaited
        return None, error


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
        return side.apply(operation, self, args, kwargs)

    method.__name__ = operation
    return method


def _awaited(self: Any) -> Generator[None, None, Any]:
    """What an awaitable of the other process gives; this process waits meanwhile."""
    yield from ()
    return object.__getattribute__(self, "_tunegate_side").ask("run", self)
