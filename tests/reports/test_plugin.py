"""The pytest options write the reports where asked, and refuse a hopeless path before anything runs."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import scipy.special  # noqa: F401 - loaded once: a session inside a test would import it anew, which numpy refuses

from harness.types import GateRecord
from reports.plugin import _typed_gating

# A plugin in place of the gate: it calls the hook at the end of the session.
CALLER = """
import pickle, pathlib

def pytest_sessionfinish(session):
    directory = pathlib.Path("runs/one")
    directory.mkdir(parents=True)
    record = pickle.loads(pathlib.Path("record.pickle").read_bytes())
    paths = session.config.hook.pytest_tunegate_report(
        config=session.config, record=record, directory=directory, label=pathlib.Path("label").read_text(),
        unsaved=None,
    )
    print("written:", *(str(path) for path in paths if path is not None))
"""


@pytest.fixture
def project(pytester: pytest.Pytester, invented: Callable[..., GateRecord]) -> pytest.Pytester:
    """A project whose session ends with the report hook being called on an invented record."""
    import pickle

    pytester.path.joinpath("record.pickle").write_bytes(pickle.dumps(invented(lost=2)))
    pytester.path.joinpath("label").write_text("")
    pytester.makeconftest(CALLER)
    pytester.makepyfile("def test_nothing(): pass")
    return pytester


def test_the_report_goes_to_the_run_directory_by_default(project: pytest.Pytester) -> None:
    result = project.runpytest_inprocess("-s", "-p", "reports.plugin")
    result.stdout.fnmatch_lines(["*written: runs/one/report.html"])
    assert "<!doctype html>" in project.path.joinpath("runs/one/report.html").read_text(encoding="utf-8")


def test_both_files_go_where_the_options_say_and_both_paths_are_told(project: pytest.Pytester) -> None:
    result = project.runpytest_inprocess("-s", "--gate-report=out/a.html", "--gate-json=out/deep/a.json")
    result.stdout.fnmatch_lines([f"*written: {project.path}/out/a.html {project.path}/out/deep/a.json"])
    assert json.loads(project.path.joinpath("out/deep/a.json").read_text())["schema_version"] == 2
    assert not project.path.joinpath("runs/one/report.html").exists()


def test_the_label_of_one_of_several_models_goes_before_the_suffix(project: pytest.Pytester) -> None:
    """Each model has a file of its own; a label of two parts makes no directory."""
    project.path.joinpath("label").write_text("first/mild")
    project.runpytest_inprocess("-s", "--gate-report=out/a.html", "--gate-json=a.json")
    assert project.path.joinpath("out/a-first--mild.html").is_file()
    assert project.path.joinpath("a-first--mild.json").is_file()


def test_environment_variables_stand_in_for_the_options(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNEGATE_REPORT", "from_environment.html")
    monkeypatch.setenv("TUNEGATE_JSON", "from_environment.json")
    project.runpytest_inprocess("-p", "reports.plugin", "--gate-json=flag_wins.json")
    assert {path.name for path in project.path.glob("*.html")} == {"from_environment.html"}
    assert {path.name for path in project.path.glob("*.json")} == {"flag_wins.json"}


@pytest.mark.parametrize("name", ["--gate-report", "--gate-json", "--gate-markdown", "TUNEGATE_JSON"])
def test_an_empty_path_is_refused(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Also where the variable would name one: the option wins."""
    is_option = name.startswith("--")
    monkeypatch.setenv("TUNEGATE_JSON", "other.json" if is_option else " ")
    arguments = (f"{name}=",) if is_option else ("-p", "reports.plugin")
    result = project.runpytest_inprocess(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{name}: found '' (allowed: the path of a file to write)"])


@pytest.mark.parametrize("option", ["--gate-report", "--gate-json"])
def test_a_hopeless_path_is_refused_before_anything_runs(project: pytest.Pytester, option: str) -> None:
    result = project.runpytest_inprocess(f"{option}={project.path}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{option}: {project.path} is a directory (allowed: *"])
    result.stdout.no_fnmatch_line("*test_nothing*")


def test_without_the_gate_the_plugin_is_silent(pytester: pytest.Pytester) -> None:
    """A project that has the package installed and no gate notices nothing but the options."""
    pytester.makepyfile("def test_nothing(): pass")
    assert pytester.runpytest_inprocess().ret == pytest.ExitCode.OK


def test_loading_the_plugin_imports_neither_jinja_nor_scipy(tmp_path: Path) -> None:
    seen = "import sys, reports.plugin; print(*({'jinja2', 'scipy', 'torch', 'difflib'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", seen], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.split() == []


def test_markdown_and_the_job_s_summary(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(project.path / "summary.md"))
    result = project.runpytest_inprocess("-s", "--gate-markdown=comment.md")
    result.stdout.fnmatch_lines(["::* title=tunegate::*"])
    assert project.path.joinpath("comment.md").read_text().startswith("<!-- tunegate:")
    assert project.path.joinpath("summary.md").read_text().startswith("<!-- tunegate:")


class TypedConfig:
    """The options of a command line."""

    def __init__(self, **typed: Any) -> None:
        self.typed = typed

    def getoption(self, name: str, default: Any) -> Any:
        return self.typed.get(name.removeprefix("tunegate_"), default)


def test_the_page_knows_what_the_command_line_asked() -> None:
    """Not what concerns one run alone, nor an address with a password."""
    config = TypedConfig(
        model=["a"], accept="main", engine="vllm", baseline="shipped", golden=["my sets", "b.yaml"],
        forgetting=False, margin="0.1", history="postgresql://me:secret@host/db",
    )  # fmt: skip
    assert sorted(_typed_gating(cast(pytest.Config, config))) == sorted(
        [
            "--gate-engine=vllm",
            "--gate-baseline=shipped",
            "--gate-golden='my sets'",
            "--gate-golden=b.yaml",
            "--gate-no-forgetting",
            "--gate-margin=0.1",
        ]
    )
    assert _typed_gating(cast(pytest.Config, TypedConfig())) == ()
