"""A run of one of TRL's trainers, from its preparation to the result: prepare, make ready, train, write."""

import math
import shutil
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from harness.engines.adapter import changes_nothing, read_json
from harness.engines.weights import read_header
from harness.errors import ModelError, SettingsError, TunegateError
from harness.golden.load import load_golden_set
from harness.models.resolve import adapter_sha256, model_sha256
from harness.prompts.tokenizers import has_own_template
from harness.types.training import LOG_FILE, TrainingManifest
from trainers.config import TrainingConfig
from trainers.run.arguments import require_trackers, with_rate_of_adapter
from trainers.run.manifest import merged, write_manifest
from trainers.run.processes import is_main_process
from trainers.run.training_run import TrainingRun, prepared_run
from trainers.run.virtual_tokens import begin_as_text
from trainers.run.work_directory import disk_errors, put_in_place

# Below this share of weights in 4 bits the memory of a training is another than nf4 promises.
_MOSTLY = 0.5

TrainingConfigT = TypeVar("TrainingConfigT", bound=TrainingConfig)


@contextmanager
def method_run(
    method: str, config: TrainingConfigT, data_sha256: str, *, resume: bool
) -> Iterator[TrainingRun[TrainingConfigT]]:
    """Prepare the run of a method that trains a language model.

    Args:
        method: The trainer's name, such as ``sft``.
        config: The run's configuration.
        data_sha256: Hash of the data; a resumed run must have the same.
        resume: Continue from the last checkpoint.

    Raises:
        InputError: The base is unavailable, a golden set of ``early_stop`` is damaged, or there is nothing to
            resume.
    """
    for path in config.early_stop.golden:
        load_golden_set(path)  # a damaged set is reported now, not after a model has loaded
    require_trackers(config.report_to)
    config = with_rate_of_adapter(config)
    with prepared_run(method, config, data_sha256, dtype=config.dtype, resume=resume) as run, _blamed(run):
        yield run


# What a library raises that looks for something a model of this kind doesn't have.
_NOT_THERE = (AttributeError, KeyError, NotImplementedError, TypeError)
_LIBRARIES = frozenset({"trl", "peft", "transformers"})


@contextmanager
def _blamed(run: TrainingRun[TrainingConfig]) -> Iterator[None]:
    """What a library raises before the first step is about its own keys, if there are some, or the base.

    Raises:
        SettingsError: In place of such an exception.
        ModelError: The same, without such keys: a library looked for what the base doesn't have.
    """
    try:
        yield
    except TunegateError:
        raise
    except Exception as error:
        if run.watch.losses or not (run.config.trl or _looks_in_vain(error)):
            raise
        said = f"{type(error).__name__}: {' '.join(str(error).split())}"
        if run.config.trl:
            keys = ", ".join(run.config.trl)
            raise SettingsError(f"trl: with {keys}: {said}; see TRL's documentation") from error
        kind = read_json(run.base_dir / "config.json").get("model_type")
        raise ModelError(
            f"base: {run.base_dir}: the libraries can't train a model of the kind {kind} by {run.method}: "
            f"{said}; choose another base or method"
        ) from error


def _looks_in_vain(error: Exception) -> bool:
    """Whether a library's own code looked for something that isn't there."""
    frames = traceback.extract_tb(error.__traceback__)
    return isinstance(error, _NOT_THERE) and bool(_LIBRARIES & set(Path(frames[-1].filename).parts))


def make_ready(
    run: TrainingRun[TrainingConfig],
    trainer: Any,
    tokenizer: Any,
    data: str,
    log: Any = None,
    *,
    begun: bool = False,
) -> None:
    """Correct some settings of TRL, and print a summary of the training.

    Args:
        run: The run.
        trainer: TRL's trainer.
        tokenizer: The base's, with its own chat template.
        data: The number of rows and the files.
        log: The training's log, where it is not that of a single training from the first step.
        begun: The model has learnt already, such as in a round before: it keeps its weights.
    """
    import torch
    from transformers.trainer_callback import PrinterCallback

    from trainers.measure.training_log import TrainingLog

    # It prints every log as a dictionary; the watch shows the same.
    trainer.remove_callback(PrinterCallback)
    if run.config.peft.method in {"prefix", "prompt"} and not begun:
        try:
            begin_as_text(trainer.model, tokenizer, run.config.peft.init_text)
        except ValueError as error:
            # PEFT's keys have as many heads as there are queries; Falcon has one head of keys.
            problem = f"{' '.join(str(error).split())}; choose another kind for this base"
            raise SettingsError(f"peft.method: {run.config.peft.method}: {problem}") from error
    if run.dtype != torch.bfloat16:
        _train_in_float32(run, trainer.model, begun=begun)
    if run.config.early_stop.golden:
        from trainers.measure.early_stop import GoldenStop

        trainer.add_callback(GoldenStop(run, run.config.early_stop, tokenizer, trainer.log))
    trainer.add_callback(log or TrainingLog(run.work))
    _print_plan(run, trainer, data)


