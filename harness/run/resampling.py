"""Fresh answers to cases that were answered already, on both sides of a session."""

import time
from collections.abc import Collection
from dataclasses import replace

from harness.comparison.confirmation import ResampledAnswers
from harness.comparison.repeats import stability_of
from harness.engines.base import BASELINE, CANDIDATE
from harness.engines.open import open_sides
from harness.run.cache import Cache
from harness.run.generation import OpenEngine, Progress, answer_cases
from harness.run.scoring import Judging, score_cases
from harness.run.session import Session
from harness.statistics.per_case import Trials
from harness.types import GoldenCase

# Seeds of fresh answers start so far beyond a case's own: it has at most 100 of those.
_SEEDS_APART = 100_000


def ask_again(
    session: Session,
    keys: Collection[str],
    times: int,
    cache: Cache,
    on_progress: Progress,
    judging: Judging,
    *,
    open_engine: OpenEngine = open_sides,
) -> ResampledAnswers:
    """Ask some of a session's cases again.

    Args:
        session: The answered session, with a model on both sides.
        keys: Keys of the cases.
        times: Answers a case and side.
        cache: Fresh answers are kept too, apart from the first ones.
        on_progress: Told of each stage's progress.
        judging: Who decides the checks that a judge decides; each fresh answer gets a reply of its own.
        open_engine: Loads the models.

    Raises:
        TunegateError: The models can't answer.
    """
    started = time.perf_counter()
    before = 0 if judging.panel is None else judging.panel.usage.requests
    cases = [
        _again(case, times)
        for golden_set in session.golden_sets
        for case in golden_set.cases
        if case.key in keys
    ]
    inputs = session.inputs
    answers = answer_cases(
        inputs.sides,
        inputs.plan,
        cases,
        cache,
        lambda stage, done, total: on_progress(f"confirming: {stage}", done, total),
        open_engine=open_engine,
    )
    afresh = replace(
        judging,
        afresh=True,
        baseline_texts={key: given.text for key, given in answers[BASELINE].completions.items()},
    )
    found = {
        side: {
            result.key: stability_of(result)
            for result in score_cases(
                cases,
                given.completions,
                reference_losses=given.reference_losses,
                cache=cache,
                on_progress=on_progress,
                judging=afresh,
            )
        }
        for side, given in answers.items()
    }
    was, now = found[BASELINE], found[CANDIDATE]
    return ResampledAnswers(
        trials={
            case.key: Trials(
                baseline_passed=was[case.key].passed,
                baseline=was[case.key].answers,
                candidate_passed=now[case.key].passed,
                candidate=now[case.key].answers,
            )
            for case in cases
        },
        times=times,
        judge_requests=0 if judging.panel is None else judging.panel.usage.requests - before,
        duration_s=time.perf_counter() - started,
    )


def _again(case: GoldenCase, times: int) -> GoldenCase:
    """The case with other seeds: a greedy answer is computed anew, in another batch."""
    settings = replace(case.generation, seed=case.generation.seed + _SEEDS_APART)
    return replace(case, generation=settings, repeat=times)
