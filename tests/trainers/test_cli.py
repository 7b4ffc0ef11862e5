"""Methods of plug-ins run as ours do, and their faults are one line."""

import sys
from importlib import metadata

import pytest
from typer.testing import CliRunner

from harness.errors import EngineError, SettingsError
from harness.registry import Registry, TrainMethod, use_registry
from trainers.cli import app
from trainers.config import StrictModel


class Memory(StrictModel):
    """A plug-in's configuration."""

    data: str


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Trains with a plug-in's method."""
    monkeypatch.setattr(metadata, "entry_points", lambda group: [])
    before = use_registry(None)
    config = tmp_path / "m.yaml"
    config.write_text("data: x\n")

    def run(train, kind=Memory, *options):
        method = TrainMethod(
            name="memorise", train=train, config=kind, help="By heart.", example={"data": "x"}
        )
        registry = Registry()
        registry.register("test", lambda registrar: registrar.add(method))
        use_registry(registry)
        return CliRunner().invoke(app, ["memorise", str(config), *options], standalone_mode=False)

    yield run
    use_registry(before)


@pytest.mark.parametrize("status", [0, 3])
def test_its_exit_status_is_the_command_s(run, status):
    seen = []
    done = run(lambda config, *, resume=False: seen.append((config.data, resume)) or status)
    assert (done.return_value, seen) == (status, [("x", False)])


@pytest.mark.parametrize(("code", "status"), [(None, 0), (0, 0), (3, 3)])
def test_one_that_ends_by_sys_exit_has_that_status(run, code, status):
    assert run(lambda config, *, resume=False: sys.exit(code)).return_value == status


@pytest.mark.parametrize(
    ("train", "told"),
    [
        (lambda config, *, resume: 1 / 0, "training method 'memorise': ZeroDivisionError: division by zero"),
        (lambda config: 0, "training method 'memorise': TypeError: "),
        (lambda config, *, resume: "ok", "training method 'memorise': gave 'ok' in place of an exit status"),
        (lambda config, *, resume: None, "training method 'memorise': gave None in place of an exit status"),
        (lambda config, *, resume: True, "training method 'memorise': gave True in place of an exit status"),
        (lambda config, *, resume: 256, "training method 'memorise': gave 256 in place of an exit status"),
        (
            lambda config, *, resume: sys.exit("no data"),
            "training method 'memorise': gave 'no data' in place",
        ),
        (lambda config, *, resume: pytest.skip("no"), "training method 'memorise': Skipped: no"),
    ],
)
def test_a_fault_is_one_line(run, train, told):
    error = run(train).exception
    assert isinstance(error, EngineError)
    assert str(error).startswith(told)
    assert "\n" not in str(error)


def test_a_refusal_is_passed_on(run):
    def refuse(config, *, resume=False):
        raise SettingsError("too short to learn")

    assert str(run(refuse).exception) == "too short to learn"


def test_a_configuration_of_another_kind_is_refused(run):
    error = run(lambda config, *, resume=False: 0, dict).exception
    assert isinstance(error, SettingsError)
    assert str(error).endswith("no subclass of trainers.config.StrictModel")


def test_leaks_are_allowed_only_where_they_are_looked_for(run):
    error = run(lambda config, *, resume=False: 0, Memory, "--allow-leakage").exception
    assert isinstance(error, SettingsError)
    assert "has no check for golden cases" in str(error)
