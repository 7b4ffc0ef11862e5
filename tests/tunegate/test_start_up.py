"""Who doesn't gate doesn't wait for us: nothing heavy is imported, by a session or by a command, before it is used."""

import pytest

SHOW = """
import sys, os
def pytest_unconfigure(config):
    names = {name.partition('.')[0] for name in sys.modules}
    print('imported:', *sorted(names & set(os.environ['LOOKED_FOR'].split())))
"""
OURS = "harness reports trainers"
HEAVY = (
    "asyncio evaluate jinja2 jsonschema numpy pandas peft pydantic pydantic_settings regex rich scipy torch "
    "transformers typer yaml"
)
TEST = {"pyproject.toml": "", "test_one.py": "def test_one(): pass\n", "conftest.py": SHOW}
GOLDEN = (
    "name: sums\ncases:\n  - {id: a, prompt: 1 + 1?, checks: [{type: contains, value: '2'}], tags: [t]}\n"
)


def imported(installation, project, *command):
    """What a command imported of ours and of what is heavy; a session says so itself at its end."""
    looked_for = f"{OURS} {HEAVY}"
    done = installation.run_new(project, *command, LOOKED_FOR=looked_for)
    assert done.returncode == 0, done.stdout + done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("imported:")]
    return line.split()[1:]


TABLE = {
    "pyproject.toml": "[tool.tunegate]\ngolden = ['sets', 'more/one.yaml']\npaths = []\n",
    "more/one.yaml": GOLDEN,
}


@pytest.mark.parametrize(
    "more", [{}, {"golden_sets/sums.yaml": GOLDEN}, TABLE], ids=["none", "not collected", "settings"]
)
def test_a_session_that_collects_no_golden_set_imports_nothing_of_the_gate(installation, write, more):
    project = write({**TEST, **more})
    assert imported(installation, project, "pytest", "-s", "test_one.py") == []
    if not more:
        assert imported(installation, project, "pytest", "-s") == []


def test_a_session_that_skips_golden_cases_imports_no_library_of_scores_or_reports(installation, write):
    project = write({**TEST, "golden_sets/sums.yaml": GOLDEN})
    found = imported(installation, project, "pytest", "-s")
    assert {"harness", "yaml"} <= {*found}
    assert {*found} & {
        "jinja2",
        "jsonschema",
        "numpy",
        "pandas",
        "peft",
        "scipy",
        "torch",
        "transformers",
    } == set()


@pytest.mark.parametrize("variables", [{}, {"TUNEGATE_GOLDEN": "other"}], ids=["key", "variable"])
def test_golden_sets_are_collected_where_the_settings_say(installation, write, variables):
    """A folder, and a file of its own; each loads the gate when it is met."""
    project = write(
        {**TABLE, "sets/a.yaml": GOLDEN.replace("sums", "a"), "other/b.yaml": GOLDEN.replace("sums", "b")}
    )
    done = installation.run_new(project, "pytest", "--collect-only", "-q", **variables)
    found = [line for line in done.stdout.splitlines() if "::" in line]
    assert found == (["other/b.yaml::a"] if variables else ["more/one.yaml::a", "sets/a.yaml::a"]), (
        done.stdout
    )


COMMANDS = {
    "--help": {
        "asyncio",
        "jinja2",
        "jsonschema",
        "numpy",
        "scipy",
        "yaml",
        "pydantic_settings",
        "trainers.config",
    },
    "golden lint": {
        "asyncio",
        "jinja2",
        "jsonschema",
        "numpy",
        "scipy",
        "pydantic_settings",
        "rich",
        "harness.engines",
        "harness.comparison.metric_drop",
        "harness.types.comparison",
        "harness.types.findings",
    },
    "runs list": {
        "asyncio",
        "jinja2",
        "jsonschema",
        "numpy",
        "scipy",
        "yaml",
        "harness.comparison",
        "harness.engines",
        "harness.golden",
        "harness.registry",
        "harness.types.comparison",
        "harness.types.findings",
    },
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_imports_what_it_uses(installation, write, command):
    project = write({"pyproject.toml": "", "golden_sets/sums.yaml": GOLDEN})
    stored = (
        "from pathlib import Path; from harness.history.store import open_history\n"
        "Path('.tunegate').mkdir()\nwith open_history(Path('.tunegate/history.sqlite')): pass"
    )
    installation.run_new(project, "python", "-c", stored)
    code = (
        "import sys, atexit; from tunegate.command import main\n"
        f"atexit.register(lambda: print('imported:', *sorted(sys.modules)))\nsys.argv = {['tunegate', *command.split()]}\nmain()"
    )
    done = installation.run_new(project, "python", "-c", code)
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("imported:")]
    assert {*line.split()} & COMMANDS[command] == set()
    assert "typer" in line


def test_the_list_of_commands_says_what_each_says_of_itself():
    """The lines are written twice, so that the list needs no import of the commands."""
    import typer

    from harness.cli.deferred import PlaceholderCommand
    from harness.cli.main import app
    from reports import commands as of_reports
    from trainers import commands as of_trainers

    group = typer.main.get_command(app)
    listed = [group.get_command(None, name) for name in group.table]
    runs = group.get_command(None, "runs").command
    listed += [runs.get_command(None, name) for name in runs.table]
    listed += [
        PlaceholderCommand(name, value)
        for module in (of_reports, of_trainers)
        for name, value in vars(module).items()
        if name.islower() and hasattr(value, "target")
    ]
    assert {"golden", "trend", "report", "advise"} <= {each.name for each in listed}
    assert {each.name: each.help for each in listed} == {
        each.name: each.command.help.strip().splitlines()[0] for each in listed
    }
