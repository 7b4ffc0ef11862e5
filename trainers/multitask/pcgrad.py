"""Gradient surgery: if two tasks' gradients conflict, each loses its component against the other.

Yu et al. (2020), Gradient Surgery for Multi-Task Learning, arXiv:2001.06782, algorithm 1.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def project_conflicts(gradients: torch.Tensor, orders: Sequence[Sequence[int]]) -> torch.Tensor:
    """Project each task's gradient onto the normal plane of every other one with which it conflicts.

    Two gradients conflict if their inner product is below 0. Each projection uses the original gradients of
    the others, and the result of the earlier projections. The step is then along the sum of the rows.

    Args:
        gradients: One row per task: (tasks, parameters).
        orders: For each task the order of the others; its own number is ignored.

    Returns:
        The projected gradients, (tasks, parameters).
    """
    projected = gradients.clone()
    for task, order in enumerate(orders):
        for other in order:
            along = projected[task] @ gradients[other]
            if other != task and along < 0:
                projected[task] -= along / (gradients[other] @ gradients[other]) * gradients[other]
    return projected


def random_orders(tasks: int, seed: str) -> list[list[int]]:
    """For each task the others in random order, as the algorithm asks, so that no task always comes first.

    Args:
        tasks: Number of tasks.
        seed: The same seed gives the same orders.

    Returns:
        For each task the numbers of the others.
    """
    source = random.Random(seed)
    return [
        source.sample([other for other in range(tasks) if other != task], tasks - 1) for task in range(tasks)
    ]


def conflicts(gradients: torch.Tensor) -> list[tuple[int, int]]:
    """The pairs of tasks whose gradients conflict."""
    products = (gradients @ gradients.T).tolist()
    count = len(products)
    return [(one, two) for one in range(count) for two in range(one + 1, count) if products[one][two] < 0]
