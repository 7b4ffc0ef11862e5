"""The reference can't rot: each option, variable, key, check type and YAML key is on its page."""

import re
from pathlib import Path

import pytest
import typer

from harness.authoring.lint import lint_golden_set
from harness.cli.main import app
from harness.golden.load import load_golden_set
from harness.golden.schema import (
    CaseYaml,
    CheckYaml,
    DefaultsYaml,
    GateYaml,
    GenerationYaml,
    GoldenSetYaml,
)
from harness.settings import SETTINGS, environment_variable
from harness.types import GateVerdict, Outcome

ROOT = Path(__file__).parents[1]


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_each_setting_has_a_row(name):
    variable = re.compile(rf"`{environment_variable(name)}[`=]")
    row = next(line for line in page("docs/reference.md").splitlines() if variable.search(line))
    flag = SETTINGS[name].flag
    assert flag is None or f"`{flag}`" in row


def test_each_option_is_documented(pytester):
    text = page("docs/reference.md")
    listed = pytester.runpytest_inprocess("--help", "-p", "no:xdist").stdout.str()
    options = re.findall(r"^ +(--model|--gate-[a-z-]+)", listed, re.MULTILINE)
    assert "--model" in options
    assert "--gate-report" in options
    assert [name for name in options if f"`{name}`" not in text] == []


@pytest.mark.parametrize(
    "model",
    [GoldenSetYaml, CaseYaml, CheckYaml, DefaultsYaml, GenerationYaml, GateYaml],
    ids=lambda m: m.__name__,
)
def test_each_yaml_key_is_documented(model):
    text = page("docs/golden-sets.md")
    assert [
        name for name in model.model_fields if not re.search(rf"`(gate\.|defaults\.)?{name}`", text)
    ] == []


def commands(group: typer.Typer, above: str = "tunegate") -> list[str]:
    command = typer.main.get_command(group)
    found = []

    def walk(node, path):
        node = getattr(node, "command", node)
        names = node.list_commands(None) if hasattr(node, "list_commands") else []
        for name in names:
            walk(node.get_command(None, name), f"{path} {name}")
        if not names:
            found.append(path)

    walk(command, above)
    return found


def test_each_command_stands_in_the_readme():
    text = page("README.md")
    assert [command for command in commands(app) if command not in text] == []


def test_each_option_of_the_judge_s_commands_is_documented():
    text = page("docs/judge.md")
    group = typer.main.get_command(app).get_command(None, "judge").command
    assert {"compare", "correct", "label"} <= set(group.commands)
    options = [
        (name, option)
        for name, command in group.commands.items()
        for parameter in command.params
        for option in parameter.opts
        if option.startswith("--")
    ]
    assert [each for each in options if f"`{each[1]}`" not in text] == []


def test_links_between_pages_lead_somewhere():
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "golden_sets").glob("*.md")]
    broken = [
        f"{path.name}: {target}"
        for path in pages
        for target in re.findall(r"\]\((?!https?://)([^)#]+)", path.read_text(encoding="utf-8"))
        if not (path.parent / target).exists()
    ]
    assert broken == []


def snippets(name: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page(name), re.DOTALL)


@pytest.mark.parametrize("name", ["README.md", "docs/golden-sets.md", "docs/checks.md", "docs/prompts.md"])
def test_yaml_snippets_are_golden_sets(name, tmp_path):
    """Each loads, and the lint finds nothing in it."""
    found = snippets(name, "yaml")
    assert found
    for number, text in enumerate(found):
        path = tmp_path / f"{number}.yaml"
        path.write_text(text)
        assert lint_golden_set(load_golden_set(path)) == []


def test_python_snippets_of_the_readme_run_as_tests(pytester):
    """Without a model they are collected and skipped, not broken."""
    for number, text in enumerate(snippets("README.md", "python")):
        pytester.makepyfile(**{f"test_snippet_{number}": text})
    result = pytester.runpytest_inprocess("-p", "no:xdist")
    assert result.ret == pytest.ExitCode.OK
    assert result.parseoutcomes()["skipped"] == len(snippets("README.md", "python"))


def test_commands_of_the_readme_exist():
    """Each tunegate line of the README names a real command and real options."""
    lines = [
        line.strip().split("#")[0]
        for line in page("README.md").splitlines()
        if line.startswith("    tunegate ")
    ]
    assert lines
    known = commands(app)
    assert [line for line in lines if not any(line.startswith(command) for command in known)] == []


@pytest.mark.parametrize("words", [GateVerdict, Outcome], ids=lambda words: words.__name__)
def test_the_glossary_explains_each_verdict_and_outcome(words):
    terms = {
        term.strip()
        for row in re.findall(r"^\| ([^|]+) \|", page("docs/glossary.md"), re.MULTILINE)
        for term in row.split(",")
    }
    assert {str(word.value) for word in words} <= terms
