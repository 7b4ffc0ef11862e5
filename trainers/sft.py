"""Supervised fine-tuning of a LoRA adapter, by default on a base model in 4 bits (QLoRA).

    python -m trainers.sft examples/orders/sft.yaml [--output DIR] [--resume]

Only the answers are learnt: tokens of the prompt carry no loss. The adapter directory is replaced whole when
training has finished; checkpoints and the log lie beside it in DIR.work.

Dettmers et al. (2023), QLoRA, arXiv:2305.14314; Hu et al. (2021), LoRA, arXiv:2106.09685.
"""

import argparse
import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from harness.errors import DataError, InputError, SettingsError
from harness.models.digest import adapter_sha256, model_sha256
from harness.models.resolve import resolve_model
from trainers.config import SftConfig, load_config
from trainers.data import Examples, load_examples
from trainers.manifest import write_manifest

_INTERRUPTED, _BAD_INPUT = 130, 4


def train(config: SftConfig, *, resume: bool = False) -> int:
    """Train as configured.

    Args:
        config: The run's configuration.
        resume: Go on from the last checkpoint.

    Returns:
        0, or 130 after Ctrl-C.

    Raises:
        InputError: Data, base model or settings can't be used.
    """
    examples = load_examples(config.data, config.max_rows)
    base_dir = resolve_model(config.base)
    work = config.output.with_name(config.output.name + ".work")
    checkpoint = _prepare_work(work, config, examples, resume=resume)

    import torch
    from datasets import Dataset
    from datasets.utils.logging import disable_progress_bar
    from peft import LoraConfig
    from rich.console import Console
    from transformers import AutoTokenizer, set_seed
    from trl import SFTTrainer

    from trainers.progress import Watch, output_in_log
    from trainers.quantised import compute_dtype, load_base

    console = Console(file=sys.stderr, highlight=False, soft_wrap=True)
    started = time.monotonic()
    set_seed(config.seed)
    disable_progress_bar()
    dtype = compute_dtype()
    watch = Watch(console)
    with output_in_log(work / "train.log"):
        tokenizer = AutoTokenizer.from_pretrained(base_dir, trust_remote_code=False)
        _check_lengths(examples, tokenizer, config.max_length)
        trainer = SFTTrainer(
            model=load_base(base_dir, config.quantization, dtype),
            args=_arguments(config, work, dtype),
            train_dataset=Dataset.from_list(examples.rows),
            processing_class=tokenizer,
            peft_config=LoraConfig(
                r=config.lora.r,
                lora_alpha=config.lora.alpha,
                lora_dropout=config.lora.dropout,
                target_modules=config.lora.target_modules,
                task_type="CAUSAL_LM",
            ),
            callbacks=[watch],
        )
        _silence(trainer)
        trainable, _ = trainer.model.get_nb_trainable_parameters()
        console.print(
            f"base      {config.base} ({config.quantization}, {_name(dtype)} on {trainer.args.device})\n"
            f"data      {len(examples.rows)} rows of {', '.join(map(str, config.data))}\n"
            f"adapter   LoRA r={config.lora.r}, {trainable / 1e6:.2f} million trainable parameters\n"
            f"output    {config.output}"
        )
        with watch.stop_on_interrupt():
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        if watch.interrupted and trainer.state.global_step < trainer.state.max_steps:
            console.print(
                f"stopped at step {trainer.state.global_step}; {config.output} is untouched; "
                f"go on with --resume"
            )
            return _INTERRUPTED
        _check_losses(watch.losses)
        _save(trainer, config, work / "adapter")
    write_manifest(
        work / "adapter",
        {
            "method": "sft",
            "base": config.base,
            "base_sha256": model_sha256(base_dir),
            "data": {
                "paths": [str(path) for path in config.data],
                "sha256": examples.sha256,
                "rows": len(examples.rows),
            },
            "config": config.model_dump(mode="json"),
            "seed": config.seed,
            "device": str(trainer.args.device),
            "compute_dtype": _name(dtype),
            "threads": torch.get_num_threads(),
            "steps": trainer.state.global_step,
            "duration_s": round(time.monotonic() - started, 1),
            "losses": watch.losses,
            "adapter_sha256": adapter_sha256(work / "adapter"),
        },
    )
    _replace(config.output, work / "adapter")
    console.print(f"wrote     {config.output} in {time.monotonic() - started:.0f} s")
    return 0


def _prepare_work(work: Path, config: SftConfig, examples: Examples, *, resume: bool) -> Path | None:
    """Make the work directory; the checkpoint to resume from, if that is wanted."""
    # What may differ between the start and its resumption: where the result goes and how often it is saved.
    identity = {
        **config.model_dump(mode="json", exclude={"output", "save_steps", "data"}),
        "data_sha256": examples.sha256,
    }
    note = work / "config.json"
    if resume:
        saved = [
            path for path in work.glob("checkpoints/checkpoint-*") if (path / "trainer_state.json").is_file()
        ]
        if not saved:
            raise SettingsError(f"--resume: no checkpoint in {work / 'checkpoints'}; start without --resume")
        before = json.loads(note.read_text(encoding="utf-8"))
        changed = sorted(key for key in identity if before.get(key) != identity[key])
        if changed:
            raise SettingsError(f"--resume: {', '.join(changed)} changed since the checkpoint; start afresh")
        return max(saved, key=lambda path: int(path.name.rpartition("-")[2]))
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    note.write_text(json.dumps(identity, indent=2), encoding="utf-8")
    return None


