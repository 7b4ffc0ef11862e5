"""Models by name alone, and an engine that records what it is asked."""

import pytest

from harness.types import Completion, ExecutionPlan, GoldenCase, Message, ModelRef, TextLoss


def completion(text):
    return Completion(text=text, stop_reason="stop", prompt_tokens=3, completion_tokens=1, latency_s=0.1)


class RecordingEngine:
    """Answers with side, key and seed, two at a time; a text's loss is its length.

    Attributes:
        asked: Sides and keys of the answers, in the order in which they were asked.
        scored: Sides and texts of the losses.
        breaks_after: Fails when so many answers are given.
    """

    def __init__(self, breaks_after=None):
        self.asked, self.scored, self.breaks_after = [], [], breaks_after

    def generate(self, requests, on_batch):
        for start in range(0, len(requests), 2):
            if self.breaks_after is not None and len(self.asked) >= self.breaks_after:
                raise MemoryError
            batch = list(enumerate(requests))[start : start + 2]
            self.asked += [(request.side, request.key) for _, request in batch]
            on_batch({i: completion(f"{r.side} {r.key} {r.settings.seed}") for i, r in batch})

    def losses(self, requests, on_batch):
        self.scored += [(request.side, request.text) for request in requests]
        on_batch(
            {
                i: TextLoss(passage=r.key, nats_per_token=float(len(r.text)), tokens=len(r.side))
                for i, r in enumerate(requests)
            }
        )

    def largest_logit_change(self, side, conversations):
        return 1.0


@pytest.fixture(name="engine_class")
def engine_class_fixture():
    return RecordingEngine


@pytest.fixture
def plan():
    return ExecutionPlan(engine="fake", dtype="float32", device="cpu", batch_tokens=1, mixed=True)


@pytest.fixture
def models():
    """Two adapters and the base of both, by side."""
    base = {"base_model": "b", "base_sha256": "b0"}
    return {
        "candidate": ModelRef(label="new", adapter_dir="new", adapter_sha256="a1", **base),
        "baseline": ModelRef(label="old", adapter_dir="old", adapter_sha256="a2", **base),
        "base": ModelRef(label="b", **base),
    }


@pytest.fixture
def case_of():
    """Makes a case, ``s/ID``."""

    def build(name, **rest):
        return GoldenCase(id=name, set_name="s", messages=(Message(role="user", content=name),), **rest)

    return build
