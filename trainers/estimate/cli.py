"""``tunegate estimate MODEL --method qlora``: the memory that training takes."""

from dataclasses import replace
from typing import Annotated, TypeVar

import typer

from harness.errors import SettingsError
from harness.presentation.console import open_console
from trainers.estimate.memory import (
    GIB,
    OBJECTIVES,
    OPTIMIZERS,
    WEIGHTS,
    Part,
    Setup,
    Weights,
    estimate,
    total_bytes,
)
from trainers.estimate.shape import shape_of_model, shape_of_size

METHODS = (*WEIGHTS, *(name for name in OBJECTIVES))
# One command as a group's own callback, whose options may follow the model.
app = typer.Typer(
    invoke_without_command=True,
    subcommand_metavar="",
    context_settings={"allow_interspersed_args": True},
)


OptionT = TypeVar("OptionT", bound=str)


def setup_of(method: str, quantization: str | None, chosen: Setup = Setup()) -> Setup:
    """The setup of a method's name: ``qlora``, ``lora`` and ``full`` are SFT; others are QLoRA.

    Args:
        method: One of METHODS.
        quantization: ``nf4`` or ``none``; None for the method's own.
        chosen: The rest of the setup.

    Raises:
        SettingsError: The method or the quantisation is unknown, or they don't fit together.
    """
    if method not in METHODS:
        raise SettingsError(f"--method: found {method!r} (allowed: {', '.join(METHODS)})")
    if quantization not in {None, "nf4", "none"}:
        raise SettingsError(f"--quantization: found {quantization!r} (allowed: nf4, none)")
    if method in WEIGHTS and quantization is not None and (method == "qlora") != (quantization == "nf4"):
        raise SettingsError(f"--quantization {quantization} does not fit --method {method}")
    objective = "sft" if method in WEIGHTS else method
    of_method: Weights = "lora" if quantization == "none" else "qlora"
    weights = next((name for name in WEIGHTS if name == method), of_method)
    return replace(chosen, weights=weights, objective=objective)


def _one_of(option: str, value: str, *allowed: OptionT) -> OptionT:
    for one in allowed:
        if one == value:
            return one
    raise SettingsError(f"{option}: found {value!r} (allowed: {', '.join(allowed)})")


@app.callback()
def run(
    model: Annotated[
        str | None, typer.Argument(help="Catalogue name, directory with config.json, or hub id.")
    ] = None,
    params: Annotated[
        str | None, typer.Option(help="A size such as 8B in place of a model: a well-known one's dimensions.")
    ] = None,
    method: Annotated[str, typer.Option(help=", ".join(METHODS))] = "qlora",
    quantization: Annotated[str | None, typer.Option(help="nf4 or none, for dpo and the like.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Examples of one forward pass on one device.")] = 8,
    length: Annotated[int, typer.Option(min=1, help="Tokens of an example, with its answer.")] = 512,
    r: Annotated[int, typer.Option("--r", min=1, help="LoRA rank.")] = 16,
    device: Annotated[str, typer.Option(help="cuda or cpu.")] = "cuda",
    dtype: Annotated[
        str | None, typer.Option(help="bfloat16 or float32 (default: bfloat16; float32 on a CPU).")
    ] = None,
    optimizer: Annotated[
        str | None, typer.Option(help=f"{', '.join(OPTIMIZERS)} (default: as the trainers on that device).")
    ] = None,
    checkpointing: Annotated[
        bool | None, typer.Option(help="Recompute activations (default: on cuda, as the trainers do).")
    ] = None,
    shards: Annotated[
        int, typer.Option(min=1, help="Devices that FSDP or ZeRO-3 divides weights and states among.")
    ] = 1,
) -> None:
    """Estimate the memory that training takes on one device, part by part."""
    if (model is None) == (params is None):
        raise SettingsError("give a model or --params, one of them")
    on_cpu = _one_of("--device", device, "cuda", "cpu") == "cpu"
    chosen = Setup(
        batch_size=batch_size,
        length=length,
        r=r,
        device="cpu" if on_cpu else "cuda",
        dtype=_one_of("--dtype", dtype or ("float32" if on_cpu else "bfloat16"), "bfloat16", "float32"),
        optimizer=_one_of(
            "--optimizer", optimizer or ("adamw-pure" if on_cpu else "adamw-8bit"), *OPTIMIZERS
        ),
        checkpointing=not on_cpu if checkpointing is None else checkpointing,
        shards=shards,
    )
    setup = setup_of(method, quantization, chosen)
    if params is not None:
        shape, like = shape_of_size(params)
        title = f"{params}, with the dimensions of {like}"
    else:
        shape, title = shape_of_model(str(model)), str(model)
        title += "" if shape.counts else " (transformers doesn't have its class: by its dimensions)"
    if setup.weights != "qlora" and shape.whole_problem is not None:
        raise SettingsError(f"--method {method}: {shape.whole_problem}")
    parts = estimate(shape, setup)
    how = f"{method}, {setup.dtype}, {setup.optimizer}, batches of {batch_size} × {length} tokens"
    _print(f"{title}: {shape.parameters / 1e9:.2f} billion parameters\n{how}, on one {device} device", parts)


def _print(title: str, parts: tuple[Part, ...]) -> None:
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="", box=None)
    table.add_column("")
    table.add_column("GiB", justify="right")
    table.add_column("how")
    for part in parts:
        table.add_row(part.name, f"{part.size_bytes / GIB:.2f}", part.formula)
    table.add_row("total", f"{total_bytes(parts) / GIB:.2f}", "", style="bold")
    console = open_console()
    console.print(table)
