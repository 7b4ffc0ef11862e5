"""Values between the process of the tests and the process of the answer: data by value, all else by handle.

Only data is ever built from what the other side sent, so that nothing of the answer's code runs among the
tests. Lists, dictionaries and sets that were passed are changed in place when the callee changed them.
"""

import builtins
import collections
import datetime
import decimal
import fractions
from collections.abc import Callable, Iterable
from typing import Any

_CONTAINERS: set[type] = {
    *(list, dict, set, bytearray),
    *(collections.deque, collections.Counter, collections.OrderedDict),
}
_NAMED: dict[str, type] = {
    one.__name__: one
    for one in (collections.Counter, collections.OrderedDict, collections.deque, frozenset, set, list, tuple)
}
_DATES: dict[str, Any] = {one.__name__: one for one in (datetime.datetime, datetime.date, datetime.time)}


_WRITTEN: dict[type, Callable[[Any], list[Any]]] = {
    bytes: lambda value: ["bytes", value.decode("latin-1")],
    complex: lambda value: ["complex", value.real, value.imag],
    fractions.Fraction: lambda value: ["fraction", hex(value.numerator), hex(value.denominator)],
    decimal.Decimal: lambda value: ["decimal", str(value)],
    datetime.timedelta: lambda value: ["timedelta", value.days, value.seconds, value.microseconds],
    range: lambda value: ["range", value.start, value.stop, value.step],
    **{kind: lambda value: ["date", type(value).__name__, value.isoformat()] for kind in _DATES.values()},
}
_READ: dict[str, Callable[..., Any]] = {
    "int": lambda digits: int(digits, 16),
    "bytes": lambda text: text.encode("latin-1"),
    "complex": complex,
    "fraction": lambda over, under: fractions.Fraction(int(over, 16), int(under, 16)),
    "decimal": decimal.Decimal,
    "timedelta": datetime.timedelta,
    "date": lambda name, text: _DATES[name].fromisoformat(text),
    "range": range,
}


class DefaultedDict(dict[Any, Any]):
    """A dictionary of the answer's that gives keys which it lacks; by value but for these."""

    def __init__(self, known: dict[Any, Any], missing: Callable[[Any], Any]) -> None:
        """Start with what is known.

        Args:
            known: Keys and values.
            missing: Asks for the value of another key.
        """
        super().__init__(known)
        self._missing = missing

    def __missing__(self, key: Any) -> Any:
        """The answer's own value of a key."""
        self[key] = self._missing(key)
        return self[key]


class PlainFields:
    """A tuple with names, without the methods of its class."""

    def __init__(self, names: Iterable[str], values: Iterable[Any]) -> None:
        """Keep both.

        Args:
            names: Of the fields.
            values: In the same order.
        """
        self.names, self.values = names, values


class Message:
    """The values of one message; each container in it is written once."""

    def __init__(self, by_handle: Callable[[Any], Any], from_handle: Callable[[Any], Any]) -> None:
        """A message without values.

        Args:
            by_handle: Writes an object that is no data.
            from_handle: Reads it on the other side.
        """
        self.containers: list[Any] = []
        self._places: dict[int, int] = {}
        self._by_handle, self._from_handle = by_handle, from_handle

    def encode(self, value: Any) -> Any:
        """A value as JSON.

        Args:
            value: Any value.
        """
        kind: Any = type(value)
        kind = dict if kind is DefaultedDict else kind
        if value is None or kind in (bool, str, float):
            return value
        if kind is int:
            return value if abs(value) < 2**63 else ["int", hex(value)]
        if kind in _CONTAINERS:
            return self._container(value)
        if kind in (tuple, frozenset):
            return [kind.__name__, [self.encode(one) for one in value]]
        return self._scalar(value, kind)

    def _scalar(self, value: Any, kind: Any) -> Any:
        if kind in _WRITTEN:
            return _WRITTEN[kind](value)
        if kind.__module__ == "numpy" and getattr(getattr(value, "dtype", None), "kind", "") in set("biufc"):
            return _of_numpy(self, value)
        fields = getattr(kind, "_fields", None)
        # One of the answer's own class may have methods.
        if isinstance(value, tuple) and fields is not None and kind.__module__ != "answer":
            return ["named", type(value).__name__, list(fields), [self.encode(one) for one in value]]
        if kind is PlainFields:
            return [
                "named",
                "named",
                [str(one) for one in value.names],
                [self.encode(one) for one in value.values],
            ]
        name = value.__name__ if isinstance(value, type) else ""
        if name and vars(builtins).get(name) is value:
            return ["type", name]
        return ["handle", self._by_handle(value)]

    def _container(self, value: Any) -> Any:
        if id(value) in self._places:
            return ["same", self._places[id(value)]]
        self._places[id(value)] = len(self.containers)
        self.containers.append(value)
        name = "dict" if isinstance(value, DefaultedDict) else type(value).__name__
        return [name, len(self.containers) - 1, self.contents(value)]

    def contents(self, value: Any) -> Any:
        """What is in a container, as JSON."""
        if isinstance(value, bytearray):
            return value.decode("latin-1")
        if isinstance(value, dict):
            return [[self.encode(key), self.encode(item)] for key, item in value.items()]
        return [self.encode(one) for one in value]

    def decode(self, written: Any) -> Any:
        """The value that was written.

        Args:
            written: JSON of :meth:`encode`.

        Raises:
            ValueError: It is none.
        """
        if not isinstance(written, list):
            return written
        kind, *parts = written
        if kind == "same":
            return self.containers[parts[0]]
        if kind in ("list", "dict", "set", "bytearray", "deque", "Counter", "OrderedDict"):
            makers: dict[str, Any] = {"dict": dict, "bytearray": bytearray, **_NAMED}
            empty = makers[kind]()
            self._places[id(empty)] = len(self.containers)
            self.containers.append(empty)
            return self.fill(empty, parts[1])
        if kind in ("tuple", "frozenset"):
            return _NAMED[kind](self.decode(one) for one in parts[0])
        return self._decoded_scalar(kind, parts)

    def _decoded_scalar(self, kind: str, parts: list[Any]) -> Any:
        if kind in _READ:
            return _READ[kind](*parts)
        if kind == "named":
            name, fields, values = parts
            return collections.namedtuple(name, fields)(*(self.decode(one) for one in values))
        if kind == "numpy":
            import numpy

            return numpy.array([self.decode(one) for one in parts[2]], dtype=parts[0]).reshape(parts[1])
        if kind == "type":
            return self._from_handle([kind, *parts])
        if kind == "handle":
            return self._from_handle(parts[0])
        raise ValueError(f"no value is written like {kind}")

    def fill(self, container: Any, contents: Any) -> Any:
        """Replace what is in a container.

        Args:
            container: The container.
            contents: JSON of :meth:`contents`.

        Returns:
            The container.
        """
        container.clear()
        if isinstance(container, bytearray):
            container += contents.encode("latin-1")
        elif isinstance(container, dict):
            container.update({self.decode(key): self.decode(item) for key, item in contents})
        elif isinstance(container, set):
            container.update([self.decode(one) for one in contents])
        else:
            container.extend([self.decode(one) for one in contents])
        return container


def _of_numpy(message: Message, value: Any) -> Any:
    if not getattr(value, "shape", ()):
        return message.encode(value.item())
    return [
        "numpy",
        str(value.dtype),
        list(value.shape),
        [message.encode(one) for one in value.ravel().tolist()],
    ]