def _arguments(config: SftConfig, work: Path, dtype: Any) -> Any:
    """TRL's own configuration: ours first, then the user's ``trl:`` keys."""
    import torch
    from trl import SFTConfig as TrlConfig

    unknown = sorted(set(config.trl) - set(TrlConfig.__dataclass_fields__))
    if unknown:
        raise SettingsError(f"trl.{unknown[0]}: no key of TRL's SFTConfig; see its documentation")
    cuda = torch.cuda.is_available()
    chosen: dict[str, Any] = {
        "output_dir": str(work / "checkpoints"),
        "learning_rate": config.learning_rate,
        "max_steps": config.max_steps or -1,
        "num_train_epochs": config.epochs,
        "per_device_train_batch_size": config.batch_size,
        "gradient_accumulation_steps": config.gradient_accumulation,
        "warmup_steps": config.warmup_steps,
        "lr_scheduler_type": "linear",
        "max_length": config.max_length,
        "completion_only_loss": True,
        "packing": False,
        "optim": "paged_adamw_8bit" if cuda else "adamw_torch",
        "use_cpu": not cuda,
        "bf16": dtype == torch.bfloat16,
        "fp16": dtype == torch.float16,
        # Recomputing activations saves memory that a small batch doesn't need, for a third more time.
        "gradient_checkpointing": cuda,
        "logging_steps": 1,
        # By default a loss that is not a number is left out of the log: here it must be seen.
        "logging_nan_inf_filter": False,
        "save_steps": config.save_steps,
        "seed": config.seed,
        "data_seed": config.seed,
        "report_to": "none",
        "disable_tqdm": True,
        "dataloader_pin_memory": cuda,
        "dataset_num_proc": None,
    }
    try:
        return TrlConfig(**{**chosen, **config.trl})
    except (TypeError, ValueError) as error:
        raise SettingsError(f"trl: {error}") from error


def _check_lengths(examples: Examples, tokenizer: Any, max_length: int) -> None:
    """Refuse examples that would be cut: a cut answer teaches to stop in the middle."""
    if tokenizer.chat_template is None:
        raise SettingsError("base: the tokenizer has no chat template; train a base that has one")
    for (path, line), row in zip(examples.places, examples.rows, strict=True):
        text = tokenizer.apply_chat_template(row["prompt"] + row["completion"], tokenize=False)
        tokens = len(tokenizer(text, add_special_tokens=False)["input_ids"])
        if tokens > max_length:
            problem = f"{tokens} tokens (allowed: max_length {max_length}); raise it or shorten the row"
            raise DataError(path, line, problem)


def _check_losses(losses: list[dict[str, float]]) -> None:
    broken = next((entry for entry in losses if not entry["loss"] < float("inf")), None)
    if broken is not None:
        raise SettingsError(
            f"learning_rate: the loss became {broken['loss']} at step {broken['step']}; "
            f"no adapter was written; lower the rate"
        )


def _name(dtype: Any) -> str:
    return str(dtype).removeprefix("torch.")


def _silence(trainer: Any) -> None:
    """Take out the callback that prints every log as a dictionary; Watch shows the same."""
    from transformers.trainer_callback import PrinterCallback

    trainer.remove_callback(PrinterCallback)


def _save(trainer: Any, config: SftConfig, directory: Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    # The reference as the user gave it, so that the adapter works wherever that base can be had.
    trainer.model.peft_config["default"].base_model_name_or_path = config.base
    trainer.model.save_pretrained(str(directory))
    (directory / "README.md").unlink(missing_ok=True)


def _replace(target: Path, made: Path) -> None:
    """Put a finished directory into place; the old one stays whole until the new one is."""
    target.parent.mkdir(parents=True, exist_ok=True)
    old = target.with_name(target.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    made.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def main(arguments: list[str] | None = None) -> int:
    """Command line; bad input is one line and exit status 4."""
    parser = argparse.ArgumentParser(prog="python -m trainers.sft", description=__doc__.splitlines()[0])
    parser.add_argument("config", type=Path, help="YAML configuration")
    parser.add_argument(
        "--output", type=Path, default=None, help="adapter directory, in place of the config's"
    )
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    chosen = parser.parse_args(arguments)
    try:
        config = load_config(chosen.config, SftConfig, {"output": chosen.output})
        return train(config, resume=chosen.resume)
    except InputError as error:
        print(f"tunegate: {error}", file=sys.stderr)
        return _BAD_INPUT


if __name__ == "__main__":
    sys.exit(main())
