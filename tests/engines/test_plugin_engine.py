"""Engines of plug-ins: chosen by name, checked, and never the cause of a traceback."""

import asyncio
import math
import re
import sys
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

from harness.engines.base import CANDIDATE, GenerationRequest, LossRequest
from harness.engines.open import base_of, choose_plan, describe_model, named_models, open_sides, short_names
from harness.engines.plugin_engine import open_plugin_engine
from harness.errors import (
    CasesFailedError,
    EngineError,
    InputError,
    ModelError,
    SettingsError,
    TextsUnmeasuredError,
)
from harness.registry import EngineKind, Registry, active, use_registry
from harness.types import Completion, ExecutionPlan, GenerationSettings, Message, ModelRef
from harness.types.training import TrainingManifest


class UpperEngine:
    """Answers with the prompt in upper case."""

    def __init__(self, sides, plan):
        pass

    def generate(self, requests, on_batch):
        for place, request in enumerate(requests):
            text = request.messages[-1].content.upper()
            answer = Completion(
                text=text, stop_reason="stop", prompt_tokens=1, completion_tokens=1, latency_s=0.0
            )
            on_batch({place: answer})


def describe(reference):
    training = TrainingManifest(base="upper:base") if reference != "base" else None
    return ModelRef(label="x", base_model=reference, base_sha256=f"sha of {reference}", training=training)


@pytest.fixture
def register(monkeypatch):
    monkeypatch.setattr(metadata, "entry_points", lambda group: [])
    before = use_registry(None)

    def register(**fields):
        given = {
            "name": "upper",
            "summary": "Upper case.",
            "describe": describe,
            "open": UpperEngine,
            **fields,
        }
        registry = Registry()
        registry.register("test", lambda registrar: registrar.add(EngineKind(**given)))
        use_registry(registry)

    yield register
    use_registry(before)


REQUESTS = [
    GenerationRequest(
        key=f"s/{word}",
        side=CANDIDATE,
        messages=(Message(role="user", content=word),),
        settings=GenerationSettings(),
    )
    for word in ("one", "two")
]


def answers_of(model, requests=REQUESTS, given=None):
    engine = open_sides({CANDIDATE: model}, choose_plan("auto", "cpu", 4096, [model]))
    given = {} if given is None else given
    engine.generate(requests, given.update)
    return [given[place].text for place in sorted(given)]


def test_a_name_in_front_picks_the_engine(register):
    register()
    model = describe_model("upper:loud")
    assert (model.label, model.engine, model.base_model) == ("upper:loud", "upper", "loud")
    plan = choose_plan("auto", "cpu", 4096, [model])
    assert (plan.engine, plan.dtype) == ("upper", "float32")
    assert answers_of(model) == ["ONE", "TWO"]


def test_its_base_is_what_its_training_names(register):
    register()
    base = base_of(describe_model("upper:loud"))
    assert (base.label, base.engine) == ("upper:base", "upper")
    assert base_of(base) is None


def test_a_path_that_holds_a_colon_is_a_path(register, tmp_path, monkeypatch):
    register()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "upper:loud").mkdir()
    with pytest.raises(InputError, match="neither an adapter"):
        describe_model("upper:loud")


def test_our_own_engines_names_are_taken_off(register, tiny_model_dir):
    register()
    assert describe_model(f"transformers:{tiny_model_dir}") == describe_model(str(tiny_model_dir))


@pytest.mark.parametrize("reference", ["https://host:8000/v1?" + "x" * 300, r"C:\models\a b", "a:b"])
def test_its_reference_may_have_any_sign(register, reference):
    register()
    name = f"upper:{reference}"
    assert named_models([name, "smollm2", name]) == [name, "smollm2"]
    assert len(short_names([name, "smollm2"])) == 2
    assert (describe_model(name).label, describe_model(name).base_model) == (name, reference)


