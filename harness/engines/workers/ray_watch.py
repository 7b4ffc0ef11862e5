"""Notices nodes of a Ray cluster that are there and do nothing: Ray itself only tells of those that end."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from harness.engines.workers import local

_POLL_S = 1.0
# The group of an actor's calls that asks for its pulse.
PULSE = "pulse"
# So many polls may pass while a GPU computes one step: it may read the prompts of a whole batch. Or until the
# next reply of a server.
STEP_POLLS = 600


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

    def __init__(self) -> None:
        """Nothing is known yet."""
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
        found = {node: _poll(node, self._seen.setdefault(node, _PulseRecord())) for node in nodes}
        return {node: reason for node, reason in found.items() if reason}


def _poll(node: NodeWithActor, seen: _PulseRecord) -> str:
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
    if seen.same >= STEP_POLLS:
        return f"made no progress for {STEP_POLLS * _POLL_S:.0f} s and was ended"
    return ""


def _asked(node: NodeWithActor) -> Any:
    """Ask a node in a thread that its other calls, such as some of several jobs that wait, don't take."""
    return node.actor.pulse.options(concurrency_group=PULSE).remote()
