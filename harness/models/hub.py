"""A model's files from the hub, or from the hub's cache on this machine."""

from collections.abc import Callable
from fnmatch import fnmatch
from functools import partial
from pathlib import Path

from harness.errors import ModelError
from tunegate.printable import say

# Weights, tokenizer and model card only: no code, no pickles, no weights of other frameworks.
HUB_FILES = (
    *("*.json", "*.safetensors", "*.txt", "*.jinja", "README.md"),
    *("*.model", "*.tiktoken", "*.vocab", "*.spm", "*.tokenizer", "bpe.codes"),
)
# The same weights once more, for another library: who fetched a model decides whether it has them.
OF_OTHERS = "consolidated*"


def snapshot_of(
    name: str, revision: str | None, *, check: Callable[[Path], Path], download: bool, again: bool = False
) -> Path:
    """Directory of a hub model's files.

    Args:
        name: As in ``org/name``.
        revision: A branch, tag or commit; None for the main branch.
        check: Raises ModelError for a directory that holds no whole model.
        download: Ask the hub where the cache lacks the model.
        again: Ask the hub in any case: other programs may have fetched a model without its tokenizer or
            template. What is cached is taken where the hub can't be reached.

    Raises:
        ModelError: The hub has no such model or can't be reached, or its weights aren't safetensors.
    """
    reference = name if revision is None else f"{name}@{revision}"
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError
    except ImportError as error:
        raise ModelError(f"{reference}: hub ids need more: pip install 'tunegate[local]'") from error
    only = partial(snapshot_download, allow_patterns=list(HUB_FILES), ignore_patterns=[OF_OTHERS])
    fetch = partial(only, name, revision=revision)
    cached = None
    try:
        cached = check(Path(fetch(local_files_only=True)))
    except HFValidationError as error:
        raise ModelError(f"no model {reference!r}: neither a directory nor a hub id: {error}") from error
    except (LocalEntryNotFoundError, ModelError) as error:
        # Missing or incomplete: another program may have fetched its configuration only.
        if not download:
            raise ModelError(
                f"{reference}: not in the hub's local cache: run tunegate model fetch hf:{reference}"
            ) from error
    if cached is not None and not again:
        return cached
    try:
        if cached is None:
            _announce(name, revision)
        directory = Path(fetch())
    except (
        Exception
    ) as error:  # the client's own errors, its HTTP library's and the disk's have no common base
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        told = f"{reference}: the hub did not return it: {reason.strip()}"
        if cached is None:
            raise ModelError(told) from error
        say(f"tunegate: {told}; the cached files are taken as they are", err=True)
        return cached
    return check(directory)


def _announce(name: str, revision: str | None) -> None:
    """Say what is downloaded and how much, before it is: a person may not have expected it."""
    from huggingface_hub import HfApi

    found = HfApi().model_info(name, revision=revision, files_metadata=True)
    files = [
        each
        for each in found.siblings or ()
        if any(fnmatch(each.rfilename, pattern) for pattern in HUB_FILES)
        and not fnmatch(each.rfilename, OF_OTHERS)
    ]
    megabytes = sum(each.size or 0 for each in files) / 1_000_000
    reference = name if revision is None else f"{name}@{revision}"
    say(f"tunegate: downloading {reference} from the hub: {len(files)} files, {megabytes:,.0f} MB", err=True)
