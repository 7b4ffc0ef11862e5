"""The gate of one pytest session: which cases are selected, their results, the verdict, the exit status."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.answers import answer_cases
from harness.asking_again import ask_again
from harness.baselines.accept import accept_run
from harness.baselines.file import Baseline, check_name
from harness.cache import Cache
from harness.confirming import FreshAnswers
from harness.engines.base import Engine
from harness.engines.open import missing_libraries, open_sides
from harness.errors import (
    AdapterError,
    BaselineError,
    EngineError,
    GoldenError,
    InputError,
    ModelError,
    SettingsError,
    TunegateError,
)
from harness.forgetting.probes import probe_directory
from harness.golden.load import LABELLED
from harness.judge.trust import find_calibration
from harness.judging import (
    describe_trust,
    distrusted_checks,
    judged_checks,
    open_panel,
    refuse_distrusted,
)
from harness.plugin.progress import open_progress
from harness.scoring import Judging, missing_extras, require_encoders
from harness.session import Inputs, Session, conclude, prepare, run_session, save
from harness.settings import Settings
from harness.types import (
    CaseResult,
    Completion,
    ExecutionPlan,
    GateRecord,
    GateVerdict,
    GoldenCase,
    GoldenSet,
    ModelRef,
)

if TYPE_CHECKING:
    from harness.plugin.collection import GoldenItem

GATE: "pytest.StashKey[NoGate]" = pytest.StashKey()


class NoGate:
    """A session without ``--model``: golden cases are skipped, nothing is printed."""

    def __init__(self, settings: Settings | None = None, root: Path | None = None) -> None:
        """Note where the golden sets lie."""
        self.settings = settings or Settings()
        self.root = root or Path()
        self.broken: list[GoldenError] = []
        self.collected = 0
        self.missed = 0
        self.adds_probes = False
        self._golden = [self.root / path for path in self.settings.golden]

    def is_golden(self, path: Path) -> bool:
        """Whether a file is, or lies below, one of the golden paths; a judge's labelled items are none."""
        return path.parent.name != LABELLED and any(
            path == golden or golden in path.parents for golden in self._golden
        )

    def select(self, items: "Sequence[GoldenItem]") -> None:
        """Refuse broken golden sets.

        Raises:
            pytest.UsageError: One line for each broken file.
        """
        names: dict[str, str] = {}
        for item in items:
            golden_set = item.golden_set
            other = names.setdefault(golden_set.name, golden_set.path)
            if other != golden_set.path:
                problem = f"the set's name {golden_set.name!r} is taken by {other}"
                self.broken.append(GoldenError(golden_set.path, None, "name", problem, "a name of its own"))
                break
        if self.broken:
            raise pytest.UsageError(*(str(error) for error in self.broken))

    def result_of(self, item: "GoldenItem") -> CaseResult:
        """No result without a model: the item is skipped."""
        pytest.skip("no --model given")

    def known_result(self, key: str) -> CaseResult | None:
        """The result of a case, if there is one already."""
        return None

    def only_compares(self, case: GoldenCase) -> bool:
        """Whether a failure of this case is judged by the comparison alone."""
        return False

    def finish(self, session: pytest.Session) -> None:
        """Nothing to judge."""

    def print_summary(self, terminal: pytest.TerminalReporter) -> None:
        """Nothing to print."""

    def close(self) -> None:
        """Nothing to close."""


