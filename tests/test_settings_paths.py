"""Paths in pyproject.toml are the project's, wherever a session starts; those of variables and options are the caller's."""

import pytest

from harness.settings import load_settings


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with files, seen from a folder of it."""
    for name in (
        "answers.json",
        "runs/before.json",
        "adapters/a/adapter_config.json",
        "hub/model/config.json",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("{}")
    (tmp_path / "rules").mkdir()
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    return tmp_path


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("adapters/a", "{project}/adapters/a"),
        ("runs/before.json", "{project}/runs/before.json"),
        ("answers.json", "{project}/answers.json"),
        ("canned:answers.json", "canned:{project}/answers.json"),
        ("canned:adapters/a", "canned:{project}/adapters/a"),
        # Names, also where something of the project is called so.
        *((name, name) for name in ("rules", "canned:rules", "canned:gone.json", "main", "none")),
        *((name, name) for name in ("hf:hub/model", "commit:adapters/a", "openai:hub/model", "x" * 9_000)),
        ("/" + "x" * 9_000, "/" + "x" * 9_000),
    ],
)
@pytest.mark.parametrize("key", ["model", "base", "baseline"])
def test_a_path_of_a_model_or_of_a_plug_in_s_model_or_of_a_run(project, key, written, read):
    (project / "pyproject.toml").write_text(f"[tool.tunegate]\n{key} = '{written}'\n")
    expected = read.format(project=project)
    assert getattr(load_settings({}, project, {}), key) == ((expected,) if key == "model" else expected)
    variable = {f"TUNEGATE_{key.upper()}": "adapters/a"}
    typed = getattr(load_settings({}, project, variable), key)
    assert typed == (("adapters/a",) if key == "model" else "adapters/a")


def test_a_session_in_the_project_itself_has_paths_as_they_are_written(project, monkeypatch):
    monkeypatch.chdir(project)
    (project / "pyproject.toml").write_text(
        "[tool.tunegate]\nmodel = ['adapters/a', 'canned:answers.json']\n"
    )
    assert load_settings({}, project, {}).model == ("adapters/a", "canned:answers.json")


def test_a_plug_in_s_judge_may_have_a_path(project):
    (project / "pyproject.toml").write_text(
        "[tool.tunegate]\njudge = ['keyword:please', 'rules:runs/before.json', 'local:adapters/a']\n"
    )
    at = str(project)
    assert load_settings({}, project, {}).judge == (
        "keyword:please",
        f"rules:{at}/runs/before.json",
        f"local:{at}/adapters/a",
    )
