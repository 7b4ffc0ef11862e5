"""One rule says which folder is the project, in a pytest session and in all commands."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.cli.kept import kept_in
from harness.errors import HistoryError
from harness.golden.load import golden_files
from harness.history.location import history_place
from harness.plugin.hooks import settings_of
from tunegate.project import command_project, configured_project, read_table, session_project, user_path

GOLDEN = (
    "name: {0}\ncases:\n  - {{id: a, prompt: 1 + 1?, checks: [{{type: contains, value: '2'}}], tags: [t]}}\n"
)
TABLE = "[tool.tunegate]\ngolden = ['sets']\ndirectory = 'kept'\n"


@pytest.fixture
def project(tmp_path):
    """A configured project, with a package that has a configuration of its own but no table, and a deep folder."""
    (tmp_path / "pyproject.toml").write_text(TABLE)
    (tmp_path / "sets").mkdir()
    (tmp_path / "sets" / "sums.yaml").write_text(GOLDEN.format("sums"))
    package = tmp_path / "package"
    (package / "src" / "deep").mkdir(parents=True)
    (package / "pyproject.toml").write_text("[tool.pytest.ini_options]\n# not of tunegate\n")
    return tmp_path


PLACES = [".", "sets", "package", "package/src/deep"]


@pytest.mark.parametrize("place", PLACES)
def test_the_nearest_configured_folder_is_the_project(project, place):
    here = project / place
    assert configured_project(here) == project
    assert command_project(here) == (Path() if place == "." else project)


@pytest.mark.parametrize(
    ("text", "is_configured"),
    [("", False), ("[tool.other]\ntunegate = 1\n", False), ("# tunegate\n", False), ("[tool.tunegate]\n", True), ("[tool]\ntunegate = 3\n", False), ("tunegate = ", False)],
)  # fmt: skip
def test_a_table_makes_a_project(tmp_path, text, is_configured):
    (tmp_path / "pyproject.toml").write_text(text)
    assert (configured_project(tmp_path) == tmp_path) is is_configured


@pytest.mark.parametrize("value", ["[" * 100_000, "1" * 5_001, "'"], ids=["deep", "long", "broken"])
def test_a_configuration_that_nothing_can_read_stops_no_session(tmp_path, value):
    """Whoever reads the settings says what is wrong with it."""
    (tmp_path / "pyproject.toml").write_text(f"[tool.tunegate]\nmargin = {value}\n")
    assert read_table(tmp_path) is None


@pytest.mark.parametrize("sign", ["pyproject.toml", "pytest.ini", "tox.ini", ".tunegate"])
def test_without_a_table_the_nearest_root_is_the_project(tmp_path, sign):
    (tmp_path / sign).mkdir() if sign == ".tunegate" else (tmp_path / sign).write_text("")
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert command_project(tmp_path / "a" / "b") == tmp_path
    assert command_project(tmp_path) == Path()


@pytest.mark.parametrize(
    ("name", "text", "is_root"),
    [
        ("pytest.ini", "", True),
        ("tox.ini", "[pytest]\n", True),
        ("tox.ini", "[tox]\n", False),
        ("setup.cfg", "[metadata]\n[tool:pytest]\n", True),
        ("pyproject.toml", "[tool.pytest]\n", True),
        ("pyproject.toml", "[tool.pytest-other]\n", False),
    ],
)
def test_without_a_table_a_command_takes_pytest_s_root(tmp_path, name, text, is_root):
    """In a repository of several packages a gate's golden sets, history and baselines are there."""
    (tmp_path / name).write_text(text)
    (tmp_path / "package" / "src").mkdir(parents=True)
    (tmp_path / "package" / "pyproject.toml").write_text("[project]\n")
    found = command_project(tmp_path / "package" / "src")
    assert found == (tmp_path if is_root else tmp_path / "package")


@pytest.mark.parametrize("place", PLACES)
def test_every_command_finds_the_same_project(project, place, monkeypatch):
    """Golden sets, what is kept and the history, from any folder in it."""
    monkeypatch.chdir(project / place)
    monkeypatch.delenv("TUNEGATE_DIRECTORY", raising=False)
    assert [path.resolve() for path in golden_files()] == [project / "sets" / "sums.yaml"]
    assert (Path.cwd() / kept_in(None)).resolve() == project / "kept"
    assert kept_in(Path("mine")) == Path("mine")
    with pytest.raises(HistoryError, match=str(project / "kept" / "history.sqlite")):
        history_place()
    (project / "kept").mkdir()
    (project / "kept" / "history.sqlite").write_text("")
    assert history_place() == project / "kept" / "history.sqlite"


