"""What can go wrong with an answer that nobody wrote a reference for: each is true, false or unknown.

The same functions judge the answers of production and those of the gated run, so their rates compare.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeAlias

from harness.comparison.pairing import answers_of
from harness.metrics.manner import refusal_words
from harness.run.scoring import Judging, score_cases
from harness.studies.monitoring.production_log import ProductionAnswer
from harness.types import Check, Completion, GoldenCase, Message, Outcome, Permissions, Run

if TYPE_CHECKING:
    from harness.judge.panel import Panel

# Answers of the gated run beyond these shares of its own are slow, long or short.
_TAIL = 0.05
_SET = "production"
# For each kind of event, whether it happened in each answer; None where that is unknown.
Events: TypeAlias = Mapping[str, Sequence[bool | None]]
# Events that say nothing about the text of an answer.
USAGE_EVENTS = frozenset({"failed", "slow", "long", "short"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What is slow, long and short; None where the reference does not tell.

    Attributes:
        slow_s: Seconds above which an answer is slow.
        long_tokens: Tokens above which it is long.
        short_tokens: Tokens below which it is short.
    """

    slow_s: float | None = None
    long_tokens: float | None = None
    short_tokens: float | None = None


def answers_of_run(run: Run) -> list[ProductionAnswer]:
    """A run's answers to cases that don't probe forgetting, as if they had been asked in production.

    Of several answers to a case it is the first: the one that the run shows is the worst of them. A case
    that a server gave no answer to is a failed request; of a model on this machine no request is known.
    """
    probing = {each.name for each in run.golden_sets if each.probes_forgetting}
    started = datetime.fromisoformat(run.started_at)
    found = []
    for number, result in enumerate(run.results):
        completion = answers_of(result)[0].completion
        lacking = completion is None and (run.plan.server is None or result.case.skip is not None)
        if result.case.set_name in probing or lacking:
            continue
        # Of answers in batches on this machine, time says nothing about a server.
        seconds = None if completion is None or run.model.engine is None else completion.latency_s
        found.append(
            ProductionAnswer(
                id=result.key,
                time=started + timedelta(microseconds=number),
                messages=result.case.messages,
                text=None if completion is None else completion.text,
                failed=None if run.plan.server is None else completion is None,
                latency_s=seconds,
                completion_tokens=None if completion is None else completion.completion_tokens,
                finish_reason=None if completion is None else completion.stop_reason,
            )
        )
    return found


def limits_of(answers: Iterable[ProductionAnswer], slow_s: float | None = None) -> Limits:
    """The limits beyond which 5 % of some answers are, by their own order.

    Args:
        answers: The reference's answers.
        slow_s: Seconds above which an answer is slow, if that is given.
    """
    answers = list(answers)
    seconds = sorted(each.latency_s for each in answers if each.latency_s is not None)
    tokens = sorted(each.completion_tokens for each in answers if each.completion_tokens is not None)
    beyond = int(_TAIL * len(tokens))
    if slow_s is None and seconds:
        slow_s = seconds[-1 - int(_TAIL * len(seconds))]
    return Limits(
        slow_s=slow_s,
        long_tokens=tokens[-1 - beyond] if tokens else None,
        short_tokens=tokens[beyond] if tokens else None,
    )


def judged_in_run(run: Run, checks: Sequence[Check]) -> dict[str, tuple[int, int]]:
    """How often each judged check failed in a run, and in how many answers, by the verdicts stored with it.

    Args:
        run: The gated run.
        checks: Judged checks.

    Returns:
        By kind of event.
    """
    found: dict[str, tuple[int, int]] = {}
    for name, check in zip(names_of(checks), checks, strict=True):
        told = [
            score.passed
            for result in run.results
            if [each.type for each in result.case.checks].count(check.type) == 1
            and any(repr(each.content) == repr(check.content) for each in result.case.checks)
            for score in answers_of(result)[0].scores
            if score.metric == check.type and score.passed is not None
        ]
        found[name] = (told.count(False), len(told))
    return found