def _train_in_float32(run: TrainingRun[TrainingConfig], model: Any, *, begun: bool) -> None:
    """Store the trained weights in 32 bits.

    On a 4-bit base TRL stores them in bfloat16, even if everything else is float32: small updates would be
    lost by rounding, and a new head would not fit its inputs. Weights in float16 can't be trained at all: the
    scaled gradients need a larger range. The layers still compute in float16 there.
    """
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    if run.config.adapter is not None and not begun:
        # The starting weights were rounded before.
        from peft import load_peft_weights, set_peft_model_state_dict

        set_peft_model_state_dict(model, load_peft_weights(str(run.config.adapter), device="cpu"))


def _print_plan(run: TrainingRun[TrainingConfig], trainer: Any, data: str) -> None:
    from trainers.run.adapters import describe_trained
    from trainers.run.base_model import dtype_name

    config = run.config
    run.console.print(
        f"method    {run.method}\n"
        f"base      {config.base} ({config.quantization}, {dtype_name(run.dtype)} on {trainer.args.device})\n"
        f"data      {data}\n"
        f"trained   {describe_trained(trainer.model)}\n"
        f"output    {config.output}"
    )
    share = _quantised_share(trainer.model)
    if config.quantization == "nf4" and share < _MOSTLY:
        run.console.print(
            f"memory    only {share:.0%} of the base's weights are in 4 bits: bitsandbytes stores plain "
            f"linear layers so, and others, such as a mixture's experts, stay in {dtype_name(run.dtype)}"
        )


def _quantised_share(model: Any) -> float:
    """The share of the frozen weights, embeddings apart, that bitsandbytes stores in 4 bits."""
    small = [module for module in model.modules() if type(module).__name__ == "Linear4bit"]
    in_4_bits = sum(module.in_features * module.out_features for module in small)
    ends = {id(each.weight) for each in _embeddings(model) if hasattr(each, "weight")}
    whole = sum(
        parameter.numel()
        for parameter in model.parameters()
        if not parameter.requires_grad and parameter.is_floating_point() and id(parameter) not in ends
    )
    return float(in_4_bits / max(in_4_bits + whole, 1))


def _embeddings(model: Any) -> list[Any]:
    found = [model.get_input_embeddings()]
    if hasattr(model, "get_output_embeddings"):
        found.append(model.get_output_embeddings())
    return found


def fit(run: TrainingRun[TrainingConfig], trainer: Any) -> bool:
    """Train to the end, or to Ctrl-C.

    Args:
        run: The run.
        trainer: TRL's trainer, after make_ready.

    Returns:
        False if Ctrl-C stopped it; the last checkpoint is then that of the last step.

    Raises:
        SettingsError: The loss is not a number, or the disk is full; the last checkpoint stays.
    """
    with run.watch.stop_on_interrupt(), disk_errors(run.work):
        trainer.train(resume_from_checkpoint=str(run.checkpoint) if run.checkpoint else None)
    if run.watch.interrupted and trainer.state.global_step < trainer.state.max_steps:
        run.console.print(
            f"stopped at step {trainer.state.global_step}; {run.config.output} is unchanged; "
            f"continue with --resume"
        )
        return False
    diverged = next(
        (entry for entry in run.watch.losses if entry.loss is None or not math.isfinite(entry.loss)), None
    )
    if diverged is not None:
        raise SettingsError(
            f"learning_rate: the loss became {diverged.loss} at step {diverged.step}; "
            f"no adapter was written; lower the rate"
        )
    return True


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
    from trainers.run.adapters import save_trained

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
    if config.peft.method != "full" and _learnt_nothing(config.output / "adapter_model.safetensors"):
        run.console.print(
            "learnt    nothing: every lora_B is still zero, and the gate refuses such an adapter; "
            "were all rewards of each prompt equal, or is learning_rate too small?"
        )
    run.console.print(f"wrote     {config.output} in {run.elapsed_s:.0f} s")
    run.console.print(f"page      tunegate report {config.output}", soft_wrap=True)
    return 0


def _learnt_nothing(weights: Path) -> bool:
    return changes_nothing(weights, read_header(weights))


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
