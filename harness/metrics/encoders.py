"""The text encoders of ``bertscore`` and ``similar``."""

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from harness.errors import ModelError
from harness.models.resolve import CHANGED, model_sha256, resolve_model
from harness.types import Check
from harness.types.storage import parse_json

# Parts of a sentence-transformers directory besides the model itself: pooling, length limit, dense layers.
_SENTENCE_PARTS = ("sentence_bert_config.json", "*/config.json", "*/model.safetensors")
# In single precision the seventh digit depends on the batch; equal texts should score 1.
DECIMALS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoder:
    """An encoder's directory and its content hash.

    Attributes:
        name: Its name in the golden set.
        sha256: Hash of all files that determine its vectors.
    """

    name: str
    directory: Path
    sha256: str


def encoder_name(check: Check) -> str:
    """The encoder that a check names, or the default one."""
    return str(check.options.get("model", "minilm"))


# Directories of encoders that another machine names by a path of its own.
_PLACES: dict[str, str] = {}


def place_encoder(name: str, directory: str) -> None:
    """Note where an encoder is.

    Args:
        name: Its name in the golden set.
        directory: Its directory.
    """
    _PLACES[name] = directory


@cache
def find_encoder(name: str) -> Encoder:
    """Find and hash an encoder without loading it; once per process, because hashing reads the weights.

    Raises:
        ModelError: It is missing, or its weights are not safetensors.
    """
    # Never downloaded: a golden set comes with somebody's change, and is no word of the user's.
    directory = resolve_model(_PLACES.get(name, name), download=False)
    digest = hashlib.sha256(model_sha256(directory).encode())
    for file in sorted({file for pattern in _SENTENCE_PARTS for file in directory.glob(pattern)}):
        digest.update(file.relative_to(directory).as_posix().encode() + b"\0" + file.read_bytes())
    return Encoder(name=name, directory=directory, sha256=digest.hexdigest())


def refuse_changed_encoder(encoder: Encoder) -> None:
    """Check that the files of an encoder are those by which its scores are stored.

    Raises:
        ModelError: They are others.
    """
    if find_encoder.__wrapped__(encoder.name).sha256 != encoder.sha256:
        raise ModelError(f"the encoder {encoder.name}: {CHANGED}")


def last_layer(encoder: Encoder) -> int:
    """Number of the encoder's last layer.

    Raises:
        ValueError: Its config.json does not say.
    """
    config = parse_json((encoder.directory / "config.json").read_text(encoding="utf-8"))
    for key in ("num_hidden_layers", "num_layers", "n_layers", "n_layer"):
        if isinstance(config.get(key), int):
            return int(config[key])
    raise ValueError(f"the config.json of {encoder.name} does not say how many layers it has: write layer")
