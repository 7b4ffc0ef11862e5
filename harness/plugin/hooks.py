"""The hooks of the gate: its options, its registry, its section of the output, and calls of the rest."""

import os
from collections.abc import Container, Generator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pluggy import HookCaller

from harness.baselines.target import describe_target
from harness.errors import SettingsError
from harness.plugin.collection import (
    GoldenFile,
    GoldenItem,
    collect_probes,
    golden_file_of,
    golden_items,
    is_skipped_by_others,
    print_missed,
    status_of,
)
from harness.plugin.delivery import STATUS, LastWord
from harness.plugin.fixtures import ask_each_model, candidate_name, generate, golden, judge, model
from harness.plugin.progress import (
    distribution_note,
    early_end,
    print_gate,
    print_ranking,
    uncaptured,
    write_line,
)
from harness.plugin.selection import SELECTION
from harness.plugin.session import GATE, NOTHING_GATED, GateSession, open_session
from harness.presentation.sentences import verdict_line
from harness.presentation.terminal import plan_lines
from harness.registry import Registrar, Registry, active, use_registry
from harness.run.inputs import Inputs
from harness.run.judging import describe_judging
from harness.settings import SETTINGS, Settings, environment_variable, load_settings
from tunegate.collector import freeze_objects, unfreeze_objects
from tunegate.interrupts import interrupt_by_sigterm
from tunegate.printable import printable_line, say
from tunegate.project import name_of, session_project, user_path
from tunegate.project_conftest import HOOK
from tunegate.thread_waits import sleep_while_waiting


def print_summary(terminal: pytest.TerminalReporter, gate: GateSession) -> None:
    """Print the findings, the paths of the reports, and the cost of judging.

    Args:
        terminal: The terminal.
        gate: A session that has judged one model or several.
    """
    if len(gate.records) == 1:
        ((name, record),) = gate.records.items()
        delivery = gate.delivery
        print_gate(terminal, record, delivery.written.get(name, ()), is_saved=name in delivery.saved)
    else:
        print_ranking(terminal, gate.records, gate.delivery.written)
    if (line := gate.left_out.line()) is not None and line != gate.said_left_out:
        write_line(terminal, line)
    plans = [record.run.plan for record in gate.records.values()]
    for line in dict.fromkeys(line for plan in plans for line in plan_lines(plan)):
        write_line(terminal, line)
    if gate.judging.panel is not None:
        for line in describe_judging(gate.judging.panel, gate.judge_note):
            write_line(terminal, line)


# The session, once it has ended.
_ENDED: pytest.StashKey[pytest.Session] = pytest.StashKey()
_BEFORE: pytest.StashKey[Registry | None] = pytest.StashKey()
_END = "tunegate-end"


def open_registry(config: pytest.Config) -> None:
    """Use a new registry in this session, and let each plug-in with the hook add to it."""
    registry = Registry()
    config.stash[_BEFORE] = use_registry(registry)
    manager = config.pluginmanager
    for implementation in manager.hook.pytest_tunegate_register.get_hookimpls():
        others = [plugin for plugin in manager.get_plugins() if plugin is not implementation.plugin]
        # One at a time, so that one that breaks does not affect the others.
        call = manager.subset_hook_caller(HOOK, remove_plugins=others)
        registry.register(
            implementation.plugin_name,
            partial(_call, call),
            identity=implementation.function,
        )


def _call(hook: HookCaller, registrar: Registrar) -> None:
    hook(registry=registrar)


def close_registry(config: pytest.Config) -> None:
    """Restore the previous registry."""
    if _BEFORE in config.stash:
        use_registry(config.stash[_BEFORE])
        del config.stash[_BEFORE]


def registry_warnings() -> list[str]:
    """What was left out of plug-ins so far, one line each."""
    return [f"tunegate: warning: {warning}" for warning in active().warnings]


_DEST = "tunegate_"


# Settings that are paths relative to the project's root.
_PATHS = ("golden", "directory", "history")


