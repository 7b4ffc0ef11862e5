"""From a session's scored answers to a verdict on each candidate, and to stored records.

Several candidates are compared with the same baseline. Each regression is tested at the level alpha / k
(Bonferroni): the probability of any false alarm is that of a single gate. Each pass is a claim about its own
model only, and is tested at alpha.
"""

import hashlib
import os
import secrets
import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

from harness.baselines.file import run_of
from harness.comparison.findings import failed_tests_findings, with_further
from harness.comparison.gate import (
    Judgement,
    cases_to_confirm,
    conclude,
    forgetting_between,
    judge_runs,
    with_resampled,
)
from harness.comparison.pairing import PASS_RATE
from harness.comparison.regressed_cases import ResampledAnswers
from harness.engines.base import BASE, BASELINE
from harness.errors import HistoryError, SettingsError, TunegateError
from harness.history.server import FILE_NAME, HistoryPlace
from harness.history.store import noted_stability, open_history
from harness.provenance import describe_environment
from harness.run.judging import as_baseline
from harness.run.session import Session, metric_facts
from harness.run.workload import Answers
from harness.types import (
    CaseResult,
    Environment,
    Forgetting,
    GateRecord,
    GoldenCase,
    GoldenSet,
    ModelRef,
    Run,
    Stability,
    TextLoss,
)
from harness.types.golden import ALPHA
from harness.types.storage import DamagedFactsError, decode, encode_by_parts, write_whole

# A record that the history has not taken yet.
_UNSAVED = "unsaved.json"


def answered_run(  # noqa: PLR0913 # the parts of a run
    model: ModelRef,
    answers: Answers,
    results: Sequence[CaseResult],
    golden_sets: Sequence[GoldenSet],
    environment: Environment,
    *,
    started_at: datetime,
    duration_s: float,
    collected: int,
    judge: str = "",
) -> Run:
    """One model's scored answers as a run, with a new id.

    Args:
        model: The model.
        answers: Its answers.
        results: Its scored results.
        golden_sets: The cases' golden sets.
        environment: The environment of the run.
        started_at: Its start, in UTC.
        duration_s: Its duration in seconds.
        collected: Number of cases in the golden sets before selection.
        judge: Who judged; empty if nobody did.
    """
    return Run(
        id=f"{started_at:%Y%m%d-%H%M%S}-{secrets.token_hex(4)}",
        started_at=started_at.isoformat(timespec="seconds"),
        duration_s=duration_s,
        model=model,
        plan=answers.plan,
        environment=environment,
        golden_sets=tuple(replace(golden_set, cases=()) for golden_set in golden_sets),
        collected=collected,
        results=tuple(results),
        text_losses=answers.text_losses,
        metrics=metric_facts((check for result in results for check in result.case.checks), judge),
    )


def session_runs(session: Session, collected: int) -> dict[str, Run]:
    """A session's runs by side.

    Args:
        session: The scored answers.
        collected: Number of cases in the golden sets before selection.

    Returns:
        The runs by side, including the candidate's.
    """
    environment = describe_environment(session.inputs.root)
    return {
        side: answered_run(
            model,
            session.answers[side],
            session.results[side],
            _sets_with(session.golden_sets, session.results[side]),
            environment,
            started_at=session.started_at,
            duration_s=session.duration_s,
            collected=collected,
            judge=session.judge,
        )
        for side, model in session.sides.items()
    }


def make_directory(directory: Path) -> None:
    """Make the directory of history, cache and reports, which git ignores.

    Raises:
        SettingsError: It can't be made.
    """
    if directory.is_dir():
        return
    try:
        write_whole(directory / ".gitignore", "# Made by tunegate.\n*\n")
    except OSError as error:
        raise SettingsError(
            f"{directory}: can't be made: {error.strerror}; name another with --gate-directory"
        ) from error


