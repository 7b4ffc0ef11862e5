"""Lines and progress of the gate in pytest's output, through its capture and one escape; its one process."""

import os
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from io import StringIO
from typing import NoReturn

import pytest
from rich.console import RenderableType

from harness.engines.base import Engine
from harness.engines.open import open_sides
from harness.engines.plugin_engine import close_kept, kept
from harness.errors import EngineError, InputError
from harness.presentation.console import open_console
from harness.presentation.stage_lines import StageLines
from harness.presentation.tables import render_ranking
from harness.presentation.terminal import render_gate
from harness.run.cache import Cache
from harness.run.generation import OpenEngine, Progress, answer_cases, ray_opener
from harness.run.inputs import Candidate, Inputs
from harness.run.judging import lending
from harness.run.scoring import Judging
from harness.settings.values import ray_address
from harness.types import Completion, ExecutionPlan, GateRecord, GoldenCase, ModelRef
from tunegate.printable import printable, printable_line, say

# Whether xdist was asked to distribute the tests of a session with a model.
_DISTRIBUTED: pytest.StashKey[bool] = pytest.StashKey()


def run_in_one_process(config: pytest.Config) -> None:
    """Keep xdist from distributing the items, before it starts.

    The cases are answered, compared and judged together. What would be left for its workers are tests that
    ask the same model, and each worker would load it.

    Args:
        config: The pytest session's configuration.
    """
    config.stash[_DISTRIBUTED] = config.getoption("dist", "no") != "no"
    if config.stash[_DISTRIBUTED]:
        config.option.dist, config.option.tx, config.option.numprocesses = "no", [], 0


def distribution_note(config: pytest.Config) -> list[str]:
    """What the header says where xdist was asked for."""
    together = "tunegate: all cases are answered together"
    note = f"{together}: xdist starts no workers, --gate-workers says how many answer"
    return [note] if config.stash.get(_DISTRIBUTED, False) else []


def write_line(terminal: pytest.TerminalReporter, text: object, **markup: bool) -> None:
    """Write a text as one or more lines.

    Args:
        terminal: The terminal.
        text: The text, or a value with one.
        markup: Pytest's own, such as ``red=True``.
    """
    terminal.write_line(printable(str(text)), **markup)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressDisplay:
    """Where progress is shown.

    Attributes:
        on_progress: Called with a stage, and its finished and all parts.
        on_lost: Called with the number of lost cases; None where nobody reads it.
    """

    on_progress: Progress
    on_lost: Callable[[int], None] | None = None


@dataclass(slots=True)
class AnswerCount:
    """Answers of all parts of a session: each look, and each turn of a conversation, counts its own.

    Attributes:
        asked: Number of answers that were asked for.
    """

    asked: int = 0
    _before: int = 0
    _latest: tuple[int, int] = (0, 0)

    def note(self, done: int, total: int) -> None:
        """Note the answers of a part: within one their number only grows.

        Args:
            done: How many there are.
            total: How many were asked for.
        """
        before, of = self._latest
        if done <= before or total != of:
            self._before += before
            self.asked += total
        self._latest = (done, total)

    def noting(self, on_progress: Progress) -> Progress:
        """A function that shows progress and notes the answers, for whoever interrupts.

        Args:
            on_progress: Shows it.
        """

        def note(stage: str, done: int, total: int) -> None:
            if stage == "answering":
                self.note(done, total)
            on_progress(stage, done, total)

        return note

    def __str__(self) -> str:
        """How many there are, of those that were asked for."""
        return f"{self._before + self._latest[0]} of {self.asked}"


def uncaptured(config: pytest.Config) -> AbstractContextManager[None]:
    """Show what is printed, where pytest captures it."""
    capture = config.pluginmanager.getplugin("capturemanager")
    return nullcontext() if capture is None else capture.global_and_fixture_disabled()


@contextmanager
def open_progress(config: pytest.Config) -> Iterator[ProgressDisplay]:
    """Live bars on a terminal, else a line every half a minute; nothing with ``-q``."""
    if config.get_verbosity() < 0 or not sys.__stderr__:
        yield ProgressDisplay(on_progress=lambda stage, done, total: None)
        return
    with uncaptured(config):
        if _is_terminal(config):
            with _bars() as on_progress:
                yield ProgressDisplay(on_progress=on_progress)
        else:
            with StageLines(partial(_write, config)) as lines:

                def on_lost(lost: int) -> None:
                    lines.lost = lost

                yield ProgressDisplay(on_progress=lines.show, on_lost=on_lost)


