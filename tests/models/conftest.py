"""A model in a wheel, small enough to make in each test."""

import hashlib
import json
import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from harness.models.catalogue import CatalogueEntry

CONFIG = b'{"architectures": ["BertModel"], "dtype": "float32", "max_position_embeddings": 64}'


def safetensors(values: bytes = b"\0" * 8) -> bytes:
    """A safetensors file with one float32 vector."""
    header = json.dumps(
        {"w": {"dtype": "F32", "shape": [len(values) // 4], "data_offsets": [0, len(values)]}}
    ).encode()
    return struct.pack("<Q", len(header)) + header + values


def write_wheel(directory: Path, files: Mapping[str, bytes]) -> Path:
    """A wheel of the project ``tiny-model`` that pip accepts."""
    directory.mkdir(parents=True, exist_ok=True)
    wheel = directory / "tiny_model-1.0-py3-none-any.whl"
    info = "tiny_model-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        archive.writestr(
            f"{info}/METADATA",
            # A dependency that no index has: it must never be asked for.
            "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\nRequires-Dist: no-such-project-at-all\n",
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return wheel


def entry_for(wheel: Path, members: Mapping[str, bytes], form: str = "directory") -> CatalogueEntry:
    """The catalogue entry that such a wheel would have."""
    return CatalogueEntry(
        name="tiny",
        title="A tiny model",
        purpose="encoder",
        licence="Apache-2.0",
        requirement="tiny-model==1.0",
        wheel=wheel.name,
        wheel_sha256=hashlib.sha256(wheel.read_bytes()).hexdigest(),
        wheel_bytes=wheel.stat().st_size,
        root="tiny_model/",
        members={name: hashlib.sha256(content).hexdigest() for name, content in members.items()},
        form="gguf" if form == "gguf" else "directory",
        room_mb=1,
    )


MEMBERS = {
    "config.json": CONFIG,
    "model.safetensors": safetensors(),
    "sub/extra.json": b"{}",
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache directory, and a package index that only holds what a test puts into ``index``."""
    for name, value in {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path / "index")}.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "index").mkdir()
    monkeypatch.setenv("TUNEGATE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def entry(home: Path, tmp_path: Path) -> CatalogueEntry:
    """An entry whose wheel is in the index, with more in it than the entry names."""
    unwanted = {"tiny_model/run.py": b"print('never run')", "tiny_model/../../escaped.txt": b"out"}
    wheel = write_wheel(
        tmp_path / "index", {f"tiny_model/{name}": content for name, content in MEMBERS.items()} | unwanted
    )
    return entry_for(wheel, MEMBERS)


@pytest.fixture
def make_entry(home: Path, tmp_path: Path) -> Callable[[Mapping[str, bytes], str], CatalogueEntry]:
    """Make an entry, and its wheel in the index, of the given files."""

    def make(files: Mapping[str, bytes], form: str) -> CatalogueEntry:
        wheel = write_wheel(
            tmp_path / "index", {f"tiny_model/{name}": content for name, content in files.items()}
        )
        return entry_for(wheel, files, form)

    return make


@pytest.fixture
def members() -> Mapping[str, bytes]:
    """The files of that model."""
    return MEMBERS
