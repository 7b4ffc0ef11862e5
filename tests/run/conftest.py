"""Models by name alone, and an engine that records what it is asked."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from types import SimpleNamespace

import pytest

from harness.metrics.definition import ScoringRequest
from harness.registry import Registry, use_registry
from harness.registry.builtin_metrics import BUILTIN_METRICS
from harness.run.cache import Cache
from harness.run.generation import answer_cases
from harness.run.inputs import Candidate, Inputs
from harness.settings import Settings
from harness.types import (
    Check,
    Completion,
    ExecutionPlan,
    GoldenCase,
    GoldenSet,
    Message,
    MetricError,
    ModelRef,
    Score,
    TextLoss,
)


def completion(text):
    return Completion(text=text, stop_reason="stop", prompt_tokens=3, completion_tokens=1, latency_s=0.1)


class RecordingEngine:
    """Answers with side, key and seed, two at a time; a text's loss is its length.

    Attributes:
        asked: Sides and keys of the answers, in the order in which they were asked.
        scored: Sides and texts of the losses.
        breaks_after: Fails when so many answers are given.
        wrong: Sides and keys that are answered with nothing.
    """

    plan = ExecutionPlan(engine="fake", dtype="float32", device="cpu", batch_tokens=1, mixed=True)

    def __init__(self, breaks_after=None):
        self.asked, self.scored, self.breaks_after, self.wrong = [], [], breaks_after, set()

    def generate(self, requests, on_batch):
        for start in range(0, len(requests), 2):
            if self.breaks_after is not None and len(self.asked) >= self.breaks_after:
                raise MemoryError
            batch = list(enumerate(requests))[start : start + 2]
            self.asked += [(request.side, request.key) for _, request in batch]
            on_batch({i: completion(self.text(request)) for i, request in batch})

    def text(self, request):
        if (request.side, request.key) in self.wrong:
            return ""
        return f"{request.side} {request.key} {request.settings.seed}"

    def losses(self, requests, on_batch):
        self.scored += [(request.side, request.text) for request in requests]
        on_batch(
            {
                i: TextLoss(passage=r.key, nats_per_token=float(len(r.text)), tokens=len(r.side))
                for i, r in enumerate(requests)
            }
        )

    def largest_logit_change(self, side):
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
def answered(models, plan):
    """Answers cases with an engine, on the candidate and the baseline; all answers are kept in one cache."""
    cache = Cache(None)

    def answer(cases, engine, sides=("candidate", "baseline"), *, chosen=plan, **rest):
        opened = []

        def open_engine(opening, wanted):
            opened.append((tuple(opening), wanted.mixed))
            engine.plan = wanted
            return engine

        some = {side: models[side] for side in sides}
        answers = answer_cases(
            some,
            chosen,
            cases,
            cache,
            rest.pop("on_progress", lambda *_: None),
            open_engine=open_engine,
            **rest,
        )
        return answers, opened

    yield answer
    cache.close()


@pytest.fixture
def case_of():
    """Makes a case, ``s/ID``."""

    def build(name, **rest):
        return GoldenCase(id=name, set_name="s", messages=(Message(role="user", content=name),), **rest)

    return build


@pytest.fixture
def opened(monkeypatch):
    """Makes sessions open a recording engine; the sides that were opened, and the engine."""
    engine, sides = RecordingEngine(), []

    def open_sides(opening, plan):
        sides.append(tuple(opening))
        return engine

    monkeypatch.setattr("harness.run.generation.open_sides", open_sides)
    kinds = {"fake": SimpleNamespace(measures_text=True)}
    monkeypatch.setattr("harness.run.session.engine_kinds", lambda: kinds)
    engine.opened = sides
    return engine


@pytest.fixture
def inputs_of(models, plan, tmp_path):
    """Makes the inputs of a session: two adapters on one base, or what is given."""

    def build(target, *, candidates=("candidate",), base=None, **settings):
        return Inputs(
            settings=Settings(**{"forgetting": False, **settings}),
            root=tmp_path,
            candidates=tuple(
                Candidate(side=side, name=side if len(candidates) > 1 else "", model=models["candidate"])
                for side in candidates
            ),
            target=target,
            plan=plan,
            base=base,
        )

    return build


@pytest.fixture
def golden_set(case_of):
    """Forty cases; an engine's answer names side and key, and passes where the key is in it."""
    check = Check(type="contains", value="s/")
    cases = tuple(case_of(f"{number:02}", checks=(check,)) for number in range(40))
    return GoldenSet(name="s", path="s.yaml", cases=cases)


Metric = Callable[[Sequence[ScoringRequest]], list[Score | MetricError]]


@pytest.fixture
def replace_metric(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, Metric], None]]:
    """Put another function behind a check type."""
    before = use_registry(Registry())

    def replaced(name: str, function: Metric) -> None:
        monkeypatch.setitem(BUILTIN_METRICS, name, replace(BUILTIN_METRICS[name], function=function))
        use_registry(Registry())

    yield replaced
    use_registry(before)
