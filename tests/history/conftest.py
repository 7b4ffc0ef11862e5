"""Records to be stored: one with something of everything, and random ones."""

import dataclasses
import functools
import re
import types
import typing
from collections.abc import Mapping
from enum import Enum

import pytest
from hypothesis import strategies as st

from harness.types import (
    CaseResult,
    Check,
    Comparison,
    Completion,
    Environment,
    ExecutionPlan,
    Finding,
    Forgetting,
    GateRecord,
    GateVerdict,
    GoldenCase,
    GoldenSet,
    Interval,
    JsonValue,
    Message,
    MetricComparison,
    MetricError,
    MetricFacts,
    MetricSummary,
    ModelRef,
    NoteFinding,
    Outcome,
    Retention,
    Run,
    Score,
    TextLoss,
    Verdict,
)
from harness.types.training import StepLoss, TrainingManifest, stored_manifest


def make_run(run_id="20260101-000000-aaaa", cases=3, answer="an answer", label="adapters/a"):
    """A run with a passed, a failed and an errored case, and so on around."""
    results = []
    for number in range(cases):
        case = GoldenCase(
            id=f"case-{number}",
            set_name="set",
            messages=(Message(role="user", content=f"question {number}"),),
            references=("good",),
            checks=(
                Check(type="f1", threshold=0.5, options={}),
                Check(type="is-json", value={"type": "object"}),
            ),
            metadata={"nested": [1, {"a": None}]},
        )
        broken = number % 3 == 2
        results.append(
            CaseResult(
                case=case,
                completion=Completion(
                    text=answer, stop_reason="stop", prompt_tokens=5, completion_tokens=2, latency_s=0.25
                ),
                scores=(Score(metric="f1", value=0.5, threshold=0.5, passed=number % 3 == 0),),
                errors=(MetricError(metric="is-json", error="it broke"),) if broken else (),
                outcome=(Outcome.PASSED, Outcome.FAILED, Outcome.ERRORED)[number % 3],
            )
        )
    return Run(
        id=run_id,
        started_at="2026-01-01T00:00:00+00:00",
        duration_s=1.5,
        model=ModelRef(
            label=label,
            base_model="smollm2",
            base_sha256="b" * 64,
            adapter_dir="/a",
            adapter_sha256="a" * 64,
            training=TrainingManifest(losses=(StepLoss(step=1, loss=0.5),)),
        ),
        plan=ExecutionPlan(
            engine="transformers", dtype="float32", device="cpu", batch_tokens=4096, mixed=True
        ),
        environment=Environment(
            python="3.11", platform="here", packages={"torch": "2"}, commit="c", dirty=False
        ),
        golden_sets=(GoldenSet(name="set", path="set.yaml", content_sha256="d"),),
        collected=cases,
        results=tuple(results),
        text_losses=(TextLoss(passage="tides", nats_per_token=2.5, tokens=100),),
        metrics={"f1": MetricFacts(kind="graded")},
    )


def interval(estimate):
    return Interval(estimate=estimate, low=estimate - 0.25, high=estimate + 0.25, confidence=0.9, method="m")


def make_record(run_id="20260101-000000-aaaa", **run):
    """A gate with a gated and an ungated metric and two skills; its baseline's run is always the same."""
    candidate = make_run(run_id, **run)
    baseline = make_run("20251231-000000-bbbb", label="smollm2")
    row = MetricComparison(
        set_name="set",
        metric="pass-rate",
        kind="binary",
        n=2,
        candidate=MetricSummary(metric="pass-rate", n=2, mean=interval(0.25)),
        baseline=MetricSummary(metric="pass-rate", n=2, mean=interval(0.75)),
        drop=interval(0.5),
        p_value=0.125,
        p_adjusted=0.125,
        lost=("set/case-0", "set/case-1"),
        gained=("set/case-2",),
        margin=0.0625,
        verdict=GateVerdict.INCONCLUSIVE,
    )
    graded = dataclasses.replace(
        row,
        metric="f1",
        kind="graded",
        p_adjusted=None,
        margin=None,
        minimum_detectable_drop=0.375,
        verdict=None,
    )
    return GateRecord(
        run=candidate,
        baseline=baseline,
        comparison=Comparison(
            candidate_run=candidate.id,
            baseline_run=baseline.id,
            metrics=(row, graded),
            forgetting=Forgetting(
                overall=Retention(skill="all", passed_by_baseline=5, retained=3, rate=interval(0.5)),
                by_skill=(
                    Retention(skill="arithmetic", passed_by_baseline=4, retained=2, rate=interval(0.5)),
                    Retention(skill="knowledge", passed_by_baseline=1, retained=1, rate=interval(0.75)),
                ),
                loss_change=interval(0.125),
            ),
            unpaired=("set/case-2",),
        ),
        verdict=Verdict(
            outcome=GateVerdict.INCONCLUSIVE,
            findings=(Finding(data=NoteFinding(text="set pass-rate is inconclusive")),),
        ),
    )


