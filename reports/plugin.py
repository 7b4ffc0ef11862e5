"""Hooks the reports into a pytest run."""

import os
import shlex
from collections.abc import Container
from pathlib import Path

import pytest

from harness.errors import SettingsError
from harness.types import GateRecord
from tunegate.project import user_path

_REPORT, _JSON, _MARKDOWN = "tunegate_report", "tunegate_json", "tunegate_markdown"
# Each path's option and environment variable, by the option's dest.
_OPTIONS = {
    _REPORT: (
        "--gate-report",
        "TUNEGATE_REPORT",
        "HTML report (default: report.html of the run)",
    ),
    _JSON: ("--gate-json", "TUNEGATE_JSON", "the whole record as JSON (default: not written)"),
    _MARKDOWN: (
        "--gate-markdown",
        "TUNEGATE_MARKDOWN",
        "verdict, table and lost cases as Markdown, for a comment (default: not written)",
    ),
}

# What a command line says that is no part of the question.
_OF_ONE_RUN = {"model", "cache", "track", "keep_runs", "accept", "accept_reason", "accept_dirty"}


def add_options(parser: pytest.Parser, free: Container[str]) -> None:
    """Declare ``--gate-report``, ``--gate-json`` and ``--gate-markdown``.

    Args:
        parser: The session's options.
        free: Which of them may be declared.
    """
    group = parser.getgroup("tunegate", "tunegate: a regression gate for fine-tuned models")
    for dest, (option, variable, text) in _OPTIONS.items():
        if option in free:
            group.addoption(option, dest=dest, metavar="PATH", default=None, help=f"{text} [{variable}]")


def pytest_configure(config: pytest.Config) -> None:
    """Refuse a path that can't be written, before any model loads; register the JSON report."""
    from reports.files import check_writable, refuse_shared

    asked = [
        (path, _source(config, dest)) for dest in _OPTIONS if (path := _path_of(config, dest)) is not None
    ]
    xml = config.getoption("xmlpath", None)
    try:
        for path, source in asked:
            check_writable(path, source)
            _refuse_golden(config, path, source)
        refuse_shared([*asked, *([(Path(xml), "--junitxml")] if xml else [])])
    except SettingsError as error:
        raise pytest.UsageError(str(error)) from error
    if _path_of(config, _JSON) is not None:
        config.pluginmanager.register(JsonReport(), "tunegate-json")
    if _path_of(config, _MARKDOWN) is not None:
        config.pluginmanager.register(MarkdownReport(), "tunegate-markdown")
    if os.environ.get("GITHUB_ACTIONS") == "true":
        config.pluginmanager.register(GitHubReport(), "tunegate-github")


@pytest.hookimpl(optionalhook=True)
def pytest_tunegate_report(
    config: pytest.Config, record: GateRecord, directory: Path, label: str, unsaved: str | None
) -> Path:
    """Write the HTML report."""
    from dataclasses import replace

    from harness.history.server import FILE_NAME, place_of
    from harness.plugin.hooks import settings_of
    from harness.plugin.progress import typed_asking, typed_place
    from reports.earlier_runs import earlier_runs_of
    from reports.files import write_report
    from reports.html import render_report
    from tunegate.project import session_project

    path = _path_of(config, _REPORT, label) or directory / "report.html"
    project = session_project(config)
    # With the options: a key that one of them replaces may have a wrong value.
    named = settings_of(config).history
    # A run's own directory is runs/ID beside the history's file.
    history = directory.parent.parent / FILE_NAME if named is None else place_of(named, project)
    earlier = replace(
        earlier_runs_of(record, history, project),
        unsaved=unsaved,
        place=typed_place(config),
        asking=typed_asking(config),
        gating=_typed_gating(config),
    )
    return write_report(path, render_report(record, earlier), _source(config, _REPORT))


