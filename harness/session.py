"""One gate, from checked inputs to a record. Knows nothing of pytest."""

import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from harness.answers import Answers, Progress, answer_cases
from harness.baselines.file import Baseline, run_of
from harness.baselines.find import find_baseline
from harness.cache import Cache
from harness.confirming import AskAgain
from harness.engines.base import BASELINE, CANDIDATE, ORIGIN
from harness.engines.open import base_of, choose_plan, describe_model
from harness.environment import describe_environment
from harness.errors import InputError
from harness.gate import forgetting_between, run_gate
from harness.history.store import open_history
from harness.judging import against_itself, ask_ahead, texts_of
from harness.scoring import Judging, score_cases
from harness.settings import Settings
from harness.types import (
    CaseResult,
    Environment,
    ExecutionPlan,
    GateRecord,
    GoldenSet,
    ModelRef,
    Run,
    Stability,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What a gate starts from, checked: nothing here can be wrong any more, short of running out of memory.

    Attributes:
        baseline: A model to run beside the candidate, a stored or an accepted run, or None for no comparison.
        origin: The candidate's base, where the baseline is another model: what was forgotten is measured
            against both.
        root: The project's root.
    """

    settings: Settings
    root: Path
    candidate: ModelRef
    baseline: ModelRef | Run | Baseline | None
    plan: ExecutionPlan
    origin: ModelRef | None = None

    @property
    def sides(self) -> dict[str, ModelRef]:
        """The models that are compared and answer in this session, by side."""
        sides = {CANDIDATE: self.candidate}
        if isinstance(self.baseline, ModelRef):
            sides[BASELINE] = self.baseline
        return sides

    @property
    def directory(self) -> Path:
        """Where history, cache and reports are kept."""
        return self.root / self.settings.directory


def prepare(settings: Settings, root: Path) -> Inputs:
    """Check the candidate and the baseline, before any model loads.

    Raises:
        InputError: The model, adapter or baseline can't be used; the message is one line.
    """
    if settings.model is None:
        raise InputError("no model: give --model")
    candidate = describe_model(settings.model)
    baseline = find_baseline(settings.baseline, candidate, root, root / settings.directory / "history.sqlite")
    if settings.confirm and baseline is not None and not isinstance(baseline, ModelRef):
        raise InputError(
            "--gate-confirm asks both sides again, and of this baseline only the answers are stored: "
            "take the base or an adapter directory as baseline, or leave it out"
        )
    sides = [candidate, *([baseline] if isinstance(baseline, ModelRef) else [])]
    plan = choose_plan(settings.dtype, settings.device, settings.batch_tokens, sides)
    if plan.engine == "multitask":
        # Its heads answer their tasks and nothing else: there is no general skill to be forgotten.
        settings = replace(settings, forgetting=False)
    return Inputs(
        settings=settings,
        root=root,
        candidate=candidate,
        baseline=baseline,
        plan=plan,
        origin=_origin(candidate, baseline) if settings.forgetting else None,
    )


def _origin(candidate: ModelRef, baseline: ModelRef | Run | Baseline | None) -> ModelRef | None:
    """An adapter's base, where the baseline is something else than that."""
    if baseline is None or candidate.adapter_dir is None:
        return None
    compared = baseline if isinstance(baseline, ModelRef) else baseline.model
    if compared.adapter_sha256 is None and compared.base_sha256 == candidate.base_sha256:
        return None
    return base_of(candidate)


def run_session(
    inputs: Inputs,
    golden_sets: Sequence[GoldenSet],
    cache: Cache,
    on_progress: Progress,
    judging: Judging | None = None,
) -> "Session":
    """Answer and score the selected cases, on all sides.

    Args:
        inputs: The checked inputs.
        golden_sets: The sets, holding the selected cases only.
        cache: Where answers and scores are looked up and kept.
        on_progress: Told of each stage's progress.
        judging: Who decides the checks that a judge decides; asked while other answers are still generated.

    Raises:
        EngineError: The model failed.
        AdapterError: The adapter changes nothing.
    """
    started_at, started = datetime.now(UTC), time.perf_counter()
    cases = [case for golden_set in golden_sets for case in golden_set.cases]
    asked = [case for case in cases if case.skip is None]
    with_text = inputs.settings.forgetting and any(golden_set.probes_forgetting for golden_set in golden_sets)
    judging = judging or Judging()
    if isinstance(inputs.baseline, Baseline):
        inputs = replace(inputs, baseline=run_of(inputs.baseline, cases))
    if isinstance(inputs.baseline, Run):
        judging = replace(judging, baseline_texts=texts_of(inputs.baseline))
    probes = [case for golden_set in golden_sets if golden_set.probes_forgetting for case in golden_set.cases]
    sides = dict(inputs.sides)
    if inputs.origin is not None and with_text:
        sides[ORIGIN] = inputs.origin
    answers = answer_cases(
        sides,
        inputs.plan,
        asked,
        cache,
        on_progress,
        with_text=with_text,
        only={ORIGIN: {probe.key for probe in probes}},
        on_answers=ask_ahead(judging, asked),
    )
    if BASELINE in answers:
        texts = {key: answer.text for key, answer in answers[BASELINE].completions.items()}
        judging = replace(judging, baseline_texts=texts)
    results = {
        side: score_cases(
            probes if side == ORIGIN else cases,
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


def conclude(session: Session, *, collected: int, ask_again: AskAgain | None = None) -> GateRecord:
    """Compare with the baseline and judge.

    Args:
        session: The scored answers.
        collected: How many cases the golden sets held before selection.
        ask_again: Gets fresh answers to the cases that make a regression.
    """
    inputs = session.inputs
    environment = describe_environment(inputs.root)
    sides = dict(inputs.sides)
    if inputs.origin is not None and ORIGIN in session.answers:
        sides[ORIGIN] = inputs.origin
    runs = {
        side: answered_run(
            model,
            session.answers[side],
            session.results[side],
            session.golden_sets,
            environment,
            started_at=session.started_at,
            duration_s=session.duration_s,
            collected=collected,
        )
        for side, model in sides.items()
    }
    candidate = runs[CANDIDATE]
    if isinstance(inputs.baseline, ModelRef):
        baseline: Run | None = runs[BASELINE]
    elif isinstance(inputs.baseline, Baseline):
        raise TypeError("run_session makes a run of an accepted baseline")
    else:
        baseline = inputs.baseline and against_itself(inputs.baseline)
    if baseline is None:
        return GateRecord(run=candidate)
    comparison, verdict = run_gate(
        candidate,
        baseline,
        margin=inputs.settings.margin,
        forgetting_margin=inputs.settings.forgetting_margin,
        stability=_noted_noise(inputs, baseline, session.golden_sets),
        divergences=session.answers[CANDIDATE].divergences.get(BASELINE, ()),
        ask_again=ask_again,
    )
    if ORIGIN in runs:
        apart = session.answers[CANDIDATE].divergences.get(ORIGIN, ())
        since_base = forgetting_between(candidate, runs[ORIGIN], divergences=apart)
        comparison = replace(comparison, forgetting_since_base=since_base)
    return GateRecord(run=candidate, baseline=baseline, comparison=comparison, verdict=verdict)


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
