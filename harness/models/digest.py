"""Identifying models and adapters by content."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

# What decides a model's answers: weights, configuration, tokenizer, chat template. A README doesn't.
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
    "chat_template*",
    "modules.json",
)
# Keys of adapter_config.json that say where an adapter was made, not what it computes.
_PLACE_KEYS = ("base_model_name_or_path", "revision", "inference_mode", "auto_mapping")


def model_sha256(directory: Path) -> str:
    """Hash of a model directory's content: names and bytes of the files that decide its answers."""
    return _hash_files(directory, {file for pattern in _MODEL_PATTERNS for file in directory.glob(pattern)})


def adapter_sha256(directory: Path) -> str:
    """Hash of an adapter: weights, configuration, and its own tokenizer where training saved one.

    Two copies of one adapter in different directories, or naming their base differently, are equal.
    """
    config = json.loads((directory / "adapter_config.json").read_text(encoding="utf-8"))
    computing = {key: value for key, value in config.items() if key not in _PLACE_KEYS}
    digest = hashlib.sha256(json.dumps(computing, sort_keys=True).encode())
    files = {file for pattern in _MODEL_PATTERNS for file in directory.glob(pattern)}
    digest.update(_hash_files(directory, files).encode())
    return digest.hexdigest()


def _hash_files(directory: Path, files: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for file in sorted(files):
        with file.open("rb") as stream:
            content = hashlib.file_digest(stream, "sha256").hexdigest()
        digest.update(f"{file.relative_to(directory).as_posix()}\0{content}\0".encode())
    return digest.hexdigest()
