"""Tests of answers run in a process of their own: right answers of all kinds pass there, and no wrong one does."""

import pytest

from harness.metrics.code_check import run_code
from tests.metrics.test_code_check import TESTS

# An answer that is wrong, and tries to make its interpreter say otherwise.
WRONG = "\ndef add(a, b):\n    return 0\n"
FORGERIES = [
    "import builtins\nbuiltins.exec = lambda *a, **k: None",
    "import builtins\nbuiltins.compile = lambda *a, **k: 'pass'",
    "import __main__\n__main__.exec = lambda *a, **k: None\n__main__._executed = lambda *a: None",
    "import json\nold = json.dumps\njson.dumps = lambda d, **k: old({'passed': True, 'reason': ''})",
    "import sys\nsys.modules['__main__']._described = lambda *a: ''",
    "import builtins\nbuiltins.AssertionError = type('A', (BaseException,), {})",
    'import os\nfor i in range(3, 64):\n    try:\n        os.write(i, b\'{"passed": true, "reason": ""}\')\n    except OSError:\n        pass',
    "import atexit, os\natexit.register(lambda: os._exit(0))",
]
# The same that knows how the tests ask: only an answer that computes the right value passes them.
KNOWING = [
    "class E:\n    __eq__ = lambda s, o: True\n    __ne__ = lambda s, o: False\n    __hash__ = None\ndef add(a, b):\n    return E()",
    "class E(int):\n    __eq__ = lambda s, o: True\n    __ne__ = lambda s, o: False\n    __hash__ = int.__hash__\ndef add(a, b):\n    return E(0)",
    "import sys, gc\ndef add(a, b):\n    for o in gc.get_objects():\n        if isinstance(o, str) and 'assert add' in o:\n            return 3\n    f = sys._getframe()\n    while f:\n        if 'tests' in str(f.f_code.co_filename):\n            return 3\n        f = f.f_back\n    return 0",
    "import os\ndef add(a, b):\n    return 3 if b'assert add' in open(f'/proc/{os.getppid()}/mem', 'rb').read(1) else 0",
    "import sys\nfrom harness.metrics import code_sides as r\nr.AnswerSide._serve = lambda s, a: s._link.send(['return', True, []])",
    "import harness.metrics.code_operations as r\nr.OPERATIONS['__call__'] = lambda *a: [7]",
]
# Operations of an object, and names of Python's, that agree with everything.
AGREEING = """
class E:
    def __init__(self, *a, **k): pass
    def same(self, *a, **k): return E()
    def yes(self, *a, **k): return True
    __lt__ = __le__ = __gt__ = __ge__ = __eq__ = __contains__ = yes
    __sub__ = __rsub__ = __add__ = __abs__ = __round__ = __getitem__ = __call__ = __neg__ = same
    __hash__ = object.__hash__
def abs(x): return 0
def sorted(x, **k): return []
def isinstance(*a): return True
len = sum = min = max = round = abs
all = any = isinstance
AssertionError = KeyError
def add(a, b): return E()
"""


@pytest.mark.parametrize(
    "tests",
    [
        "assert abs(add(1, 2) - 3) < 0.1",
        "assert add(1, 2) < 4",
        "assert 4 > add(1, 2)",
        "assert [add(1, 2)] == [3]",
        "assert round(add(1, 2), 1) == 3",
        "assert sorted([add(1, 2), 1]) == [1, 3]",
        "assert isinstance(add(1, 2), int)",
        "assert {'a': add(1, 2)} == {'a': 3}",
        "assert add(1, 2) in (3, 4)",
        "assert add(1, 2) is 3 or add(1, 2) == 3.0",
        "import math\nassert math.isclose(add(1, 2), 3)",
        "assert all(add(i, i) == 2 * i for i in range(3))",
        "def check(candidate):\n    assert -1 < candidate(1, 2) - 3 < 1\ncheck(add)",
    ],
)
def test_an_object_that_agrees_with_everything_passes_nothing(tests):
    assert not run_code(AGREEING, tests)[0]


def test_a_function_named_like_one_of_python_s_is_the_one_that_is_tested():
    assert run_code("def sum(a, b):\n    return a * b", "assert sum(10, 15) == 150 and sum(1, 1) != 2")[0]


def test_no_outcome_is_forged_from_another_process():
    assert not run_code("\n".join(FORGERIES) + WRONG, TESTS)[0]


@pytest.mark.parametrize("forgery", KNOWING)
def test_tests_in_a_process_of_their_own_are_passed_by_right_values_alone(forgery):
    assert not run_code(forgery if "def add" in forgery else forgery + WRONG, TESTS)[0]


