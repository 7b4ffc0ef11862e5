"""Every command finds the same project from any folder in it, and takes a typed path from where it is typed."""

import shutil

import pytest

from harness.history.store import open_history
from harness.types import GateRecord

SET = "name: sums\ncases:\n  - {id: a, prompt: 1 + 1?, references: ['2'], checks: [{type: equals}]}\n"
# Each with the option that names what it reads, as it would be typed in package/deep.
COMMANDS = {
    ("golden", "lint"): "../../sets",
    ("power", "--json"): "--golden=../../sets",
    ("runs", "list", "--json"): "--directory=../../kept",
    ("runs", "show", "latest", "--json"): "--directory=../../kept",
    ("runs", "trend", "--json"): "--directory=../../kept",
    ("runs", "recover"): "--directory=../../kept",
    ("judge", "correct", "latest", "--labels", "LABELS", "--json"): "--directory=../../kept",
    ("report", "latest", "--output", "OUTPUT"): "--directory=../../kept",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory, make_run, make_result):
    root = tmp_path_factory.mktemp("project")
    (root / "pyproject.toml").write_text("[tool.tunegate]\ngolden = ['sets']\ndirectory = 'kept'\n")
    (root / "sets").mkdir()
    (root / "sets" / "sums.yaml").write_text(SET)
    (root / "labels.jsonl").write_text("")
    (root / "package" / "deep").mkdir(parents=True)
    (root / "package" / "pyproject.toml").write_text("[tool.other]\n")
    with open_history(root / "kept" / "history.sqlite") as history:
        history.save(GateRecord(run=make_run([make_result("sums/a")])))
    return root


def done(tunegate, project, command, place, *further):
    words = [
        {"LABELS": str(project / "labels.jsonl"), "OUTPUT": str(project / "r.html")}.get(word, word)
        for word in command
    ]
    ended = tunegate(*words, *further, cwd=project / place)
    # What a path in a message begins with depends on where one is.
    shown = (ended.stdout + ended.stderr).replace("../../", "").replace(f"{project}/", "")
    return ended.returncode, shown


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_reads_the_same_from_everywhere(tunegate, project, command):
    expected = done(tunegate, project, command, ".")
    assert "no history" not in expected[1]
    assert done(tunegate, project, command, "package/deep") == expected
    assert done(tunegate, project, command, "package/deep", COMMANDS[command]) == expected


@pytest.mark.parametrize(
    "command", [each for each in COMMANDS if "--directory" in COMMANDS[each]], ids=" ".join
)
def test_the_history_s_file_stands_for_its_folder(tunegate, project, command):
    expected = done(tunegate, project, command, ".")
    for option in ("--directory", "--history"):
        assert done(tunegate, project, command, ".", f"{option}=kept/history.sqlite") == expected


def test_a_model_of_the_configuration_is_found_from_everywhere(project, tiny_adapter_dir, monkeypatch):
    """A path in pyproject.toml is relative to it; on the command line and in a variable to where one is."""
    from harness.settings import load_settings

    root = project.parent / "configured"
    shutil.copytree(project, root)
    (root / "out" / "mine").mkdir(parents=True)
    (root / "pyproject.toml").write_text(
        "[tool.tunegate]\nmodel = ['out/mine', 'hf:org/name']\nbaseline = 'out/mine'\nbase = 'smollm2'\n"
    )
    monkeypatch.chdir(root / "package" / "deep")
    settings = load_settings({}, root, {})
    assert settings.model == (str(root / "out" / "mine"), "hf:org/name")
    assert (settings.baseline, settings.base) == (str(root / "out" / "mine"), "smollm2")
    assert load_settings({"model": ["out/mine"]}, root, {}).model == ("out/mine",)
    assert load_settings({}, root, {"TUNEGATE_MODEL": "out/mine"}).model == ("out/mine",)
    monkeypatch.chdir(root)
    assert load_settings({}, root, {}).model == ("out/mine", "hf:org/name")
