"""The command as a user types it: help everywhere, bad input in one line with exit status 4, a lean start."""

import json
import subprocess
import sys
from importlib import metadata

import pytest
from typer.testing import CliRunner

from harness.cli.main import app
from harness.errors import SettingsError

RUNNER = CliRunner()
GROUPS = ["model", "golden", "runs", "judge", "probes", "data", "train", "estimate", "report", "serve"]


@pytest.mark.parametrize("arguments", [[], *[[group] for group in GROUPS]])
def test_every_group_has_help(arguments):
    result = RUNNER.invoke(app, [*arguments, "--help"])
    assert result.exit_code == 0, result.output
    assert "Usage" in result.output
    assert ("--install-completion" in result.output) is (not arguments)


def test_version():
    assert RUNNER.invoke(app, ["--version"]).output.startswith("tunegate 0.")


def test_starting_imports_nothing_heavy():
    code = (
        "import sys; from harness.cli.main import app; "
        "print([m for m in ('torch', 'transformers', 'numpy', 'pandas', 'evaluate') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["model", "show", "nowhere"], "no model 'nowhere'"),
        (["serve", "--model", "nowhere"], "no model 'nowhere'"),
        (["model", "fetch", "gpt"], "no model 'gpt'"),
        (["runs", "list"], ".tunegate/history.sqlite: no history here"),
        (["golden", "lint", "broken.yaml"], "broken.yaml:1: nam: unknown key"),
        (["train", "sft", "none.yaml"], "none.yaml: can't be read"),
        (["golden", "lint", "x" * 300], "File name too long"),
    ],
)
def test_bad_input_is_one_line_and_exit_status_4(tunegate, tmp_path, arguments, message):
    (tmp_path / "broken.yaml").write_text("nam: x\ncases: [{id: a, prompt: p, checks: [{type: is-json}]}]\n")
    done = tunegate(*arguments, cwd=tmp_path)
    assert done.returncode == 4, done.stderr
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_the_process_ends_with_the_same_status_and_line(tunegate, tmp_path):
    """Once as a user types it; the other tests call the entry point."""
    code = "from harness.cli.main import main; main()"
    arguments = ["golden", "lint", "nowhere.yaml"]
    process = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    called = tunegate(*arguments, cwd=tmp_path)
    assert (process.returncode, process.stdout, process.stderr) == (4, called.stdout, called.stderr)


def test_golden_new_adds_a_case_and_lint_is_content(tmp_path):
    """Scripted through flags: the offered checks are numbered, the chosen ones are written."""
    path = tmp_path / "mine.yaml"
    for prompt, answer in (("What is 1 + 1?", "2"), ("Name a city", "Paris")):
        result = RUNNER.invoke(
            app,
            ["golden", "new", str(path), "--prompt", prompt, "--answer", answer, "--checks", "1"],
            input="\n",
        )
        assert result.exit_code == 0, result.output
    assert "2 cases now" in result.output
    assert RUNNER.invoke(app, ["golden", "lint", str(path)]).exit_code == 0


def test_golden_new_asks_for_what_is_missing(tmp_path):
    path = tmp_path / "mine.yaml"
    result = RUNNER.invoke(app, ["golden", "new", str(path)], input="What is 1 + 1?\n\n2\n1\nsum\n")
    assert result.exit_code == 0, result.output
    assert "- id: sum" in path.read_text()


def test_golden_new_refuses_a_number_that_was_not_offered(tmp_path):
    arguments = [
        "golden",
        "new",
        str(tmp_path / "m.yaml"),
        "--prompt",
        "p",
        "--answer",
        "a",
        "--checks",
        "99",
    ]
    result = RUNNER.invoke(app, arguments)
    assert isinstance(result.exception, SettingsError)
    assert "--checks: found '99'" in str(result.exception)
    assert not (tmp_path / "m.yaml").exists()


def test_lint_findings_are_lines_and_exit_status_1(tmp_path):
    path = tmp_path / "weak.yaml"
    path.write_text("name: weak\ncases:\n  - {id: a, prompt: Q, checks: [{type: length, max: 4}]}\n")
    result = RUNNER.invoke(app, ["golden", "lint", str(path)])
    assert result.exit_code == 1
    assert "an empty answer passes" in result.output
    found = json.loads(RUNNER.invoke(app, ["golden", "lint", "--json", str(path)]).stdout)
    assert found[0]["rule"] == "passes-empty"


def test_train_init_prints_a_configuration():
    assert "base: smollm2" in RUNNER.invoke(app, ["train", "sft", "--init"]).output


def test_a_command_of_another_distribution_that_breaks_is_one_line(tunegate, monkeypatch):
    """It is left out of the list; all other commands work."""

    class Entry:
        name = "broken"

        def load(self):
            raise ImportError("No module named 'gone'\nsecond line")

    monkeypatch.setattr(
        metadata, "entry_points", lambda group: [Entry()] if group == "tunegate.commands" else []
    )
    shown = tunegate("--help")
    assert shown.returncode == 0
    assert "golden" in shown.stdout
    assert "broken" not in shown.stdout
    told = "tunegate: warning: command broken is left out: ImportError: No module named 'gone'"
    assert [line[: len(told)] for line in set(shown.stderr.splitlines())] == [told]
    assert tunegate("broken").returncode == 4
