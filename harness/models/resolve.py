"""From a model's name to a local directory with safetensors weights."""

import re
from pathlib import Path

from harness.errors import ModelError
from harness.models.catalogue import CATALOGUE
from harness.models.home import model_directory

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
# Weights and tokenizers only: no code, no pickles, no weights of other frameworks.
_HUB_FILES = ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja"]


def resolve_model(reference: str) -> Path:
    """Directory of a model.

    Args:
        reference: A local directory, a name of the catalogue, or a hub id such as ``org/name``.

    Raises:
        ModelError: There is no such model, it isn't fetched yet, or its weights aren't safetensors.
    """
    directory = Path(reference).expanduser()
    if directory.is_dir():
        return _checked(directory)
    if reference in CATALOGUE:
        directory = model_directory(reference)
        if not (directory / "config.json").is_file():
            raise ModelError(f"{reference} isn't fetched yet: run tunegate model fetch {reference}")
        return _checked(directory)
    if _HUB_ID.fullmatch(reference):
        return _checked(_from_hub(reference))
    raise ModelError(
        f"no model {reference!r}: neither a directory, nor a name of the catalogue "
        f"({', '.join(CATALOGUE)}), nor a hub id (org/name)"
    )


def _checked(directory: Path) -> Path:
    if not (directory / "config.json").is_file():
        raise ModelError(f"{directory}: no model: config.json is missing")
    if not any(directory.glob("*.safetensors")):
        pickled = sorted([*directory.glob("*.bin"), *directory.glob("*.pt")])
        if pickled:
            raise ModelError(
                f"{pickled[0]}: pickled weights are not loaded, since unpickling runs code; save the model "
                f"as safetensors (save_pretrained does)"
            )
        raise ModelError(f"{directory}: no weights: no *.safetensors file")
    return directory


def _from_hub(reference: str) -> Path:
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
    except ImportError as error:
        raise ModelError(f"{reference}: hub ids need more: pip install 'tunegate[local]'") from error
    try:
        return Path(snapshot_download(reference, allow_patterns=_HUB_FILES, local_files_only=True))
    except LocalEntryNotFoundError:
        pass
    try:
        return Path(snapshot_download(reference, allow_patterns=_HUB_FILES))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ModelError(f"{reference}: the hub did not give it: {reason}") from error
