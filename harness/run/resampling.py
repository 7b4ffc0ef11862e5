"""New answers to cases that were already answered, on both sides of a session."""

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from harness.comparison.pairing import stability_of
from harness.comparison.regressed_cases import ResampledAnswers
from harness.engines.base import BASELINE, CANDIDATE
from harness.run.cache import Cache
from harness.run.generation import OpenEngine, Progress, answer_cases
from harness.run.judging import lending
from harness.run.scoring import Judging
from harness.run.session import Session, score_sides, session_opener, session_plan
from harness.statistics.paired_binary import Trials
from harness.types import GoldenCase, GoldenSet, Stability

# Seeds of new answers start this far beyond a case's own: it has at most 100 of those. A whole thousand, so
# that no rerun of a noise record has them.
_SEEDS_APART = 100_000


def resample(
    session: Session,
    keys: Collection[str],
    times: int,
    cache: Cache,
    on_progress: Progress,
    judging: Judging,
    *,
    open_engine: OpenEngine | None = None,
) -> ResampledAnswers:
    """Get new answers to some of a session's cases, with new seeds, on both sides.

    Args:
        session: The answered session, with a model on both sides.
        keys: Keys of the cases.
        times: Answers per case and side.
        cache: New answers are stored too, separately from the first ones.
        on_progress: Called with each stage's progress.
        judging: The judges; each new answer gets a reply of its own.
        open_engine: Called only if an answer is missing; loads the models by default.

    Raises:
        TunegateError: The models can't answer.
    """
    started, requests_before = time.perf_counter(), _judge_requests(judging)
    cases = _reseeded_cases(session.golden_sets, keys, times)
    answers = answer_cases(
        session.inputs.sides,
        session_plan(session.inputs, session.golden_sets),
        cases,
        cache,
        lambda stage, done, total: on_progress(f"confirming: {stage}", done, total),
        open_engine=lending(
            judging, open_engine or session_opener(session.inputs, session.golden_sets, cases)
        ),
    )
    results = score_sides(answers, cases, cache, on_progress, replace(judging, fresh=True))
    stability = {
        side: {result.key: stability_of(result) for result in of_side} for side, of_side in results.items()
    }
    return ResampledAnswers(
        trials=_trials(stability[BASELINE], stability[CANDIDATE]),
        times=times,
        judge_requests=_judge_requests(judging) - requests_before,
        duration_s=time.perf_counter() - started,
        server=answers[CANDIDATE].plan.server,
    )


def _judge_requests(judging: Judging) -> int:
    return 0 if judging.panel is None else judging.panel.usage.requests


def _reseeded_cases(golden_sets: Sequence[GoldenSet], keys: Collection[str], times: int) -> list[GoldenCase]:
    """The cases with other seeds: a greedy answer is computed again, in another batch."""
    return [
        replace(
            case,
            generation=replace(case.generation, seed=case.generation.seed + _SEEDS_APART),
            repeat=times,
        )
        for golden_set in golden_sets
        for case in golden_set.cases
        if case.key in keys
    ]


def _trials(baseline: Mapping[str, Stability], candidate: Mapping[str, Stability]) -> dict[str, Trials]:
    """Number of passed answers of each case on both sides, by its key."""
    return {
        key: Trials(
            baseline_passed=baseline[key].passed,
            baseline=baseline[key].answers,
            candidate_passed=candidate[key].passed,
            candidate=candidate[key].answers,
        )
        for key in baseline
    }
