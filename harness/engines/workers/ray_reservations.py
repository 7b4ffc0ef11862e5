"""Where a Ray cluster is, what the actors on its nodes reserve, and what their errors say."""

import os
import socket
from collections.abc import Mapping
from typing import Any, TypeAlias

from harness.engines.served.process import devices_of
from harness.errors import EngineError, SettingsError, TunegateError, first_line
from harness.types import ExecutionPlan, ServerUse

_CONNECTED_WITHIN_S = 10.0
# A node by its identity, and what an actor there reserves.
Reservation: TypeAlias = tuple[str, Mapping[str, Any]]


def connect(address: str) -> bool:
    """Join a cluster, or start one on this machine; whether this call did.

    Args:
        address: The cluster's; empty joins the one of RAY_ADDRESS, or starts one on this machine.

    Raises:
        SettingsError: None answers.
    """
    import ray

    if ray.is_initialized():
        return False
    named = f"ray:{address}" if address else "ray"
    try:
        host, _, port = (address or os.environ.get("RAY_ADDRESS", "")).rpartition(":")
        if host and port.isdecimal() and "/" not in host:
            # Ray tries for minutes.
            socket.create_connection((host, int(port)), _CONNECTED_WITHIN_S).close()
        ray.init(
            address=address or None,
            configure_logging=False,
            log_to_driver=False,
            include_dashboard=None if address else False,
            namespace="tunegate",
        )
    except Exception as error:  # Ray raises many kinds
        raise SettingsError(f"--gate-engine {named}: no cluster answers: {first_line(error)}") from error
    return True


def reservations(plan: ExecutionPlan) -> list[Reservation]:
    """Where actors compute: on each node with processors, on each GPU, or on each group of GPUs for a server.

    Args:
        plan: How they compute.

    Raises:
        SettingsError: The cluster has no node that can compute so.
    """
    import ray

    nodes = [
        (
            str(node["NodeID"]),
            int(node["Resources"].get("CPU", 0)),
            int(node["Resources"].get("GPU", 0)),
        )
        for node in ray.nodes()
        if node["Alive"]
    ]
    most = max((gpus for *_, gpus in nodes), default=0)
    group = 1
    if plan.server is not None:
        group = _group(plan.server, most)
    if group and (plan.server is not None or plan.device != "cpu"):
        found: list[Reservation] = []
        for node, cores, gpus in nodes:
            found += [(node, {"num_cpus": min(1, cores), "num_gpus": group})] * (gpus // group)
    else:
        found = [(node, {"num_cpus": cores}) for node, cores, _ in nodes if cores]
    if not found:
        what = "GPUs" if group and plan.device != "cpu" else "processors"
        raise SettingsError(f"--gate-engine ray: no node of the cluster has {what}")
    return found


def _group(use: ServerUse, most: int) -> int:
    """How many GPUs a server takes; 0 in a cluster without GPUs, where it computes on a node's processors.

    Args:
        use: How it is started.
        most: The largest number of GPUs of one node.

    Raises:
        SettingsError: No node has so many.
    """
    group = devices_of(use.arguments)
    if most and group > most:
        raise SettingsError(
            f"--gate-engine ray+vllm: --gate-server-args ask for {group} GPUs of one node, and no node of "
            f"the cluster has more than {most}"
        )
    return group if most else 0


def is_machine_gone(error: Exception) -> bool:
    """Whether an actor was lost with its machine, as where that is preempted.

    A connection that breaks before Ray's head misses the machine is told as an actor that can't be reached.
    That a process ended on a machine which is there, its node tells at once.
    """
    import ray

    return isinstance(error, ray.exceptions.ActorUnavailableError) or "its node has died" in str(error)


def cause_of(error: Exception) -> TunegateError:
    """The error of a node, as it was raised there."""
    cause = getattr(error, "cause", None)
    return cause if isinstance(cause, TunegateError) else EngineError(f"Ray: {first_line(cause or error)}")
