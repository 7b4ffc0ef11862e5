"""A project with golden sets and an adapter, whose answers a test scripts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from harness.types import Completion, TextLoss

CAPITALS = """\
name: capitals
cases:
"""
CASE = """\
  - id: {id}
    prompt: What is the capital of {id}?
    references: [{answer}]
    checks: [{{type: contains}}]
    tags: [{tag}]
"""
ANSWERS = {
    "france": "Paris",
    "italy": "Rome",
    "spain": "Madrid",
    "norway": "Oslo",
    "peru": "Lima",
    "japan": "Tokyo",
    "kenya": "Nairobi",
    "egypt": "Cairo",
    "cuba": "Havana",
    "iran": "Tehran",
}


@dataclass
class ScriptedEngine:
    """Answers as a test says: right unless a case's id is among the side's ``wrong``."""

    plan: object
    wrong: Mapping[str, set[str]]
    asked: list[str] = field(default_factory=list)
    loss: Mapping[str, float] = field(default_factory=lambda: {"candidate": 2.0, "baseline": 2.0})
    logit_change: float = 1.0

    def generate(self, requests, on_batch) -> None:
        for index, request in enumerate(requests):
            case = request.key.rpartition("/")[2]
            self.asked.append(f"{request.side}:{case}")
            text = (
                "I do not know"
                if case in self.wrong.get(request.side, ())
                else ANSWERS.get(case.partition("#")[0], "yes")
            )
            on_batch(
                {
                    index: Completion(
                        text=text, stop_reason="stop", prompt_tokens=9, completion_tokens=3, latency_s=0.01
                    )
                }
            )

    def losses(self, requests, on_batch) -> None:
        for index, request in enumerate(requests):
            on_batch(
                {index: TextLoss(passage=request.key, nats_per_token=self.loss[request.side], tokens=50)}
            )

    def largest_logit_change(self, side) -> float:
        return self.logit_change


@dataclass
class Project:
    """A pytester project and the engine that its sessions open."""

    pytester: pytest.Pytester
    adapter: Path
    wrong: dict[str, set[str]]
    opened: list[ScriptedEngine]
    loss: dict[str, float]

    def run(self, *arguments: str, model: bool = True, forgetting: bool = False) -> pytest.RunResult:
        """Run pytest in this process, against the scripted engine."""
        chosen = [f"--model={self.adapter}"] if model else []
        if not forgetting:
            chosen.append("--gate-no-forgetting")
        return self.pytester.runpytest_inprocess("-p", "no:xdist", *chosen, *arguments)

    @property
    def engine(self) -> type[ScriptedEngine]:
        """The class of the engines, for tests that change how all of them answer."""
        return ScriptedEngine

    @property
    def asked(self) -> list[str]:
        """What all engines of the test were asked, as ``side:case``."""
        return [question for engine in self.opened for question in engine.asked]


@pytest.fixture
def project(pytester: pytest.Pytester, tiny_adapter_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Ten capitals as a golden set, a real adapter directory, an engine that answers as told."""
    cases = [CASE.format(id=id, answer=answer, tag=f"letter-{id[0]}") for id, answer in ANSWERS.items()]
    write_golden(pytester, "capitals", CAPITALS + "".join(cases))
    made = Project(pytester, tiny_adapter_dir, {}, [], {"candidate": 2.0, "baseline": 2.0})

    def open_scripted(sides: Mapping[str, object], plan: object) -> ScriptedEngine:
        made.opened.append(ScriptedEngine(plan, made.wrong, loss=made.loss))
        return made.opened[-1]

    monkeypatch.setattr("harness.run.generation.open_sides", open_scripted)
    monkeypatch.setattr("harness.plugin.progress.open_sides", open_scripted)
    return made


def write_golden(pytester: pytest.Pytester, name: str, text: str) -> Path:
    """Write a golden set into the project."""
    directory = pytester.path / "golden_sets"
    directory.mkdir(exist_ok=True)
    path = directory / f"{name}.yaml"
    path.write_text(text)
    return path


@pytest.fixture(name="write_golden")
def write_golden_fixture() -> Callable[[pytest.Pytester, str, str], Path]:
    """The function that writes a golden set."""
    return write_golden