RIGHT = """\ufeff
from __future__ import annotations
import asyncio, collections, dataclasses, decimal, enum, fractions, pickle, typing

@dataclasses.dataclass(order=True)
class Point:
    x: int
    y: int = 0
    def __add__(self, other: Point) -> Point:
        return Point(self.x + other.x, self.y + other.y)
    def __len__(self): return 2
    def __iter__(self): return iter((self.x, self.y))
    def __getitem__(self, at): return (self.x, self.y)[at]
    def __enter__(self): return self
    def __exit__(self, *told): return False

class Stack:
    def __init__(self): self.items = []
    def push(self, item): self.items.append(item)
    def pop(self): return self.items.pop()
class Colour(enum.Enum):
    RED = 1
class TooMany(ValueError):
    def __init__(self, text, most):
        super().__init__(text)
        self.most = most
class Words(list):
    pass
Pair = collections.namedtuple("Pair", "a b")
class Named(typing.NamedTuple):
    a: int
    def twice(self): return 2 * self.a
class Text(str, enum.Enum):
    A = "a"
class Money(decimal.Decimal): pass
class Half(fractions.Fraction): pass
class Table(collections.UserDict): pass
def guarded(function):
    try: function()
    except TooMany: return "caught"
LIMIT = 3

def refuse(n):
    if n > LIMIT: raise TooMany("too many", LIMIT)
    raise KeyError(n)
def in_place(values, seen=None):
    values.sort()
    if seen is not None: seen.update(values)
    return values
def same(x): return x
def numbers(n):
    for i in range(n): yield i
def apply(function, values): return [function(one) for one in values]
def ordered(values, key): return sorted(values, key=key)
def hints(): return typing.get_type_hints(Point)["x"] is int
def copied(point): return pickle.loads(pickle.dumps(point)) == point
def gathered(n):
    async def one(): return n
    return asyncio.run(one())
def counts(text): return collections.Counter(text)
def pair(): return Pair(1, [2])
def big(): return 10 ** 5000
def add(a, b): return a + b
def words(): return Words(["a"])

if __name__ == "__main__":
    print(add(int(input()), 1))
"""
USES = """
import math
from collections import Counter
p = Point(1, y=2)
assert p.x == 1 and p + Point(1) == Point(2, 2) and p < Point(3) and p != Point(0)
assert len(p) == 2 and list(p) == [1, 2] and p[1] == 2 and tuple(p) == (1, 2) and 2 in p
assert isinstance(p, Point) and not isinstance(3, Point) and type(p).__name__ == "Point"
assert repr(p) == "Point(x=1, y=2)" and f"{p}" == str(p) and hints() and copied(p)
with p as entered:
    assert entered.y == 2
p.x = 5
assert p.x == 5 and bool(p) and sorted([Point(2), Point(1)])[0].x == 1
s = Stack()
for i in range(3):
    s.push(i)
assert s.pop() == 2 and s.items == [0, 1] and s is same(s)
assert Colour.RED is Colour(1) and Colour.RED.name == "RED" and Colour.RED in (Colour.RED,)
try:
    refuse(9)
    assert False
except TooMany as error:
    assert error.most == 3 and str(error) == "too many" and isinstance(error, ValueError)
try:
    refuse(1)
except KeyError as error:
    assert error.args == (1,)
values, seen = [3, 1, 2], set()
assert in_place(values, seen) is values and values == [1, 2, 3] and seen == {1, 2, 3}
assert list(numbers(3)) == [0, 1, 2] and sum(numbers(4)) == 6 and next(numbers(1)) == 0
assert apply(lambda one: one * 2, [1, 2]) == [2, 4] and apply(str, (1,)) == ["1"] and apply(math.sqrt, [4]) == [2.0]
assert ordered(["bb", "a"], key=len) == ["a", "bb"] and ordered([1, 2], lambda one: -one) == [2, 1]
assert gathered(7) == 7 and counts("aab") == {"a": 2, "b": 1} == Counter("aab") and counts("aa").most_common(1) == [("a", 2)]
assert pair() == (1, [2]) and pair().b == [2] and big() == 10 ** 5000 and LIMIT == 3 and words() == ["a"]
assert same(None) is None and same(True) is True and same(1.5) == 1.5 and same(b"x") == b"x" and same((1, [2])) == (1, [2])
assert same({1: {2}, "a": frozenset([3])}) == {1: {2}, "a": frozenset([3])} and same(2j) == 2j and math.isnan(same(math.nan))
assert Named(2).twice() == 4 and Named(2) == (2,) and isinstance(Named(2), Named) and isinstance(Named(2), tuple)
assert Text.A == "a" and Text("a") is Text.A and Money("3") == 3 and Half(1, 2) == 0.5 and Half(1, 2) < 1
assert Table(a=1) == {"a": 1} and same({"a": 1}).keys() == {"a"} and isinstance(words(), list)
def raising():
    raise TooMany("x", 1)
assert guarded(raising) == "caught"
def check(candidate):
    assert candidate(1, 2) == 3
    assert [candidate(i, i) for i in range(3)] == [0, 2, 4]
check(add)
assert add.__name__ == "add" and callable(add)
"""


def test_all_kinds_of_right_answers_pass_in_a_process_of_their_own():
    assert run_code(RIGHT, USES) == (True, "all tests pass")


def test_tests_see_what_the_answer_prints_and_give_it_their_objects():
    tests = (
        "import contextlib, io, random\n"
        "class Node:\n    def __init__(self, v): self.v = v\n"
        "out = io.StringIO()\n"
        "with contextlib.redirect_stdout(out):\n    said(Node(3))\n"
        "assert out.getvalue() == '3\\n'\n"
    )
    assert run_code("def said(node):\n    print(Node(node.v).v)\n", tests) == (True, "all tests pass")
