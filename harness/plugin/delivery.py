"""Saves, reports, sends and accepts runs after the verdicts are known, and the exit status of the session.

A failure here never changes a verdict: each failed step causes one line and the exit status.
"""

from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pluggy import HookCaller

from harness.baselines.accept import accept_run
from harness.baselines.file import accepted_ids
from harness.comparison.findings import must_pass_findings
from harness.errors import BaselineError, HistoryError, InputError, TunegateError, UnreachableHistoryError
from harness.history.accepted_runs import note_accepted
from harness.history.retention import Retention, removable, remove
from harness.history.store import open_history
from harness.plugin.progress import early_end, is_verdict, typed_place
from harness.presentation.sentences import sentence_of
from harness.registry import Sink, active
from harness.run.conclusion import save
from harness.run.inputs import Inputs
from harness.run.judging import judged_checks
from harness.run.trackers.kinds import send_to_sinks
from harness.types import Finding, GateRecord, GateVerdict, NoVerdictFinding, Outcome
from tunegate.collector import making_lasting
from tunegate.printable import say
from tunegate.streams import lost_output

# The session's exit status, once it is known.
STATUS: pytest.StashKey[int] = pytest.StashKey()
_EARLY = "ended the session early, so its status is no verdict: exit status 2"
_REASON = "accepted by --gate-accept"
_REPLACED = "--model: nothing was gated: a conftest.py or another plugin ended pytest before the gate"


def exit_status(
    records: Collection[GateRecord], *, fail_on: str, tests_failed: bool, only_cases: bool = True
) -> pytest.ExitCode:
    """The exit status of a session that was not interrupted.

    Args:
        records: The gated models' records.
        fail_on: ``inconclusive`` fails on that verdict too.
        tests_failed: Whether pytest counts a failure: of a hand-written test, of a must-pass case, or of any
            case without a comparison. Missed cases are not failures.
        only_cases: Whether all of these are golden cases.
    """
    if any(failing_findings(record, fail_on) for record in records):
        return pytest.ExitCode.TESTS_FAILED
    if tests_failed and not (only_cases and _only_broke(records)):
        return pytest.ExitCode.TESTS_FAILED
    if tests_failed or any(_no_result(record) for record in records):
        return pytest.ExitCode.INTERNAL_ERROR
    return pytest.ExitCode.OK


def failing_findings(record: GateRecord, fail_on: str) -> list[Finding]:
    """Why a gated model fails its gate and is not accepted, the most important reason first.

    Args:
        record: The run, with its verdict if it was compared.
        fail_on: ``inconclusive`` fails on that verdict too.
    """
    if record.verdict is None:
        return [each for each in must_pass_findings(record.run) if each.verdict is GateVerdict.REGRESS]
    failing = {GateVerdict.REGRESS, *([GateVerdict.INCONCLUSIVE] if fail_on == "inconclusive" else [])}
    if record.verdict.outcome not in failing:
        return []
    return [each for each in record.verdict.findings if each.verdict is record.verdict.outcome]


def _no_result(record: GateRecord) -> bool:
    """Whether what broke left a set, the judge or a must-pass case without any verdict."""
    broke = [each for each in record.run.results if each.is_unknown and each.outcome is Outcome.ERRORED]
    return _nothing_scored(record) or _judge_was_out(record) or any(each.case.must_pass for each in broke)


def _nothing_scored(record: GateRecord) -> bool:
    """Whether all cases of a set errored, for example because the judge was unreachable."""
    return record.verdict is not None and any(
        isinstance(finding.data, NoVerdictFinding)
        and finding.data.outcome is Outcome.ERRORED
        and finding.data.cases == finding.data.n
        for finding in record.verdict.findings
    )


def _judge_was_out(record: GateRecord) -> bool:
    """Whether a judge was asked and gave no verdict at all."""
    asked = [each for each in record.run.results if each.outcome is not Outcome.SKIPPED]
    pairs = [(result, check) for result in asked for check in judged_checks(result.case)]
    return bool(pairs) and all(check.type in {e.metric for e in result.errors} for result, check in pairs)


