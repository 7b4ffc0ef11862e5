"""A pytest session with a model: it answers before the first item begins, and judges at the end.

A session with one model works like one with several; its model has no name.
"""

import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.baselines.file import check_name
from harness.comparison.regressed_cases import ResampledAnswers
from harness.errors import EngineError, InputError, TunegateError
from harness.history.store import check_history
from harness.plugin.collection import RESULTS, GoldenItem, KeptReports
from harness.plugin.delivery import (
    Delivery,
    Problem,
    deliver,
    end_problem,
    exit_status,
    foreign_failure,
    uncollected_problem,
)
from harness.plugin.junit import add_verdicts
from harness.plugin.missing_tests import missing_tests
from harness.plugin.own_tests import OwnTests
from harness.plugin.progress import (
    AnswerCount,
    Questions,
    completed,
    end_session,
    open_progress,
    run_in_one_process,
)
from harness.plugin.selection import (
    SELECTION,
    OmittedParts,
    SeenTests,
    Selection,
    Turns,
    belonging_tests,
    collect_golden_sets,
    left_out_of,
    own_tests,
)
from harness.run.cache import Cache
from harness.run.conclusion import Resample, conclude_session, make_directory
from harness.run.generation import OpenEngine, Progress
from harness.run.inputs import Candidate, Inputs, make_ready, prepare
from harness.run.judging import open_panel
from harness.run.looks import run_looks
from harness.run.prompting import check_prompts
from harness.run.resampling import resample
from harness.run.scoring import Judging
from harness.run.session import Session, run_session, session_dealer
from harness.settings import Settings, given_settings, misspelt_variables
from harness.types import CaseResult, GateRecord
from tunegate.project import configured, name_of, session_project

if TYPE_CHECKING:
    from harness.run.open_telemetry import Telemetry

NOTHING_GATED = "so nothing would be gated: name golden sets among the paths, or run without a model"


