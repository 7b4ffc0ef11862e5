"""How many workers: as many as processor cores may be used, as far as memory allows."""

import os
import platform
from collections.abc import Mapping, Sequence

from harness.engines.base import Engine
from harness.engines.open import open_sides
from harness.engines.workers.local import open_workers
from harness.models.resolve import model_config, token_bytes
from harness.provenance import available_bytes, granted_cores
from harness.types import EXACT_DTYPES, ExecutionPlan, ModelRef

# What a worker has for itself beside its batch's keys and values: pages of its libraries that it writes to;
# what it reads prompts with and logits, which grow with the model.
_OWN_BYTES, _OWN_SHARE = 400e6, 0.1


def open_chosen(
    sides: Mapping[str, ModelRef], plan: ExecutionPlan, wanted: int | None, weight_bytes: int
) -> Engine:
    """Load the models of all sides, in this process or for workers.

    Args:
        sides: The models by side.
        plan: How to compute, on the CPU.
        wanted: Number of workers; None chooses it.
        weight_bytes: Size of all bases' weights in memory.
    """
    # Forking with Apple's libraries loaded ends the fork; Windows has no fork.
    if platform.system() != "Linux":
        return open_sides(sides, plan)
    cores = usable_cores()
    most = wanted or chosen_workers(plan, list(sides.values()), cores, weight_bytes, available_bytes())
    return open_sides(sides, plan) if most == 1 else open_workers(sides, plan, most, max(cores, most))


def chosen_workers(
    plan: ExecutionPlan, sides: Sequence[ModelRef], cores: int, weight_bytes: int, available: float | None
) -> int:
    """One worker for each core, as far as memory allows.

    In lower precision greedy text depends on how a product is divided among threads: one process computes.

    Args:
        plan: How to compute.
        sides: The models.
        cores: Processor cores.
        weight_bytes: Size of all bases' weights in memory, which workers share.
        available: Bytes of free memory; None where it is unknown.
    """
    if plan.dtype not in EXACT_DTYPES:
        return 1
    of_token = max((token_bytes(model_config(side.base_model), plan.dtype) for side in sides), default=0)
    own = _OWN_BYTES + _OWN_SHARE * weight_bytes + of_token * plan.batch_tokens
    fitting = cores if available is None else int((available - weight_bytes) // own)
    return max(1, min(cores, fitting))


def usable_cores() -> int:
    """Processor cores that this process may use; OMP_NUM_THREADS, if it is set, is the user's own limit."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limit = os.environ.get("OMP_NUM_THREADS", "")
    if limit.isdecimal() and int(limit):
        cores = min(cores, int(limit))
    return min(cores, granted_cores() or cores)
