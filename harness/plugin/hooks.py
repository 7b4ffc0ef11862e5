"""The hooks of the gate: each is a few lines that call the module with the implementation."""

from collections.abc import Generator
from pathlib import Path

import pytest

from harness.plugin.collection import GoldenFile, GoldenItem, collect_probes, golden_file_of, golden_items
from harness.plugin.fixtures import ask_each_model, candidate_name, generate, golden, judge, model
from harness.plugin.header import describe_inputs
from harness.plugin.missed import marked, print_missed
from harness.plugin.options import add_options, settings_of
from harness.plugin.registering import close_registry, open_registry, registry_warnings
from harness.plugin.selection import SELECTION
from harness.plugin.session import GATE, open_session
from harness.plugin.writing import write_line
from tunegate.printable import printable_line

__all__ = ["candidate_name", "generate", "golden", "judge", "model"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the ``--gate-*`` options; ``--model`` comes last of all (see :mod:`tunegate.pytest_plugin`)."""
    add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Check every option, the adapter and the baseline before anything is collected or loaded."""
    open_registry(config)
    try:
        open_session(config, settings_of(config))
    except pytest.UsageError as error:
        # The missing name may be one of a plug-in that was left out.
        raise pytest.UsageError(*error.args, *registry_warnings()) from error
    except OSError as error:
        # A path that can't even be looked for: too long, or in a folder that may not be read.
        raise pytest.UsageError(f"{error.filename}: {error.strerror}") from error


def pytest_unconfigure(config: pytest.Config) -> None:
    """Close the judges and the cache."""
    if (gate := config.stash.get(GATE, None)) is not None:
        gate.close()
    close_registry(config)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> GoldenFile | None:
    """Collect the YAML files of the golden sets."""
    return golden_file_of(file_path, parent)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run hand-written tests that use the model once for each of several models."""
    ask_each_model(metafunc)


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(
    session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
) -> Generator[None, None, None]:
    """Add the bundled probes and drop tests that are none of the gate's, before anything is deselected."""
    gate = config.stash.get(GATE, None)
    if gate is not None:
        if gate.selection.find_content(golden_items(items)):
            items += collect_probes(session)
        gate.keep_own_tests(items)
    yield


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Note which cases are left to be answered, and check what they need."""
    config = session.config
    config.stash[SELECTION].take(golden_items(session.items))
    if (gate := config.stash.get(GATE, None)) is not None:
        gate.note_left_out(session.items)
        if not config.option.collectonly:
            gate.make_ready()


def pytest_report_collectionfinish(config: pytest.Config) -> str | None:
    """Say what belongs to the gate and is left out."""
    gate = config.stash.get(GATE, None)
    line = None if gate is None else gate.left_out.line()
    return line and printable_line(line)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    """Answer all selected cases before the first item begins, unless no golden item will run."""
    gate, option = session.config.stash.get(GATE, None), session.config.option
    if gate is None or session.testsfailed or option.collectonly or option.setuponly:
        return
    if any(item.get_closest_marker("skip") is None for item in golden_items(session.items)):
        gate.answer()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Mark on a golden item's report what its failure means for the run."""
    report, gate = (yield), item.config.stash.get(GATE, None)
    if isinstance(item, GoldenItem):
        if call.when == "call":
            item.annotate(report)
        if gate is not None and (call.when == "call" or report.skipped):
            gate.note_turn()
    elif gate is not None:
        gate.failed_tests.note(item, report)
    return report


def pytest_report_teststatus(
    report: pytest.CollectReport | pytest.TestReport,
) -> tuple[str, str, str | tuple[str, dict[str, bool]]] | None:
    """Count cases that only the comparison judges as *missed*, cases without a verdict as *unscored*."""
    status = marked(report)
    if status is None or getattr(report, "when", None) != "call":
        return None
    return status, status[0], (status.upper(), {"yellow": True})


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Compare, judge, save and report; the verdict decides the exit status."""
    if (gate := session.config.stash.get(GATE, None)) is not None:
        gate.finish(session)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the gate's section, and the warnings about plug-ins."""
    for warning in registry_warnings():
        write_line(terminalreporter, warning, yellow=True)
    gate = config.stash.get(GATE, None)
    if gate is not None and gate.records:
        from harness.plugin.summary import print_summary

        print_missed(terminalreporter)
        print_summary(terminalreporter, gate)
    if gate is not None and (line := gate.interrupted_line()) is not None:
        write_line(terminalreporter, f"tunegate: {line}")
    if gate is not None and gate.cache_problem:
        write_line(terminalreporter, f"WARNING: {gate.cache_problem}", yellow=True)
    for problem in () if gate is None else gate.delivery.problems:
        write_line(terminalreporter, f"ERROR: {problem.text}", red=True)


def pytest_report_header(config: pytest.Config) -> str | None:
    """The gated models and the baseline; nothing in a session without a model."""
    gate = config.stash.get(GATE, None)
    return None if gate is None else printable_line(describe_inputs(gate.inputs))
