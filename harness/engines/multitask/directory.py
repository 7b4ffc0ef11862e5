"""A multi-task model's directory, checked by its files; nothing is loaded.

multitask.json          base, tokenizer and encoder by content, and the tasks
heads.safetensors       a linear layer for each task: TASK.weight, TASK.bias
encoder/                the whole encoder, where all its weights were trained
adapters/NAME/          a LoRA adapter on the base's encoder, else: one for all tasks, or one for each
"""

import hashlib
import json
from pathlib import Path

from pydantic import ValidationError

from harness.engines.adapter import MULTITASK_CONFIG, read_json, read_training
from harness.engines.multitask.description import MultitaskConfig, MultitaskModel
from harness.engines.weights import SafetensorsError, read_header
from harness.errors import AdapterError, ModelError
from harness.models.resolve import adapter_sha256, model_sha256, resolve_model, tokenizer_sha256

HEADS, ENCODER, ADAPTERS = "heads.safetensors", "encoder", "adapters"


def read_multitask(directory: Path) -> MultitaskModel:
    """Check a directory.

    Raises:
        AdapterError: A file is missing or damaged, or the base is not the one of training.
        ModelError: The base is unavailable.
    """
    path = directory / MULTITASK_CONFIG
    content = read_json(path)
    try:
        config = MultitaskConfig.model_validate(content)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        key = ".".join(map(str, problem["loc"]))
        raise AdapterError(f"{path}: {key}: {problem['msg']}; copy or train the model again") from error
    for task in config.tasks:
        if (task.adapter is None) != (config.encoder == "full"):
            raise AdapterError(
                f"{path}: {task.name}: an adapter goes with encoder lora only; train the model again"
            )
    _check_heads(directory / HEADS, config)
    parts = _parts(directory, config)
    try:
        base_dir = resolve_model(config.base, recorded=True)
    except ModelError as error:
        raise ModelError(f"{directory}: its base model {config.base!r}: {error}") from error
    _check_base(directory, config, base_dir)
    computing = {key: value for key, value in content.items() if key != "base"}
    digest = hashlib.sha256(json.dumps([computing, parts], sort_keys=True).encode())
    return MultitaskModel(
        directory=directory,
        base_dir=base_dir,
        config=config,
        sha256=digest.hexdigest(),
        training=read_training(directory),
    )


def _check_heads(path: Path, config: MultitaskConfig) -> None:
    try:
        shapes = {name: tensor.shape for name, tensor in read_header(path).items()}
    except (SafetensorsError, OSError) as error:
        raise AdapterError(f"{path}: {error}; copy or train the model again") from error
    for task in config.tasks:
        rows = shapes.get(f"{task.name}.weight", (0,))[0]
        if rows != len(task.labels) or shapes.get(f"{task.name}.bias") != (rows,):
            raise AdapterError(
                f"{path}: the head of {task.name} has {rows} outputs, "
                f"{MULTITASK_CONFIG} names {len(task.labels)}; copy or train the model again"
            )


def _parts(directory: Path, config: MultitaskConfig) -> dict[str, str]:
    """Hash of each part that determines answers."""
    parts = {HEADS: hashlib.sha256((directory / HEADS).read_bytes()).hexdigest()}
    if config.encoder == "full":
        if not (directory / ENCODER / "model.safetensors").is_file():
            raise AdapterError(f"{directory / ENCODER}: no model.safetensors; did training finish?")
        return {**parts, ENCODER: model_sha256(directory / ENCODER)}
    for name in sorted({str(task.adapter) for task in config.tasks}):
        adapter = directory / ADAPTERS / name
        if not (adapter / "adapter_model.safetensors").is_file():
            raise AdapterError(f"{adapter}: no adapter_model.safetensors; did training finish?")
        parts[f"{ADAPTERS}/{name}"] = adapter_sha256(adapter)
    return parts


def _check_base(directory: Path, config: MultitaskConfig, base_dir: Path) -> None:
    """The tokenizer must be that of training, and so must the encoder under adapters."""
    wanted = [("tokenizer", config.tokenizer_sha256, tokenizer_sha256(base_dir))]
    if config.encoder == "lora":
        wanted.append(("base", config.base_sha256, model_sha256(base_dir)))
    for name, trained_on, found in wanted:
        if trained_on != found:
            raise AdapterError(
                f"{directory}: trained with another {name}: {MULTITASK_CONFIG} names {trained_on[:12]}, "
                f"{base_dir} is {found[:12]}; get the model that it was trained on"
            )
