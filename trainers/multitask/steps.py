"""The training loop of one phase: steps, checkpoints, a clean stop."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.engines.multitask.network import Network
from harness.errors import SettingsError
from harness.types.storage import write_whole
from trainers.multitask.config import MultitaskConfig
from trainers.multitask.data import TaskData
from trainers.multitask.features import task_loss
from trainers.multitask.network import encoder_parameters, trained_weights
from trainers.multitask.pcgrad import conflicts, project_conflicts, random_orders
from trainers.multitask.sampling import Batch, Phase
from trainers.run.checkpoint import STATE_FILE, read_state, whole_checkpoint
from trainers.run.training_run import TrainingRun

if TYPE_CHECKING:
    import torch

_WEIGHTS, _OPTIMIZER = "weights.safetensors", "optimizer.pt"


class InterruptedTraining(Exception):  # noqa: N818 # it is no error: Ctrl-C was pressed and all is saved
    """Training stopped after the step in which Ctrl-C was pressed."""


@dataclass(slots=True)
class Progress:
    """The progress of all phases together; it changes during training.

    Attributes:
        total: Steps of all phases.
        done: Finished steps, including those before a resume.
        losses: Step, task and unweighted loss (nats) of each step of the phase.
        conflicting: By two tasks' names, the number of steps of the phase in which their gradients
            conflicted.
    """

    total: int
    done: int = 0
    losses: list[dict[str, Any]] = field(default_factory=list)
    conflicting: dict[str, int] = field(default_factory=dict)


def run_phase(
    run: TrainingRun[MultitaskConfig],
    network: Network,
    phase: Phase,
    tasks: Mapping[str, TaskData],
    progress: Progress,
    checkpoint: Path | None,
) -> None:
    """Train a network through one phase.

    Args:
        run: The run.
        network: Trained in place.
        phase: The batches.
        tasks: The data behind them.
        progress: Updated as the phase goes on.
        checkpoint: The checkpoint to continue from, if it is of this phase.

    Raises:
        InterruptedTraining: Ctrl-C was pressed; a checkpoint was written.
        SettingsError: A loss is not a number.
    """
    import torch

    config = run.config
    shared = encoder_parameters(network, network.tasks[phase.tasks[0]])
    optimizer = _optimizer(network, phase, config, shared)
    progress.losses, progress.conflicting, start = [], {}, 0
    if checkpoint is not None:
        start = _load(checkpoint, network, optimizer, progress)
    network.encoder.train()
    for step in range(start, len(phase.steps)):
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * rate_factor(step, len(phase.steps), config.warmup_steps)
        # Dropout then depends only on the step, so that a resumed run continues as if it had not stopped.
        torch.manual_seed(_number(f"{config.seed}:{' '.join(phase.tasks)}:{step}"))
        optimizer.zero_grad(set_to_none=True)
        losses = _backward(network, phase.steps[step], tasks, config, shared, step, progress)
        for task, loss in losses.items():
            progress.losses.append({"step": step + 1, "task": task, "loss": loss})
            if not math.isfinite(loss):
                raise SettingsError(
                    f"learning_rate: the loss of {task} became {loss} at step {step + 1} of {phase.name}; "
                    f"no model was written; lower the rate"
                )
        torch.nn.utils.clip_grad_norm_(
            [parameter for group in optimizer.param_groups for parameter in group["params"]],
            config.max_grad_norm,
        )
        optimizer.step()
        progress.done += 1
        loss = sum(losses.values()) / len(losses)
        run.watch.show(step=progress.done, total=progress.total, loss=loss)
        if run.watch.interrupted or (step + 1) % config.save_steps == 0:
            _save(run.work, phase, step + 1, network, optimizer, progress)
        if run.watch.interrupted:
            raise InterruptedTraining(f"{phase.name}, step {step + 1} of {len(phase.steps)}")
    network.encoder.eval()


def rate_factor(step: int, steps: int, warmup: int) -> float:
    """The learning rate as a part of its peak: it rises during the warm-up, then falls towards 0.

    Args:
        step: The step, from 0.
        steps: Number of steps of the phase.
        warmup: Steps of the rise.
    """
    if step < warmup:
        return (step + 1) / (warmup + 1)
    return (steps - step) / max(steps - warmup, 1)


def _optimizer(
    network: Network, phase: Phase, config: MultitaskConfig, shared: Sequence[torch.nn.Parameter]
) -> torch.optim.AdamW:
    import torch

    rates = {settings.name: settings.head_learning_rate for settings in config.tasks}
    groups: list[dict[str, Any]] = [{"params": list(shared), "peak": config.learning_rate}]
    groups += [
        {"params": list(network.heads[task].parameters()), "peak": rates[task]} for task in phase.tasks
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate, weight_decay=config.weight_decay)


def _backward(
    network: Network,
    step: Sequence[Batch],
    tasks: Mapping[str, TaskData],
    config: MultitaskConfig,
    shared: Sequence[torch.nn.Parameter],
    number: int,
    progress: Progress,
) -> dict[str, float]:
    """Give every parameter its gradient; the losses by task, unweighted."""
    import torch

    losses, gradients = {}, []
    for batch in step:
        data = tasks[batch.task]
        loss = task_loss(network, data.task, [data.train.rows[row] for row in batch.rows])
        losses[batch.task] = float(loss.detach())
        weighted = data.settings.weight * loss
        if config.gradients != "pcgrad":
            # Gradients of several tasks are summed.
            weighted.backward()  # type: ignore[no-untyped-call] # torch gives it no types
            continue
        head = list(network.heads[batch.task].parameters())
        found = torch.autograd.grad(weighted, [*shared, *head], allow_unused=True)
        for parameter, gradient in zip(head, found[len(shared) :], strict=True):
            parameter.grad = gradient
        gradients.append(found[: len(shared)])
    if gradients:
        _surgery(shared, gradients, [batch.task for batch in step], f"{config.seed}:{number}", progress)
    return losses


def _surgery(
    shared: Sequence[torch.nn.Parameter],
    gradients: Sequence[Sequence[torch.Tensor | None]],
    names: Sequence[str],
    seed: str,
    progress: Progress,
) -> None:
    """Give the shared parameters the sum of the tasks' gradients after PCGrad."""
    import torch

    # A part of the encoder that no task uses, such as BERT's pooler, has no gradient.
    used = [place for place in range(len(shared)) if any(row[place] is not None for row in gradients)]
    rows = [
        torch.cat([_flat(row[place], shared[place]) for place in used])  # (parameters,)
        for row in gradients
    ]
    stacked = torch.stack(rows)  # (tasks, parameters)
    for one, two in conflicts(stacked):
        pair = f"{names[one]} and {names[two]}"
        progress.conflicting[pair] = progress.conflicting.get(pair, 0) + 1
    total = project_conflicts(stacked, random_orders(len(names), seed)).sum(dim=0)
    sizes = [shared[place].numel() for place in used]
    pieces = total.split(sizes)  # type: ignore[no-untyped-call] # torch gives it no types
    for place, piece in zip(used, pieces, strict=True):
        shared[place].grad = piece.view_as(shared[place]).clone()


