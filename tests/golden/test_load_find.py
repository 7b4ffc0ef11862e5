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


def test_what_pytest_does_not_collect_is_no_golden_set(project, tmp_path_factory):
    """An editor's copies and locks, builds, and what the project's own pytest settings leave out."""
    sets = project / "golden_sets"
    outside = tmp_path_factory.mktemp("shared")
    (outside / "c.yaml").write_text(GOLDEN)
    for name in (".ipynb_checkpoints", "build", "__pycache__", "old"):
        (sets / name).mkdir()
        (sets / name / "b-checkpoint.yaml").write_text(GOLDEN)
    (sets / ".#b.yaml").symlink_to("nobody@nowhere.1")
    (sets / "round").symlink_to(sets)
    (sets / "shared").symlink_to(outside)
    names = ["b.yml", "a.yaml", "b-checkpoint.yaml", "c.yaml"]
    assert [path.name for path in golden_files()] == names
    (project / "pytest.ini").write_text("[pytest]\nnorecursedirs = old .* build\n")
    assert [path.name for path in golden_files()] == [*names[:2], "c.yaml"]


def test_a_path_below_another_is_taken_once(project):
    sets = project / "golden_sets"
    assert len(golden_files([sets, sets / "b.yml", sets / "deep"])) == 2


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
