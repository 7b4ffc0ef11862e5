"""Short training runs whose results are compared, each made once."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True, kw_only=True)
class Run:
    """A finished run of a trainer, in a directory of its own."""

    path: Path
    status: int

    @property
    def output(self) -> Path:
        return self.path / "out"

    @property
    def manifest(self) -> dict[str, Any]:
        return json.loads((self.output / "training_manifest.json").read_text())

    @property
    def weights(self) -> str:
        """A hash of what was learnt: names, shapes, types and bytes of all tensors, without settings."""
        from safetensors.torch import load_file

        digest = hashlib.sha256()
        files = sorted(self.output.rglob("*.safetensors"))
        assert files, f"status {self.status}: nothing was written"
        for file in files:
            for name, tensor in sorted(load_file(file).items()):
                digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
                digest.update(tensor.float().numpy().tobytes())
        return digest.hexdigest()


def weights(run: Run) -> str:
    assert run.status == 0
    return run.weights


def status(run: Run) -> int:
    return run.status


def files(run: Run) -> list[str]:
    assert run.status == 0
    return sorted(path.name for path in run.path.iterdir())


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """Two values of a key: None leaves it out.

    Attributes:
        given: Further keys of both runs, by sections.
        seen: What differs; the learnt weights, unless the key is for something else.
        why: The reason where the weights are not what differs.
    """

    one: Any
    two: Any
    given: Mapping[str, Any] = field(default_factory=dict)
    seen: Callable[[Run], Any] = weights
    why: str = ""


def with_keys(settings: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with some keys changed, each named with its sections (``peft.r``); None leaves a key out."""
    made = json.loads(json.dumps(settings))
    for key, value in changes.items():
        *sections, last = key.split(".")
        inner = made
        for section in sections:
            inner = inner.setdefault(section, {})
        inner[last] = value
        if value is None:
            del inner[last]
    return made


@pytest.fixture(scope="module")
def run_once(tmp_path_factory):
    """Trains with settings, as the command line would, or returns the run that had the same ones."""
    from trainers.run.entry import run_module

    done: dict[str, Run] = {}

    def run(method, kind, train, settings, files) -> Run:
        name = json.dumps([method, settings], sort_keys=True)
        if name not in done:
            path = tmp_path_factory.mktemp(method)
            for file, text in files.items():
                (path / file).write_text(text)
            (path / "config.yaml").write_text(json.dumps(settings))
            with pytest.MonkeyPatch.context() as patch:
                patch.chdir(path)  # the checkout's own golden sets are none of its business
                status = run_module(method, kind, train, [str(path / "config.yaml")])
            done[name] = Run(path=path, status=status)
        return done[name]

    return run
