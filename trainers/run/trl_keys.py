"""Which keys of TRL a configuration may give under ``trl:``, and their values."""

from typing import Any, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from harness.engines.adapter import read_json
from harness.errors import SettingsError
from trainers.config import TrainingConfig
from tunegate.printable import shown_value

# Keys of TRL that are set by our keys of other names; those of the same name are known by it.
_OUR_KEYS = {
    "bf16": "dtype",
    "center_rewards_coefficient": "center_rewards",
    "fp16": "dtype",
    "gradient_accumulation_steps": "gradient_accumulation",
    "num_train_epochs": "epochs",
    "output_dir": "output",
    "per_device_train_batch_size": "batch_size",
    "use_vllm": "generation",
    "vllm_gpu_memory_utilization": "vllm",
    "vllm_max_model_length": "max_length",
    "vllm_mode": "vllm",
    "vllm_server_base_url": "vllm",
}
# Keys of TRL for which there is none of ours, and no other value than ours would do.
_ROWS = "rows are rendered, checked and cut by length before TRL gets them; leave it out"
_EVERY_STEP = "the loss of each step is recorded; leave it out"
_SET_HERE = {
    "assistant_only_loss": "the rows say what is learnt; leave it out",
    "chat_template_kwargs": "TRL gets rendered rows; give it next to base",
    "chat_template_path": "TRL gets rendered rows; give chat_template next to base",
    "completion_only_loss": "the rows say what is learnt; leave it out",
    "data_seed": "set by seed, next to base; give it there",
    "dataset_kwargs": _ROWS,
    "dataset_text_field": _ROWS,
    "do_eval": "nothing reads it; leave it out",
    "do_predict": "nothing reads it; leave it out",
    "do_train": "nothing reads it; leave it out",
    "disable_tqdm": "progress is shown by a bar of its own; leave it out",
    "hub_token": "a secret, which the result would show; set HF_TOKEN in the environment",
    "eos_token": "an answer's end is the chat template's; give chat_template next to base",
    "logging_nan_inf_filter": "a loss that is no number must end the training; leave it out",
    "logging_steps": _EVERY_STEP,
    "logging_strategy": _EVERY_STEP,
    "model_init_kwargs": "the base is loaded before TRL gets it; leave it out",
    "packing": "sft has the key packing next to base, and continual packs where it can; leave it out",
    "packing_strategy": "rows are packed whole, and documents for themselves; leave it out",
    "pad_token": "the tokenizer's, or its end token; leave it out",
    "resume_from_checkpoint": "continue with --resume; leave it out",
    "save_only_model": "a checkpoint without the optimizer can't be continued from; leave it out",
    "save_strategy": "set by save_steps, next to base; give it there",
    "save_total_limit": "bisect and early_stop may need any checkpoint; leave it out, or raise save_steps",
    "truncation_mode": _ROWS,
}
# Keys whose numbers TRL and its optimizers don't check.
_NOT_NEGATIVE = frozenset({"max_grad_norm", "weight_decay"})


def recomputes(config: TrainingConfig) -> bool:
    """Whether activations may be recomputed: a prefix is a cache of keys and values, which that forbids."""
    if config.adapter is None:
        return config.peft.method != "prefix"
    return read_json(config.adapter / "adapter_config.json").get("peft_type") not in {
        "CARTRIDGE",
        "PREFIX_TUNING",
    }


def check_keys(config: TrainingConfig, kind: Any) -> None:
    """Refuse keys that TRL doesn't have, and those for which there is a key of ours.

    Args:
        config: The keys are under its ``trl``.
        kind: TRL's class, such as ``trl.SFTConfig``.

    Raises:
        SettingsError: With the first such key.
    """
    ours = type(config).model_fields
    for key in sorted(config.trl):
        name = _OUR_KEYS.get(key, key)
        if name in ours and key in kind.__dataclass_fields__:
            raise SettingsError(f"trl.{key}: set by {name}, next to base; give it there")
        if key in _SET_HERE:
            raise SettingsError(f"trl.{key}: {_SET_HERE[key]}")
        if key not in kind.__dataclass_fields__:
            raise SettingsError(f"trl.{key}: not a key of TRL's {kind.__name__}; see its documentation")
        _check_type(key, config.trl[key], kind)
    # The library's two names for it.
    for key in ("gradient_checkpointing", "activation_checkpointing"):
        if config.trl.get(key) and not recomputes(config):
            raise SettingsError(f"trl.{key}: a prefix can't be trained with it; leave it out")
    if config.trl.get("load_best_model_at_end") and config.early_stop.golden:
        raise SettingsError(
            "trl.load_best_model_at_end: early_stop.golden chooses the checkpoint that is kept; leave one out"
        )


def _check_type(key: str, value: Any, kind: Any) -> None:
    """Refuse a value of another type than TRL's key has: some are only read in the middle of a training.

    Raises:
        SettingsError: With the type that is allowed.
    """
    allowed = get_type_hints(kind)[key]
    # Classes take older spellings of some: scale_rewards: false, and one loss_type in place of a list.
    older = (allowed is str and isinstance(value, bool)) or (allowed == list[str] and isinstance(value, str))
    check: TypeAdapter[Any] = TypeAdapter(allowed, config=ConfigDict(arbitrary_types_allowed=True))
    try:
        check.validate_python(value, strict=True)
    except ValidationError:
        if not older:
            name = allowed.__name__ if isinstance(allowed, type) else allowed
            raise SettingsError(f"trl.{key}: found {shown_value(value)} (allowed by TRL: {name})") from None
    # Some are read only as one of several words, without a check: another one would do nothing.
    choices = kind.__dataclass_fields__[key].metadata.get("choices")
    if choices and isinstance(value, str) and value not in choices:
        raise SettingsError(
            f"trl.{key}: found {shown_value(value)} (allowed by TRL: {', '.join(map(str, choices))})"
        )
    if key in _NOT_NEGATIVE and value is not None and value < 0:
        raise SettingsError(f"trl.{key}: found {shown_value(value)} (allowed: 0 or more)")
