"""From a model's name to a local directory with safetensors weights."""

import re
from fnmatch import fnmatch
from pathlib import Path

from harness.errors import ModelError
from harness.models.catalogue import CATALOGUE
from harness.models.home import model_directory
from harness.types.json_reading import parse_json
from tunegate.printable import say

# A hub id, and after an @ a branch, tag or commit.
_HUB = "hf:"
_HUB_ID = re.compile(r"(?P<name>[\w.-]+/[\w.-]+)(@(?P<revision>[\w./-]+))?")
# Weights, tokenizer and model card only: no code, no pickles, no weights of other frameworks.
_HUB_FILES = ("*.json", "*.safetensors", "*.txt", "*.model", "*.tiktoken", "*.jinja", "README.md")
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")


def resolve_model(reference: str, *, download: bool = True, recorded: bool = False) -> Path:
    """Directory of a model.

    Args:
        reference: A local directory, a name of the catalogue, or a hub id such as ``hf:org/name``; after an @
            a hub's revision, as in ``hf:org/name@v1``.
        download: Download files that are missing in the hub's local cache.
        recorded: The reference is what a file of an adapter's names, or was accepted before: there
            ``org/name`` is a hub id too. What a person writes like a path never is.

    Raises:
        ModelError: There is no such model, it isn't fetched yet, or its weights aren't safetensors.
    """
    directory = Path(reference).expanduser()
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
    found = _HUB_ID.fullmatch(reference.removeprefix(_HUB))
    if found and (recorded or reference.startswith(_HUB)):
        return _from_hub(found["name"], found["revision"], download=download)
    if found:
        raise ModelError(f"{reference}: no such directory; a model of the hub is written {_HUB}{reference}")
    raise ModelError(
        f"no model {reference!r}: neither a directory, nor a name of the catalogue "
        f"({', '.join(CATALOGUE)}), nor a hub id (hf:org/name, hf:org/name@revision)"
    )


def plain_reference(reference: str) -> str:
    """A model's name as other programs read it: a hub id without ``hf:``."""
    return reference.removeprefix(_HUB)


def _checked(directory: Path) -> Path:
    """Check that the weights are complete and can be read without running code."""
    if not (directory / "config.json").is_file():
        raise ModelError(f"{directory}: not a model: config.json is missing")
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


def _missing_shards(directory: Path) -> list[str]:
    index = directory / "model.safetensors.index.json"
    if not index.is_file():
        return []
    try:
        shards = set(parse_json(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{index}: not an index of weight files; get the model again") from error
    return sorted(shard for shard in shards if not (directory / shard).is_file())


def with_revision(reference: str, revision: str | None) -> str:
    """A model's name with its revision; a directory has none.

    Args:
        reference: A catalogue name, hub id or directory.
        revision: Of a hub id; None for none.
    """
    named = _HUB_ID.fullmatch(reference)
    if not revision or named is None or named["revision"] or Path(reference).expanduser().is_dir():
        return reference
    return f"{reference}@{revision}"


def _from_hub(name: str, revision: str | None, *, download: bool) -> Path:
    reference = name if revision is None else f"{name}@{revision}"
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError
    except ImportError as error:
        raise ModelError(f"{reference}: hub ids need more: pip install 'tunegate[local]'") from error
    files = list(_HUB_FILES)
    try:
        return _checked(
            Path(snapshot_download(name, revision=revision, allow_patterns=files, local_files_only=True))
        )
    except HFValidationError as error:
        raise ModelError(f"no model {reference!r}: neither a directory nor a hub id: {error}") from error
    except (LocalEntryNotFoundError, ModelError) as error:
        # Missing or incomplete: another program may have fetched its configuration only.
        if not download:
            raise ModelError(
                f"{reference}: not in the hub's local cache: run tunegate model fetch {_HUB}{reference}"
            ) from error
    try:
        _announce(name, revision)
        directory = Path(snapshot_download(name, revision=revision, allow_patterns=files))
    except (
        Exception
    ) as error:  # the client's own errors, its HTTP library's and the disk's have no common base
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise ModelError(f"{reference}: the hub did not return it: {reason.strip()}") from error
    return _checked(directory)


def _announce(name: str, revision: str | None) -> None:
    """Say what is downloaded and how much, before it is: a person may not have expected it."""
    from huggingface_hub import HfApi

    found = HfApi().model_info(name, revision=revision, files_metadata=True)
    files = [
        each
        for each in found.siblings or ()
        if any(fnmatch(each.rfilename, pattern) for pattern in _HUB_FILES)
    ]
    megabytes = sum(each.size or 0 for each in files) / 1_000_000
    reference = name if revision is None else f"{name}@{revision}"
    say(f"tunegate: downloading {reference} from the hub: {len(files)} files, {megabytes:,.0f} MB", err=True)