def _flat(gradient: torch.Tensor | None, parameter: torch.Tensor) -> torch.Tensor:
    """A gradient as a row, with zeros for parameters without a gradient."""
    import torch

    return (torch.zeros_like(parameter) if gradient is None else gradient).flatten()


def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6])


def _save(
    work: Path,
    phase: Phase,
    step: int,
    network: Network,
    optimizer: torch.optim.Optimizer,
    progress: Progress,
) -> None:
    """Write a checkpoint; the previous one is deleted when this one is complete."""
    import torch
    from safetensors.torch import save_file

    directory = work / "checkpoints" / f"checkpoint-{progress.done}"
    older = [path for path in work.glob("checkpoints/checkpoint-*") if path != directory]
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    weights = {name: tensor.contiguous() for name, tensor in trained_weights(network).items()}
    save_file(weights, directory / _WEIGHTS)
    torch.save(optimizer.state_dict(), directory / _OPTIMIZER)
    state = {
        "phase": phase.name,
        "step": step,
        "done": progress.done,
        "losses": progress.losses,
        "conflicting": progress.conflicting,
    }
    write_whole(directory / STATE_FILE, json.dumps(state))
    for path in older:
        shutil.rmtree(path, ignore_errors=True)


def phase_of(checkpoint: Path) -> str:
    """Name of a checkpoint's phase."""
    state = read_state(checkpoint)
    with whole_checkpoint(checkpoint):
        return str(state["phase"])


def _load(checkpoint: Path, network: Network, optimizer: torch.optim.Optimizer, progress: Progress) -> int:
    """Load a checkpoint's state; returns its number of steps."""
    import torch
    from safetensors.torch import load_file

    state = read_state(checkpoint)
    with whole_checkpoint(checkpoint):
        kept = load_file(checkpoint / _WEIGHTS)
        for name, tensor in trained_weights(network).items():
            tensor.copy_(kept[name])
        optimizer.load_state_dict(torch.load(checkpoint / _OPTIMIZER, weights_only=True))
        progress.losses, progress.conflicting = state["losses"], state["conflicting"]
        progress.done = state["done"]
        return int(state["step"])
