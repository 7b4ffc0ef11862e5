"""One gate, from checked inputs to a record for each candidate. Knows nothing of pytest.

Several candidates are compared with the same baseline. Each regression is tested at the level alpha / k
(Bonferroni): any of them is wrongly called one with the probability of a single gate. Each pass is a claim
about its own model alone, and is tested at alpha.
"""

import secrets
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from harness.baselines.file import Baseline, run_of
from harness.comparison.confirmation import ResampledAnswers
from harness.comparison.gate import (
    cases_to_confirm,
    forgetting_between,
    judge_runs,
    with_resampled,
)
from harness.comparison.gate import (
    conclude as write_down,
)
from harness.comparison.metric_verdicts import ALPHA
from harness.engines.base import BASE, BASELINE
from harness.engines.kinds import engine_kinds
from harness.errors import TunegateError
from harness.golden.checks import CHECK_TYPES, base_type
from harness.history.store import open_history
from harness.provenance import describe_environment
from harness.run.cache import Cache
from harness.run.generation import Answers, Progress, answer_cases
from harness.run.inputs import Inputs
from harness.run.judging import against_itself, ask_ahead, texts_of
from harness.run.scoring import Judging, score_cases
from harness.types import (
    CaseResult,
    Environment,
    GateRecord,
    GoldenSet,
    ModelRef,
    Run,
    Stability,
)


