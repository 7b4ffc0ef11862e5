"""What is read from the tests of a code check before anything runs."""

import pytest

from harness.golden.code_tests import CodeTestsError, read_code_tests

CASE = (
    "import unittest\nclass T(unittest.TestCase):\n    def test_a(self):\n        self.assertEqual(f(1), 2)\n"
)


@pytest.mark.parametrize(
    ("tests", "told"),
    [
        ("import inspect\nassert inspect.getsource(f)", "line 1: the tests import inspect"),
        ("from subprocess import run\nassert f()", "the tests import subprocess"),
        ("from . import other\nassert f()", "the tests import ."),
        ("assert eval(f(1)) == 2", "the tests use eval"),
        ("globals()['f'](1)", "the tests use globals"),
        (
            "import os\nos.environ['A'] = '1'\nassert f()",
            "line 2: os.environ would change the tests' process",
        ),
        ("from os import environ\nassert f()", "os.environ would change"),
        ("import os as system\nassert f()", "os has another name: write import os"),
        ("import random\nrandom.randint = lambda a, b: 1\nassert f()", "random.randint = … would change"),
        ("import time\nsetattr(time, 'sleep', print)\nassert f()", "setattr(time, …) would change"),
        (
            "from unittest.mock import patch\nwith patch('time.sleep'):\n    f()",
            "patch('time.sleep') would change",
        ),
        (
            "from unittest import mock\nwith mock.patch.object(A, 'b'):\n    f()",
            "mock.patch.object(None) would",
        ),
        (
            "import unittest\nunittest.defaultTestLoader.discover('.')",
            "discover would read tests from the answer",
        ),
        ("class Dog(Animal):\n    pass\nassert Dog().name", "Dog is derived from the answer's Animal"),
        (
            "def check(candidate):\n    assert candidate(1) == 2",
            "define check and never use it: such as check(…)",
        ),
        ("def test_f(n):\n    assert f(n) == 2", "define test_f and never use it"),
        ("async def test_f():\n    assert await f() == 2", "define test_f and never use it"),
        ("class TestF:\n    def test_f(self):\n        assert f(1) == 2", "derive it from unittest.TestCase"),
        ("assert len(sorted([2, 1])) == 2", "may mean len or sorted"),
    ],
)
def test_tests_that_cannot_judge_from_outside_are_refused(tests: str, told: str) -> None:
    with pytest.raises(CodeTestsError) as raised:
        read_code_tests(tests)

    assert told in str(raised.value)
    assert raised.value.remedy


@pytest.mark.parametrize(
    "tests",
    [
        CASE,
        CASE + "if __name__ == '__main__':\n    unittest.main()\n",
        "import io, sys\nsys.stdin = io.StringIO('1')\nassert f() == 1",
        "from unittest.mock import patch\nwith patch('builtins.input', return_value='3'):\n    assert f() == 3",
        "import os\nassert os.path.exists(f())",
        "assert 'A' not in os.environ",
        "class Node:\n    pass\nassert f(Node())",
        "assert len(open('out.txt').read()) == 3",
    ],
)
def test_others_are_read(tests: str) -> None:
    assert read_code_tests(tests).redefined is None


def test_what_tests_take_from_the_answer_is_known() -> None:
    found = read_code_tests(
        "class Node:\n    pass\ndef test_a():\n    assert shop.Stack(Node()) and f(Queue) != 1\n"
    )

    assert found.classes == {"Stack", "Queue"}
    assert found.own_classes == {"Node"}
    assert found.uncalled == ("test_a",)
    assert read_code_tests("assert sum(10, 15) == 150").redefined == "sum"
    assert read_code_tests("assert sum(f(10), 15) == 150").redefined is None
    # Of test cases the methods decide: no answer gets hold of one.
    assert read_code_tests(CASE).own_classes == frozenset()
