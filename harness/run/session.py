"""One session from checked inputs to scored answers, for all sides together. It does not depend on pytest."""

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from harness.baselines.target import stored_run
from harness.comparison.times import asks_pairwise
from harness.engines.base import BASE, BASELINE, BATCH_TOKENS
from harness.engines.open import choose_plan, engine_kinds
from harness.engines.workers.functions import Dealer, Workers
from harness.errors import ModelError, SettingsError
from harness.golden.schema import CHECK_TYPES, base_type, is_binary
from harness.metrics.libraries import ENCODING, encoder_sha256
from harness.registry import active
from harness.run.cache import Cache
from harness.run.generation import OpenEngine, Progress, answer_cases, engine_opener, ray_opener
from harness.run.inputs import Inputs
from harness.run.judging import (
    as_baseline,
    ask_ahead,
    both,
    count_lost,
    preparing,
    texts_of,
)
from harness.run.scoring import Judging, answer_apart, score_cases
from harness.run.workload import Answers
from harness.settings import Settings
from harness.settings.values import ray_address, runs_vllm
from harness.types import (
    JUDGE,
    CaseResult,
    Check,
    ExecutionPlan,
    GoldenCase,
    GoldenSet,
    MetricFacts,
    ModelRef,
    Run,
    SetLooks,
)
from harness.types.golden import TIME_METRICS


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """The models' answers and results.

    Attributes:
        golden_sets: The sets, with the selected cases.
        started_at: In UTC.
        sides: The models that answered, by side.
        answers: By side.
        results: By side.
        stored: The run that the candidates are compared with, if it did not answer in this session.
        judging: What scored the answers.
        looks: By candidate's side, how far each set was answered, if there were several looks.
        renewals: How often the judges had been renewed when the answers were scored that were scored first.
        judge: Who scored them, however the judges answer what they are asked later; empty if nobody did.
    """

    inputs: Inputs
    golden_sets: tuple[GoldenSet, ...]
    started_at: datetime
    duration_s: float
    sides: Mapping[str, ModelRef]
    answers: Mapping[str, Answers]
    results: Mapping[str, Sequence[CaseResult]]
    stored: Run | None = None
    judging: Judging = field(default_factory=Judging)
    looks: Mapping[str, tuple[SetLooks, ...]] = field(default_factory=dict)
    renewals: int = 0
    judge: str = ""


def run_session(  # noqa: PLR0913 # what a look or a whole session has
    inputs: Inputs,
    golden_sets: Sequence[GoldenSet],
    cache: Cache,
    on_progress: Progress,
    judging: Judging | None = None,
    *,
    only: Mapping[str, Collection[str]] | None = None,
    on_lost: Callable[[int], None] | None = None,
    open_engine: OpenEngine | None = None,
    answered: Mapping[str, bool] | None = None,
) -> Session:
    """Answer and score the selected cases, on all sides together.

    Args:
        inputs: The checked inputs.
        golden_sets: The sets, with the selected cases only.
        cache: Where answers and scores are looked up and stored.
        on_progress: Called with each stage's progress.
        judging: The judges; asked while other answers are still generated.
        only: Keys of the cases that a side answers, for sides that answer only some.
        on_lost: Called with the number of cases that are lost so far.
        open_engine: Loads the models if an answer is missing.
        answered: As in answer_cases, of the parts of the session before.

    Raises:
        EngineError: The model failed.
        AdapterError: An adapter changes nothing.
    """
    started_at, started = datetime.now(UTC), time.perf_counter()
    cases = [case for golden_set in golden_sets for case in golden_set.cases]
    asked = [case for case in cases if case.skip is None]
    forgetting = inputs.settings.forgetting and any(each.probes_forgetting for each in golden_sets)
    stored, judging = _stored_side(inputs, cases, judging or Judging())
    sides, limits = _with_base(inputs, golden_sets, only or {}, forgetting=forgetting)
    answers = answer_cases(
        sides,
        session_plan(inputs, golden_sets),
        asked,
        cache,
        on_progress,
        with_text=forgetting and engine_kinds()[inputs.plan.engine].measures_text,
        only=limits,
        open_engine=preparing(open_engine or session_opener(inputs, golden_sets, asked), judging, asked),
        on_answers=both(ask_ahead(judging, asked), on_lost and count_lost(asked, stored, on_lost, judging)),
        answered=answered,
    )
    session = Session(
        inputs=inputs,
        golden_sets=tuple(golden_sets),
        started_at=started_at,
        sides=sides,
        answers=answers,
        results=score_sides(answers, cases, cache, on_progress, judging, only=limits),
        duration_s=time.perf_counter() - started,
        stored=stored,
        judging=judging,
    )
    return with_alike_scores(replace(session, renewals=_renewals(judging)), cache, on_progress)


