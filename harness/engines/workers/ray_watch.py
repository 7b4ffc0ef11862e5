"""Notices nodes of a Ray cluster that are there and do nothing: Ray itself only tells of those that end."""

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from harness.engines.served.client import ATTEMPTS
from harness.engines.workers import local
from harness.types import ExecutionPlan

_POLL_S = 1.0
# The group of an actor's calls that asks for its pulse.
PULSE = "pulse"
# A GPU may compute one step for so long: it may read the prompts of a whole batch.
_STEP_S = 600.0


class NodeWithActor(Protocol):
    """A node with its actor."""

    actor: Any


@dataclass(slots=True)
class _PulseRecord:
    """What is known of a node.

    Attributes:
        asked: The question that has no answer yet.
        pulse: The last answer; None before the first one, while the node may still wait for room.
        silent: Polls in a row without an answer.
        same: Polls in a row whose answer was the one before.
    """

    asked: Any = None
    pulse: int | None = None
    silent: int = 0
    same: int = 0


class NodeWatch:
    """Asks nodes again and again whether they go on."""

    def __init__(self, step_s: float = _STEP_S) -> None:
        """Nothing is known yet.

        Args:
            step_s: How long a node may compute without any progress.
        """
        self._step_polls = math.ceil(step_s / _POLL_S)
        self._seen: dict[NodeWithActor, _PulseRecord] = {}
        self._polled = 0.0

    def are_there(self, nodes: Iterable[NodeWithActor]) -> None:
        """Count from now on: the nodes have answered.

        Args:
            nodes: The nodes.
        """
        self._seen |= {node: _PulseRecord(pulse=0) for node in nodes}

    def standing(self, nodes: Iterable[NodeWithActor]) -> dict[Any, str]:
        """The nodes that stand still, and what each did not do. One poll a second at most.

        Args:
            nodes: Those that are waited for.
        """
        if time.monotonic() - self._polled < _POLL_S:
            return {}
        self._polled = time.monotonic()
        found = {node: self._poll(node, self._seen.setdefault(node, _PulseRecord())) for node in nodes}
        return {node: reason for node, reason in found.items() if reason}

    def _poll(self, node: NodeWithActor, seen: _PulseRecord) -> str:
        """Ask a node; what it has not done for too long, or nothing."""
        import ray

        if seen.asked is None:
            seen.asked = _asked(node)
        elif not ray.wait([seen.asked], timeout=0)[0]:
            seen.silent += seen.pulse is not None
        else:
            try:
                pulse = ray.get(seen.asked)
            except ray.exceptions.RayError:
                pulse = None  # it has ended: its calls tell
            seen.same = seen.same + 1 if pulse == seen.pulse else 0
            seen.asked, seen.pulse, seen.silent = _asked(node), pulse, 0
        if seen.silent >= local.HUNG_POLLS:
            return f"answered nothing for {local.HUNG_POLLS * _POLL_S:.0f} s and was ended"
        if seen.same >= self._step_polls:
            return f"made no progress for {self._step_polls * _POLL_S:.0f} s and was ended"
        return ""


def longest_step_s(plan: ExecutionPlan) -> float:
    """How long a node may compute without any progress.

    A server may find no answer to a request for its time limit at each attempt. That is told by the request.

    Args:
        plan: How it computes.
    """
    return _STEP_S if plan.server is None else max(_STEP_S, ATTEMPTS * plan.server.timeout_s)


def _asked(node: NodeWithActor) -> Any:
    """Ask a node in a thread that its other calls, such as some of several jobs that wait, don't take."""
    return node.actor.pulse.options(concurrency_group=PULSE).remote()
