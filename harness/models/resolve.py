"""From a model's name to a local directory with safetensors weights, and its identity by content."""

import hashlib
import json
import re
from collections.abc import Collection, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from harness.errors import AdapterError, ModelError
from harness.models.catalogue import CATALOGUE
from harness.models.home import model_directory
from harness.models.hub import OF_OTHERS, snapshot_of
from harness.types import ModelRef
from harness.types.storage import numbers_in, parse_json
from tunegate.project import user_path

_TOKENIZER_PATTERNS = (
    *("tokenizer*.json", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.*", "*vocab*.json", "*.vocab", "merges.txt", "bpe.codes", "dict.txt", "tekken.json"),
    *("*.model", "*.tiktoken", "*.spm", "*.tokenizer"),
    *("word_*.json", "byte_maps.json", "normalizer.json", "emoji.json"),
)


# Files that determine a model's answers: weights, configuration, tokenizer, chat template; not a README.
_MODEL_PATTERNS = (
    "*.safetensors",
    "*.safetensors.index.json",
    "config.json",
    "generation_config.json",
    *_TOKENIZER_PATTERNS,
    "chat_template*",
    "additional_chat_templates/*",
    "modules.json",
)


# Keys of adapter_config.json about where an adapter was made, not about what it computes.
_PLACE_KEYS = ("base_model_name_or_path", "revision", "inference_mode", "auto_mapping")


# PEFT stores these as sets and writes them in an order that differs from process to process.
_SET_KEYS = ("target_modules", "modules_to_save", "exclude_modules")


# Said of a model's files.
CHANGED = "its files changed before they were loaded: wait until they are written, and run it once more"


# A file of this size is read in some hundredths of a second; larger ones are read once.
_LARGE_BYTES = 2**24


def model_sha256(directory: Path) -> str:
    """Hash of a model directory's content: names and bytes of the files that determine its answers."""
    loaded = any(
        (directory / name).is_file() for name in ("model.safetensors", "model.safetensors.index.json")
    )
    return _hash_files(directory, without=OF_OTHERS if loaded else None)


def is_model(directory: Path, recorded: str) -> bool:
    """Whether a directory holds the model of a recorded hash.

    Args:
        directory: The model's.
        recorded: Its hash; earlier versions counted files that only other programs load.
    """
    return recorded == model_sha256(directory) or recorded == _hash_files(directory)


def prompting_sha256(directory: Path) -> str:
    """Hash of the files of a directory that determine its tokens, and how it writes a conversation."""
    return _hash_files(directory, (*_TOKENIZER_PATTERNS, "chat_template*", "additional_chat_templates/*"))


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


def refuse_changed(models: Collection[ModelRef]) -> None:
    """Check that the files of models, just loaded, are those by which they were identified.

    Args:
        models: Base models and adapters; their answers are stored by what identifies them.

    Raises:
        ModelError: They are others.
    """
    names = {model.base_model for model in models}
    bases = {name: model_sha256(resolve_model(name, recorded=True)) for name in names}
    for model in models:
        adapter = model.adapter_dir and adapter_sha256(Path(model.adapter_dir))
        if (bases[model.base_model], adapter) != (model.base_sha256, model.adapter_sha256):
            raise ModelError(f"{model.label}: {CHANGED}")


def _hash_files(
    directory: Path, patterns: Sequence[str] = _MODEL_PATTERNS, *, without: str | None = None
) -> str:
    files = {file for pattern in patterns for file in directory.glob(pattern) if file.is_file()}
    files = {file for file in files if without is None or not fnmatch(file.name, without)}
    digest = hashlib.sha256()
    for name, file in sorted((file.relative_to(directory).as_posix(), file) for file in files):
        content = _content_sha256(file)
        digest.update(f"{name}\0{content}\0".encode())
    return digest.hexdigest()


def _content_sha256(file: Path) -> str:
    if file.stat().st_size < _LARGE_BYTES:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    from harness.models.file_hashes import remembered_sha256

    return remembered_sha256(file)


# Keys of a generation config that change greedy answers, each with the values that mean: off.
_OF_GREEDY: dict[str, tuple[object, ...]] = {
    **dict.fromkeys(("repetition_penalty", "encoder_repetition_penalty", "guidance_scale"), (1,)),
    **dict.fromkeys(("no_repeat_ngram_size", "encoder_no_repeat_ngram_size", "penalty_alpha"), (0,)),
    **dict.fromkeys(("min_length", "min_new_tokens"), (0,)),
    **dict.fromkeys(("suppress_tokens", "begin_suppress_tokens", "bad_words_ids", "stop_strings"), ([],)),
    **dict.fromkeys(("sequence_bias", "exponential_decay_length_penalty", "forced_eos_token_id"), ()),
    **dict.fromkeys(("watermarking_config", "dola_layers", "max_time", "token_healing"), ()),
    "num_beams": (1,),
}


def own_settings(directory: Path) -> tuple[str, ...]:
    """What a model's generation config changes in greedy answers, such as ``repetition_penalty: 1.1``."""
    try:
        settings = parse_json((directory / "generation_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ()  # none; or a damaged one, which is refused when the model loads
    if not isinstance(settings, dict):
        return ()
    return tuple(
        f"{name}: {_shortened(json.dumps(settings[name]))}"
        for name, off in _OF_GREEDY.items()
        if settings.get(name) not in (None, False, *off)
    )


def model_config(reference: str) -> Mapping[str, Any]:
    """A model's configuration; empty without one, which is refused when the model loads.

    Args:
        reference: As a run recorded it.
    """
    try:
        path = resolve_model(reference, recorded=True) / "config.json"
        config = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, ModelError):
        return {}
    return config if isinstance(config, dict) else {}


# Of a number, where it isn't two.
_BYTES = {"float32": 4, "float64": 8}


def token_bytes(config: Mapping[str, Any], dtype: str) -> int:
    """Bytes of a token's keys and values in all layers; 0 if unknown.

    Args:
        config: A model's configuration.
        dtype: The type of keys and values.
    """
    text = config["text_config"] if isinstance(config.get("text_config"), dict) else config
    layers = _number(text, "num_hidden_layers", "n_layer", "n_layers", "num_layers")
    heads = _number(text, "num_attention_heads", "n_head", "n_heads", "num_heads")
    width = _number(text, "hidden_size", "n_embd", "d_model")
    size = _number(text, "head_dim") or (width // heads if heads else 0)
    numbers = 2 * layers * (_number(text, "num_key_value_heads") or heads) * size
    return numbers * _BYTES.get(dtype, 2)


def _number(config: Mapping[str, Any], *names: str) -> int:
    """The first of these that is a number; 0 if none is."""
    return next((config[name] for name in names if isinstance(config.get(name), int)), 0)


def _shortened(text: str, most: int = 40) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


# A hub id, and after an @ a branch, tag or commit.
_HUB = "hf:"


_HUB_ID = re.compile(r"(?P<name>[\w.-]+/[\w.-]+)(@(?P<revision>[\w./-]+))?")


_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")


def resolve_model(
    reference: str, *, download: bool = True, recorded: bool = False, again: bool = False
) -> Path:
    """Directory of a model.

    Args:
        reference: A local directory, a name of the catalogue, or a hub id such as ``hf:org/name``; after an @
            a hub's revision, as in ``hf:org/name@v1``.
        download: Download files that are missing in the hub's local cache.
        again: Ask the hub for what the cache lacks, also where the cached files look complete.
        recorded: The reference is what a file of an adapter's names, or was accepted before: there
            ``org/name`` is a hub id too. What a person writes like a path never is.

    Raises:
        ModelError: There is no such model, it isn't fetched yet, or its weights aren't safetensors.
    """
    directory = user_path(reference)
    if (directory / "config.json").is_file():
        return _checked(directory)
    if reference in CATALOGUE:
        directory = model_directory(reference)
        if not (directory / "config.json").is_file():
            raise ModelError(f"{reference} isn't fetched yet: run tunegate model fetch {reference}")
        return _checked(directory)
    if directory.is_file():
        raise ModelError(f"{reference}: a file; give the directory that holds config.json and the weights")
    if (directory / "adapter_config.json").is_file():
        raise ModelError(f"{reference}: an adapter, not a model; give the base model that its config names")
    if directory.is_dir():
        raise ModelError(f"{reference}: not a model: config.json is missing")
    if reference.removeprefix(_HUB).startswith((".", "~", "/")):
        written = f"; a path is written without {_HUB}" if reference.startswith(_HUB) else ""
        raise ModelError(f"{reference}: no such directory{written}")
    found = _HUB_ID.fullmatch(reference.removeprefix(_HUB))
    if found and (recorded or reference.startswith(_HUB)):
        named = found["name"], found["revision"]
        return snapshot_of(*named, check=_checked, download=download, again=again)
    if found:
        raise ModelError(f"{reference}: no such directory; a model of the hub is written {_HUB}{reference}")
    raise ModelError(
        f"no model {reference!r}: neither a directory, nor a name of the catalogue "
        f"({', '.join(CATALOGUE)}), nor a hub id (hf:org/name, hf:org/name@revision)"
    )


def plain_reference(reference: str) -> str:
    """A model's name as other programs read it: a hub id without ``hf:``."""
    return reference.removeprefix(_HUB)


def unreadable_file(directory: Path) -> str | None:
    """What is wrong with a name of a directory behind which there is no file; None if nothing is.

    Libraries take such a file for one that is absent, and answer without it: a link of a hub's cache whose
    file was removed, for instance.
    """
    for entry in sorted(directory.iterdir()):
        if not any(fnmatch(entry.name, pattern) for pattern in (*_MODEL_PATTERNS, "adapter_config.json")):
            continue
        if entry.is_symlink() and not entry.exists():
            return f"{entry}: a link to {entry.readlink()}, where no file is"
        if entry.exists() and not entry.is_file() and not entry.is_dir():
            return f"{entry}: a pipe, socket or device, and no file"
    return None


def _checked(directory: Path) -> Path:
    """Check that the weights are complete and can be read without running code."""
    if problem := unreadable_file(directory):
        raise ModelError(f"{problem}; fetch or copy the model again")
    if not (directory / "config.json").is_file():
        raise ModelError(f"{directory}: not a model: config.json is missing")
    if (directory / "adapter_config.json").is_file():
        raise ModelError(
            f"{directory}: adapter_config.json beside a whole model: transformers would put that adapter on "
            f"it; move the adapter's files elsewhere, or remove what was left over"
        )
    _refuse_endless(directory)
    if missing := _missing_shards(directory):
        raise ModelError(
            f"{directory}: {missing[0]} is missing, one of the weight files that its index names"
        )
    if any(directory.glob("*.safetensors")):
        return directory
    pickled = sorted(file for pattern in _PICKLES for file in directory.glob(pattern))
    if pickled:
        raise ModelError(
            f"{pickled[0]}: pickled weights are not loaded, since unpickling runs code; save the model "
            f"as safetensors (save_pretrained does)"
        )
    raise ModelError(f"{directory}: no weights: no *.safetensors file, and no other kind is loaded")


# Keys of a configuration that number a model's layers. The libraries build them one by one.
_LAYERS = re.compile(r"(\w+_)?(layers?|blocks|depth)|attention_types")
_MOST_LAYERS = 1000


def _refuse_endless(directory: Path) -> None:
    """Check that a configuration names no number of layers that would be built for hours.

    Raises:
        ModelError: It does.
    """
    path = directory / "config.json"
    try:
        found = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return  # the library says what is wrong with it
    for place, number in numbers_in(found):
        key = re.sub(r"\[\d+\]", "", place)
        if number > _MOST_LAYERS and _LAYERS.fullmatch(key.rpartition(".")[2]):
            raise ModelError(
                f"{path}: {key}: found {number:g} (allowed: up to {_MOST_LAYERS}); copy or save the model "
                f"again"
            )


def _missing_shards(directory: Path) -> list[str]:
    index = directory / "model.safetensors.index.json"
    # Of a whole file and shards, transformers loads the file.
    if not index.is_file() or (directory / "model.safetensors").is_file():
        return []
    try:
        shards = set(parse_json(index.read_text(encoding="utf-8"))["weight_map"].values())
        return sorted(shard for shard in shards if not (directory / shard).is_file())
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{index}: not an index of weight files; get the model again") from error


def with_revision(reference: str, revision: str | None) -> str:
    """A model's name with its revision; a directory has none.

    Args:
        reference: A catalogue name, hub id or directory.
        revision: Of a hub id; None for none.
    """
    named = _HUB_ID.fullmatch(reference)
    if not revision or named is None or named["revision"] or user_path(reference).is_dir():
        return reference
    return f"{reference}@{revision}"