def save(record: GateRecord, directory: Path, place: HistoryPlace | None = None) -> Path:
    """Store a record in the history and make the run's own directory.

    The record is in a file of that directory until the history has it; where neither can be written, in one
    of the user's cache directory.

    Args:
        record: The gate's record.
        directory: The directory of cache and reports.
        place: The history; None for the file in the directory.

    Returns:
        The run's directory.

    Raises:
        HistoryError: The history can't be written.
    """
    run_directory = directory / "runs" / record.run.id
    kept = _kept_in(run_directory / _UNSAVED, record)
    place = place or directory / FILE_NAME
    try:
        with open_history(place) as history:
            history.save(record)
    except HistoryError as error:
        # Perhaps the history could still have been written.
        kept = kept or _kept_in(_second_place(directory) / f"{record.run.id}.json", record)
        if kept is None:
            raise HistoryError(
                f"{error}; nor can {run_directory} be written: the run is lost; make room and gate again"
            ) from error
        # A server's address has a password, and comes from the settings as a rule.
        is_usual = place == directory / FILE_NAME or not isinstance(place, Path)
        where = "" if is_usual else f" --history {shlex.quote(str(place))}"
        # Nothing is lost with a server that is down, as long as the file is there.
        waiting = type(error)(f"{error}; the run is in {kept}: tunegate runs recover{where} saves it")
        waiting.recover = f"tunegate runs recover{where}"
        raise waiting from error
    if kept is not None:
        kept.unlink(missing_ok=True)
    run_directory.mkdir(parents=True, exist_ok=True)
    return run_directory


def _kept_in(file: Path, record: GateRecord) -> Path | None:
    """Write a record that no history has to a file; None if that can't be written."""
    try:
        write_whole(file, encode_by_parts(record))
    except OSError:
        return None
    return file


def _second_place(directory: Path) -> Path:
    """Where the unsaved runs of a directory are that can't be written itself."""
    # Most gates don't need it.
    from harness.models.home import tunegate_home

    key = hashlib.sha256(os.path.realpath(directory).encode(errors="surrogateescape")).hexdigest()
    return tunegate_home() / "unsaved" / key[:16]


def recover(place: HistoryPlace, directory: Path) -> list[str]:
    """Save the records that could not be saved when their gates ended.

    Args:
        place: The history.
        directory: The directory of cache and reports.

    Returns:
        Ids of the runs that are saved now.

    Raises:
        HistoryError: A file is damaged, or the history still can't be written.
    """
    saved = []
    for file in (
        *sorted(directory.glob(f"runs/*/{_UNSAVED}")),
        *sorted(_second_place(directory).glob("*.json")),
    ):
        try:
            record = decode(GateRecord, file.read_text(encoding="utf-8"))
        except (DamagedFactsError, OSError, UnicodeDecodeError) as error:
            raise HistoryError(f"{file}: can't be read: {error}; delete it") from error
        with open_history(place) as history:
            history.save(record)
        file.unlink()
        saved.append(record.run.id)
    return saved


def _sets_with(golden_sets: Sequence[GoldenSet], results: Sequence[CaseResult]) -> list[GoldenSet]:
    """The sets of the results."""
    keys = {result.key for result in results}
    return [golden_set for golden_set in golden_sets if any(case.key in keys for case in golden_set.cases)]


# Gets new answers to cases by their keys.
Resample: TypeAlias = Callable[[Collection[str]], ResampledAnswers]


def _stored_baseline(session: Session, cases: Sequence[GoldenCase], *, is_whole: bool) -> Run | None:
    """The stored run to compare with; None if there is none."""
    stored, inputs = session.stored, session.inputs
    accepted, golden_sets = inputs.target.accepted, session.golden_sets
    if accepted is not None and is_whole:
        from harness.baselines.changed_sets import gone_sets  # most baselines are no files

        gone = gone_sets(accepted, golden_sets, inputs.root)
        if not inputs.settings.forgetting:
            gone -= {each.name for each in accepted.golden_sets if each.probes_forgetting}
        # What was taken out of a set, or with it, is told, as it is with a stored run.
        stored = run_of(accepted, cases, whole={each.name for each in golden_sets} | gone)
    return None if stored is None else as_baseline(stored)


