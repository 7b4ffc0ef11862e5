"""The engine on a Ray cluster: batches are dealt to the workers of all nodes; lost nodes are replaced.

An actor on each GPU, or on each node without one, holds the weights once. What it answers is stored as it
comes, so that a preempted node costs its batches alone.
"""

import threading
import time
import warnings
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.util import find_spec
from itertools import count
from typing import Any

from harness.engines.base import LossRequest
from harness.engines.served.reports import with_uses
from harness.engines.workers.deal import Event, LostWorker
from harness.engines.workers.functions import FunctionKind
from harness.engines.workers.local import WorkersEngine
from harness.engines.workers.ray_nodes import LoadedNode, Node, Work, absolute, libraries_of, versions
from harness.engines.workers.ray_reservations import cause_of, connect, is_machine_gone, reservations
from harness.engines.workers.ray_watch import PULSE, NodeWatch, longest_step_s
from harness.engines.workers.served_models import unmeasured_apart
from harness.errors import AllFailedError, EngineError, InputError, SettingsError, first_line
from harness.types import ExecutionPlan, ModelRef, ServerUse, TextLoss

_POLL_S = 1.0
# A node whose processors or GPU others have reserved for so long is left out.
_FREE_WITHIN_S = 60.0
# How long a lost node's replacement may take while no other node is left, and where it starts a server.
_REPLACED_WITHIN_S, _SERVED_WITHIN_S = 300.0, 1800.0
_REPLACEMENTS_PER_NODE = 3


@dataclass(slots=True, eq=False)
class _Member:
    """An actor of the cluster.

    Attributes:
        name: Its node, for messages.
        resources: What it reserves.
        workers: How many batches at a time; 0 until it is ready for the job.
        used: Its workers that have a number in this job.
        replaces: Whether it is in place of a lost one, and has not been ready yet.
    """

    actor: Any
    name: str
    resources: Mapping[str, Any]
    workers: int = 0
    used: set[int] = field(default_factory=set)
    replaces: bool = False


def open_ray(
    sides: Mapping[str, ModelRef], plan: ExecutionPlan, address: str, wanted: int | None, weight_bytes: int
) -> "RayEngine":
    """Load the models of all sides on the nodes of a cluster.

    Args:
        sides: The models by side; none where the nodes compute functions alone.
        plan: How to compute.
        address: The cluster's; empty joins the one of RAY_ADDRESS, or starts one on this machine.
        wanted: Workers on each node without a GPU; None chooses the number.
        weight_bytes: Size of all bases' weights in memory.

    Raises:
        SettingsError: Ray isn't installed, no cluster answers, or a node has other libraries.
        ModelError: A node can't load the models.
    """
    if find_spec("ray") is None:
        raise SettingsError("--gate-engine ray: ray is not installed: pip install 'tunegate[ray]'")
    started = connect(address)
    work = Work(
        sides={side: absolute(model) for side, model in sides.items()},
        plan=plan,
        wanted=wanted,
        weight_bytes=weight_bytes,
        versions=versions(libraries_of(plan)),
    )
    cluster = _Cluster(work)
    try:
        cluster.start()
    except BaseException:
        cluster.end(started=started)
        raise
    return RayEngine(cluster, started=started)


class RayEngine(WorkersEngine):
    """As the engine in this process, by the workers of a cluster."""

    def __init__(self, cluster: "_Cluster", *, started: bool) -> None:
        """An engine on nodes that have loaded the models.

        Args:
            cluster: The started nodes.
            started: End the connection to Ray with the engine.
        """
        self._cluster = cluster
        self._one_job = threading.Lock()
        self.plan, self._changes = cluster.loaded.plan, cluster.loaded.changes
        self._end = weakref.finalize(self, partial(cluster.end, started=started))

    def _compute(
        self,
        kind: str | FunctionKind,
        requests: Sequence[Any],
        on_batch: Callable[[Mapping[int, Any]], None],
    ) -> None:
        transport = _Transport(self._cluster, kind, list(requests))
        try:
            batches, most = transport.prepare()
            self._deal(batches, most, requests, on_batch, lambda _: transport, kind)
        finally:
            self.plan = with_uses(self.plan, self._cluster.uses.values())

    def losses(
        self, requests: Sequence[LossRequest], on_batch: Callable[[Mapping[int, TextLoss]], None]
    ) -> None:
        """As an Engine's; a node with a server may give none of some texts."""
        with unmeasured_apart(on_batch) as measured:
            self.compute("losses", requests, measured)