def _only_broke(records: Collection[GateRecord]) -> bool:
    """Whether no case failed: what pytest counts as failures are cases without a verdict."""
    counted = [each for record in records for each in record.run.results if each.case.xfail is None]
    broke = [each for each in counted if each.outcome is Outcome.ERRORED]
    return bool(broke) and not any(each.has_failed for each in counted)


def accept_record(
    record: GateRecord,
    name: str,
    inputs: Inputs,
    *,
    problem: str | None,
    unsaved: str | None = None,
    place: str = "",
) -> Path:
    """Accept a gated run as a baseline.

    Args:
        record: The run and its verdict.
        name: The baseline's name.
        inputs: The project's root, the reason of accepting, and whether uncommitted changes are allowed.
        problem: Another reason against accepting in this session, or None.
        unsaved: None if the history has the run; otherwise the command that saves it, empty if there is none.
        place: Where the history is, as options of commands.

    Returns:
        The baseline's file.

    Raises:
        BaselineError: The run failed its gate, or can't be a baseline.
    """
    settings = inputs.settings
    if settings.fail_on == "case":
        problem = _failed_cases(record) or problem
    if failing := failing_findings(record, settings.fail_on) or must_pass_findings(record.run):
        what = "did not pass" if record.verdict is None else f"is {record.verdict.outcome}"
        problem = f"the run {what} ({sentence_of(failing[0])})"
    if problem is not None:
        text = f"--gate-accept {name}: not accepted, because {problem}"
        if unsaved != "":
            first = "" if unsaved is None else f"{unsaved} && "
            accept = f"tunegate runs accept {record.run.id} {name}{place} --reason ..."
            text += f"; to accept it anyway: {first}{accept}"
        raise BaselineError(text)
    return accept_run(
        record.run,
        name,
        settings.accept_reason or _REASON,
        inputs.root,
        allow_dirty=settings.accept_dirty,
    )


def _failed_cases(record: GateRecord) -> str | None:
    """The cases that pytest counts as failed where each of them counts; None if there are none."""
    counted = [each for each in record.run.results if each.case.xfail is None]
    failed = [each.key for each in counted if each.outcome in {Outcome.FAILED, Outcome.ERRORED}]
    more = f" and {len(failed) - 1} more" if len(failed) > 1 else ""
    return f"{failed[0]}{more} failed (--gate-fail-on=case)" if failed else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A failed step: one line, and the exit status if the gate itself passed."""

    text: str
    status: pytest.ExitCode

    @property
    def line(self) -> str:
        """The line, with how grave it is."""
        return f"{'ERROR' if self.status else 'WARNING'}: {self.text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """The written files and failed steps.

    Attributes:
        written: Each model's files, by its name.
        saved: Names of the models whose runs the history has.
        problems: The failed steps.
    """

    written: dict[str, list[str]] = field(default_factory=dict)
    saved: set[str] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)


@making_lasting()  # the collector would go through the whole record again and again
def deliver(
    config: pytest.Config, inputs: Inputs, records: Mapping[str, GateRecord], *, not_accepted: str | None
) -> Delivery:
    """Save each record, write its reports, send it to the sinks, and accept it if requested.

    Args:
        config: The pytest session's configuration.
        inputs: The gate's inputs.
        records: By the models' names.
        not_accepted: Why this session accepts no run, whatever the verdict; None if it may.
    """
    found = Delivery()
    unsaved: str | None = None
    for name, record in records.items():
        directory = inputs.directory / "runs" / record.run.id
        found.written[name] = []
        unsaved = ""
        with _noted(found, "the run was not saved"):
            try:
                save(record, inputs.directory, inputs.history)
            except HistoryError as error:
                unsaved = error.recover
                raise
            unsaved = None
            found.saved.add(name)
        with _noted(found, "the run's directory was not made"):
            directory.mkdir(parents=True, exist_ok=True)
        for report in _reports(config):
            with _noted(found, "not every report was written"):
                paths = report(config=config, record=record, directory=directory, label=name, unsaved=unsaved)
                found.written[name] += [str(path) for path in paths if path is not None]
        if inputs.settings.track or active().has_added(Sink):
            with _noted(found, "the run was not sent"):
                found.written[name] += send_to_sinks(record, directory, inputs.settings.track)
    if (accepted := inputs.settings.accept) is not None:
        # Refused for several models, before anything was loaded.
        ((name, record),) = records.items()
        with _noted(found, "the run was not accepted"):
            place = typed_place(config)
            path = accept_record(record, accepted, inputs, problem=not_accepted, unsaved=unsaved, place=place)
            found.written[name].append(str(path))
            reason = inputs.settings.accept_reason or _REASON
            with open_history(inputs.history) as history:
                note_accepted(history.database, record.run.id, accepted, reason)
    if inputs.settings.keep_runs is not None:
        with _noted(found, "old runs were not removed"):
            _remove_old(inputs, inputs.settings.keep_runs)
    return found


def _remove_old(inputs: Inputs, kept: tuple[int | None, int | None]) -> None:
    """Remove the runs that the settings don't keep, nobody accepted, and no kept gate has as its baseline."""
    newest, days = kept
    rules = Retention(newest=newest, younger_than_days=days, also=accepted_ids(inputs.root))
    with open_history(inputs.history) as history:
        if found := removable(history.database, rules, datetime.now(UTC)):
            remove(history.database, found, compact=False)


