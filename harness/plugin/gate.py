"""The gate of one pytest session: which cases are selected, their results, the verdict, the exit status.

A session with one model is that with several, of which there is one: it alone has no name.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.baselines.accept import accept_run
from harness.baselines.file import Baseline, check_name
from harness.comparison.confirmation import ResampledAnswers
from harness.engines.base import Engine
from harness.engines.open import open_sides
from harness.errors import AdapterError, BaselineError, EngineError, GoldenError, InputError, TunegateError
from harness.golden.load import LABELLED
from harness.golden.probes import probe_directory
from harness.plugin.progress import open_progress
from harness.run.cache import Cache
from harness.run.generation import answer_cases
from harness.run.inputs import Candidate, Inputs, prepare
from harness.run.judging import describe_judging, open_panel
from harness.run.preflight import make_ready
from harness.run.resampling import ask_again
from harness.run.scoring import Judging
from harness.run.session import Session, conclude, run_session, save
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
    """A session without ``--model``: golden cases are skipped, nothing is printed.

    Attributes:
        names: Of the models that each case is an item for; a name is empty where there are not several.
    """

    names: tuple[str, ...] = ("",)

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

    def known_result(self, item: "GoldenItem") -> CaseResult | None:
        """The item's result, if there is one already."""
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
    """A session with ``--model``.

    Attributes:
        records: What was found, by the models' names.
        written: Each one's reports.
    """

    def __init__(self, config: pytest.Config, inputs: Inputs) -> None:
        """Open the cache; nothing is loaded yet."""
        super().__init__(inputs.settings, inputs.root)
        self.inputs = inputs
        self.names = tuple(candidate.name for candidate in inputs.candidates)
        self.records: dict[str, GateRecord] = {}
        self.written: dict[str, list[Path]] = {}
        self._config = config
        self._selected: list[GoldenItem] = []
        self._session: Session | None = None
        self._engine: Engine | None = None
        # By model and case.
        self._results: dict[tuple[str, str], CaseResult] = {}
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
        self._selected = list(items)
        if self._config.option.collectonly:
            return
        try:
            self.judging, self.judge_note = make_ready(
                self.selected_sets(), self.judging, self.inputs.directory
            )
        except InputError as error:
            raise pytest.UsageError(str(error)) from error

    def result_of(self, item: "GoldenItem") -> CaseResult:
        """The case's result; the first call answers and scores all selected cases."""
        if self._session is None:
            self._run()
        return self._results[item.candidate, item.case.key]

    def _run(self) -> None:
        # A model of which no case is selected takes no part: it answers nothing, and costs no level.
        keys: dict[str, set[str]] = {}
        for item in self._selected:
            keys.setdefault(item.candidate, set()).add(item.case.key)
        candidates = tuple(each for each in self.inputs.candidates if each.name in keys)
        with open_progress(self._config) as on_progress:
            try:
                self._session = run_session(
                    replace(self.inputs, candidates=candidates),
                    self.selected_sets(),
                    self.cache,
                    on_progress,
                    self.judging,
                    only={candidate.side: keys[candidate.name] for candidate in candidates},
                )
            except AdapterError as error:
                pytest.exit(str(error), returncode=pytest.ExitCode.USAGE_ERROR)
            except EngineError as error:
                pytest.exit(str(error), returncode=pytest.ExitCode.INTERNAL_ERROR)
        self._results = {
            (candidate.name, result.key): result
            for candidate in candidates
            for result in self._session.results[candidate.side]
        }

    def candidate(self, name: str) -> Candidate:
        """The model of a name."""
        return self.inputs.candidates[self.names.index(name)]

    def answer(self, case: GoldenCase, name: str) -> Completion:
        """A model's answer to a case that stands in no golden set."""
        asked = self.candidate(name)
        sides = {asked.side: asked.model}
        with open_progress(self._config) as on_progress:
            answers = answer_cases(
                sides, self.inputs.plan, [case], self.cache, on_progress, open_engine=self._open_once
            )
        return answers[asked.side].completions[case.key]

    def _open_once(self, sides: Mapping[str, ModelRef], plan: ExecutionPlan) -> Engine:
        """One engine, of all candidates, for all the questions of hand-written tests."""
        if self._engine is None:
            candidates = {candidate.side: candidate.model for candidate in self.inputs.candidates}
            self._engine = open_sides(candidates, plan)
        return self._engine

    def selected_sets(self) -> list[GoldenSet]:
        """The golden sets with those of their cases that any model is to answer."""
        sets: dict[str, GoldenSet] = {}
        cases: dict[str, dict[str, GoldenCase]] = {}
        for item in self._selected:
            sets[item.golden_set.name] = item.golden_set
            cases.setdefault(item.golden_set.name, {})[item.case.id] = item.case
        return [replace(golden_set, cases=tuple(cases[name].values())) for name, golden_set in sets.items()]

    def known_result(self, item: "GoldenItem") -> CaseResult | None:
        """The item's result, if there is one already."""
        return self._results.get((item.candidate, item.case.key))

    def only_compares(self, case: GoldenCase) -> bool:
        """With a baseline, a case that isn't must-pass is judged by the comparison alone."""
        return self.inputs.baseline is not None and not case.must_pass and self.settings.fail_on != "case"

    def finish(self, session: pytest.Session) -> None:
        """Judge, save, report, and let the verdict decide the exit status."""
        if self._session is None:
            return
        try:
            self.records = conclude(
                self._session,
                collected=self.collected,
                ask_again=self._ask_again if self.settings.confirm else None,
            )
            for name, record in self.records.items():
                directory = save(record, self.inputs.directory)
                paths = self._config.hook.pytest_tunegate_report(
                    config=self._config, record=record, directory=directory, label=name
                )
                self.written[name] = [path for path in paths if path is not None]
            self._accept()
        except TunegateError as error:
            raise pytest.UsageError(str(error)) from error
        if session.exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}:
            session.exitstatus = self._exit_status(session)

    def _ask_again(self, keys: Collection[str]) -> ResampledAnswers:
        """Fresh answers to the cases that make a regression."""
        assert self._session is not None
        times = self.settings.confirm
        with open_progress(self._config) as on_progress:
            return ask_again(
                self._session, keys, times, self.cache, on_progress, self.judging, open_engine=open_sides
            )

    def _accept(self) -> None:
        """Accept the only model's run as a baseline, where that was asked for and the gate isn't against it.

        Raises:
            BaselineError: The run can't serve as one.
        """
        name = self.settings.accept
        if name is None:
            return
        ((model, record),) = self.records.items()
        if record.verdict is not None and record.verdict.outcome is GateVerdict.REGRESS:
            raise BaselineError(
                f"--gate-accept {name}: the run regressed and is not accepted; if that is meant: "
                f"tunegate runs accept {record.run.id} {name} --reason ..."
            )
        self.written[model].append(
            accept_run(
                record.run,
                name,
                self.settings.accept_reason or "accepted by --gate-accept",
                self.root,
                allow_dirty=self.settings.accept_dirty,
            )
        )

    def _exit_status(self, session: pytest.Session) -> pytest.ExitCode:
        verdicts = {record.verdict.outcome for record in self.records.values() if record.verdict}
        refused = {GateVerdict.REGRESS}
        if self.settings.fail_on == "inconclusive":
            refused.add(GateVerdict.INCONCLUSIVE)
        failed_otherwise = session.testsfailed > self.missed or bool(session.shouldfail)
        if failed_otherwise or verdicts & refused:
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
        plan, candidates = self.inputs.plan, self.inputs.candidates
        several = f"{len(candidates)} models ({', '.join(self.names)})"
        gated = candidates[0].model.label if len(candidates) == 1 else several
        return f"tunegate: {gated} {against}, {plan.dtype} on {plan.device}"

    def print_summary(self, terminal: pytest.TerminalReporter) -> None:
        """The gate's section."""
        from harness.plugin.summary import print_gate, print_ranking

        if not self.records:
            return
        if len(self.records) == 1:
            ((name, record),) = self.records.items()
            print_gate(terminal, record, self.written.get(name, ()))
        else:
            print_ranking(terminal, self.records, self.written)
        if self.judging.panel is not None:
            for line in describe_judging(self.judging.panel, self.judge_note):
                terminal.write_line(line)

    def close(self) -> None:
        """Close the judges and the cache."""
        if self.judging.panel is not None:
            self.judging.panel.close()
        self.cache.close()


def open_gate(config: pytest.Config, settings: Settings) -> NoGate:
    """The session's gate, with its models and baseline checked.

    Raises:
        pytest.UsageError: A model, adapter or baseline can't be used, or workers were asked for.
    """
    if not settings.model:
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