def run_session(
    inputs: Inputs,
    golden_sets: Sequence[GoldenSet],
    cache: Cache,
    on_progress: Progress,
    judging: Judging | None = None,
    *,
    only: Mapping[str, Collection[str]] | None = None,
) -> "Session":
    """Answer and score the selected cases, on all sides together.

    Args:
        inputs: The checked inputs.
        golden_sets: The sets, holding the selected cases only.
        cache: Where answers and scores are looked up and kept.
        on_progress: Told of each stage's progress.
        judging: Who decides the checks that a judge decides; asked while other answers are still generated.
        only: Keys of the cases that a side answers, for sides that don't answer all.

    Raises:
        EngineError: The model failed.
        AdapterError: An adapter changes nothing.
    """
    started_at, started = datetime.now(UTC), time.perf_counter()
    cases = [case for golden_set in golden_sets for case in golden_set.cases]
    asked = [case for case in cases if case.skip is None]
    probed = [golden_set for golden_set in golden_sets if golden_set.probes_forgetting]
    forgetting = inputs.settings.forgetting and bool(probed)
    with_text = forgetting and engine_kinds()[inputs.plan.engine].measures_text
    judging = judging or Judging()
    if isinstance(inputs.baseline, Baseline):
        inputs = replace(inputs, baseline=run_of(inputs.baseline, cases))
    if isinstance(inputs.baseline, Run):
        judging = replace(judging, baseline_texts=texts_of(inputs.baseline))
    sides, only = dict(inputs.sides), dict(only or {})
    if inputs.base is not None and forgetting:
        sides[BASE] = inputs.base
        only[BASE] = {case.key for golden_set in probed for case in golden_set.cases}
    answers = answer_cases(
        sides,
        inputs.plan,
        asked,
        cache,
        on_progress,
        with_text=with_text,
        only=only,
        on_answers=ask_ahead(judging, asked),
    )
    if BASELINE in answers:
        texts = {key: answer.text for key, answer in answers[BASELINE].completions.items()}
        judging = replace(judging, baseline_texts=texts)
    results = {
        side: score_cases(
            [case for case in cases if side not in only or case.key in only[side]],
            given.completions,
            reference_losses=given.reference_losses,
            cache=cache,
            on_progress=on_progress,
            judging=judging,
        )
        for side, given in answers.items()
    }
    return Session(
        inputs=inputs,
        golden_sets=tuple(golden_sets),
        started_at=started_at,
        duration_s=time.perf_counter() - started,
        answers=answers,
        results=results,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What the models answered and how that scored, by side."""

    inputs: Inputs
    golden_sets: tuple[GoldenSet, ...]
    started_at: datetime
    duration_s: float
    answers: Mapping[str, Answers]
    results: Mapping[str, Sequence[CaseResult]]


def conclude(
    session: Session,
    *,
    collected: int,
    ask_again: Callable[[Collection[str]], ResampledAnswers] | None = None,
) -> dict[str, GateRecord]:
    """Compare each candidate with the baseline and judge it.

    Args:
        session: The scored answers.
        collected: How many cases the golden sets held before selection.
        ask_again: Gets fresh answers to the cases that make a regression, where there is one candidate.

    Returns:
        The records by the candidates' names.

    Raises:
        BaselineError: A candidate has no case in common with the baseline.
    """
    inputs = session.inputs
    sides = dict(inputs.sides)
    if inputs.base is not None and BASE in session.answers:
        sides[BASE] = inputs.base
    environment = describe_environment(inputs.root)
    runs = {
        side: answered_run(
            model,
            session.answers[side],
            session.results[side],
            _sets_with(session.golden_sets, session.results[side]),
            environment,
            started_at=session.started_at,
            duration_s=session.duration_s,
            collected=collected,
        )
        for side, model in sides.items()
    }
    if isinstance(inputs.baseline, Baseline):
        raise TypeError("run_session makes a run of an accepted baseline")
    stored = inputs.baseline if isinstance(inputs.baseline, Run) else None
    baseline = runs.get(BASELINE) or (stored and against_itself(stored))
    if baseline is None:
        return {each.name: GateRecord(run=runs[each.side]) for each in inputs.candidates}
    stability = _noted_noise(inputs, baseline, session.golden_sets)
    regress_alpha = ALPHA / len(inputs.candidates)
    records = {}
    for candidate in inputs.candidates:
        run, divergences = runs[candidate.side], session.answers[candidate.side].divergences
        judgement = judge_runs(
            run,
            baseline,
            margin=inputs.settings.margin,
            forgetting_margin=inputs.settings.forgetting_margin,
            regress_alpha=regress_alpha,
            stability=stability,
            divergences=divergences.get(BASELINE, ()),
        )
        if ask_again is not None and (keys := cases_to_confirm(judgement)):
            try:
                judgement = with_resampled(judgement, ask_again(keys))
            except TunegateError as error:
                judgement = with_resampled(judgement, None, str(error))
        comparison, verdict = write_down(judgement)
        if BASE in runs and run.model.adapter_dir is not None:
            apart = divergences.get(BASE, ())
            since_base = forgetting_between(run, runs[BASE], divergences=apart)
            comparison = replace(comparison, forgetting_since_base=since_base)
        records[candidate.name] = GateRecord(
            run=run, baseline=baseline, comparison=comparison, verdict=verdict
        )
    return records


def _sets_with(golden_sets: Sequence[GoldenSet], results: Sequence[CaseResult]) -> list[GoldenSet]:
    """The sets that any of the results belongs to."""
    keys = {result.key for result in results}
    return [golden_set for golden_set in golden_sets if any(case.key in keys for case in golden_set.cases)]


def _noted_noise(inputs: Inputs, baseline: Run, golden_sets: Sequence[GoldenSet]) -> dict[str, Stability]:
    """What ``tunegate noise`` noted of the baseline's model, where it did."""
    path = inputs.directory / "history.sqlite"
    if not path.is_file():
        return {}
    cases = [case for golden_set in golden_sets for case in golden_set.cases]
    with open_history(path) as history:
        return history.load_noise(baseline.model, baseline.plan.dtype, cases)


def answered_run(
    model: ModelRef,
    answers: Answers,
    results: Sequence[CaseResult],
    golden_sets: Sequence[GoldenSet],
    environment: Environment,
    *,
    started_at: datetime,
    duration_s: float,
    collected: int,
) -> Run:
    """One model's scored answers as a run, under an id of its own.

    Args:
        model: Who answered.
        answers: Its answers.
        results: What they scored.
        golden_sets: Where the cases come from.
        environment: Where this happened.
        started_at: When, in UTC.
        duration_s: How long it took, in seconds.
        collected: How many cases the golden sets held before selection.
    """
    return Run(
        id=f"{started_at:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}",
        started_at=started_at.isoformat(timespec="seconds"),
        duration_s=duration_s,
        model=model,
        plan=answers.plan,
        environment=environment,
        golden_sets=tuple(replace(golden_set, cases=()) for golden_set in golden_sets),
        collected=collected,
        results=tuple(results),
        text_losses=answers.text_losses,
        metrics={
            check.type: CHECK_TYPES[base_type(check.type)].facts
            for result in results
            for check in result.case.checks
        },
    )


def save(record: GateRecord, directory: Path) -> Path:
    """Keep a record in the history and make the run's own directory.

    Returns:
        The run's directory.
    """
    with open_history(directory / "history.sqlite") as history:
        history.save(record)
    run_directory = directory / "runs" / record.run.id
    run_directory.mkdir(parents=True, exist_ok=True)
    return run_directory