def _reports(config: pytest.Config) -> Iterator[HookCaller]:
    """A caller for each report, with all wrappers, so that one that breaks stops no other."""
    found = config.hook.pytest_tunegate_report.get_hookimpls()
    reports = [each.plugin for each in found if not (each.wrapper or each.hookwrapper)]
    # In the order in which one call would run them.
    for report in reversed(reports):
        others = [each for each in reports if each is not report]
        yield config.pluginmanager.subset_hook_caller("pytest_tunegate_report", remove_plugins=others)


@contextmanager
def _noted(found: Delivery, what: str) -> Iterator[None]:
    """Turn an error into a problem of one line, including exceptions of foreign hooks."""
    try:
        yield
    except UnreachableHistoryError as error:
        found.problems.append(_problem(str(error), pytest.ExitCode.OK))
    except (InputError, pytest.UsageError, OSError) as error:
        found.problems.append(_problem(str(error) or what, pytest.ExitCode.USAGE_ERROR))
    except TunegateError as error:
        found.problems.append(_problem(str(error), pytest.ExitCode.INTERNAL_ERROR))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # pytest's own outcomes and SystemExit are not Exceptions
        text = f"{what}: {type(error).__name__}: {error}"
        found.problems.append(_problem(text, pytest.ExitCode.INTERNAL_ERROR))


def _problem(text: str, status: pytest.ExitCode) -> Problem:
    return Problem(text=text.strip().partition("\n")[0], status=status)


def uncollected_problem(files: Sequence[str], then: str) -> Problem:
    """Files that could not be collected, as a problem of the user's.

    Args:
        files: Their node ids.
        then: What follows from it.
    """
    more = f" and {len(files) - 1} more" if len(files) > 1 else ""
    text = f"{files[0]}{more} could not be collected, and {then}"
    return Problem(text=text, status=pytest.ExitCode.USAGE_ERROR)


def end_problem(error: BaseException) -> Problem:
    """What another plugin raised at the session's end, in one line."""
    if isinstance(error, KeyboardInterrupt):
        return _problem("interrupted at the session's end", pytest.ExitCode.INTERRUPTED)
    status, what = pytest.ExitCode.INTERNAL_ERROR, f"{type(error).__name__}: {error}"
    if isinstance(error, OSError):
        status, what = pytest.ExitCode.USAGE_ERROR, f"{error.strerror or error} (--junitxml, say)"
    return _problem(f"another plugin broke at the session's end: {what}", status)