def test_two_engines_do_not_answer_side_by_side(register, tiny_model_dir):
    register()
    sides = [describe_model("upper:loud"), describe_model(str(tiny_model_dir))]
    with pytest.raises(ModelError, match=r"upper:loud and .* are run by different engines"):
        choose_plan("auto", "cpu", 4096, sides)


@pytest.mark.parametrize(
    ("fields", "error", "told"),
    [
        ({"describe": lambda reference: None}, ModelError, "upper:loud: the engine gave no ModelRef"),
        (
            {"describe": lambda reference: replace(describe(reference), training={"base": "upper:base"})},
            ModelError,
            "upper:loud: the engine's ModelRef has a training that is not a TrainingManifest",
        ),
        (
            {"describe": lambda reference: replace(describe(reference), base_model=Path(reference))},
            ModelError,
            "upper:loud: the engine's ModelRef: base_model: found ",
        ),
        (
            {"describe": lambda reference: replace(describe(reference), base_sha256=b"ab")},
            ModelError,
            "upper:loud: the engine's ModelRef: base_sha256: found b'ab': Input should be a valid string",
        ),
        (
            {"describe": lambda reference: 1 / 0},
            ModelError,
            "upper:loud: ZeroDivisionError: division by zero",
        ),
        (
            {"describe": "nowhere:describe"},
            SettingsError,
            "engine 'upper': nowhere:describe can't be imported",
        ),
        ({"open": lambda sides, plan: 1 / 0}, EngineError, "engine 'upper': ZeroDivisionError"),
        ({"describe": lambda reference: sys.exit(3)}, ModelError, "upper:loud: SystemExit: 3"),
        ({"open": lambda sides, plan: sys.exit(3)}, EngineError, "engine 'upper': SystemExit: 3"),
        ({"describe": lambda reference: pytest.skip("no")}, ModelError, "upper:loud: Skipped: no"),
        ({"open": lambda sides, plan: pytest.fail("no")}, EngineError, "engine 'upper': Failed: no"),
    ],
)
def test_a_fault_of_the_plug_in_is_one_line(register, fields, error, told):
    register(**fields)
    with pytest.raises(error, match=told):
        answers_of(describe_model("upper:loud"))


def test_a_refusal_of_the_plug_in_is_passed_on(register):
    def refuse(reference):
        raise ModelError(f"{reference}: too quiet")

    register(describe=refuse)
    with pytest.raises(ModelError, match=r"^loud: too quiet$"):
        describe_model("upper:loud")


def test_an_answer_that_does_not_come_is_noticed(register):
    class HalfEngine(UpperEngine):
        def generate(self, requests, on_batch):
            super().generate(requests[:1], on_batch)

    register(open=HalfEngine)
    with pytest.raises(EngineError, match="engine 'upper': gave 1 of 2 results"):
        answers_of(describe_model("upper:loud"))


@pytest.mark.parametrize(
    ("reasons", "told"),
    [
        ({1: "too long"}, "too long"),
        ({5: "too long"}, "engine 'upper': gave 1 of 2 results"),
        ({0: "too long"}, "engine 'upper': gave 1 of 2 results"),
    ],
)
@pytest.mark.parametrize("kind", [CasesFailedError, TextsUnmeasuredError])
def test_what_fails_has_a_reason_and_all_else_a_result(register, reasons, told, kind):
    class PickyEngine(UpperEngine):
        def generate(self, requests, on_batch):
            super().generate(requests[:1], on_batch)
            raise kind(reasons)

    register(open=PickyEngine)
    with pytest.raises(EngineError, match=told):
        answers_of(describe_model("upper:loud"))


def test_why_texts_are_not_measured_is_told(register):
    class HalfEngine(UpperEngine):
        def losses(self, requests, on_batch):
            raise TextsUnmeasuredError({0: "too long\nfor the probe endpoint"})

    register(open=HalfEngine)
    model = describe_model("upper:loud")
    engine = open_sides({CANDIDATE: model}, choose_plan("auto", "cpu", 4096, [model]))
    with pytest.raises(TextsUnmeasuredError):
        engine.losses([LossRequest(key="t", side=CANDIDATE, text="x")], lambda batch: None)
    assert active().warnings == [
        "engine 'upper': texts were not scored, and checks that need it are unscored: "
        "too long for the probe endpoint"
    ]


