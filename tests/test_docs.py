"""The reference can't rot: each option, variable, key, check type and YAML key stands on its page."""

import re
from pathlib import Path

import pytest
import typer

from harness.cli.main import app
from harness.golden.schema import (
    CaseYaml,
    CheckYaml,
    DefaultsYaml,
    GateYaml,
    GenerationYaml,
    GoldenSetYaml,
)
from harness.settings import SETTINGS, environment_variable

ROOT = Path(__file__).parents[1]


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_each_setting_has_a_row(name):
    row = next(
        line for line in page("docs/reference.md").splitlines() if f"`{environment_variable(name)}" in line
    )
    flag = SETTINGS[name].flag
    assert flag is None or f"`{flag}`" in row


def test_each_option_is_documented(pytestconfig):
    text = page("docs/reference.md")
    group = pytestconfig._parser.getgroup("tunegate")
    options = [name for option in group.options for name in option.names()]
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
    assert [name for name in model.model_fields if f"`{name}`" not in text] == []


def commands(group: typer.Typer, above: str = "tunegate") -> list[str]:
    command = typer.main.get_command(group)
    found = []

    def walk(node, path):
        children = getattr(node, "commands", None)
        if children:
            for name, child in children.items():
                walk(child, f"{path} {name}")
        else:
            found.append(path)

    walk(command, above)
    return found


def test_each_command_stands_in_the_readme():
    text = page("README.md")
    assert [command for command in commands(app) if command not in text] == []


def test_links_between_pages_lead_somewhere():
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "golden_sets").glob("*.md")]
    broken = [
        f"{path.name}: {target}"
        for path in pages
        for target in re.findall(r"\]\((?!https?://)([^)#]+)", path.read_text(encoding="utf-8"))
        if not (path.parent / target).exists()
    ]
    assert broken == []