def conclude_session(
    session: Session,
    *,
    collected: int,
    resample: Resample | None = None,
    failed_tests: Mapping[str, Sequence[str]] | None = None,
    is_final: bool = True,
) -> dict[str, GateRecord]:
    """Compare each candidate with the baseline and judge it.

    Args:
        session: The scored answers.
        collected: Number of cases in the golden sets before selection.
        resample: Gets new answers to the cases that make a regression, if there is one candidate.
        failed_tests: Hand-written tests of a candidate that failed, by its name.
        is_final: Whether it is no early look: only then is it asked whether a server has both models.

    Returns:
        The records by the candidates' names.

    Raises:
        BaselineError: A candidate has no case in common with the baseline.
        ModelError: A server answered for both under any name.
    """
    inputs = session.inputs
    by_side = session_runs(session, collected)
    runs = {side: replace(run, looks=session.looks.get(side, ())) for side, run in by_side.items()}
    cases = [case for golden_set in session.golden_sets for case in golden_set.cases]
    # Of a part of the sets nobody knows what was taken out of the others, or what a look has yet to ask.
    is_whole = len(cases) == collected
    baseline = runs.get(BASELINE) or _stored_baseline(session, cases, is_whole=is_whole)
    if baseline is None:
        return {each.name: GateRecord(run=runs[each.side]) for each in inputs.candidates}
    stability = noted_stability(inputs.noise, baseline.model, baseline.plan, cases, metric_facts)
    found = {}
    for candidate in inputs.candidates:
        run, divergences = runs[candidate.side], session.answers[candidate.side].divergences
        run = _told_apart(session, run, candidate.side, baseline) if is_final else run
        judgement = judge_runs(
            run,
            baseline,
            margin=inputs.settings.margin,
            forgetting_margin=inputs.settings.forgetting_margin,
            regress_alpha=ALPHA / len(inputs.candidates),
            stability=stability,
            divergences=divergences.get(BASELINE, ()),
            expected=_expected_tests(run, session.golden_sets, stability),
            known={case.key for case in cases} if is_whole else None,
            asked=_asked_further(run, cases),
        )
        judgement, run = _confirmed(judgement, run, resample)
        comparison, verdict = conclude(judgement)
        since_base = _since_base(run, runs.get(BASE), divergences.get(BASE, ()))
        comparison = replace(comparison, models=len(inputs.candidates), forgetting_since_base=since_base)
        verdict = with_further(verdict, failed_tests_findings((failed_tests or {}).get(candidate.name, ())))
        found[candidate.name] = GateRecord(run=run, baseline=baseline, comparison=comparison, verdict=verdict)
    return found


def _asked_further(run: Run, cases: Sequence[GoldenCase]) -> list[GoldenCase]:
    """The cases of sets that looks have not answered whole."""
    unfinished = {each.set_name for each in run.looks if each.stopped}
    return [case for case in cases if case.set_name in unfinished]


def _since_base(run: Run, base: Run | None, divergences: Sequence[TextLoss]) -> Forgetting | None:
    """What an adapter forgot of its base; None where nobody asked the base."""
    if base is None or run.model.adapter_dir is None:
        return None
    return forgetting_between(run, base, divergences=divergences)


def _told_apart(session: Session, run: Run, side: str, baseline: Run) -> Run:
    if run.plan.server is None:
        return run
    from harness.run.served_names import told_apart

    answers = [session.answers.get(each) for each in (side, BASELINE)]
    return told_apart(run, baseline, at_once=all(each is not None and each.computed for each in answers))


def _expected_tests(
    run: Run, golden_sets: Sequence[GoldenSet], stability: Mapping[str, Stability]
) -> list[tuple[str, str]]:
    """Set and metric of the tests that further looks may make; of single cases without a metric."""
    unfinished = {each.set_name: bool(each.fractions) for each in run.looks if each.stopped}
    if not unfinished:
        return []
    # Most gates have one look.
    from harness.golden.gated_cases import cases_of_metric, judged_cases

    found = []
    for each in golden_sets:
        if each.name in unfinished:
            judged, gated = judged_cases(each), each.gate.metric_margins
            found += [(each.name, metric) for metric in gated if cases_of_metric(each, metric)]
            found += [(each.name, PASS_RATE)] if judged else []
            if not unfinished[each.name] and any(_may_be_tested(case, stability) for case in judged):
                found.append((each.name, ""))
    return found


def _may_be_tested(case: GoldenCase, stability: Mapping[str, Stability]) -> bool:
    """Whether a case alone can be shown to have regressed: of one answer, 1 of all if all others passed."""
    noted = stability.get(case.key)
    return case.repeat > 1 or (noted is not None and 1 / (noted.answers + 2) <= ALPHA)


def _confirmed(judgement: Judgement, run: Run, resample: Resample | None) -> tuple[Judgement, Run]:
    """The judgement after resampling the cases that make a regression, if that is possible.

    And the candidate's run, with how servers were used for it too.
    """
    if resample is None or not (keys := cases_to_confirm(judgement)):
        return judgement, run
    try:
        answers = resample(keys)
        judgement = with_resampled(judgement, answers)
    except TunegateError as error:
        return with_resampled(judgement, None, str(error)), run
    if answers.server is not None and run.plan.server is not None:
        from harness.engines.served.reports import with_uses

        run = replace(run, plan=with_uses(run.plan, [run.plan.server, answers.server]))
    return judgement, run
