"""What a finished training writes: weights, manifest, report and trackers' last figures."""

import shutil
import sys
from typing import Any

from harness.engines.adapter import changes_nothing
from harness.engines.weights import read_header
from harness.models.resolve import adapter_sha256, model_sha256
from harness.prompts.tokenizers import has_own_template
from harness.types.training import LOG_FILE, TrainingManifest
from trainers.config import TrainingConfig
from trainers.run.manifest import merged, write_manifest
from trainers.run.processes import is_main_process
from trainers.run.training_run import TrainingRun
from trainers.run.work_directory import disk_errors, put_in_place


def finish(run: TrainingRun[TrainingConfig], trainer: Any, noted: TrainingManifest) -> int:
    """Write adapter and manifest next to the output, then move both to it.

    Args:
        run: The run.
        trainer: TRL's trainer, finished.
        noted: The method's part of the manifest; ``data`` is required.

    Returns:
        Exit status 0.
    """
    if not is_main_process():
        return 0
    from trainers.measure.early_stop import GoldenStop, keep_best
    from trainers.run.trained_weights import save_trained

    for callback in trainer.callback_handler.callbacks:
        if isinstance(callback, GoldenStop):
            noted = merged(noted, TrainingManifest(early_stop=keep_best(run, callback, trainer)))
    config, made = run.config, run.work / "adapter"
    shutil.rmtree(made, ignore_errors=True)
    model = trainer.accelerator.unwrap_model(trainer.model)
    with disk_errors(run.work):
        save_trained(model, trainer.processing_class, config.base, made)
        own = config.adapter is not None and has_own_template(config.adapter)
        if own or config.chat_template is not None:
            # An adapter must be asked with the template that it was trained with.
            trainer.processing_class.save_pretrained(str(made))
        content = model_sha256(made) if config.peft.method == "full" else adapter_sha256(made)
        write_manifest(made, merged(_manifest(run, trainer, content), noted))
        if (run.work / LOG_FILE).is_file():
            # Not the samples: an adapter is passed on, and they are of the data.
            shutil.copy2(run.work / LOG_FILE, made / LOG_FILE)
        put_in_place(config.output, made)
    weights = config.output / "adapter_model.safetensors"
    if config.peft.method != "full" and changes_nothing(weights, read_header(weights)):
        run.console.print(
            "learnt    nothing: every lora_B is still zero, and the gate refuses such an adapter; "
            "were all rewards of each prompt equal, or is learning_rate too small?"
        )
    run.console.print(f"wrote     {config.output} in {run.elapsed_s:.0f} s")
    run.console.print(f"page      tunegate report {config.output}", soft_wrap=True)
    return 0


def _manifest(run: TrainingRun[TrainingConfig], trainer: Any, content_sha256: str) -> TrainingManifest:
    """The manifest's notes for all methods."""
    import torch

    from trainers.run.adapters import starting_adapter
    from trainers.run.base_model import dtype_name

    return TrainingManifest(
        method=run.method,
        base=run.config.base,
        base_sha256=model_sha256(run.base_dir),
        config=run.config.model_dump(mode="json"),
        seed=run.config.seed,
        device=str(trainer.args.device),
        compute_dtype=dtype_name(run.dtype),
        threads=torch.get_num_threads(),
        processes=trainer.args.world_size,
        steps=trainer.state.global_step,
        duration_s=round(run.elapsed_s, 1),
        losses=tuple(run.watch.losses),
        started_from=starting_adapter(run.config),
        adapter_sha256=content_sha256,
        tracking=_tracked(trainer),
    )


def _tracked(trainer: Any) -> dict[str, str]:
    """Ids of this run in the trackers that ``trl: {report_to: ...}`` names: gates are filed below it."""
    # The trainer imported what it reports to.
    mlflow, wandb = sys.modules.get("mlflow"), sys.modules.get("wandb")
    found = {}
    if "mlflow" in trainer.args.report_to and mlflow is not None:
        run = mlflow.active_run() or mlflow.last_active_run()
        found["mlflow"] = None if run is None else run.info.run_id
    if "wandb" in trainer.args.report_to and wandb is not None:
        found["wandb"] = getattr(wandb.run, "id", None)
    return {name: str(each) for name, each in found.items() if each is not None}