def add_options(parser: pytest.Parser, free: Container[str]) -> None:
    """Declare options of settings.

    Args:
        parser: The session's options.
        free: Which may be declared, such as ``--gate-margin``.
    """
    group = parser.getgroup("tunegate", "tunegate: a regression gate for fine-tuned models")
    for name, setting in SETTINGS.items():
        flags = ("--model", "--gate-model") if name == "model" else (setting.flag or "",)
        if not (declared := [flag for flag in flags if flag in free]):
            continue
        details: dict[str, Any] = {
            "dest": _DEST + name,
            "default": None,
            "help": f"{setting.help} [{environment_variable(name)}]",
        }
        if declared[0].startswith("--gate-no-"):
            details |= {"action": "store_const", "const": False}
        elif setting.metavar is None:
            details |= {"action": "store_const", "const": True}
        else:
            details |= {"metavar": setting.metavar, "action": "append" if setting.repeated else "store"}
        group.addoption(*declared, **details)


def _from_here(here: Path, value: Any) -> Any:
    """Paths that were typed here, for a reader who starts at the project's root."""
    if isinstance(value, list):
        return [_from_here(here, each) for each in value]
    return str(here / user_path(value)) if value and "://" not in value else value


def settings_of(config: pytest.Config) -> Settings:
    """The session's settings.

    Raises:
        pytest.UsageError: A value is not allowed.
    """
    flags = {name: config.getoption(_DEST + name, None) for name in SETTINGS}
    project, here = session_project(config), config.invocation_params.dir
    start = Path() if here == project else here
    flags |= {name: _from_here(start, flags[name]) for name in _PATHS}
    try:
        return load_settings(flags, project, os.environ)
    except SettingsError as error:
        raise pytest.UsageError(str(error)) from error


def describe_inputs(inputs: Inputs) -> str:
    """The gated models, the baseline and the plan."""
    plan, candidates = inputs.plan, inputs.candidates
    names = ", ".join(candidate.name for candidate in candidates)
    gated = candidates[0].model.label if len(candidates) == 1 else f"{len(candidates)} models ({names})"
    weights = ", bases in nf4" if plan.weights == "nf4" else ""
    return f"tunegate: {gated} {describe_target(inputs.target)}, {plan.dtype} on {plan.device}{weights}"


__all__ = ["candidate_name", "generate", "golden", "judge", "model"]


def last_word() -> LastWord:
    """What is registered after the conftest files, so that it says the session's exit status."""
    return LastWord(
        names_model=lambda config: bool(settings_of(config).model),
        is_gated=lambda config: GATE in config.stash and bool(config.stash[GATE].records),
    )


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
    if GATE in config.stash:
        config.pluginmanager.register(GateEnd(), _END)
        sleep_while_waiting()
        config.add_cleanup(interrupt_by_sigterm())


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_unconfigure(config: pytest.Config) -> Generator[None, None, None]:
    """Close the judges and the cache; what breaks in other plugins is no regression."""
    gate, session = config.stash.get(GATE, None), config.stash.get(_ENDED, None)
    try:
        yield
    except BaseException as error:  # pytest.fail, SystemExit and Ctrl-C too: none of it is a regression
        if gate is None or session is None:
            raise
        with uncaptured(config):
            say(gate.note_broken_end(session, error).line, err=True)
    finally:
        if gate is not None:
            gate.close()
        close_registry(config)
        unfreeze_objects()


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> GoldenFile | None:
    """Collect the YAML files of the golden sets."""
    return golden_file_of(file_path, parent)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Note the files that can't be collected."""
    report, gate = (yield), collector.config.stash.get(GATE, None)
    if gate is not None and report.failed:
        gate.uncollected.append(name_of(collector))
    return report


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
    gate, cases = config.stash.get(GATE, None), golden_items(session.items)
    if gate is not None:
        config.pluginmanager.register(config.pluginmanager.unregister(name=_END), _END)
    config.stash[SELECTION].take([each for each in cases if gate is None or not is_skipped_by_others(each)])
    # Where collecting was not completed, pytest itself says which path or node id is wrong.
    if gate is not None and gate.selection.content is not None:
        gate.note_left_out(session)
        if not config.option.collectonly:
            gate.make_ready()


