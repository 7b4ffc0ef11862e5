"""A judge's verdicts on each two models' answers to a case."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from harness.judge.panel import Panel
from harness.judge.questions import pair_requests
from harness.studies.tournament.common_answers import CommonAnswer
from harness.types import GoldenCase, JudgeRequest, JudgeVerdict

TIE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedPair:
    """Two models' answers to one case.

    Attributes:
        case: The answer's key.
        cluster: The case's cluster, or a name of its own.
        value: 1 if the first model's answer is preferred, 0 if the second's, 0.5 for a tie; None without a
            verdict.
        orders: The value with the first answer shown first, and shown second; None if no judge was asked, or
            a judge gave no reply.
        equal: Both answers are the same text: a tie without asking.
        length_ratio: The first answer's number of words divided by the second's, with one added to each.
        error: Why there is no verdict.
    """

    case: str
    cluster: str
    first: str
    second: str
    value: float | None = None
    orders: tuple[float, float] | None = None
    equal: bool = False
    length_ratio: float
    error: str = ""


def judge_pairs(
    panel: Panel, common: Sequence[CommonAnswer], on_progress: Callable[[str, int, int], None]
) -> list[JudgedPair]:
    """Ask about each two models' answers to each case, in both orders.

    All questions are sent before waiting for the first reply. Equal texts are a tie without asking.

    Args:
        panel: The judge or judges.
        common: The answers.
        on_progress: Called with the stage, the number of judged pairs, and the number of all pairs.
    """
    open_pairs = [
        (_pair(one, *names), _requests(one, *names))
        for one in common
        for names in itertools.combinations(one.texts, 2)
    ]
    # Stored replies may be of another judge than new ones.
    return panel.by_one_judge(lambda: _judged(panel, open_pairs, on_progress))


def _judged(
    panel: Panel,
    open_pairs: Sequence[tuple[JudgedPair, tuple[JudgeRequest, JudgeRequest]]],
    on_progress: Callable[[str, int, int], None],
) -> list[JudgedPair]:
    panel.start([request for pair, asked in open_pairs if not pair.equal for request in asked])
    pairs = []
    for number, (pair, asked) in enumerate(open_pairs):
        on_progress("judging", number, len(open_pairs))
        if pair.equal:
            pairs.append(pair)
            continue
        vote, orders = panel.judge_pair(*asked)
        if isinstance(vote, JudgeVerdict):
            pairs.append(replace(pair, value=vote.value, orders=orders))
        else:
            pairs.append(replace(pair, error=str(vote)))
    on_progress("judging", len(open_pairs), len(open_pairs))
    return pairs


def _pair(one: CommonAnswer, first: str, second: str) -> JudgedPair:
    equal = one.texts[first] == one.texts[second]
    return JudgedPair(
        case=one.key,
        cluster=one.cluster,
        first=first,
        second=second,
        value=TIE if equal else None,
        equal=equal,
        length_ratio=_words(one.texts[first]) / _words(one.texts[second]),
    )


def _requests(one: CommonAnswer, first: str, second: str) -> tuple[JudgeRequest, JudgeRequest]:
    """The question that the ``pairwise`` check asks."""
    return pair_requests(
        one.case.key, one.case.messages, one.texts[first], one.texts[second], rubric=_better(one.case)
    )


def _better(case: GoldenCase) -> str | None:
    """The criterion: that of the case's pairwise check, else its rubric; None means the default."""
    said = {check.type: check.value for check in case.single_checks}
    value = said["pairwise"] if "pairwise" in said else said.get("llm-rubric")
    return value if isinstance(value, str) else None


def _words(text: str) -> int:
    return 1 + len(text.split())
