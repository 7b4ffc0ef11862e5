"""Tests whether a shipped model behaves like the tested one: one adapter with several plans, compared."""

import gc
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path

from harness.comparison.gate import run_gate
from harness.comparison.pairing import PASS_RATE, answers_of, is_decided, pair_runs
from harness.engines.base import CANDIDATE, Engine, GenerationRequest
from harness.engines.open import open_sides
from harness.engines.plugin_engine import PluginEngine
from harness.engines.served.client import ServerError
from harness.engines.served.next_token import NextToken, largest_change, of_logits
from harness.engines.transformers_engine import TransformersEngine
from harness.errors import SettingsError
from harness.provenance import describe_environment
from harness.run.cache import Cache
from harness.run.conclusion import answered_run
from harness.run.generation import Progress, answer_cases
from harness.run.judging import judged_checks
from harness.run.prompting import refuse_unsendable
from harness.run.scoring import Judging
from harness.run.session import score_sides
from harness.run.workload import plan_workload
from harness.settings import Settings
from harness.statistics.clusters import rate_interval
from harness.studies.parity_plans import is_served, planned, refuse_other_engines
from harness.types import (
    EXACT_DTYPES,
    NOTHING_ALLOWED,
    CaseResult,
    Comparison,
    ExecutionPlan,
    GoldenCase,
    GoldenSet,
    Interval,
    JsonValue,
    ModelRef,
    Outcome,
    Permissions,
    Run,
    Verdict,
)
from harness.types.golden import ALPHA

# Number of cases whose first tokens are compared: enough to see a difference, one or two seconds of work.
_LOGIT_CASES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """One plan compared with another, which is earlier in the list; or with itself, in other batches.

    Attributes:
        flips: Share of cases whose verdict differs, in either direction; None if no case has one. Both
            intervals are over whole clusters.
        same_text: Share of cases with the same answers, letter by letter, of those with an answer; None if
            no case has one.
        largest_logprob_change: Of the next token, on the first cases; at least that where a server lists few
            tokens, and None where it gives none, or writes them so that they can't be told from others.
        verdict: At its share of the level, as several plans are compared with the first.
        is_noise: The same plan in other batches: what differs is no effect of a plan.
        nothing_to_forget: Sets of forgetting probes of which the earlier plan passes none. The other one can
            lose nothing of them, so the verdict is about the other sets; their cases may flip.
    """

    plan: str
    against: str
    flips: Interval | None
    same_text: Interval | None
    largest_logprob_change: float | None
    comparison: Comparison
    verdict: Verdict
    is_noise: bool = False
    nothing_to_forget: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _PlanAnswers:
    """A plan's run, and the next token's distributions on the first cases; None without log-probabilities."""

    run: Run
    tokens: Sequence[NextToken] | None


