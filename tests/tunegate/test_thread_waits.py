"""OpenMP's threads sleep after a short wait, unless the user has chosen otherwise."""

import os

import pytest

from harness.presentation.boundary import run_process
from tunegate.thread_waits import sleep_while_waiting


@pytest.fixture(autouse=True)
def unset(monkeypatch):
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.setenv(name, "put back after the test")
        monkeypatch.delenv(name)


@pytest.mark.parametrize(("name", "value"), [("OMP_WAIT_POLICY", "ACTIVE"), ("GOMP_SPINCOUNT", "7")])
def test_the_users_own_choice_stays(name, value, monkeypatch):
    monkeypatch.setenv(name, value)
    before = dict(os.environ)
    sleep_while_waiting()
    assert dict(os.environ) == before


def test_it_is_set_before_a_command_can_load_torch():
    seen = []
    assert run_process(lambda: seen.append(os.environ.get("GOMP_SPINCOUNT"))) == 0
    assert seen == ["5000"]
