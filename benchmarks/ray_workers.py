"""How well batches are dealt to the workers of a Ray cluster, with workers that sleep in place of a model.

    python -m benchmarks.ray_workers [--seconds 8]

Two nodes on this machine hold 1, 2 and 100 workers in all. Printed is the efficiency: the batches' times in
sum, over the number of workers times the time that passed. Times of batches differ up to tenfold.
"""

import argparse
import random
import time
from collections.abc import Mapping, Sequence
from typing import Any

from harness.engines.workers import ray_cluster
from harness.engines.workers.deal import FinishedBatch, deal
from harness.engines.workers.ray_nodes import LoadedNode, Work, versions
from harness.engines.workers.ray_watch import PULSE
from harness.types import ExecutionPlan

MEAN_S = 0.25


class SleepingNode:
    """As a node of the cluster; its workers sleep as long as each batch is said to take."""

    def __init__(self, cores: int) -> None:
        self._workers = cores
        self._requests: Sequence[float] = ()

    def is_there(self) -> bool:
        """As a Node's."""
        return True

    def pulse(self) -> int:
        """As a Node's: it changes from call to call."""
        return time.monotonic_ns()

    def load(self, work: Work) -> LoadedNode:
        """As a Node's; nothing is loaded."""
        return LoadedNode(plan=work.plan, changes={}, workers=self._workers)

    def prepare(
        self, work: Work, kind: str, requests: Sequence[float], workers: int, job: int
    ) -> tuple[Sequence[Sequence[int]], int, None]:
        """As a Node's: every request is a batch.

        Args:
            work: As a Node's.
            kind: As a Node's.
            requests: How long each batch takes.
            workers: As a Node's.
            job: As a Node's.
        """
        del work, kind, workers, job
        self._requests = requests
        return [[row] for row in range(len(requests))], self._workers, None

    def compute(self, slot: int, batch: Sequence[int]) -> FinishedBatch:
        """As a Node's.

        Args:
            slot: As a Node's.
            batch: The indices of its requests.
        """
        time.sleep(sum(self._requests[row] for row in batch))
        return FinishedBatch(worker=slot, found=dict.fromkeys(batch, 1), failures={})


def efficiency(nodes: Sequence[int], seconds: float) -> float:
    """The share of the workers' time in which batches were computed.

    Args:
        nodes: Number of workers on each node.
        seconds: How long it takes at best.
    """
    # In place of nodes with models, and of those that this cluster has.
    ray_cluster.Node = SleepingNode  # type: ignore[assignment,misc]
    ray_cluster.reservations = lambda _: [(None, {"num_cpus": each}) for each in nodes]
    draw = random.Random(0)
    plan = ExecutionPlan(engine="transformers", dtype="float32", device="cpu", batch_tokens=1)
    work = Work(sides={}, plan=plan, wanted=None, weight_bytes=0, versions=versions())
    cluster = ray_cluster._Cluster(work)
    cluster._member = _member  # type: ignore[method-assign]
    cluster.start()
    took_s = [MEAN_S * draw.uniform(0.2, 1.8) for _ in range(max(1, round(sum(nodes) * seconds / MEAN_S)))]
    took_s.sort(reverse=True)  # as the engine's batches: the largest first
    transport = ray_cluster._Transport(cluster, "answers", took_s)
    batches, most = transport.prepare()
    found: dict[int, Any] = {}

    def keep(answers: Mapping[int, Any]) -> None:
        found.update(answers)

    began = time.perf_counter()
    deal(batches, transport, most, [str(row) for row in range(len(took_s))], keep)
    passed_s = time.perf_counter() - began
    assert len(found) == len(took_s)
    cluster.end(started=False)
    return sum(took_s) / (sum(nodes) * passed_s)


def _member(node: str | None, resources: Mapping[str, Any]) -> Any:
    import ray

    del node
    workers = resources["num_cpus"]
    options = {"num_cpus": 0, "max_concurrency": workers + 1}
    actor = ray.remote(concurrency_groups={PULSE: 1})(SleepingNode).options(**options).remote(workers)
    return ray_cluster._Member(actor=actor, name="here", resources=resources)


def main() -> None:
    """Measure and print."""
    import ray

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=8.0, help="how long each takes at best")
    asked = parser.parse_args()
    ray.init("local", num_cpus=2, include_dashboard=False, configure_logging=False, log_to_driver=False)
    for nodes in ((1,), (1, 1), (50, 50)):
        print(sum(nodes), f"{efficiency(nodes, asked.seconds):.3f}", flush=True)
    ray.shutdown()


if __name__ == "__main__":
    main()
