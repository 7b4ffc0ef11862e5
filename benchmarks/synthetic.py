"""A project whose model makes up its answers, so that all else of a gate can be measured."""

import json
from pathlib import Path

from benchmarks.performance_ways import GATE

SYNTHETIC = '''
"""Answers made of the prompt: the baseline's are right in nine of ten cases, the candidate's in eight."""
import hashlib, time
from harness.registry import EngineKind
from harness.types import Completion, ModelRef

def describe(reference):
    digest = hashlib.sha256(reference.encode()).hexdigest()
    return ModelRef(label=reference, base_model=reference, base_sha256=digest)

class Synthetic:
    def __init__(self, sides, plan):
        self.sides, self.plan = sides, plan

    def largest_logit_change(self, side):
        return 1.0

    def generate(self, requests, on_batch):
        time.sleep(TAKES_S)
        for start in range(0, len(requests), 512):
            on_batch({n: self.answer(requests[n]) for n in range(start, min(start + 512, len(requests)))})

    def answer(self, request):
        number = int(request.messages[-1].content.split()[2])
        known = number * 7919 % 10 < (9 if self.sides[request.side].base_model == "old" else 8)
        by = self.sides[request.side].label
        text = f"It is {number + 1 if known else number}, as anybody knows who can count. So says {by}."
        counts = {"prompt_tokens": 9, "completion_tokens": 20, "latency_s": 0.01}
        return Completion(text=text, stop_reason="stop", **counts)

def pytest_tunegate_register(registry):
    registry.add(EngineKind(name="synthetic", summary="Made-up answers.", describe=describe, open=Synthetic))
'''
SYNTHETIC_GATE = (*GATE, "--gate-baseline=synthetic:old", "golden_sets")
FIRST, FURTHER = ((*SYNTHETIC_GATE, f"--model=synthetic:{name}") for name in ("new", "newer"))


def write_synthetic(
    directory: Path, cases: int, check: str = '{"type": "contains"}', takes_s: float = 0.0
) -> None:
    """A project with made-up answers, and pytest's own tests of the same number beside it.

    Args:
        directory: The project's.
        cases: How many.
        check: Each case's checks, as JSON.
        takes_s: How long the model takes before its first answer.
    """
    (directory / "golden_sets").mkdir(parents=True, exist_ok=True)
    code = SYNTHETIC.replace("TAKES_S", str(takes_s))
    (directory / "conftest.py").write_text(code, encoding="utf-8")
    (directory / "pyproject.toml").write_text(
        "[tool.pytest.ini_options]\n[tool.tunegate]\n", encoding="utf-8"
    )
    rows = [
        {
            "id": f"c{n}",
            "prompt": f"What is {n} plus one?",
            "references": [f"{n + 1}"],
            "retrieved_context": [f"After {n} comes {n + 1}."],
            "checks": json.loads(f"[{check}]"),
        }
        for n in range(cases)
    ]
    golden = json.dumps({"name": "counting", "cases": rows})
    (directory / "golden_sets" / "counting.yaml").write_text(golden, encoding="utf-8")
    (directory / "plain").mkdir(exist_ok=True)
    code = f"import pytest\n@pytest.mark.parametrize('n', range({cases}))\ndef test_one(n): assert n >= 0\n"
    (directory / "plain" / "test_plain.py").write_text(code, encoding="utf-8")