class GateSession:
    """The resources and results of a session with ``--model``.

    Attributes:
        inputs: The checked models and baseline.
        selection: The selected cases.
        judging: The judges, checked after the cases are selected.
        judge_note: The judge's calibration in words, for the terminal.
        questions: Answers hand-written tests.
        own_tests: Which hand-written tests belong to the gate.
        seen: What the collected files have.
        reports: How many reports of tests are failures.
        uncollected: Node ids of files that broke while they were collected.
        left_out: Parts of the gate that are not selected, and at the end those that said nothing.
        turns: How the items ended.
        records: The records, by the models' names.
        delivery: What was written for the records.
        said_left_out: The line about what is left out, as the header has it.
        is_said: Whether the verdict is on the terminal.
    """

    def __init__(self, config: pytest.Config, inputs: Inputs, selection: Selection) -> None:
        """Open the cache; no model is loaded yet."""
        self.inputs = inputs
        self.selection = selection
        self.records: dict[str, GateRecord] = {}
        self.delivery = Delivery()
        self.said_left_out: str | None = None
        self.is_said = False
        self.turns, self.own_tests = Turns(), OwnTests()
        self.uncollected: list[str] = []
        self.left_out = OmittedParts(cases={}, tests=())
        self.seen, self.reports = SeenTests(others=GoldenItem), KeptReports(config)
        self._belonging, self._items, self._config = list[pytest.Item](), list[pytest.Item](), config
        self._session: Session | None = None
        # By model and case.
        self._results: dict[str, dict[str, CaseResult]] = {}
        self._answered = AnswerCount()  # finished answers of all, while they are asked for
        self._is_done = False  # judged, saved and reported
        self._telemetry: Telemetry | None = None
        path = inputs.directory / "cache.sqlite" if inputs.settings.cache else None
        # A session that is refused makes no directory.
        self._cache = Cache(path, lazily=not inputs.directory.is_dir())
        dealer = session_dealer(inputs.settings)
        self.judging = Judging(panel=open_panel(inputs.settings, self._cache, dealer), dealer=dealer)
        self.judge_note = ""
        self.questions = Questions(config, inputs, self._cache, self.judging)

    def candidate(self, name: str) -> Candidate:
        """The model of a name."""
        return next(candidate for candidate in self.inputs.candidates if candidate.name == name)

    def keep_own_tests(self, items: list[pytest.Item]) -> None:
        """Leave out of the collected items the tests of the project's that are none of the gate's."""
        others = [item for item in items if not isinstance(item, GoldenItem)]
        foreign = {item for item in others if not self.own_tests.is_run(item)}
        if foreign:
            items[:] = [item for item in items if item not in foreign]
            self._config.hook.pytest_deselected(items=list(foreign))
        self._belonging = belonging_tests(self.own_tests, others, self.seen)

    def note_left_out(self, session: pytest.Session) -> None:
        """Note what of the gate is not among the selected items.

        Raises:
            pytest.UsageError: No golden case is, so that nothing would be gated; or an option would do
                nothing that contradicts the others.
        """
        keys = {each.case.key for each in self.selection.cases}
        if not self._config.option.collectonly and all(each.case.skip for each in self.selection.cases):
            is_skipped = any(isinstance(item, GoldenItem) for item in session.items)
            what = "every selected case is skipped" if is_skipped else "no golden case is selected"
            raise pytest.UsageError(f"--model: {what}, {NOTHING_GATED}")
        self._items = list(session.items)  # whatever is taken out later is left out
        selected, missing = set(session.items), tuple[str, ...]()
        if self.own_tests.roots:
            missing = missing_tests(self.own_tests, session, self.seen.items.values(), self.uncollected)
        broken = (f"{file} (could not be collected)" for file in self.uncollected)
        deselected = (name_of(item) for item in self._belonging if item not in selected)
        self.left_out = left_out_of(self.selection.content, keys, (*broken, *missing, *deselected))
        self._look_for_idle(session)

    def _look_for_idle(self, session: pytest.Session) -> None:
        plain = {"model", "baseline", "golden", "forgetting", "cache"}
        given = given_settings(self.inputs.settings) - plain or misspelt_variables(os.environ)
        gates = [each.gate for each in self.selection.content.sets] if self.selection.content else []
        keys = ((each.margin, each.max_regressed, each.metric_margins or None) for each in gates)
        if given or any(key != (None, None, None) for key in keys):
            from harness.plugin.idle_options import IdleOptions

            idle = IdleOptions(self.selection, lambda: self.inputs)
            idle.look(session, all_tests=not self.left_out.tests)
            self._config.pluginmanager.register(idle)

    def _note_silent(self, items: Sequence[pytest.Item]) -> None:
        """Add to what is left out the items that said nothing: skipped by others, or never reached."""
        silent = {
            item: self.turns.left_out.get(name, "not run")
            for item in items
            if (name := name_of(item)) in self.turns.left_out or name not in self.turns.reached
        }
        keys = {each.case.key for each in self.selection.cases}
        keys -= {item.case.key for item in silent if isinstance(item, GoldenItem)}
        tests = [f"{name_of(item)} ({silent[item]})" for item in self._belonging if item in silent]
        self.left_out = left_out_of(self.selection.content, keys, (*self.left_out.tests, *tests))

    def make_ready(self) -> None:
        """Check that libraries are installed, that the judge is reliable, and that models can answer.

        Raises:
            pytest.UsageError: Something is missing, or a model can't answer a case; one line per reason.
        """
        golden_sets, keys = self.selection.golden_sets(), self.selection.keys_by_name()
        try:
            self.inputs.target.require_asked_alike(
                [case for each in golden_sets for case in each.cases], self.inputs.plan.chat_template_kwargs
            )
            self.judging, self.judge_note = make_ready(
                golden_sets,
                self.judging,
                self.inputs.directory,
                engine=self.inputs.plan.engine,
                allowed=self.inputs.settings.permissions,
            )
            check_prompts(
                self.inputs.sides,
                self.inputs.plan,
                [case for golden_set in golden_sets for case in golden_set.cases if case.skip is None],
                self._cache,
                only={each.side: keys.get(each.name, set()) for each in self.inputs.candidates},
            )
            make_directory(self.inputs.directory)
            self.inputs = replace(self.inputs, noise=check_history(self.inputs.history))
            self._cache.open()
        except InputError as error:
            raise pytest.UsageError(*str(error).splitlines()) from error

    def answer(self) -> None:
        """Answer and score all selected cases: once, before the items, so that it is in no item's time."""
        if any(name.startswith("OTEL_EXPORTER_OTLP") for name in os.environ):
            from harness.run.open_telemetry import open_telemetry

            self._telemetry = open_telemetry(os.environ, self.inputs)
        self._session = self._answer_all()
        self._results = {
            each.name: {result.key: result for result in self._session.results[each.side]}
            for each in self._session.inputs.candidates
        }

    def result_of(self, candidate: str, key: str) -> CaseResult | None:
        """The case's result; None before it is answered, and if the gate was decided without it."""
        return self._results.get(candidate, {}).get(key)

    def only_compares(self, result: CaseResult) -> bool:
        """With a baseline, only the comparison judges a case, unless it must pass and failed."""
        compared = self.inputs.target.kind != "none"
        decides = result.case.must_pass and result.has_failed
        return compared and not decides and self.inputs.settings.fail_on != "case"

    def finish(self, session: pytest.Session) -> None:
        """Judge, save and report, accept if requested, and decide the exit status."""
        ended = completed(session)
        if self._session is None:
            self._say_broken(session)
            return
        self._note_silent(self._items)
        self.questions.release()
        try:
            self.records = self._judged(self._session)
        except TunegateError as error:
            session.exitstatus = pytest.ExitCode.USAGE_ERROR
            self.delivery.problems.append(Problem(text=str(error), status=pytest.ExitCode.USAGE_ERROR))
            return
        status = exit_status(
            self.records.values(),
            fail_on=self.inputs.settings.fail_on,
            tests_failed=bool(self.reports.failed),
            only_cases=not self.turns.failed,
        )
        not_accepted = None if ended else "the session was interrupted"
        if failed := (*self.turns.failed_others, *self.turns.failed):
            not_accepted = f"{failed[0]} failed"
        if foreign := foreign_failure(session, self.reports.failed, len(self.uncollected)):
            not_accepted = foreign[0].text
        self.delivery = deliver(self._config, self.inputs, self.records, not_accepted=not_accepted)
        lost = [uncollected_problem(self.uncollected, "the gate is without it")] if self.uncollected else []
        self.delivery.problems.extend((*foreign, *lost))
        if self._config.getoption("xmlpath", None):
            add_verdicts(self._config, self.records, self.delivery.written)
        self._end_telemetry()
        self._is_done = True
        if ended:
            problems = [problem.status for problem in self.delivery.problems]
            session.exitstatus = status or max(problems, default=pytest.ExitCode.OK)

    def _say_broken(self, session: pytest.Session) -> None:
        """Where nothing was asked because a file could not be collected: it is no regression."""
        stopped = {pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED}
        if self.uncollected and session.exitstatus in stopped and not self._config.option.collectonly:
            then = "nothing was gated: fix it, or gate without it by --continue-on-collection-errors"
            self.delivery.problems.append(uncollected_problem(self.uncollected, then))
            session.exitstatus = pytest.ExitCode.USAGE_ERROR

    def note_broken_end(self, session: pytest.Session, error: BaseException) -> Problem:
        """Turn what another plugin raised at the session's end into one line.

        Args:
            session: The session.
            error: What it raised.
        """
        self.delivery.problems.append(problem := end_problem(error))
        if problem.status == pytest.ExitCode.INTERRUPTED or not session.exitstatus:
            session.exitstatus = problem.status
        return problem

    def interrupted_line(self, session: pytest.Session | None) -> str | None:
        """After Ctrl-C in the gate: what is kept; None where the gate was not at work, or has not ended."""
        stopped = session is not None and session.exitstatus == pytest.ExitCode.INTERRUPTED
        if self._session is not None and (self._is_done or not stopped):
            return None
        if not self._answered.asked and self._session is None:
            return "interrupted before the first answer; the same command begins anew" if stopped else None
        kept = str(self._answered) if self._answered.asked else "all"
        if forgets := self._cache.forgets:
            return f"interrupted at {kept} answers; {forgets}"
        return f"interrupted: {kept} answers are kept; the same command continues from them"

    @property
    def cache_problem(self) -> str:
        """What is wrong with the cache's file; empty if nothing is."""
        return self._cache.problem

    def close(self) -> None:
        """Close the judges and the cache, and the models of tests where the session ended before."""
        self.questions.release()
        self.judging.close()
        self._end_telemetry()
        self._cache.close()

    def _end_telemetry(self) -> None:
        if self._telemetry is not None:
            self._telemetry.close(self.records)

    def _answer_all(self) -> Session:
        # A model without a selected case takes no part: it answers nothing and does not change the level.
        keys = self.selection.keys_by_name()
        candidates = tuple(each for each in self.inputs.candidates if each.name in keys)
        with open_progress(self._config) as shown:
            try:
                inputs = replace(self.inputs, candidates=candidates)
                golden_sets = self.selection.golden_sets()
                only = {candidate.side: keys[candidate.name] for candidate in candidates}
                on_progress = self._answered.noting(shown.on_progress)
                asked = (inputs, golden_sets, self._cache, on_progress, self.judging)
                if inputs.settings.looks > 1:
                    return run_looks(
                        *asked,
                        collected=self.selection.collected,
                        only=only,
                        resampling=self._resampling(on_progress),
                        on_lost=shown.on_lost,
                    )
                return run_session(*asked, on_lost=shown.on_lost, only=only)
            except InputError as error:
                raise pytest.UsageError(*str(error).splitlines()) from error
            except EngineError as error:
                end_session(error)

    def _resampling(self, on_progress: Progress) -> Callable[[Session, OpenEngine | None], Resample] | None:
        """Makes, of a session and its models, what gets new answers to its cases; None if none are wanted."""
        times = self.inputs.settings.confirm
        if not times:
            return None
        given = times, self._cache, on_progress, self.judging
        return lambda session, opens: lambda keys: resample(session, keys, *given, open_engine=opens)

    def _judged(self, session: Session) -> dict[str, GateRecord]:
        def get_fresh(keys: Collection[str]) -> ResampledAnswers:
            with open_progress(self._config) as shown:
                resampling = self._resampling(shown.on_progress)
                assert resampling is not None  # below
                return resampling(session, None)(keys)

        records = conclude_session(
            session,
            collected=self.selection.collected,
            resample=get_fresh if self.inputs.settings.confirm else None,
            failed_tests={each.name: self.turns.failed_of(each.name) for each in session.inputs.candidates},
        )
        left_out = (*self.left_out.keys, *self.left_out.tests)
        return {
            name: replace(record, run=replace(record.run, left_out=left_out))
            for name, record in records.items()
        }


