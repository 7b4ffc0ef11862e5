"""OpenMP's threads sleep while they wait, unless the user has chosen otherwise."""

import os

from harness.presentation.boundary import run_process
from tunegate.thread_waits import sleep_while_waiting


def test_the_users_own_choice_stays(monkeypatch):
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    sleep_while_waiting()
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"


def test_it_is_set_before_a_command_can_load_torch(monkeypatch):
    monkeypatch.setenv("OMP_WAIT_POLICY", "put back after the test")
    monkeypatch.delenv("OMP_WAIT_POLICY")
    seen = []
    assert run_process(lambda: seen.append(os.environ.get("OMP_WAIT_POLICY"))) == 0
    assert seen == ["PASSIVE"]