class _Cluster:
    """The actors, and what they have loaded."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.members: list[_Member] = []
        self.watch = NodeWatch(longest_step_s(work.plan))
        self.uses: dict[_Member, ServerUse] = {}
        self.jobs = count(1)
        self.last_loss = ""
        self._replacements = 0

    def start(self) -> None:
        """Load the models on all nodes.

        Raises:
            SettingsError: The cluster has no node that can compute so.
        """
        import ray

        self.members = [self._member(node, resources) for node, resources in reservations(self.work.plan)]
        self._leave_busy_ones()
        try:
            replies = self._replies({member.actor.load.remote(self.work): member for member in self.members})
        except ray.exceptions.RayError as error:
            raise cause_of(error) from error
        self.loaded: LoadedNode = replies[0]
        self.workers = sum(reply.workers for reply in replies)

    def _replies(self, loading: dict[Any, _Member]) -> list[LoadedNode]:
        """What the nodes have loaded; one that ends, does nothing, or whose memory ran out, is left out.

        Raises:
            EngineError: None is left.
        """
        import ray

        found: list[LoadedNode] = []
        last = "none did in time"
        while loading:
            ready, _ = ray.wait(list(loading), num_returns=1, timeout=_POLL_S)
            gone: dict[_Member, str] = {}
            for call in ready:
                member = loading.pop(call)
                try:
                    found.append(ray.get(call))
                except ray.exceptions.RayError as error:
                    if not isinstance(fault := cause_of(error), EngineError):
                        raise
                    last = str(fault)
                    gone[member] = f"was lost: {last}"
            for member, reason in {**gone, **self.watch.standing(loading.values())}.items():
                ray.kill(member.actor)
                self.members.remove(member)
                loading = {call: each for call, each in loading.items() if each is not member}
                warnings.warn(f"node {member.name} {reason}", RuntimeWarning, stacklevel=3)
        if not found:
            raise EngineError(f"--gate-engine ray: no node of the cluster could load the models: {last}")
        return found

    def _leave_busy_ones(self) -> None:
        """Go on without the nodes that others use.

        Raises:
            SettingsError: None is left.
        """
        import ray

        pings = {member.actor.is_there.remote(): member for member in self.members}
        there, busy = ray.wait(list(pings), num_returns=len(pings), timeout=_FREE_WITHIN_S)
        for reference in busy:
            ray.kill(pings[reference].actor)
        self.members = [pings[reference] for reference in there]
        self.watch.are_there(self.members)
        if not there:
            raise SettingsError("--gate-engine ray: all nodes of the cluster are busy with other work")
        if busy:
            said = f"{len(busy)} of {len(pings)} nodes of the Ray cluster are busy with other work"
            warnings.warn(said, RuntimeWarning, stacklevel=2)

    def _member(self, node: str | None, resources: Mapping[str, Any]) -> _Member:
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        cores = max(1, int(resources["num_cpus"]))
        # One more than its workers, so that it has a pulse while all of them compute.
        options = {**resources, "max_concurrency": max(cores, self.work.wanted or 0) + 1, "max_restarts": 0}
        if node is not None:
            options["scheduling_strategy"] = NodeAffinitySchedulingStrategy(node, soft=False)
        actor = ray.remote(concurrency_groups={PULSE: 1})(Node).options(**options).remote(cores)
        name = node[:8] if node else "(a replacement)"
        return _Member(actor=actor, name=name, resources=resources, replaces=node is None)

    def replace(self, member: _Member) -> _Member | None:
        """An actor in place of a lost one, wherever there is room; None after too many.

        Args:
            member: The lost one.
        """
        self.members.remove(member)
        if self._replacements >= _REPLACEMENTS_PER_NODE * (len(self.members) + 1):
            return None
        self._replacements += 1
        new = self._member(None, member.resources)
        self.members.append(new)
        return new

    def end(self, *, started: bool) -> None:
        """End the actors, and the connection if we made it."""
        import ray

        for member in self.members if ray.is_initialized() else ():
            try:
                ray.kill(member.actor)
            except ray.exceptions.ActorHandleNotFoundError:
                break  # they ended with the connection that started them
        if started:
            ray.shutdown()


class _Transport:
    """The transport to the workers of all nodes for one job."""

    def __init__(self, cluster: _Cluster, kind: str | FunctionKind, requests: list[Any]) -> None:
        import ray

        self._cluster = cluster
        self._call = cluster.work, kind, ray.put(requests), cluster.workers, next(cluster.jobs)
        self._preparing: dict[Any, _Member] = {}
        self._running: dict[Any, int] = {}
        self._workers: dict[int, tuple[_Member, int]] = {}
        self._numbers = count()
        self._lost_at = time.monotonic()
        self._rows: Sequence[Sequence[int]] = ()

    def prepare(self) -> tuple[Sequence[Sequence[int]], int]:
        """The batches, which are the same on all nodes, and how many are computed at a time."""
        for member in self._cluster.members:
            member.used.clear()
            member.workers = 0
            self._preparing[member.actor.prepare.remote(*self._call)] = member
        while self._are_preparing() or not self._is_ready():
            self._require_nodes()
            self.wait()
        # A replacement may still come.
        ready = sum(member.workers for member in self._cluster.members)
        return self._rows, max(ready, self._cluster.workers)

    def _is_ready(self) -> bool:
        return any(member.workers for member in self._cluster.members)

    def _are_preparing(self) -> bool:
        """Whether nodes do that are there; a replacement may wait for room, and no node ever have it."""
        return not all(member.replaces for member in self._preparing.values())

    def start(self) -> int | None:
        """A worker of a node that is ready; None while there is none."""
        self._require_nodes()
        for member in self._cluster.members:
            free = next((slot for slot in range(member.workers) if slot not in member.used), None)
            if free is not None:
                member.used.add(free)
                number = next(self._numbers)
                self._workers[number] = member, free
                return number
        return None

    def give(self, worker: int, batch: Sequence[int]) -> None:
        """As a Transport's."""
        member, slot = self._workers[worker]
        self._running[member.actor.compute.remote(slot, list(batch))] = worker

    def end(self, worker: int) -> None:
        """As a Transport's: the number is free again; a batch under way ends with its node."""
        member, slot = self._workers.pop(worker, (None, 0))
        if member is not None:
            member.used.discard(slot)

    def _require_nodes(self) -> None:
        """Go on while a node is ready, or becomes so; raise where there is none, and none came in time."""
        if self._is_ready() or self._are_preparing():
            return
        within_s = _REPLACED_WITHIN_S if self._cluster.work.plan.server is None else _SERVED_WITHIN_S
        if not self._preparing or time.monotonic() - self._lost_at > within_s:
            said = f"no node of the Ray cluster is left: {self._cluster.last_loss}"
            # Answers of a server may be stored nowhere: what other looks have stays.
            raise EngineError(said) if self._cluster.work.plan.server is None else AllFailedError(said, {})

    def wait(self) -> list[Event]:
        """As a Transport's; nodes that have become ready are noted."""
        import ray

        waiting = [*self._preparing, *self._running]
        if not waiting:
            time.sleep(_POLL_S)
            return []
        ready = ray.wait(waiting, num_returns=1, timeout=_POLL_S)[0]
        more = ray.wait(waiting, num_returns=len(waiting), timeout=0)[0]
        events: list[Event] = []
        for reference in dict.fromkeys([*ready, *more]):
            events += self._taken(reference)
        busy = {*self._preparing.values(), *(self._workers[worker][0] for worker in self._running.values())}
        for member, reason in self._cluster.watch.standing(busy).items():
            events += self._node_lost(member, reason)
        return events

    def _taken(self, reference: Any) -> list[Event]:
        """What a finished call tells; of a lost node also of its other workers."""
        import ray

        member = self._preparing.pop(reference, None)
        worker = self._running.pop(reference, None)
        if member is None and worker is None:
            return []  # its node was lost before
        if member is None:
            member = self._workers[worker][0]  # type: ignore[index]
        try:
            reply = ray.get(reference)
        except ray.exceptions.RayTaskError as error:
            cause = cause_of(error)
            # The other nodes have the models: what is in a replacement's way is of its place, such as a GPU's
            # memory that a lost one still holds.
            if worker is None and member.replaces:
                warnings.warn(f"node {member.name} of the Ray cluster: {cause}", RuntimeWarning, stacklevel=2)
            elif worker is None or isinstance(cause, InputError):
                raise cause from error
            return self._node_lost(member, str(cause))
        except ray.exceptions.RayError as error:
            return self._node_lost(member, first_line(error), is_gone=is_machine_gone(error))
        if worker is None:
            self._ready(member, *reply)
            return []
        if isinstance(reply, LostWorker):
            self.end(worker)
            return [replace(reply, worker=worker, reason=f"node {member.name}: {reply.reason}")]
        self._note_use(member, reply.use)
        return [replace(reply, worker=worker)]

    def _ready(
        self, member: _Member, rows: Sequence[Sequence[int]], workers: int, use: ServerUse | None
    ) -> None:
        if self._rows and list(map(list, rows)) != list(map(list, self._rows)):
            raise EngineError(f"node {member.name} of the Ray cluster divides the requests differently")
        self._rows = rows
        member.workers, member.replaces = workers, False
        self._note_use(member, use)

    def _note_use(self, member: _Member, use: ServerUse | None) -> None:
        if use is not None:
            self._cluster.uses[member] = use

    def _node_lost(self, member: _Member, reason: str, *, is_gone: bool = False) -> list[Event]:
        """All workers of a node are lost, and perhaps its machine; another one is asked for in its place."""
        import ray

        # One whose call failed is still there, and holds what its replacement needs.
        ray.kill(member.actor)
        self._cluster.last_loss, self._lost_at = f"node {member.name}: {reason}", time.monotonic()
        gone = [worker for worker, (of, _) in self._workers.items() if of is member]
        for calls in (self._running, self._preparing):
            for reference in [each for each, owner in calls.items() if owner in (member, *gone)]:
                del calls[reference]
        for worker in gone:
            del self._workers[worker]
        new = self._cluster.replace(member) if member in self._cluster.members else None
        if new is not None:
            self._preparing[new.actor.prepare.remote(*self._call)] = new
        # A processor's work is done by a fork, so that no batch ends the node; a GPU's may, but no machine.
        blamed = self._cluster.work.plan.device != "cpu" and not is_gone
        return [LostWorker(worker=worker, reason=self._cluster.last_loss, of_batch=blamed) for worker in gone]
