"""The directory of fetched models."""

import os
from pathlib import Path

from tunegate.project import user_path


def tunegate_home() -> Path:
    """``TUNEGATE_HOME``, else ``tunegate`` in the user's cache directory (XDG specification)."""
    if chosen := os.environ.get("TUNEGATE_HOME"):
        return user_path(chosen).absolute()
    cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The specification says to ignore a relative path.
    return (cache if cache.is_absolute() else Path.home() / ".cache") / "tunegate"


def model_directory(name: str) -> Path:
    """Directory of a catalogue model, fetched or not."""
    return tunegate_home() / "models" / name