# Whatever a model may say: NUL, quotes, emoji, and the lone surrogates that UTF-8 can't hold.
TEXT = st.text(st.characters(exclude_categories=()), max_size=8)
NUMBERS = st.floats(allow_nan=False)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=4,
)
PLAIN = {
    str: TEXT,
    int: st.integers(-(2**63), 2**63 - 1),
    float: NUMBERS,
    bool: st.booleans(),
    types.NoneType: st.none(),
    JsonValue: JSON,
    # Whatever a file of that name may have held when an earlier version stored it.
    TrainingManifest: st.dictionaries(
        st.sampled_from(sorted(TrainingManifest.model_fields)) | TEXT, JSON, min_size=1, max_size=3
    ).map(stored_manifest),
}


@functools.cache
def values_of(kind):
    """Strategy of any value that a field of a type may hold; a type may hold values of its own."""
    return st.deferred(lambda: _values_of(kind))


def _values_of(kind):  # noqa: PLR0911 # one return a kind of type reads best
    if kind in PLAIN:
        return PLAIN[kind]
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple:
        if arguments[-1] is not Ellipsis:
            return st.tuples(*map(values_of, arguments))
        return st.lists(values_of(arguments[0]), max_size=2).map(tuple)
    if origin is Mapping:
        return st.dictionaries(TEXT, values_of(arguments[1]), max_size=2)
    if origin is typing.Literal:
        return st.sampled_from(arguments)
    if origin in {types.UnionType, typing.Union}:
        return st.one_of([values_of(argument) for argument in arguments])
    if issubclass(kind, Enum):
        return st.sampled_from(kind)
    hints = typing.get_type_hints(kind)
    return st.builds(kind, **{field.name: values_of(hints[field.name]) for field in dataclasses.fields(kind)})


def with_ids(record):
    """Ids as the harness gives them: one a run, and one a case."""

    def named(run, run_id):
        results = tuple(
            dataclasses.replace(result, case=dataclasses.replace(result.case, id=f"case-{place}"))
            for place, result in enumerate(run.results)
        )
        return dataclasses.replace(run, id=run_id, results=results)

    baseline = None if record.baseline is None else named(record.baseline, "base")
    return dataclasses.replace(record, run=named(record.run, "run"), baseline=baseline)


@pytest.fixture(name="make_run", scope="session")
def make_run_fixture():
    return make_run


@pytest.fixture(name="make_record", scope="session")
def make_record_fixture():
    return make_record


@pytest.fixture(scope="session")
def records():
    """Strategy of random records."""
    return values_of(GateRecord).map(with_ids)


@pytest.fixture
def place(postgres, request):
    """A schema of this test's own on a server."""
    name = re.sub(r"\W+", "_", request.node.name.lower())[:60]
    yield postgres.place(name)
    postgres.run(f'DROP SCHEMA IF EXISTS "{name}" CASCADE')


@pytest.fixture(params=["file", "server"])
def anywhere(request, tmp_path):
    """Where a history may be: a new file, and a new schema on a server."""
    return tmp_path / "h.sqlite" if request.param == "file" else request.getfixturevalue("place")
