"""The steps that all methods share around TRL's trainer: make it ready, train, write the result."""

import shutil
import time
from collections.abc import Mapping
from typing import Any

from harness.errors import SettingsError
from harness.models.digest import adapter_sha256, model_sha256
from trainers.run.manifest import write_manifest
from trainers.run.training_run import (
    TrainingRun,
    disk_errors,
    dtype_name,
    is_main_process,
    put_in_place,
    started_from,
)


def make_ready(run: TrainingRun, trainer: Any, data: str) -> None:
    """Mend what TRL set up otherwise than we want it, and say what is about to be trained.

    Args:
        run: The run.
        trainer: TRL's trainer.
        data: How many rows of which files.
    """
    import torch
    from transformers.trainer_callback import PrinterCallback

    from trainers.run.adapters import describe_trained

    # Prints every log as a dictionary; the watch shows the same.
    trainer.remove_callback(PrinterCallback)
    if run.dtype == torch.float32:
        # On a 4-bit base TRL holds what is trained in bfloat16, even where everything else is float32: small
        # updates would be rounded away, and a new head would not fit its inputs.
        for parameter in trainer.model.parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.float()
        if run.config.adapter is not None:
            # What training starts from was rounded on the way.
            from peft import load_peft_weights, set_peft_model_state_dict

            set_peft_model_state_dict(trainer.model, load_peft_weights(str(run.config.adapter), device="cpu"))
    config = run.config
    if config.early_stop.golden:
        from trainers.measure.early_stop import GoldenStop

        trainer.add_callback(GoldenStop(run, config.early_stop, trainer.processing_class))
    run.console.print(
        f"method    {run.method}\n"
        f"base      {config.base} ({config.quantization}, {dtype_name(run.dtype)} on {trainer.args.device})\n"
        f"data      {data}\n"
        f"trained   {describe_trained(trainer.model, config.peft)}\n"
        f"output    {config.output}"
    )


def fit(run: TrainingRun, trainer: Any) -> bool:
    """Train to the end, or to Ctrl-C.

    Returns:
        False when Ctrl-C stopped it; the last checkpoint is then the step it stopped at.

    Raises:
        SettingsError: The loss is no number, or the disk is full; the last checkpoint stays.
    """
    with run.watch.stop_on_interrupt(), disk_errors(run):
        trainer.train(resume_from_checkpoint=str(run.checkpoint) if run.checkpoint else None)
    if run.watch.interrupted and trainer.state.global_step < trainer.state.max_steps:
        run.console.print(
            f"stopped at step {trainer.state.global_step}; {run.config.output} is untouched; "
            f"go on with --resume"
        )
        return False
    broken = next((entry for entry in run.watch.losses if not abs(entry["loss"]) < float("inf")), None)
    if broken is not None:
        raise SettingsError(
            f"learning_rate: the loss became {broken['loss']} at step {broken['step']}; "
            f"no adapter was written; lower the rate"
        )
    return True


def finish(run: TrainingRun, trainer: Any, facts: Mapping[str, Any]) -> int:
    """Write adapter and manifest beside the output, then put both into its place.

    Args:
        run: The run.
        trainer: TRL's trainer, finished.
        facts: What the method adds to the manifest; ``data`` is a must.

    Returns:
        Exit status 0.
    """
    if not is_main_process():
        return 0
    import torch

    from trainers.measure.early_stop import GoldenStop, keep_best
    from trainers.run.adapters import save_trained

    for callback in trainer.callback_handler.callbacks:
        if isinstance(callback, GoldenStop):
            facts = {**facts, "early_stop": keep_best(run, callback, trainer)}
    config, made = run.config, run.work / "adapter"
    shutil.rmtree(made, ignore_errors=True)
    model = trainer.accelerator.unwrap_model(trainer.model)
    with disk_errors(run):
        save_trained(model, trainer.processing_class, config.base, made)
        write_manifest(
            made,
            {
                "method": run.method,
                "base": config.base,
                "base_sha256": model_sha256(run.base_dir),
                "config": config.model_dump(mode="json"),
                "seed": config.seed,
                "device": str(trainer.args.device),
                "compute_dtype": dtype_name(run.dtype),
                "threads": torch.get_num_threads(),
                "processes": trainer.args.world_size,
                "steps": trainer.state.global_step,
                "duration_s": round(time.monotonic() - run.started_s, 1),
                "losses": run.watch.losses,
                "started_from": started_from(config),
                "adapter_sha256": model_sha256(made)
                if config.peft.method == "full"
                else adapter_sha256(made),
                **facts,
            },
        )
        put_in_place(config.output, made)
    run.console.print(f"wrote     {config.output} in {time.monotonic() - run.started_s:.0f} s")
    return 0
