"""The order of the tasks' batches. Arithmetic with seeds: the same seed gives the same order.

Shares as in Raffel et al. (2020), T5, arXiv:1910.10683, section 3.5.2: equal, proportional to the number of
examples, or proportional to its power 1 / temperature.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trainers.multitask.config import MultitaskConfig


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of one task's data that are learnt together."""

    task: str
    rows: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of training with its own optimizer and learning-rate curve.

    Attributes:
        steps: The batches of each optimizer step.
    """

    name: str
    tasks: tuple[str, ...]
    steps: tuple[tuple[Batch, ...], ...]


def shares(sizes: Mapping[str, int], sampling: str, temperature: float = 1.0) -> dict[str, float]:
    """Each task's share of the steps; the sum is 1.

    Args:
        sizes: Number of examples by task.
        sampling: ``balanced``, ``proportional`` or ``temperature``.
        temperature: Of ``temperature``: 1 is proportional, infinity would be balanced.

    Returns:
        Fractions by task, in the order of ``sizes``.
    """
    power = {"balanced": 0.0, "proportional": 1.0}.get(sampling, 1.0 / temperature)
    weights = {task: float(size) ** power for task, size in sizes.items()}
    return {task: weight / sum(weights.values()) for task, weight in weights.items()}


def quotas(wanted: Mapping[str, float], steps: int) -> dict[str, int]:
    """Whole numbers of steps by the largest remainder, at least one for each task.

    Args:
        wanted: Shares with the sum 1.
        steps: Number of steps, at least one per task.

    Returns:
        Steps by task; the sum is ``steps``.
    """
    free = steps - len(wanted)
    whole = {task: 1 + int(share * free) for task, share in wanted.items()}
    by_remainder = sorted(wanted, key=lambda task: (int(wanted[task] * free) - wanted[task] * free, task))
    for task in by_remainder[: steps - sum(whole.values())]:
        whole[task] += 1
    return whole


def interleaved(counts: Mapping[str, int], seed: int) -> list[str]:
    """An order of tasks with the given counts, spread evenly, with some randomness.

    Args:
        counts: Number of steps of each task.
        seed: The same seed gives the same order.

    Returns:
        One task's name per step.
    """
    source = random.Random(f"{seed}:order")
    places = [
        ((number + source.random()) / count, task)
        for task, count in sorted(counts.items())
        for number in range(count)
    ]
    return [task for _, task in sorted(places)]


def batches(rows: int, size: int, count: int, seed: str) -> list[tuple[int, ...]]:
    """Batches of row numbers: passes over all rows, each in a new order; a pass's last batch may be short.

    Args:
        rows: Number of rows.
        size: Rows of a batch.
        count: Number of batches.
        seed: The same seed gives the same batches.

    Returns:
        Row numbers from 0, one tuple per batch.
    """
    source = random.Random(seed)
    found: list[tuple[int, ...]] = []
    while len(found) < count:
        order = list(range(rows))
        source.shuffle(order)
        found += [tuple(order[start : start + size]) for start in range(0, rows, size)]
    return found[:count]


def main_phases(config: MultitaskConfig, sizes: Mapping[str, int]) -> list[Phase]:
    """The configured training.

    Args:
        config: The configuration.
        sizes: Number of training rows by task, in the configuration's order.
    """
    mine = {task: _batches_of(config, sizes, task) for task in sizes}
    names = tuple(sizes)
    if config.mode != "joint":
        return [_alone(f"{config.mode}-{task}", task, mine[task]) for task in names]
    if config.gradients != "interleaved":
        steps = zip(*(mine[task] for task in names), strict=True)
        return [Phase("joint", names, tuple(tuple(map(Batch, names, step)) for step in steps))]
    queues = {task: iter(rows) for task, rows in mine.items()}
    order = interleaved({task: len(rows) for task, rows in mine.items()}, config.seed)
    return [Phase("joint", names, tuple((Batch(task, next(queues[task])),) for task in order))]


def single_phase(config: MultitaskConfig, sizes: Mapping[str, int], task: str) -> Phase:
    """The training of one task alone, on its batches of the main phases, in order.

    Args:
        config: The configuration.
        sizes: Number of training rows by task, in the configuration's order.
        task: The task that is trained alone.
    """
    return _alone(f"single-{task}", task, _batches_of(config, sizes, task))


def _batches_of(config: MultitaskConfig, sizes: Mapping[str, int], task: str) -> list[tuple[int, ...]]:
    count = config.max_steps
    if config.gradients == "interleaved":
        count = quotas(shares(sizes, config.sampling, config.temperature), config.max_steps)[task]
    return batches(sizes[task], config.batch_size, count, f"{config.seed}:{task}")


def _alone(name: str, task: str, rows: Sequence[tuple[int, ...]]) -> Phase:
    return Phase(name, (task,), tuple((Batch(task, batch),) for batch in rows))
