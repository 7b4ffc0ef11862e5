"""Errors are sent between processes: a worker's are raised where its work was asked for."""

import pickle

import pytest

from harness.engines.served.client import RefusedError
from harness.errors import (
    AllFailedError,
    CasesFailedError,
    DataError,
    GoldenError,
    GoldenFaultsError,
    ModelError,
    TextsUnmeasuredError,
)

FAULT = GoldenError("a.yaml", 3, "cases[0]", "found 1", "a text")


@pytest.mark.parametrize(
    "error",
    [
        ModelError("no such model"),
        FAULT,
        GoldenFaultsError([FAULT, FAULT]),
        DataError("a.jsonl", 3, "no text"),
        CasesFailedError({1: "too long"}),
        TextsUnmeasuredError({1: "no echo"}, {2: "no reply"}),
        RefusedError("status 404", 404),
        AllFailedError("s/a: no reply", {0: "s/a: no reply"}),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_is_the_same_in_another_process(error):
    sent = pickle.loads(pickle.dumps(error))
    assert type(sent) is type(error)
    assert str(sent) == str(error)
    assert {name: str(value) for name, value in vars(sent).items()} == {
        name: str(value) for name, value in vars(error).items()
    }