def _with_base(
    inputs: Inputs, golden_sets: Sequence[GoldenSet], only: Mapping[str, Collection[str]], *, forgetting: bool
) -> tuple[dict[str, ModelRef], dict[str, Collection[str]]]:
    """The sides, with the base where probes are asked: it answers no other cases."""
    if inputs.base is None or not forgetting:
        return dict(inputs.sides), dict(only)
    return {**inputs.sides, BASE: inputs.base}, {**only, BASE: _probe_keys(golden_sets)}


def _stored_side(inputs: Inputs, cases: Sequence[GoldenCase], judging: Judging) -> tuple[Run | None, Judging]:
    """The stored run that is the baseline, if one is, and the judges who know its answers."""
    stored = stored_run(inputs.target, cases)
    if stored is None:
        return None, judging
    return as_baseline(stored), replace(judging, baseline_texts=texts_of(stored, cases))


def with_alike_scores(session: Session, cache: Cache, on_progress: Progress) -> Session:
    """The session with the scores of one judge, and of one encoder of each name, on all sides.

    Stored replies may be of another judge than new ones, and so may the scores of a stored baseline be. Those
    can't be compared, and the answers are there.

    Args:
        session: The scored answers.
        cache: Where scores are looked up and stored.
        on_progress: Called with each metric's progress.
    """
    session, stored, panel = _by_one_judge(session, cache, on_progress), session.stored, session.judging.panel
    if stored is None:
        return session
    # Most baselines answer in the session.
    from harness.run.rescoring import has_other_judge, note_rescored, others_of, rescored

    asked = {result.key for results in session.results.values() for result in results}
    cases = [case for each in session.golden_sets for case in each.cases if case.key in asked]

    def facts_of(scored: Session) -> dict[str, MetricFacts]:
        return metric_facts((check for case in cases for check in case.checks), scored.judge)

    def scored_alike(scored: Session) -> Run:
        if scored.inputs.target.kind != "run":
            return stored
        others = others_of(facts_of(scored), stored)
        return rescored(stored, others, cases, scored.judging, cache, on_progress)

    baseline = scored_alike(session)
    while panel is not None:
        # Its questions may be the first that are asked today.
        renewed = _by_one_judge(session, cache, on_progress)
        if (renewed.renewals, renewed.judge) == (session.renewals, session.judge):
            # Where all replies are stored, nobody knows whether the baseline's judge is today's after all.
            if not has_other_judge(facts_of(session), baseline) or not panel.ask_anew():
                break
            renewed = _by_one_judge(renewed, cache, on_progress)
        session, baseline = renewed, scored_alike(renewed)
    note_rescored(stored, baseline)
    return replace(session, stored=baseline)


def _by_one_judge(session: Session, cache: Cache, on_progress: Progress) -> Session:
    """The session with all sides' scores by today's judge: stored replies may be another's."""
    if (panel := session.judging.panel) is None:
        return session
    panel.settle()
    if panel.renewals != session.renewals:
        cases = [case for each in session.golden_sets for case in each.cases]
        # After several looks it knows the baseline's texts of the first one.
        texts = {} if session.stored is None else texts_of(session.stored, cases)
        judging = replace(session.judging, baseline_texts=texts)
        only = {side: {each.key for each in results} for side, results in session.results.items()}
        results = score_sides(session.answers, cases, cache, on_progress, judging, only=only)
        session = replace(session, results=results, renewals=panel.renewals)
    for names in panel.dealt:
        active().note(f"the judge answers as {names}: they are taken for one judge")
    return replace(session, judge=judge_of(session.judging))


def _renewals(judging: Judging) -> int:
    return judging.panel.renewals if judging.panel is not None else 0


def judge_of(judging: Judging) -> str:
    """Who has judged so far; empty if nobody did."""
    return "" if judging.panel is None else judging.panel.scorer


def metric_facts(checks: Iterable[Check], judge: str = "") -> dict[str, MetricFacts]:
    """Direction, scale, version and scorers of the checks' scores, by the name in the scores.

    Args:
        checks: The checks.
        judge: Who judges; empty if nobody does.

    Returns:
        The facts by the checks' type, ``not-`` included.
    """
    found: dict[str, MetricFacts] = {}
    scorers: dict[str, dict[str, str]] = {}
    by_code_alone: set[str] = set()
    for check in checks:
        known, binary = found.get(check.type), is_binary(check)
        # A check with a threshold in one case and none in another is a number in all.
        if known is None or (known.kind == "binary" and not binary):
            facts = CHECK_TYPES[base_type(check.type)].facts
            found[check.type] = replace(facts, kind="binary") if binary else facts
        for single in check.single_checks if check.checks else (check,):
            if single.type in by_code_alone:
                continue
            if by := _scorers_of(single, judge):
                scorers.setdefault(check.type, {}).update(by)
            else:
                by_code_alone.add(single.type)
    return {name: replace(facts, scored_by=scorers.get(name, {})) for name, facts in found.items()}


