"""Tells listeners what models answered."""

import time
from collections.abc import Mapping

from harness.engines.base import SERVED
from harness.registry.listeners import Work, tell
from harness.run.workload import Workload
from harness.types import Completion


def tell_answers(workload: Workload, finished: Mapping[int, Completion], engine: str) -> None:
    """Tell of answers at their time: each of a server's has its own, the rows of a batch share one.

    Args:
        workload: The requests.
        finished: A batch's answers, by index.
        engine: What answered.
    """
    ended = time.time_ns()
    together = sum(completion.latency_s for completion in finished.values())
    is_remote = engine in SERVED
    for place, completion in finished.items():
        request = workload.answers[place]
        seconds = completion.latency_s if is_remote else together
        tell(
            Work(
                kind="answer",
                name=request.side,
                engine=engine,
                is_remote=is_remote,
                key=request.key,
                started_ns=ended - round(seconds * 1e9),
                ended_ns=ended,
                input_tokens=completion.prompt_tokens,
                output_tokens=completion.completion_tokens,
                stop_reason=completion.stop_reason,
                rows=1 if is_remote else len(finished),
            )
        )


def tell_failures(workload: Workload, failed: Mapping[int, str], engine: str) -> None:
    """Tell of cases on which the model failed; how long each took is not known.

    Args:
        workload: The requests.
        failed: The reasons, by index.
        engine: What was asked.
    """
    now = time.time_ns()
    for request in (workload.answers[place] for place in failed):
        tell(
            Work(
                kind="answer",
                name=request.side,
                engine=engine,
                is_remote=engine in SERVED,
                key=request.key,
                started_ns=now,
                ended_ns=now,
                errors=1,
                error="generation_failed",
            )
        )