def foreign_failure(session: pytest.Session, failed: int, uncollected: int) -> list[Problem]:
    """What failed the session beside its tests, such as a rule of another plugin's; none if nothing did.

    Args:
        session: The session.
        failed: How many reports of its tests are failures.
        uncollected: How many of its files could not be collected.
    """
    stopped = session.shouldfail if not failed + uncollected else False
    if session.testsfailed <= failed + uncollected and not stopped:
        return []
    why = f" ({stopped})" if isinstance(stopped, str) else ""
    text = f"another plugin failed the session{why}: no test failed, and it is no regression"
    return [_problem(text, pytest.ExitCode.USAGE_ERROR)]


# Options of pytest's own that show something in place of a session, or of running its tests.
_NOT_RUN = (
    *("help", "version", "markers", "showfixtures", "show_fixtures_per_test", "cacheshow"),
    *("collectonly", "setuponly"),
)


class LastWord:
    """Keeps conftest files from making a success or a regression of a gate that was ended early or replaced.

    Registered after them, so that it is around what they do to the command line's action.
    """

    def __init__(
        self, *, names_model: Callable[[pytest.Config], bool], is_gated: Callable[[pytest.Config], bool]
    ) -> None:
        """Store what says whether the session is to be a gate, and whether it was one.

        Args:
            names_model: Whether a model is named.
            is_gated: Whether a model was gated.
        """
        self._names_model, self._is_gated = names_model, is_gated

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_cmdline_main(self, config: pytest.Config) -> Generator[None, Any, Any]:
        """The status of the verdict, or of what ended the session."""
        status = yield from self._status(config)
        if problem := lost_output():
            say(f"ERROR: the output could not be written: {problem}", err=True)
        return status or (pytest.ExitCode.USAGE_ERROR if problem else status)

    def _status(self, config: pytest.Config) -> Generator[None, Any, Any]:
        early = early_end(config)
        try:
            status = yield
        except (pytest.exit.Exception, SystemExit) as error:
            if not self._names_model(config):
                raise
            return _status_after(error, config.stash.get(STATUS, None))
        if not self._names_model(config):
            return status
        if early.claims_verdict:
            say(f"tunegate: pytest.exit {_EARLY}", err=True)
            return pytest.ExitCode.INTERRUPTED
        is_shown = any(getattr(config.option, name, None) for name in _NOT_RUN)
        if is_shown or not (status is None or is_verdict(status)):
            return status
        return self._verdict(config, status)

    def _verdict(self, config: pytest.Config, claimed: int | None) -> int:
        """The status of the gate, where pytest's claims to be that of one."""
        if not self._is_gated(config):
            say(f"ERROR: {_REPLACED}", err=True)
            return pytest.ExitCode.USAGE_ERROR
        verdict = config.stash.get(STATUS, pytest.ExitCode.OK)
        if claimed and verdict != pytest.ExitCode.TESTS_FAILED:
            say("ERROR: another plugin failed the session at its end: it is no regression", err=True)
            return verdict or pytest.ExitCode.USAGE_ERROR
        return verdict


def _status_after(error: BaseException, verdict: int | None) -> int:
    """The exit status where a conftest file ended pytest itself; says what it did.

    Args:
        error: What it raised.
        verdict: The status of the session; None if it hasn't ended.
    """
    if verdict is not None:
        problem = end_problem(error)
        say(problem.line, err=True)
        return verdict or problem.status
    asked = error.returncode if isinstance(error, pytest.exit.Exception) else getattr(error, "code", None)
    say(f"Exit: {error}", err=True)
    if isinstance(asked, int) and not is_verdict(asked):
        return asked
    say(f"tunegate: {type(error).__name__} {_EARLY}", err=True)
    return pytest.ExitCode.INTERRUPTED
