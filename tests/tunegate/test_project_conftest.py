"""The command knows what the conftest.py of its project registers, as a pytest session does."""

import pytest

CONFTEST = """
import sys
from pathlib import Path

from harness.metrics.definition import binary, one_by_one
from harness.registry import Metric, RewardKind, TrainMethod
from voice import is_loud

Path("imported.txt").write_text(__name__)


def shouts(request):
    return binary(request, is_loud(request.text), "letters are upper-case")


def pytest_tunegate_register(registry):
    registry.add(
        Metric(name="shouts", kind="binary", summary="Upper case.", function=one_by_one(shouts)),
        RewardKind(name="loud", settings="voice:Loud", build="voice:loud"),
        TrainMethod(name="parrot", train="voice:train", config="voice:Config", help="Repeats."),
    )
"""
VOICE = """
from typing import Literal

from trainers.config import StrictModel
from trainers.rewards.settings import WeightedReward


class Loud(WeightedReward):
    type: Literal["loud"]


class Config(StrictModel):
    word: str


def train(config, *, resume=False):
    print(config.word)
    return 0


def is_loud(text):
    return text.isupper()
"""
GOLDEN = "name: sums\ncases:\n  - {id: a, prompt: Say it loudly., checks: [{type: shouts}]}\n"
PATH = "[tool.pytest.ini_options]\npythonpath = ['src']\n"


@pytest.fixture
def project(write):
    files = {"src/voice.py": VOICE, "conftest.py": CONFTEST, "golden_sets/sums.yaml": GOLDEN}
    return write({"pyproject.toml": PATH, "parrot.yaml": "word: hello\n", **files})


def test_commands_know_its_metric_and_its_method(installation, project):
    linted = installation.run(project, "tunegate", "golden", "lint")
    assert "unknown check type" not in linted.stderr, linted.stderr
    assert "1 set" in linted.stderr
    assert '"shouts"' in installation.run(project, "tunegate", "golden", "schema").stdout
    trained = installation.run(project, "tunegate", "train", "parrot", "parrot.yaml")
    assert (trained.returncode, trained.stdout) == (0, "hello\n")


def test_from_a_folder_of_the_project_and_in_a_session_it_is_the_same(installation, project):
    deeper = installation.run(project / "src", "tunegate", "golden", "lint")
    assert "unknown check type" not in deeper.stderr
    assert "1 set" in deeper.stderr
    session = installation.run(project, "pytest")
    assert "1 skipped" in session.stdout, session.stdout + session.stderr


def test_a_trainer_as_a_module_knows_its_reward(installation, project):
    """Both rewards are unknown if the conftest.py is not read; the one that nobody defines stays so."""
    (project / "grpo.yaml").write_text(
        "base: b\noutput: out\ndata: [d.jsonl]\nrewards: [{type: loud}, {type: quiet}]\n"
    )
    run = installation.run(project, "python", "-m", "trainers.methods.grpo", "grpo.yaml")
    assert run.returncode == 4
    assert "quiet" in run.stderr
    assert ", loud)" in run.stderr, run.stderr


@pytest.mark.parametrize("command", [("--help",), ("runs", "list"), ("model", "list")], ids=" ".join)
def test_a_command_that_looks_no_name_up_does_not_import_it(installation, project, command):
    installation.run(project, "tunegate", *command)
    assert not (project / "imported.txt").exists()


def test_a_conftest_without_the_hook_is_not_imported(installation, project):
    text = CONFTEST.replace("def pytest_tunegate_register", "def other")
    (project / "conftest.py").write_text(f"# pytest_tunegate_register\n{text}")
    linted = installation.run(project, "tunegate", "golden", "lint")
    assert "unknown check type 'shouts'" in linted.stderr
    assert not (project / "imported.txt").exists()


def test_a_hook_that_it_imports_counts_too(installation, project):
    (project / "src" / "mine.py").write_text(CONFTEST)
    (project / "conftest.py").write_text("from mine import pytest_tunegate_register\n")
    assert "unknown check type" not in installation.run(project, "tunegate", "golden", "lint").stderr


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("import nothing_of_this_name", "ModuleNotFoundError: No module named 'nothing_of_this_name'"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("def (", "SyntaxError: invalid syntax"),
    ],
)
def test_one_that_breaks_is_one_line(installation, project, line, told):
    (project / "conftest.py").write_text(f"{line}\n{CONFTEST}")
    linted = installation.run(project, "tunegate", "golden", "lint")
    assert linted.returncode == 4
    first, *rest = linted.stderr.splitlines()
    assert first.startswith(f"tunegate: warning: plug-in {project}/conftest.py is left out: {told}")
    assert "unknown check type 'shouts'" in rest[0]
    assert "Traceback" not in linted.stderr


def test_a_project_with_packages_of_our_names_is_read_too(installation, project):
    """Its conftest.py gets ours, as in ``tunegate gate``."""
    (project / "harness").mkdir()
    (project / "harness" / "__init__.py").write_text("OWN = True\n")
    assert "unknown check type" not in installation.run(project, "tunegate", "golden", "lint").stderr