class Gate(NoGate):
    """A session with ``--model``."""

    def __init__(self, config: pytest.Config, inputs: Inputs) -> None:
        """Open the cache; nothing is loaded yet."""
        super().__init__(inputs.settings, inputs.root)
        self.inputs = inputs
        self.record: GateRecord | None = None
        self.written: list[Path] = []
        self._config = config
        self._selected: list[tuple[GoldenSet, GoldenCase]] = []
        self._session: Session | None = None
        self._engine: Engine | None = None
        self._results: dict[str, CaseResult] = {}
        self.cache = Cache(inputs.directory / "cache.sqlite" if inputs.settings.cache else None)
        self.judging = Judging(panel=open_panel(inputs.settings, self.cache))
        self.judge_note = ""
        if self.settings.accept is not None:
            check_name(self.settings.accept)

    def choose_arguments(self) -> None:
        """Collect the golden sets when the command line names no path of its own."""
        config = self._config
        if config.args_source is pytest.Config.ArgsSource.ARGS:
            return
        chosen = [path for path in self._golden if path.exists()]
        if not chosen:
            raise pytest.UsageError(
                f"no golden set: none of {', '.join(map(str, self._golden))} exists; "
                f"write one with: tunegate golden new golden_sets/mine.yaml"
            )
        probes = probe_directory()
        # A project that keeps general probes of its own, or this checkout, is not asked the bundled ones too.
        covered = any((path / "general").is_dir() or path == probes for path in chosen)
        self.adds_probes = self.settings.forgetting and not covered
        config.args = [*map(str, chosen), *(str(self.root / path) for path in self.settings.paths)]

    def select(self, items: "Sequence[GoldenItem]") -> None:
        """Note the cases to be answered, and check that what they need is installed."""
        super().select(items)
        self._selected = [(item.golden_set, item.case) for item in items]
        if self._config.option.collectonly:
            return
        cases = [case for _, case in self._selected if case.skip is None]
        extras = set(missing_extras(cases))
        if cases and missing_libraries():
            extras.add("local")
        if extras:
            raise pytest.UsageError(
                f"the selected cases need more than is installed: "
                f"pip install 'tunegate[{','.join(sorted(extras))}]'"
            )
        if self.judging.panel is None and (judged := [case for case in cases if judged_checks(case)]):
            raise pytest.UsageError(
                f"{judged[0].key}: {judged_checks(judged[0])[0].type} needs a judge: "
                f"give --gate-judge ({len(judged)} of the selected cases have such checks)"
            )
        try:
            self._trust_judge(cases)
            require_encoders(cases)
        except (ModelError, SettingsError) as error:
            raise pytest.UsageError(str(error)) from error

    def _trust_judge(self, cases: Sequence[GoldenCase]) -> None:
        """Look up what the judge was found to be worth, and refuse it where it would decide in vain.

        Raises:
            SettingsError: An unreliable judge would decide.
        """
        panel = self.judging.panel
        if panel is None or not any(judged_checks(case) for case in cases):
            return
        calibration = find_calibration(self.inputs.directory, panel.identity)
        distrusted = distrusted_checks(calibration)
        refuse_distrusted(self.selected_sets(), distrusted, panel.identity)
        self.judging = replace(self.judging, distrusted=frozenset(distrusted))
        self.judge_note = describe_trust(calibration, distrusted)

    def result_of(self, item: "GoldenItem") -> CaseResult:
        """The case's result; the first call answers and scores all selected cases."""
        if self._session is None:
            self._run()
        return self._results[item.case.key]

    def _run(self) -> None:
        with open_progress(self._config) as on_progress:
            try:
                self._session = run_session(
                    self.inputs, self.selected_sets(), self.cache, on_progress, self.judging
                )
            except AdapterError as error:
                pytest.exit(str(error), returncode=pytest.ExitCode.USAGE_ERROR)
            except EngineError as error:
                pytest.exit(str(error), returncode=pytest.ExitCode.INTERNAL_ERROR)
        self._results = {result.key: result for result in self._session.results["candidate"]}

    def answer(self, case: GoldenCase) -> Completion:
        """The candidate's answer to a case that stands in no golden set."""
        sides = {"candidate": self.inputs.candidate}
        with open_progress(self._config) as on_progress:
            answers = answer_cases(
                sides, self.inputs.plan, [case], self.cache, on_progress, open_engine=self._open_once
            )
        return answers["candidate"].completions[case.key]

    def _open_once(self, sides: Mapping[str, ModelRef], plan: ExecutionPlan) -> Engine:
        """One engine for all the questions of hand-written tests."""
        if self._engine is None:
            self._engine = open_sides(sides, plan)
        return self._engine

    def selected_sets(self) -> list[GoldenSet]:
        """The golden sets with their selected cases only."""
        sets: dict[str, GoldenSet] = {}
        cases: dict[str, list[GoldenCase]] = {}
        for golden_set, case in self._selected:
            sets[golden_set.name] = golden_set
            cases.setdefault(golden_set.name, []).append(case)
        return [replace(golden_set, cases=tuple(cases[name])) for name, golden_set in sets.items()]

    def known_result(self, key: str) -> CaseResult | None:
        """The result of a case, if there is one already."""
        return self._results.get(key)

    def only_compares(self, case: GoldenCase) -> bool:
        """With a baseline, a case that isn't must-pass is judged by the comparison alone."""
        return self.inputs.baseline is not None and not case.must_pass and self.settings.fail_on != "case"

    def finish(self, session: pytest.Session) -> None:
        """Judge, save, report, and let the verdict decide the exit status."""
        if self._session is None:
            return
        try:
            self.record = conclude(
                self._session,
                collected=self.collected,
                ask_again=self._ask_again if self.settings.confirm else None,
            )
            directory = save(self.record, self.inputs.directory)
            paths = self._config.hook.pytest_tunegate_report(
                config=self._config, record=self.record, directory=directory
            )
            self.written = [path for path in paths if path is not None]
            self._accept()
        except TunegateError as error:
            raise pytest.UsageError(str(error)) from error
        if session.exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}:
            session.exitstatus = self._exit_status(session)

    def _ask_again(self, keys: Collection[str]) -> FreshAnswers:
        """Fresh answers to the cases that make a regression."""
        assert self._session is not None
        times = self.settings.confirm
        with open_progress(self._config) as on_progress:
            return ask_again(
                self._session, keys, times, self.cache, on_progress, self.judging, open_engine=open_sides
            )

    def _accept(self) -> None:
        """Accept this run as a baseline, where that was asked for and the gate doesn't speak against it.

        Raises:
            BaselineError: The run can't serve as one.
        """
        name, record = self.settings.accept, self.record
        if name is None or record is None:
            return
        if record.verdict is not None and record.verdict.outcome is GateVerdict.REGRESS:
            raise BaselineError(
                f"--gate-accept {name}: the run regressed and is not accepted; if that is meant: "
                f"tunegate runs accept {record.run.id} {name} --reason ..."
            )
        self.written.append(
            accept_run(
                record.run,
                name,
                self.settings.accept_reason or "accepted by --gate-accept",
                self.root,
                allow_dirty=self.settings.accept_dirty,
            )
        )

    def _exit_status(self, session: pytest.Session) -> pytest.ExitCode:
        verdict = self.record.verdict.outcome if self.record and self.record.verdict else None
        refused = {GateVerdict.REGRESS}
        if self.settings.fail_on == "inconclusive":
            refused.add(GateVerdict.INCONCLUSIVE)
        failed_otherwise = session.testsfailed > self.missed or bool(session.shouldfail)
        if failed_otherwise or verdict in refused:
            return pytest.ExitCode.TESTS_FAILED
        return pytest.ExitCode.OK

    def header(self) -> str:
        """What is gated against what."""
        baseline = self.inputs.baseline
        if baseline is None:
            against = "no baseline"
        elif isinstance(baseline, ModelRef):
            against = f"against {baseline.label}"
        elif isinstance(baseline, Baseline):
            against = f"against {baseline.name}, accepted {baseline.accepted_at[:10]}: {baseline.reason}"
        else:
            against = f"against run {baseline.id}"
        plan = self.inputs.plan
        return f"tunegate: {self.inputs.candidate.label} {against}, {plan.dtype} on {plan.device}"

    def print_summary(self, terminal: pytest.TerminalReporter) -> None:
        """The gate's section."""
        from harness.plugin.summary import print_gate, print_judging

        if self.record is not None:
            print_gate(terminal, self.record, self.written)
            if self.judging.panel is not None:
                print_judging(terminal, self.judging.panel, self.judge_note)

    def close(self) -> None:
        """Close the judges and the cache."""
        if self.judging.panel is not None:
            self.judging.panel.close()
        self.cache.close()


def open_gate(config: pytest.Config, settings: Settings) -> NoGate:
    """The session's gate, with its model and baseline checked.

    Raises:
        pytest.UsageError: The model, adapter or baseline can't be used, or workers were asked for.
    """
    if settings.model is None:
        return NoGate(settings, config.rootpath)
    if config.getoption("numprocesses", None) or config.getoption("dist", "no") != "no":
        raise pytest.UsageError(
            "--model: all cases are answered together in one process; run without xdist's -n and --dist"
        )
    try:
        gate = Gate(config, prepare(settings, config.rootpath))
    except InputError as error:
        raise pytest.UsageError(str(error)) from error
    gate.choose_arguments()
    return gate