def measure_parity(
    model: ModelRef,
    names: Sequence[str],
    golden_sets: Sequence[GoldenSet],
    on_progress: Progress,
    *,
    cache: Cache | None = None,
    allowed: Permissions = NOTHING_ALLOWED,
    with_noise: bool = False,
    serving: Settings | None = None,
) -> list[Parity]:
    """Answer all cases with each plan and compare every two plans: those with the first plan come first.

    Args:
        model: The adapter, or a whole model.
        names: Plans, the tested one first.
        golden_sets: The cases.
        on_progress: Called with each stage's progress.
        cache: Where answers of this machine are looked up and stored. Those of servers never are: whether one
            behaves like the tested model, only its new answers say.
        allowed: What checks may run.
        with_noise: Whether plans whose answers may depend on batches answer in other ones too.
        serving: Has the ``SERVER_SETTINGS``, and values for the chat template where a case has none of that
            name; None for their defaults.

    Returns:
        The pairs, then each such plan against itself.

    Raises:
        SettingsError: A plug-in's engine or heads of a multi-task model answer, a plan can't be followed, or
            no case is asked.
        EngineError: A model failed, or a library is missing.
    """
    refuse_other_engines(model)
    keys, golden_sets = _asked(golden_sets, names)
    # What is wrong with one of them is told before any answers.
    settings = serving or Settings.model_construct()
    plans = {name: planned(name, model, settings) for name in names}
    answered: dict[str, _PlanAnswers] = {}
    again: dict[str, _PlanAnswers] = {}
    for name, (named, usual) in plans.items():
        plan = replace(usual, chat_template_kwargs=settings.chat_template_kwargs or {})

        def tell(stage: str, done: int, total: int, name: str = name) -> None:
            on_progress(f"{name}: {stage}", done, total)

        kept = None if is_served(name) else cache
        answered[name] = _computed(named, plan, golden_sets, kept, tell, allowed=allowed)
        if with_noise and plan.dtype not in EXACT_DTYPES:
            smaller = replace(plan, batch_tokens=plan.batch_tokens // 4)
            turned = [replace(each, cases=each.cases[::-1]) for each in golden_sets[::-1]]
            again[name] = _computed(named, smaller, turned, kept, tell, allowed=allowed)
    tests = len(names) - 1
    pairs = [
        _compared(name, first, answered[name], answered[first], keys, tests)
        for first, name in combinations(names, 2)
    ]
    noise = [_compared(name, name, found, answered[name], keys, tests) for name, found in again.items()]
    # The first cases of the second time are others.
    return [*pairs, *(replace(each, is_noise=True, largest_logprob_change=None) for each in noise)]


def _answered_in_full(golden_set: GoldenSet) -> GoldenSet:
    """A set whose answers don't end when they are decided, as no server ends them."""
    cases = (replace(case, generation=replace(case.generation, decided_by=())) for case in golden_set.cases)
    return replace(golden_set, cases=tuple(cases))


def _asked(golden_sets: Sequence[GoldenSet], names: Sequence[str]) -> tuple[list[str], Sequence[GoldenSet]]:
    """Keys of the cases that are not skipped, and the sets as all plans can answer them.

    Raises:
        SettingsError: There is none, or a judge decides one.
    """
    cases = [case for golden_set in golden_sets for case in golden_set.cases if case.skip is None]
    if not cases:
        raise SettingsError("no case to answer: each one is skipped; give --golden a set with others")
    for case in cases:
        if judged := judged_checks(case):
            raise SettingsError(
                f"{case.key}: {judged[0].type}: a judge decides it, and none is asked here: "
                "give --golden sets without such checks"
            )
    if any(map(is_served, names)):
        golden_sets = [_answered_in_full(each) for each in golden_sets]
    return [case.key for case in cases], golden_sets


def _compared(
    name: str, first: str, found: _PlanAnswers, other: _PlanAnswers, keys: Sequence[str], tests: int
) -> Parity:
    """A plan compared with an earlier one.

    Args:
        name: The plan's name.
        first: The earlier one's.
        found: What the plan answered.
        other: What the earlier one did.
        keys: Keys of the cases.
        tests: How many plans are compared with the first: each is tested at that part of the level.
    """
    nothing = _nothing_to_forget(other.run)
    judged = (_judged(each.run, other.run, nothing) for each in (found, other))
    comparison, verdict = run_gate(*judged, regress_alpha=ALPHA / tests)
    rates = [row for row in comparison.metrics if row.metric == PASS_RATE]
    flipped = {key for row in rates for key in (*row.lost, *row.gained)}
    decided = [pair[0].case for pair in pair_runs(found.run, other.run).pairs if is_decided(pair)]
    said = [{r.key: texts for r in each.run.results if any(texts := _texts(r))} for each in (found, other)]
    # What neither plan answered says nothing about their texts.
    cases = {r.key: r.case for each in (found, other) for r in each.run.results}
    answered = [cases[key] for key in keys if any(key in texts for texts in said)]
    return Parity(
        plan=name,
        against=first,
        flips=_share([case.key in flipped for case in decided], decided),
        same_text=_share([said[0].get(case.key) == said[1].get(case.key) for case in answered], answered),
        largest_logprob_change=_largest_change(found.tokens, other.tokens),
        comparison=replace(comparison, models=tests),
        verdict=verdict,
        nothing_to_forget=nothing,
    )


def _nothing_to_forget(run: Run) -> tuple[str, ...]:
    """The sets of forgetting probes of which a plan fails all."""
    outcomes: dict[str, set[Outcome]] = {}
    for each in run.results:
        outcomes.setdefault(each.case.set_name, set()).add(each.outcome)
    probes = (each.name for each in run.golden_sets if each.probes_forgetting)
    return tuple(name for name in probes if outcomes.get(name) == {Outcome.FAILED})


def _judged(run: Run, earlier: Run, left_out: Collection[str]) -> Run:
    """A run as a gate judges it: of two plans of one model, one can lose only what the earlier one does.

    Args:
        run: One of both.
        earlier: The earlier plan's. A case that must pass and doesn't there is one like any other.
        left_out: Sets without a verdict.
    """
    failing = {each.key for each in earlier.results if each.has_failed or each.is_unknown}
    return replace(
        run,
        golden_sets=tuple(each for each in run.golden_sets if each.name not in left_out),
        results=tuple(
            replace(each, case=replace(each.case, must_pass=False))
            if each.case.must_pass and each.key in failing
            else each
            for each in run.results
        ),
    )


def _share(holds: Sequence[bool], cases: Sequence[GoldenCase]) -> Interval | None:
    """The share of cases for which something holds; None without any."""
    clusters = [case.key if case.cluster is None else case.cluster for case in cases]
    return rate_interval(holds, clusters) if holds else None


def _texts(result: CaseResult) -> list[list[str]]:
    """What a model said: in each of its answers, those to earlier turns included."""
    given = [answer.completion for answer in answers_of(result)]
    return [[] if one is None else [each.text for each in (*one.earlier, one)] for one in given]


def _largest_change(found: Sequence[NextToken] | None, other: Sequence[NextToken] | None) -> float | None:
    """The largest change over all prompts whose tokens both sides list; None without any."""
    changes = map(largest_change, found or (), other or ())
    return max((each for each in changes if each is not None), default=None)


def _computed(
    model: ModelRef,
    plan: ExecutionPlan,
    golden_sets: Sequence[GoldenSet],
    cache: Cache | None,
    on_progress: Progress,
    *,
    allowed: Permissions,
) -> _PlanAnswers:
    """One plan's run, and the next token's distributions on the first cases."""
    _release_memory()
    cache = cache or Cache(None)
    started_at, started = datetime.now(UTC), time.perf_counter()
    cases = [case for golden_set in golden_sets for case in golden_set.cases if case.skip is None]
    opened: list[Engine] = []

    def open_once(sides: Mapping[str, ModelRef], wanted: ExecutionPlan) -> Engine:
        opened.append(open_sides(sides, wanted))
        return opened[-1]

    answers = answer_cases({CANDIDATE: model}, plan, cases, cache, on_progress, open_engine=open_once)
    run = answered_run(
        model,
        answers[CANDIDATE],
        score_sides(answers, cases, cache, on_progress, Judging(allowed=allowed))[CANDIDATE],
        golden_sets,
        describe_environment(Path()),
        started_at=started_at,
        duration_s=time.perf_counter() - started,
        collected=len(cases),
    )
    first = cases[:_LOGIT_CASES]
    asked = plan_workload({CANDIDATE: model}, first, chat_template_kwargs=plan.chat_template_kwargs).answers
    # All answers may have been stored.
    engine = opened[0] if opened else open_once({CANDIDATE: model}, plan)
    return _PlanAnswers(run=run, tokens=_next_tokens(engine, asked))


def refuse_unsendable_cases(
    names: Sequence[str],
    model: ModelRef,
    golden_sets: Sequence[GoldenSet],
    chat_template_kwargs: Mapping[str, JsonValue],
) -> None:
    """Refuse cases that the server of a plan can't be asked, before any plan answers.

    Args:
        names: The plans.
        model: The adapter, or a whole model.
        golden_sets: The cases.
        chat_template_kwargs: Values for the chat template.

    Raises:
        SettingsError: There is one.
    """
    cases = [case for golden_set in golden_sets for case in golden_set.cases if case.skip is None]
    sides = {CANDIDATE: model}
    asked = plan_workload(sides, cases, chat_template_kwargs=chat_template_kwargs).answers
    for name in filter(is_served, names):
        refuse_unsendable(asked, sides, name.partition(":")[0])


def _release_memory() -> None:
    """Give a GPU's memory back that models of earlier plans had: vLLM's server finds none otherwise."""
    if (torch := sys.modules.get("torch")) is not None and torch.cuda.is_available():
        gc.collect()  # models refer to themselves
        torch.cuda.empty_cache()


def _next_tokens(engine: Engine, requests: Sequence[GenerationRequest]) -> Sequence[NextToken] | None:
    """The next token's distributions; None where a server gives none."""
    if isinstance(engine, TransformersEngine):
        tokenizer = engine.tokenizer(CANDIDATE)
        return [of_logits(tokenizer, logits) for logits in engine.next_token_logits(requests)]
    assert isinstance(engine, PluginEngine)  # around every engine that isn't our own
    try:
        found: Sequence[NextToken] = engine.engine.next_tokens(requests)
    except ServerError:
        return None
    finally:
        engine.close()
    return found
