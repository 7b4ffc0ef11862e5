"""Which files are golden sets, the same for every command."""

import pytest
from typer.testing import CliRunner

from harness.cli.main import app
from harness.golden.load import golden_files

GOLDEN = "name: a\ncases:\n  - {id: x, prompt: Q, checks: [{type: equals, value: A}]}\n"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Two golden sets, and beside them labelled items for a judge."""
    for name in ("golden_sets/b.yml", "golden_sets/deep/a.yaml", "golden_sets/judge/items.yaml"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(GOLDEN.replace("name: a", f"name: {path.stem}"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_labelled_items_are_passed_over(project):
    names = [path.name for path in golden_files()]
    assert names == ["b.yml", "a.yaml"]
    assert golden_files([project / "golden_sets" / "deep"]) == [project / "golden_sets" / "deep" / "a.yaml"]


def test_a_file_stands_for_itself(project):
    """Whether it is there and can be read, is told by whoever reads it."""
    assert golden_files([project / "none.yaml"]) == [project / "none.yaml"]
    assert golden_files([]) == []


@pytest.mark.parametrize("command", [["power"], ["golden", "lint"]])
def test_commands_read_golden_sets_only(project, command):
    """Labelled items have other keys: read as golden cases they end the command."""
    (project / "golden_sets" / "judge" / "items.yaml").write_text("name: i\nlabelled_by: us\nitems: []\n")
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.exception