def names_of(checks: Sequence[Check]) -> list[str]:
    """The kind of event that each check is, in their order; two of one type are distinguished by it."""
    names = [f"check {check.type}" for check in checks]
    return [
        name if names.count(name) == 1 else f"{name} {names[: number + 1].count(name)}"
        for number, name in enumerate(names)
    ]


def judged_events(
    answers: Sequence[ProductionAnswer], checks: Sequence[Check], sample: Collection[int], panel: "Panel"
) -> dict[str, list[bool | None]]:
    """For each judged check, whether each sampled answer fails it; None for all others.

    Args:
        answers: Answers, in order.
        checks: Checks that ask a judge.
        sample: Indices of the answers that are judged.
        panel: The judge.

    Returns:
        By kind of event, a value for each answer, in their order.
    """
    judging = Judging(allowed=Permissions(), panel=panel)
    named = dict(zip(names_of(checks), checks, strict=True))
    # Stored verdicts may be of another judge than new ones.
    return panel.by_one_judge(
        lambda: {name: _fails(answers, check, judging, sample) for name, check in named.items()}
    )


def events_of(
    answers: Sequence[ProductionAnswer], limits: Limits, checks: Sequence[Check] = ()
) -> dict[str, list[bool | None]]:
    """For each kind of event, whether it happened in each answer; None where that is unknown.

    Args:
        answers: Answers, in order.
        limits: What is slow, long and short.
        checks: Checks without references; an event is that one fails.

    Returns:
        By kind of event, a value for each answer, in their order.
    """
    simple: Mapping[str, Callable[[ProductionAnswer], bool | None]] = {
        "failed": lambda each: each.failed,
        "refused": lambda each: None if each.text is None else refusal_words(each.text) is not None,
        "empty": lambda each: None if each.text is None else not each.text.strip(),
        "cut": lambda each: None if each.finish_reason is None else each.finish_reason == "length",
        "slow": lambda each: _beyond(each.latency_s, limits.slow_s),
        "long": lambda each: _beyond(each.completion_tokens, limits.long_tokens),
        "short": lambda each: _beyond(limits.short_tokens, each.completion_tokens),
    }
    found = {name: [rule(each) for each in answers] for name, rule in simple.items()}
    judging = Judging(allowed=Permissions())
    for name, check in zip(names_of(checks), checks, strict=True):
        found[name] = _fails(answers, check, judging)
    return found


def _beyond(value: float | None, limit: float | None) -> bool | None:
    return None if value is None or limit is None else value > limit


def _fails(
    answers: Sequence[ProductionAnswer],
    check: Check,
    judging: Judging,
    sample: Collection[int] | None = None,
) -> list[bool | None]:
    """Whether each answer fails a check; unknown where it has no text or the check breaks on it."""
    told = [
        (number, each.text)
        for number, each in enumerate(answers)
        if each.text is not None and (sample is None or number in sample)
    ]
    cases = [
        GoldenCase(
            id=str(number),
            set_name=_SET,
            messages=answers[number].messages or (Message(role="user", content=""),),
            checks=(check,),
        )
        for number, _ in told
    ]
    completions = {
        f"{_SET}/{number}": Completion(
            text=text,
            stop_reason="length" if answers[number].finish_reason == "length" else "stop",
            prompt_tokens=0,
            completion_tokens=answers[number].completion_tokens or 0,
            latency_s=answers[number].latency_s or 0.0,
        )
        for number, text in told
    }
    found: list[bool | None] = [None] * len(answers)
    results = score_cases(cases, completions, judging=judging)
    for (number, _), result in zip(told, results, strict=True):
        if result.outcome in {Outcome.PASSED, Outcome.FAILED}:
            found[number] = result.outcome is Outcome.FAILED
    return found
