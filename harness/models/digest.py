"""Identifying models and adapters by content."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from harness.errors import AdapterError
from harness.types.json_reading import parse_json

# Files that determine a model's answers: weights, configuration, tokenizer, chat template; not a README.
_MODEL_PATTERNS = (
    "*.safetensors",
    "*.safetensors.index.json",
    "config.json",
    "generation_config.json",
    "tokenizer*.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.*",
    "merges.txt",
    "*.model",
    "*.tiktoken",
    "chat_template*",
    "additional_chat_templates/*",
    "modules.json",
)
_TOKENIZER_PATTERNS = (
    *("tokenizer*.json", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.*", "merges.txt", "*.model", "*.tiktoken"),
)
# Keys of adapter_config.json about where an adapter was made, not about what it computes.
_PLACE_KEYS = ("base_model_name_or_path", "revision", "inference_mode", "auto_mapping")
# PEFT stores these as sets and writes them in an order that differs from process to process.
_SET_KEYS = ("target_modules", "modules_to_save", "exclude_modules")


def model_sha256(directory: Path) -> str:
    """Hash of a model directory's content: names and bytes of the files that determine its answers."""
    return _hash_files(directory)


def tokenizer_sha256(directory: Path) -> str:
    """Hash of the files of a model directory that determine its tokens."""
    return _hash_files(directory, _TOKENIZER_PATTERNS)


def adapter_sha256(directory: Path) -> str:
    """Hash of an adapter: weights, configuration, and its own tokenizer if training saved one.

    Two copies of one adapter in different directories, or naming their base differently, are equal.

    Raises:
        AdapterError: There is no adapter_config.json, or it is not a JSON object.
    """
    path = directory / "adapter_config.json"
    try:
        config = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise AdapterError(f"{path}: can't be read: {error}; copy or save the adapter again") from error
    if not isinstance(config, dict):
        raise AdapterError(f"{path}: expected a JSON object, found {type(config).__name__}")
    computing = {key: value for key, value in config.items() if key not in _PLACE_KEYS}
    for key in _SET_KEYS:
        if isinstance(names := computing.get(key), list):
            computing[key] = sorted(names, key=str)
    digest = hashlib.sha256(json.dumps(computing, sort_keys=True).encode())
    digest.update(_hash_files(directory).encode())
    return digest.hexdigest()


def _hash_files(directory: Path, patterns: Sequence[str] = _MODEL_PATTERNS) -> str:
    files = {file for pattern in patterns for file in directory.glob(pattern) if file.is_file()}
    digest = hashlib.sha256()
    for name, file in sorted((file.relative_to(directory).as_posix(), file) for file in files):
        with file.open("rb") as stream:
            content = hashlib.file_digest(stream, "sha256").hexdigest()
        digest.update(f"{name}\0{content}\0".encode())
    return digest.hexdigest()