def pytest_report_collectionfinish(config: pytest.Config) -> str | None:
    """Say what belongs to the gate and is left out."""
    gate = config.stash.get(GATE, None)
    line = None if gate is None else gate.left_out.line()
    if gate is not None:
        gate.said_left_out = line
    return line and printable_line(line)


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """Answer all selected cases before the first item begins, unless no golden item will run.

    A wrapper, so that no loop of another plugin's takes the place of it.

    Raises:
        pytest.UsageError: None is selected, as where a conftest file takes the place of the collection.
    """
    gate, option = session.config.stash.get(GATE, None), session.config.option
    broken = session.testsfailed and not option.continue_on_collection_errors
    if gate is not None and not (broken or option.collectonly or option.setuponly):
        if not gate.selection.cases:
            raise pytest.UsageError(f"--model: no golden case is selected, {NOTHING_GATED}")
        gate.answer()
        gate.questions.be_ready(session.items)
        freeze_objects()
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Mark on a golden item's report what its failure means for the run."""
    report, gate = (yield), item.config.stash.get(GATE, None)
    if isinstance(item, GoldenItem):
        item.annotate(report)
        if gate is not None:
            gate.turns.note(item, report, skipped="skipped" if item.is_left_out(report) else "")
    elif gate is not None:
        gate.turns.note_test(item, report, gate.own_tests)
    return report


def pytest_report_teststatus(
    report: pytest.CollectReport | pytest.TestReport,
) -> tuple[str, str, str | tuple[str, dict[str, bool]]] | None:
    """Count cases as *missed* that only the comparison judges, as *unscored*, *graded*, or as errors."""
    return status_of(report)


class GateEnd:
    """The end of a gate; registered again once all conftest files are known, so that it is around theirs."""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, None, None]:
        """Compare, judge, save and report; the verdict decides the exit status, and is said in any case."""
        config, gate = session.config, session.config.stash[GATE]
        config.stash[_ENDED] = session
        if early_end(config).claims_verdict:
            session.exitstatus = pytest.ExitCode.INTERRUPTED
        try:
            freeze_objects()
            gate.finish(session)
        except KeyboardInterrupt:
            session.exitstatus = pytest.ExitCode.INTERRUPTED
            config.hook.pytest_keyboard_interrupt(excinfo=pytest.ExceptionInfo.from_current())
        except Exception:
            # A fault of ours, which must not look like a regression.
            session.exitstatus = pytest.ExitCode.INTERNAL_ERROR
            config.notify_exception(pytest.ExceptionInfo.from_current(), config.option)
        config.stash[STATUS] = session.exitstatus
        try:
            yield
        except BaseException as error:
            # Such as --junitxml on a full disk: what another plugin can't write takes no verdict.
            problem = gate.note_broken_end(session, error)
            config.stash[STATUS] = session.exitstatus
            if gate.is_said:
                say(problem.line, err=True)
        if not gate.is_said:
            # pytest has no summary after statuses that it doesn't know, or without a terminal reporter.
            if (terminal := config.pluginmanager.get_plugin("terminalreporter")) is not None:
                _summarise(terminal, gate)
            else:
                say_verdicts(config, gate)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the gate's section, and the warnings about plug-ins."""
    for warning in registry_warnings():
        write_line(terminalreporter, warning, yellow=True)
    if GATE in config.stash:
        _summarise(terminalreporter, config.stash[GATE])


def _summarise(terminal: pytest.TerminalReporter, gate: GateSession) -> None:
    gate.is_said = True
    if gate.records:
        print_missed(terminal)
        print_summary(terminal, gate)
    if (line := gate.interrupted_line(terminal.config.stash.get(_ENDED, None))) is not None:
        write_line(terminal, f"tunegate: {line}")
    if gate.cache_problem:
        write_line(terminal, f"WARNING: {gate.cache_problem}", yellow=True)
    for problem in gate.delivery.problems:
        write_line(terminal, problem.line, red=bool(problem.status), yellow=not problem.status)


def say_verdicts(config: pytest.Config, gate: GateSession) -> None:
    """Print each verdict in a line, in a session without a terminal reporter.

    Args:
        config: The session's configuration.
        gate: The session's gate.
    """
    with uncaptured(config):
        for record in gate.records.values():
            say(verdict_line(record))
        for problem in gate.delivery.problems:
            say(problem.line, err=True)


def pytest_report_header(config: pytest.Config) -> list[str]:
    """The gated models and the baseline; nothing in a session without a model."""
    gate = config.stash.get(GATE, None)
    return [] if gate is None else [printable_line(describe_inputs(gate.inputs)), *distribution_note(config)]