ANSWER = Completion(text="YES", stop_reason="stop", prompt_tokens=1, completion_tokens=1, latency_s=0.0)


@pytest.mark.parametrize(
    ("batch", "told"),
    [
        ({0: "YES", 1: "YES"}, "gave a str (allowed: a Completion)"),
        ([ANSWER, ANSWER], "gave a list (allowed: a mapping of a request's index to a Completion)"),
        ({0: ANSWER, 2: ANSWER}, "gave a result of request 2 (allowed: 0 to 1)"),
        ({"a": ANSWER}, "gave a result of request 'a' (allowed: 0 to 1)"),
        (
            {0: replace(ANSWER, text=None)},
            "gave a Completion with text: found None: Input should be a valid string",
        ),
        ({0: replace(ANSWER, stop_reason="end")}, "gave a Completion with stop_reason: found 'end'"),
        ({0: replace(ANSWER, prompt_tokens="4")}, "gave a Completion with prompt_tokens: found '4'"),
        (
            {0: replace(ANSWER, prompt_tokens=-4)},
            "gave a Completion with prompt_tokens: found -4 (allowed: a",
        ),
        (
            {0: replace(ANSWER, latency_s=np.float32(0.5))},
            "gave a Completion with latency_s: found np.float32(0.5): Input should be a valid number",
        ),
        ({0: replace(ANSWER, latency_s=math.nan)}, "gave a Completion with latency_s: found nan (allowed: a"),
        ({0: replace(ANSWER, latency_s=math.inf)}, "gave a Completion with latency_s: found inf (allowed: a"),
    ],
)
def test_a_wrong_answer_is_refused_before_it_is_stored(register, batch, told):
    class WrongEngine(UpperEngine):
        def generate(self, requests, on_batch):
            on_batch(batch)

    register(open=WrongEngine)
    stored = {}
    with pytest.raises(EngineError, match=f"^engine 'upper': {re.escape(told)}"):
        answers_of(describe_model("upper:loud"), given=stored)
    assert stored == {}


def test_an_engine_that_breaks_while_it_answers_is_one_line(register):
    class BrokenEngine(UpperEngine):
        def generate(self, requests, on_batch):
            raise ConnectionError("the machine is gone\nand more")

    register(open=BrokenEngine)
    with pytest.raises(EngineError, match=r"^engine 'upper': ConnectionError: the machine is gone$"):
        answers_of(describe_model("upper:loud"))


def test_two_answers_to_one_request_are_refused(register):
    """Which of them would be stored, and which one shown?"""

    class TwiceEngine(UpperEngine):
        def generate(self, requests, on_batch):
            super().generate(requests, on_batch)
            on_batch({1: replace(ANSWER, text="another")})

    register(open=TwiceEngine)
    with pytest.raises(EngineError, match=r"^engine 'upper': gave a second result of request 1$"):
        answers_of(describe_model("upper:loud"))


@pytest.mark.parametrize("error", [pytest.skip.Exception("no"), SystemExit(0), asyncio.CancelledError()])
def test_whatever_it_raises_while_it_answers_is_one_line(register, error):
    class BrokenEngine(UpperEngine):
        def generate(self, requests, on_batch):
            raise error

    register(open=BrokenEngine)
    with pytest.raises(EngineError, match=f"^engine 'upper': {type(error).__name__}"):
        answers_of(describe_model("upper:loud"))


def test_a_plug_ins_models_are_not_split():
    kind = EngineKind(name="own", summary="", describe="m:describe", open="m:open")
    plan = ExecutionPlan(engine="own", dtype="float32", device="cpu:split", batch_tokens=1)
    with pytest.raises(SettingsError, match="which the engine 'own' can't do"):
        open_plugin_engine(kind, {}, plan)