def _write(config: pytest.Config, line: str) -> None:
    terminal = config.pluginmanager.getplugin("terminalreporter")
    if terminal is not None:
        terminal.ensure_newline()
        write_line(terminal, f"tunegate: {line}")
        terminal.flush()


@contextmanager
def _bars() -> Iterator[Progress]:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bars

    from harness.presentation.stage_bars import bar_per_stage

    say("")  # keeps the line on which pytest shows the file's dots
    bars = Bars(
        TextColumn("{task.description:>14}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=open_console(stderr=True),
        transient=True,
    )
    with bars:
        yield bar_per_stage(bars)


def _is_terminal(config: pytest.Config) -> bool:
    terminal = config.pluginmanager.getplugin("terminalreporter")
    return bool(terminal and terminal.isatty)


def print_gate(
    terminal: pytest.TerminalReporter, record: GateRecord, written: Sequence[str], *, is_saved: bool
) -> None:
    """Print the verdict, its figures, and the paths of the reports.

    Args:
        terminal: The terminal.
        record: The gate's record.
        written: Paths and addresses of its reports.
        is_saved: Whether the history has the run.
    """
    terminal.section("tunegate", sep="=")
    _render(terminal, render_gate(record, width=terminal._tw.fullwidth))
    for path in written:
        write_line(terminal, printable_line(f"report: {path}"))
    if is_saved:
        shown = f"tunegate runs show {record.run.id}{typed_place(terminal.config)}"
        write_line(terminal, printable_line(f"run:    {record.run.id}  ({shown})"))


def typed_place(config: pytest.Config) -> str:
    """Where this command line put the history, as options; a server's address may have a password."""
    typed = {name: config.getoption(f"tunegate_{name}", None) for name in ("directory", "history")}
    return "".join(
        f" --{name} {shlex.quote(value)}" for name, value in typed.items() if value and "://" not in value
    )


def typed_asking(config: pytest.Config) -> str:
    """Which cases this command line asked, and of which model, as options of commands that ask one."""
    names = ("golden", "base", "chat_template_kwargs", "model_id")
    typed = {name: config.getoption(f"tunegate_{name}", None) for name in names}
    return "".join(
        f" --{name.replace('_', '-')}={shlex.quote(each)}"
        for name, value in typed.items()
        for each in (value if isinstance(value, list) else [value])
        if each
    )


def print_ranking(
    terminal: pytest.TerminalReporter,
    records: Mapping[str, GateRecord],
    written: Mapping[str, Sequence[str]],
) -> None:
    """Print the ranked models, why some did not pass, and the paths of the reports.

    Args:
        terminal: The terminal.
        records: By the models' names.
        written: Paths and addresses of their reports, by the models' names.
    """
    # Gates of one model don't need it.
    from harness.studies.ranking import rank_records

    found = rank_records(records)
    terminal.section("tunegate", sep="=")
    _render(terminal, render_ranking(found, terminal._tw.fullwidth))
    for ranked in found:
        for path in written.get(ranked.name, ()):
            write_line(terminal, printable_line(f"report: {ranked.name}: {path}"))


def _render(terminal: pytest.TerminalReporter, shown: RenderableType) -> None:
    writer = terminal._tw  # pytest has no public API for its width and colour
    text = StringIO()
    console = open_console(
        file=text,
        width=writer.fullwidth,
        force_terminal=writer.hasmarkup,
        color_system="auto" if writer.hasmarkup else None,
        highlight=False,
    )
    console.print(shown)
    writer.write(text.getvalue())


class EarlyEnd:
    """Notes which ``pytest.exit`` ended the session; registered with pytest."""

    def __init__(self) -> None:
        """The session has not been ended."""
        self.error: pytest.exit.Exception | None = None  # type: ignore[name-defined] # as below

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Note what ended it; Ctrl-C comes here too."""
        if isinstance(excinfo.value, pytest.exit.Exception):
            self.error = excinfo.value

    @property
    def claims_verdict(self) -> bool:
        """Whether its status would be one of a gate that was completed."""
        return self.error is not None and is_verdict(self.error.returncode)


def is_verdict(status: object) -> bool:
    """Whether the shell, which takes a status modulo 256, would see a success or a regression."""
    return isinstance(status, int) and status % 256 in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}


_EARLY_END: pytest.StashKey[EarlyEnd] = pytest.StashKey()


def early_end(config: pytest.Config) -> EarlyEnd:
    """What notes how this session is ended."""
    if _EARLY_END not in config.stash:
        config.stash[_EARLY_END] = EarlyEnd()
        config.pluginmanager.register(config.stash[_EARLY_END], "tunegate-early-end")
    return config.stash[_EARLY_END]


def completed(session: pytest.Session) -> bool:
    """Whether the session was neither interrupted nor ended by ``pytest.exit``, whatever its status."""
    statuses = {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}
    return session.exitstatus in statuses and early_end(session.config).error is None


class _SessionEnd(pytest.exit.Exception):  # type: ignore[name-defined,misc] # pytest gives it to the function
    """Ends the session. pytest shows an exception's class before its message: here ``ERROR:``."""

    __module__, __qualname__ = "builtins", "ERROR"


def end_session(error: InputError | EngineError) -> NoReturn:
    """End the session with one line: a model that can't answer is no regression.

    Args:
        error: What is wrong: an input of the user's, or something that failed while a model ran.
    """
    is_input = isinstance(error, InputError)
    status = pytest.ExitCode.USAGE_ERROR if is_input else pytest.ExitCode.INTERNAL_ERROR
    raise _SessionEnd(str(error), returncode=status) from error


class Questions:
    """Answers prompts that are not in a golden set, with one engine for all of them."""

    def __init__(self, config: pytest.Config, inputs: Inputs, cache: Cache, judging: Judging) -> None:
        """Nothing is loaded before the first prompt that is not in the cache."""
        self._config = config
        self._inputs = inputs
        self._cache = cache
        self._judging = judging
        self._engine: Engine | None = None

    def answer(self, case: GoldenCase, candidate: Candidate) -> Completion:
        """A model's answer to a case; if the model can't answer it, the session ends, without a regression.

        Args:
            case: The case.
            candidate: The model.
        """
        with open_progress(self._config) as shown:
            try:
                answers = answer_cases(
                    {candidate.side: candidate.model},
                    self._inputs.plan,
                    [case],
                    self._cache,
                    shown.on_progress,
                    open_engine=self._open_once,
                )
            except (InputError, EngineError) as error:
                end_session(error)
        return answers[candidate.side].completions[case.key]

    def be_ready(self, items: Sequence[pytest.Item]) -> None:
        """Load the models before a test that asks them, if pytest-timeout limits its time.

        Args:
            items: The selected items.
        """
        asking = [item for item in items if "generate" in getattr(item, "fixturenames", ())]
        if any(_is_timed(item) for item in asking):
            try:
                self._open_once({}, self._inputs.plan)
            except (InputError, EngineError) as error:
                end_session(error)

    def _open_once(self, sides: Mapping[str, ModelRef], plan: ExecutionPlan) -> Engine:
        """One engine for all candidates, loaded with the first prompt."""
        if self._engine is None:
            candidates = {candidate.side: candidate.model for candidate in self._inputs.candidates}
            address = ray_address(self._inputs.settings.engine)
            opens: OpenEngine = open_sides
            if address is not None:
                # The machine of the session may have no room for the models, or no GPU.
                opens = lending(self._judging, ray_opener(address, self._inputs.settings.workers))
            self._engine = kept(opens(candidates, plan))
        return self._engine

    def release(self) -> None:
        """Let the models go, and the nodes of a cluster: whoever answers next needs their memory."""
        if self._engine is not None:
            close_kept(self._engine)
        self._engine = None


def _is_timed(item: pytest.Item) -> bool:
    config = item.config
    if not config.pluginmanager.has_plugin("timeout"):
        return False
    given = config.getoption("timeout", None) or os.environ.get("PYTEST_TIMEOUT")
    try:
        given = given or config.getini("timeout")
    except ValueError:
        # Another plugin of that name.
        return False
    return bool(given or item.get_closest_marker("timeout"))