def _scorers_of(check: Check, judge: str) -> dict[str, str]:
    """What scores a single check beside its own code."""
    name, found = base_type(check.type), dict[str, str]()
    if judge and CHECK_TYPES[name].judged:
        found[JUDGE] = judge
    if name in ENCODING:
        from harness.metrics.encoders import encoder_name

        encoder = encoder_name(check)
        # Without it the check has no score.
        with suppress(ModelError):
            found[f"encoder {encoder}"] = encoder_sha256(encoder)[:12]
    return found


def session_plan(inputs: Inputs, golden_sets: Sequence[GoldenSet]) -> ExecutionPlan:
    """The plan; where a time is gated, each side answers in batches of its own, and in more of them.

    Args:
        inputs: The checked inputs.
        golden_sets: The sets.
    """
    plan = inputs.plan
    if not gates_time(golden_sets):
        return plan
    # Each batch is one measurement. A GPU needs large ones to show what it can do.
    tokens = inputs.settings.batch_tokens or (
        min(plan.batch_tokens, BATCH_TOKENS) if plan.device == "cpu" else plan.batch_tokens
    )
    return replace(plan, mixed=False, batch_tokens=tokens)


def gates_time(golden_sets: Sequence[GoldenSet]) -> bool:
    """Whether any set gates a time: then nothing else computes beside what is timed.

    Args:
        golden_sets: The sets.
    """
    return any(TIME_METRICS & golden_set.gate.metric_margins.keys() for golden_set in golden_sets)


def session_opener(
    inputs: Inputs, golden_sets: Sequence[GoldenSet], cases: Sequence[GoldenCase]
) -> OpenEngine:
    """Loads the models of a session; where a time is gated, nothing else computes beside what is timed.

    Args:
        inputs: The checked inputs.
        golden_sets: The sets.
        cases: The cases that every side answers.

    Raises:
        SettingsError: A time is gated, and the nodes of a cluster are to answer.
    """
    address, timed = ray_address(inputs.settings.engine), gates_time(golden_sets)
    if address is None:
        return engine_opener(cases, 1 if timed else inputs.settings.workers)
    if timed:
        raise SettingsError(
            f"--gate-engine {inputs.settings.engine}: a set gates a time, and times of several machines "
            "can't be compared"
        )
    return ray_opener(address, inputs.settings.workers)


def session_dealer(settings: Settings) -> Dealer | None:
    """What deals the work of encoders and of judges on this machine; None where this process does it.

    Args:
        settings: The session's settings.
    """
    address = ray_address(settings.engine)
    # Servers have the memory of their nodes for themselves.
    if address is None or runs_vllm(settings.engine):
        return None
    # The device is chosen as for models.
    plan = choose_plan("float32", settings.device, 1, ())

    def open_nodes() -> Workers:
        from harness.engines.workers.ray_cluster import open_ray

        return open_ray({}, plan, address, settings.workers, 0)

    return Dealer(open_nodes)


def score_sides(
    answers: Mapping[str, Answers],
    cases: Sequence[GoldenCase],
    cache: Cache,
    on_progress: Progress,
    judging: Judging,
    *,
    only: Mapping[str, Collection[str]] | None = None,
) -> dict[str, list[CaseResult]]:
    """Score each side's answers; if the baseline is among them, pairs are judged against it.

    They are scored once more where a new reply shows that stored ones were another judge's.

    Args:
        answers: By side.
        cases: The cases, including skipped ones.
        cache: Where scores are looked up and stored.
        on_progress: Called with each metric's progress.
        judging: The judges.
        only: Keys of the cases that a side answered, for sides that answered only some.

    Returns:
        A result for each case, by side.
    """
    if BASELINE in answers:
        said = answers[BASELINE].completions
        asked = {key: case for case in cases if asks_pairwise(case) for key in case.answer_keys}
        texts = {key: answer_apart(said[key], case).text for key, case in asked.items() if key in said}
        judging = replace(judging, baseline_texts=texts)
    limits = only or {}

    def score() -> dict[str, list[CaseResult]]:
        return {
            side: score_cases(
                [case for case in cases if side not in limits or case.key in limits[side]],
                given.completions,
                reference_losses=given.reference_losses,
                failures=given.failures,
                loss_failures=given.loss_failures,
                unmeasured=given.unmeasured,
                cache=cache,
                on_progress=on_progress,
                judging=judging,
            )
            for side, given in answers.items()
        }

    return score() if judging.panel is None else judging.panel.by_one_judge(score)


def _probe_keys(golden_sets: Sequence[GoldenSet]) -> set[str]:
    """Keys of the forgetting probes: the candidates' base answers only these."""
    return {
        case.key for golden_set in golden_sets if golden_set.probes_forgetting for case in golden_set.cases
    }
