"""What may be done with an object in another process: by name, the operation itself."""

import collections
import collections.abc
import copy
import decimal
import fractions
import operator
from collections.abc import Callable
from typing import Any

OPERATIONS: dict[str, Callable[..., Any]] = {
    "__call__": lambda target, *args, **kwargs: target(*args, **kwargs),
    "__getattr__": getattr,
    "__setattr__": setattr,
    "__delattr__": delattr,
    "__instancecheck__": lambda target, value: isinstance(value, target),
    "__subclasscheck__": lambda target, value: issubclass(value, target),
    "__iter__": iter,
    "__next__": next,
    "__len__": len,
    "__bool__": bool,
    "__str__": str,
    "__repr__": repr,
    "__hash__": hash,
    "__int__": int,
    "__float__": float,
    "__complex__": complex,
    "__bytes__": bytes,
    "__dir__": dir,
    "__format__": format,
    "__reversed__": reversed,
    "__round__": round,
    "__enter__": lambda target: type(target).__enter__(target),
    "__exit__": lambda target, *told: type(target).__exit__(target, *told),
    "__divmod__": divmod,
    "__rdivmod__": lambda target, other: divmod(other, target),
    "__contains__": operator.contains,
    "__copy__": copy.copy,
    "__deepcopy__": copy.deepcopy,
    "__missing__": lambda target, key: type(target).__missing__(target, key),
    "__aiter__": aiter,
    "__anext__": anext,
    "__aenter__": lambda target: type(target).__aenter__(target),
    "__aexit__": lambda target, *told: type(target).__aexit__(target, *told),
}
OPERATIONS |= {
    f"__{name}__": getattr(operator, f"__{name}__")
    for name in (
        *("index", "neg", "pos", "abs", "invert", "getitem", "setitem", "delitem"),
        *("eq", "ne", "lt", "le", "gt", "ge", "iadd", "isub", "imul", "ior", "iand", "ixor"),
    )
}
_ARITHMETIC = "add sub mul matmul truediv floordiv mod pow lshift rshift and or xor"
for _name in _ARITHMETIC.split():
    OPERATIONS[f"__{_name}__"] = _forward = getattr(operator, f"__{_name}__")
    OPERATIONS[f"__r{_name}__"] = lambda target, other, _forward=_forward: _forward(other, target)
ALWAYS = {"__getattr__", "__setattr__", "__delattr__", "__str__", "__repr__", "__dir__", "__format__"}
ALWAYS |= {"__instancecheck__", "__subclasscheck__", "__copy__", "__deepcopy__"}
COMPARISONS = {f"__{name}__": getattr(operator, name) for name in ("eq", "ne", "lt", "le", "gt", "ge")}
ARITHMETIC = {f"__{side}{name}__" for name in (*_ARITHMETIC.split(), "divmod") for side in ("", "r", "i")}
ARITHMETIC |= {f"__{name}__" for name in ("neg", "pos", "abs", "invert", "round", "contains")}
# What only a text, a number or a set is asked; an object that agrees with everything would say yes.
QUESTIONS = {
    name
    for kind in (str, bytes, int, float, set)
    for name in dir(kind)
    if name.startswith(("is", "starts", "ends"))
}
# What the answer may do with an object of the tests that it was given: a key function, an iterator.
LENT = {"__call__", "__iter__", "__next__", "__len__", "__getitem__", "__bool__", "__hash__", "__eq__"}
# Types of data, with how an object of a subclass becomes one of them, whatever it redefines.
PLAIN: dict[type, Callable[[Any], Any]] = {
    int: int.__int__,
    float: float.__float__,
    str: str.__str__,
    bytes: lambda value: bytes.__getitem__(value, slice(None)),
    list: lambda value: list.__getitem__(value, slice(None)),
    tuple: lambda value: tuple.__getitem__(value, slice(None)),
    dict: dict,
    set: set,
    frozenset: frozenset,
    complex: complex,
    decimal.Decimal: decimal.Decimal,
    fractions.Fraction: fractions.Fraction,
    collections.UserDict: dict,
    collections.UserList: list,
    collections.UserString: str,
    collections.abc.KeysView: set,
    collections.abc.ItemsView: set,
}