# Not in the stash of a session without a model.
GATE: pytest.StashKey[GateSession] = pytest.StashKey()


def open_session(config: pytest.Config, settings: Settings) -> None:
    """Put the session's selection and, if there is a model, its gate into the stash.

    Args:
        config: The pytest session's configuration.
        settings: The session's settings.

    Raises:
        pytest.UsageError: A model, adapter or baseline is invalid.
    """
    # As pytest writes the paths that it collects: without "..", links as they are.
    golden = tuple(Path(os.path.normpath(session_project(config) / path)) for path in settings.golden)
    config.stash[SELECTION] = Selection(golden=golden, with_probes=settings.forgetting)
    if not settings.model:
        return
    run_in_one_process(config)
    try:
        inputs = prepare(settings, session_project(config))
        if settings.accept is not None:
            check_name(settings.accept)
        names, probes = tuple(each.name for each in inputs.candidates), inputs.settings.forgetting
        no_search = tuple(configured(config, "norecursedirs"))
        selection = Selection(golden=golden, names=names, with_probes=probes, unsearched=no_search)
        gate = GateSession(config, inputs, selection)
    except InputError as error:
        raise pytest.UsageError(str(error)) from error
    config.stash[SELECTION], config.stash[GATE], config.stash[RESULTS] = selection, gate, gate
    config.pluginmanager.register(gate.reports, "tunegate-reports")
    config.pluginmanager.register(gate.seen, "tunegate-seen")
    gate.own_tests = own_tests(config, settings)
    collect_golden_sets(config, golden, gate.own_tests)