@pytest.mark.parametrize("place", PLACES)
def test_a_session_takes_the_same_project(project, place, installation, tiny_adapter_dir):
    """Whatever pytest takes for its root."""
    arguments = (f"--model={tiny_adapter_dir}", "--gate-no-forgetting", "--collect-only", "-q")
    done = installation.run(project / place, "pytest", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "sums.yaml::a" in done.stdout


def test_a_path_of_an_option_is_taken_from_where_it_is_typed(project, installation, tiny_adapter_dir):
    """A path of the configuration is relative to the project."""
    (project / "package" / "own.yaml").write_text(GOLDEN.format("own"))
    arguments = (f"--model={tiny_adapter_dir}", "--gate-no-forgetting", "--collect-only", "-q")
    done = installation.run(project / "package", "pytest", *arguments, "--gate-golden=own.yaml")
    assert "own.yaml::a" in done.stdout, done.stderr
    assert "sums.yaml" not in done.stdout


@pytest.mark.parametrize(
    ("name", "place"), [("h.sqlite", "package/h.sqlite"), ("postgresql://ci@db/runs", None)]
)
def test_the_history_of_an_option_is_in_the_folder_where_it_is_typed(project, name, place):
    config = SimpleNamespace(
        getoption=lambda option, default: name if option == "tunegate_history" else default,
        invocation_params=SimpleNamespace(dir=project / "package", args=()),
    )
    assert settings_of(config).history == (name if place is None else str(project / place))


@pytest.mark.parametrize("arguments", [(), ("-q", "--collect-only")])
@pytest.mark.parametrize("key", ["golden = 3", "modle = 'x'", "dtype = 'int8'"])
def test_wrong_settings_are_one_line_in_a_session_without_a_model_too(tmp_path, installation, key, arguments):
    """The gate is loaded by the golden set, while files are collected."""
    (tmp_path / "pyproject.toml").write_text(f"[tool.tunegate]\n{key}\n")
    (tmp_path / "golden_sets").mkdir()
    (tmp_path / "golden_sets" / "a.yaml").write_text(GOLDEN.format("a"))
    (tmp_path / "golden_sets" / "b.yaml").write_text(GOLDEN.format("b"))
    done = installation.run(tmp_path, "pytest", *arguments)
    assert done.returncode == 4, done.stdout + done.stderr
    assert f"[tool.tunegate] {key.partition(' ')[0]}: " in done.stderr
    assert "INTERNALERROR" not in done.stdout + done.stderr


def started(here, root, *args, ini=None):
    """What pytest knows of itself before it knows our options."""
    return SimpleNamespace(
        invocation_params=SimpleNamespace(dir=here, args=args), rootpath=root, inipath=ini, option=None
    )


@pytest.mark.parametrize("model", ["models/mine", "../elsewhere/mine"])
def test_a_model_behind_a_space_is_no_root(tmp_path, model):
    """Pytest takes it for a path of tests while it looks for its root."""
    here = tmp_path / "project"
    root = (here / model).resolve()
    for folder in (root, here / "tests"):
        folder.mkdir(parents=True)
    for args in (["--model", model], ["-q", "--gate-margin", "0.1", "--model", model]):
        assert session_project(started(here, root, *args)) == here
        # As pytest's common root of the model and the place where it was started.
        assert session_project(started(here, tmp_path, *args)) == here
        # A root by its configuration stands.
        assert session_project(started(here, tmp_path, *args, ini=tmp_path / "pytest.ini")) == tmp_path
    assert session_project(started(here / "tests", root, "--model", model)) == here / "tests"
    (here / "setup.py").write_text("")
    assert session_project(started(here / "tests", root, "--model", model)) == here
    # Paths of tests and an explicit root are the user's.
    for args in (["tests", "--model", model], ["--rootdir", "tests", "--model", model], ["--rootdir=tests"]):
        assert session_project(started(here, here / "tests", *args)) == here / "tests"


def test_a_path_may_begin_with_the_home_or_only_with_its_sign(monkeypatch):
    monkeypatch.setenv("HOME", "/user")
    assert user_path("~/my model") == Path("/user/my model")
    assert user_path("~no-user-of-this-name/ad") == Path("~no-user-of-this-name/ad")
    assert user_path("a/~/b") == Path("a/~/b")
