"""Tells whoever listens what a gate works at: answers, replies of judges, metrics. Usually nobody listens."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One finished piece of work.

    Attributes:
        name: The side that answered, the judge's model, or the metric.
        engine: Who computed an answer; empty for other work.
        key: The case that was answered or judged; empty for a metric, which scores many.
        is_served: A client of ours waited for the answer.
        parent: The trace that it belongs to, as a W3C ``traceparent``; empty for the gate's own.
        started_ns: Since the epoch.
        ended_ns: Since the epoch.
        rows: Answers that were computed together, or scored.
        errors: How many of them failed.
        error: The kind of failure; empty without one.
    """

    kind: Literal["answer", "judge", "score"]
    name: str
    started_ns: int
    ended_ns: int
    engine: str = ""
    is_remote: bool = False
    is_served: bool = False
    parent: str = ""
    key: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    stop_reason: str = ""
    rows: int = 1
    errors: int = 0
    error: str = ""


# Who is told of each piece of work, from any thread. Callers make no Work where the list is empty.
LISTENERS: list[Callable[[Work], None]] = []


def tell(work: Work) -> None:
    """Tell everybody who listens."""
    for listener in tuple(LISTENERS):
        listener(work)


def tell_scored(metric: str, started_ns: int, errors: Sequence[bool]) -> None:
    """Tell of a metric that has scored.

    Args:
        metric: Its name.
        started_ns: Since the epoch.
        errors: Of each answer, whether the metric broke on it.
    """
    tell(
        Work(
            kind="score",
            name=metric,
            started_ns=started_ns,
            ended_ns=time.time_ns(),
            rows=len(errors),
            errors=sum(errors),
        )
    )