def _typed_gating(config: pytest.Config) -> tuple[str, ...]:
    """What this command line said of the gate beside its models, as options."""
    from harness.settings import SETTINGS

    found: list[str] = []
    for name, setting in SETTINGS.items():
        typed = config.getoption(f"tunegate_{name}", None)
        # A database's address may have a password.
        hidden = name == "history" and "://" in str(typed)
        if setting.flag is None or typed is None or name in _OF_ONE_RUN or hidden:
            continue
        values = typed if isinstance(typed, list) else [typed]
        bare = setting.metavar is None
        found += [setting.flag if bare else f"{setting.flag}={shlex.quote(str(each))}" for each in values]
    return tuple(found)


def _refuse_golden(config: pytest.Config, path: Path, source: str) -> None:
    """Refuse a report that the next session would read as a golden set."""
    from tunegate.project import session_project
    from tunegate.request import golden_places

    places = golden_places(session_project(config))
    if path.suffix in {".yaml", ".yml"} and any(each in {path, *path.parents} for each in places):
        raise SettingsError(f"{source}: {path} would be read as a golden set: name a file elsewhere")


class JsonReport:
    """The report of ``--gate-json``; its path is printed after the HTML report's."""

    @pytest.hookimpl(optionalhook=True, trylast=True)
    def pytest_tunegate_report(self, config: pytest.Config, record: GateRecord, label: str) -> Path | None:
        """Write the JSON file."""
        from reports.files import write_report
        from reports.json_file import render_json

        path = _path_of(config, _JSON, label)
        return None if path is None else write_report(path, render_json(record), _source(config, _JSON))


class MarkdownReport:
    """The report of ``--gate-markdown``."""

    @pytest.hookimpl(optionalhook=True, trylast=True)
    def pytest_tunegate_report(
        self, config: pytest.Config, record: GateRecord, label: str, unsaved: str | None
    ) -> Path | None:
        """Write the Markdown file."""
        from harness.plugin.progress import typed_place
        from reports.files import write_report
        from reports.markdown import render_markdown

        path = _path_of(config, _MARKDOWN, label)
        if path is None:
            return None
        text = render_markdown(record, unsaved, typed_place(config))
        return write_report(path, text, _source(config, _MARKDOWN))


class GitHubReport:
    """What a step of GitHub Actions shows: the job's summary and annotations."""

    @pytest.hookimpl(optionalhook=True, trylast=True)
    def pytest_tunegate_report(self, config: pytest.Config, record: GateRecord, unsaved: str | None) -> None:
        """Add to the job's summary, and print the annotations."""
        from harness.plugin.progress import typed_place
        from reports.github import add_summary, annotations
        from tunegate.printable import say_command
        from tunegate.project import session_project

        add_summary(record, os.environ, unsaved, typed_place(config))
        terminal = config.pluginmanager.get_plugin("terminalreporter")
        if terminal is not None:
            terminal.ensure_newline()
            for line in annotations(record, session_project(config)):
                say_command(line, terminal.write_line)


def _path_of(config: pytest.Config, dest: str, label: str = "") -> Path | None:
    """The requested path; a relative one is relative to the directory where pytest was started.

    With several models, the model's label is added before the suffix, so that no file is overwritten.

    Raises:
        pytest.UsageError: The path is empty.
    """
    _, variable, _ = _OPTIONS[dest]
    given = config.getoption(dest, None)
    asked = os.environ.get(variable) if given is None else given
    if asked is None:
        return None
    if not asked.strip():
        # Such as --gate-json="$FILE" without a FILE: a gate whose evidence nobody has.
        raise pytest.UsageError(f"{_source(config, dest)}: found '' (allowed: the path of a file to write)")
    path = config.invocation_params.dir / user_path(asked)
    return path.with_name(f"{path.stem}-{label.replace('/', '--')}{path.suffix}") if label else path


def _source(config: pytest.Config, dest: str) -> str:
    option, variable, _ = _OPTIONS[dest]
    return option if config.getoption(dest, None) is not None or variable not in os.environ else variable
