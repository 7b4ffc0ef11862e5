"""Scores of a model's losses on texts: where they were scored, into how many tokens, and what one may lose.

A mean loss per token is another number where another tokenizer makes other tokens of the text, and a loss in
front of a reasoning, or inside of it, is that of another context.
"""

from collections.abc import Sequence
from dataclasses import replace

from harness.golden.reference_tokens import is_per_token, shortest_reference, token_drop
from harness.types import CaseResult, Repeat, Run, Score, ScoredTexts, UnscoredMetric
from harness.types.golden import is_within

_Pair = tuple[CaseResult, CaseResult]
# Of the cases with such a score, so many may be split otherwise: they are then left out.
_FEW = 0.05
# What is told of a case whose score was made otherwise, after "decided by NAME,".
MOVED = "which was scored before or inside a reasoning in the baseline"
_MOVED = (
    "the texts were scored before or inside a reasoning in the {old}, which an earlier version made, and "
    "where the answer begins in the {new}: gate against the model itself, or accept a new run"
)
_SPLIT = (
    "{other} of {n} references are split into other numbers of tokens than in the baseline, so that losses "
    "per token are of other units: gate another metric, or compare models with one tokenizer"
)
_UNTOLD = (
    "into how many tokens the references are split is unknown in one run, which an earlier version made, and "
    "the bases differ: gate against the model itself, or accept a new run"
)


def moved_metrics(candidate: Run, baseline: Run, shared: Sequence[str]) -> dict[str, str]:
    """Metrics whose texts an earlier version scored elsewhere than the other run, each with the reason.

    Args:
        candidate: The judged run.
        baseline: The run that it is compared with.
        shared: Metrics with scores in both.

    Returns:
        The reason, by metric.
    """
    before = {result.key: result for result in baseline.results}
    pairs = [(result, before[result.key]) for result in candidate.results if result.key in before]
    found = {}
    for metric in shared:
        for pair in pairs:
            now, then = (_texts_of([side], metric) for side in pair)
            # Of a group only what has such a member has texts, and both sides alike.
            if _is_moved(now) and None in then and None not in now:
                found[metric] = _MOVED.format(old="baseline", new="candidate")
            elif _is_moved(then) and None in now and None not in then:
                found[metric] = _MOVED.format(old="candidate", new="baseline")
    return found


def _is_moved(texts: Sequence[ScoredTexts | None]) -> bool:
    return any(each is not None and each.direct for each in texts)


def _texts_of(results: Sequence[CaseResult], metric: str) -> list[ScoredTexts | None]:
    return [score.texts for result in results for score in _scores(result, metric)]


def _scores(result: CaseResult, metric: str) -> list[Score]:
    answers = result.repeats or (result,)
    return [score for answer in answers for score in answer.scores if score.metric == metric]


def split_alike(
    candidate: Run, baseline: Run, pairs: Sequence[_Pair]
) -> tuple[list[_Pair], dict[str, str], dict[str, str]]:
    """The pairs without scores per token of texts that both sides split otherwise.

    Args:
        candidate: The judged run.
        baseline: The run that it is compared with.
        pairs: The cases of both.

    Returns:
        The pairs; a case that is split otherwise is unscored on both sides. The metrics of which more cases
        are than are left out, each with the reason. And the cases that such a score decides, which are no
        pairs, with the reason.
    """
    found, refused, apart = [*pairs], dict[str, str](), dict[str, str]()
    facts = candidate.metrics
    per_token = (name for name in facts if is_per_token(name) and facts[name].logarithmic)
    for metric in per_token:
        scored = [pair for pair in found if all(_scores(each, metric) for each in pair)]
        other = {pair[0].key for pair in scored if not _is_alike(pair, metric)}
        untold = any(None in _texts_of(pair, metric) for pair in scored)
        if untold and candidate.model.base_sha256 != baseline.model.base_sha256:
            refused[metric] = _UNTOLD
        elif not is_within(len(other), _FEW * len(scored)):
            refused[metric] = _SPLIT.format(other=len(other), n=len(scored))
        keys = {pair[0].key for pair in scored} if metric in refused else other
        decided = {pair[0].key for pair in scored if pair[0].key in keys and _decides(pair, metric)}
        apart |= dict.fromkeys(decided, f"decided by {metric}, whose losses per token are of other units")
        found = [pair for pair in found if pair[0].key not in decided]
        if metric not in refused:
            found = [
                (_without(pair[0], metric), _without(pair[1], metric)) if pair[0].key in other else pair
                for pair in found
            ]
    return found, refused, apart


def _decides(pair: _Pair, metric: str) -> bool:
    return any(score.passed is not None for side in pair for score in _scores(side, metric))


def lone_drop(pairs: Sequence[_Pair], metric: str) -> float:
    """How far the mean of a loss per token would fall if in every case one token broke down.

    Args:
        pairs: The cases of both sides. Of several references the shortest counts; what records of earlier
            versions don't say is estimated.
        metric: The metric.
    """
    known = (_least_tokens(pair, metric) for pair in pairs if is_per_token(metric))
    return token_drop(tokens for tokens in known if tokens is not None)


def _least_tokens(pair: _Pair, metric: str) -> float | None:
    known = [count for each in _texts_of(pair, metric) if each is not None for count in each.tokens]
    return min(known) if known else shortest_reference(pair[0].case)


def _is_alike(pair: _Pair, metric: str) -> bool:
    """Whether both sides have as many tokens of each text, as far as that is known."""
    now, then = ({each.tokens for each in _texts_of([side], metric) if each is not None} for side in pair)
    return not now or not then or now == then


def _without(result: CaseResult, metric: str) -> CaseResult:
    """The result without the metric's scores."""

    def left(scores: Sequence[Score]) -> tuple[Score, ...]:
        return tuple(score for score in scores if score.metric != metric)

    def answer(repeat: Repeat) -> Repeat:
        return replace(repeat, scores=left(repeat.scores))

    reason = "its references are split into other numbers of tokens on the other side"
    return replace(
        result,
        scores=left(result.scores),
        repeats=tuple(map(answer, result.repeats)),
        unscored=(*result.unscored, UnscoredMetric(metric=metric, reason=reason)),
    )
