"""What a gate starts from is checked before any model loads."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from harness.baselines.target import NO_TARGET, model_target, run_target
from harness.errors import InputError, SettingsError
from harness.run.cache import completion_keys
from harness.run.inputs import asked_by, prepare
from harness.settings import Settings
from harness.types import ExecutionPlan, GenerationSettings, ModelRef


@pytest.fixture
def prepared(models, monkeypatch, make_run, make_result, tmp_path):
    """Prepares a gate of models by label, against a target by name."""
    stored = replace(make_run([make_result("s/a")]), model=models["baseline"])
    targets = {
        "none": NO_TARGET,
        "base": model_target(models["base"]),
        "old": model_target(models["baseline"]),
        "stored": run_target(stored),
    }
    known = {"new": models["candidate"], "old": models["baseline"], "b": models["base"]}
    monkeypatch.setattr("harness.run.inputs.named_models", list)
    monkeypatch.setattr(
        "harness.run.inputs.describe_model", lambda reference, base=None, **_: known[reference]
    )
    monkeypatch.setattr("harness.run.inputs.find_baseline", lambda wanted, *_, **__: targets[wanted])
    monkeypatch.setattr("harness.engines.open.mixes", lambda directory: True)

    def build(*names, **settings):
        return prepare(Settings(model=names, device="cpu", **settings), tmp_path)

    return build


def test_one_candidate_has_no_name_and_the_baseline_a_side(prepared, models):
    inputs = prepared("new")
    assert [(each.side, each.name) for each in inputs.candidates] == [("candidate", "")]
    assert inputs.sides == {"candidate": models["candidate"], "baseline": models["base"]}
    assert inputs.plan.mixed


def test_several_candidates_are_numbered_and_named(prepared):
    inputs = prepared("new", "old")
    assert [(each.side, each.name) for each in inputs.candidates] == [
        ("candidate-1", "new"),
        ("candidate-2", "old"),
    ]
    assert list(inputs.sides) == ["candidate-1", "candidate-2", "baseline"]


def test_a_stored_run_has_no_side(prepared):
    assert list(prepared("new", baseline="stored").sides) == ["candidate"]


@pytest.mark.parametrize(
    ("baseline", "found"), [("base", False), ("none", False), ("old", True), ("stored", True)]
)
def test_the_base_joins_where_something_else_is_compared_with(prepared, models, baseline, found):
    assert prepared("new", baseline=baseline).base == (models["base"] if found else None)
    assert prepared("new", baseline=baseline, forgetting=False).base is None


def test_a_stored_baseline_cannot_be_resampled(prepared):
    with pytest.raises(InputError, match="--gate-confirm resamples both sides"):
        prepared("new", baseline="stored", confirm=3)
    assert prepared("new", baseline="old", confirm=3).settings.confirm == 3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"baseline": "none"}, "--gate-baseline none: several models"),
        ({"accept": "shipped"}, "--gate-accept shipped: several models"),
        ({"confirm": 3}, "--gate-confirm 3: resamples for one model"),
    ],
)
def test_what_has_a_meaning_for_one_candidate_only_is_refused_for_several(prepared, settings, message):
    with pytest.raises(SettingsError, match=message):
        prepared("new", "old", **settings)


LOCAL = ExecutionPlan(engine="transformers", dtype="float32", device="cpu", batch_tokens=4096)


@pytest.fixture
def served_key(monkeypatch):
    """The key of an answer of a server that runs a base, with this version of vLLM here; None for none."""

    def key(version, **settings):
        found = [] if version is None else [SimpleNamespace(version=version)]
        monkeypatch.setattr("harness.run.inputs.metadata.distributions", lambda **named: iter(found))
        plan = asked_by(Settings(model=("m",), **settings), LOCAL)
        model = ModelRef(label="m", base_model="m", base_sha256="m")
        return completion_keys(model, plan)((), GenerationSettings(), "", None)

    return key


@pytest.mark.parametrize("engine", ["vllm", "ray+vllm"])
def test_the_word_for_a_started_server_does_not_stand_for_its_version_and_arguments(served_key, engine):
    fp8 = "--quantization fp8"
    ways = [
        {"version": version, "server_args": arguments, "model_id": word}
        for version in ("0.11", "0.12", None)
        for arguments in ("", fp8)
        for word in (None, "m", "n")
        if word or version
    ]
    keys = [served_key(engine=engine, **way) for way in ways]
    assert len(set(keys)) == len(ways)
    assert not [key for key in keys if key.startswith("session:")]
    assert served_key(None, engine=engine, server_args=fp8).startswith("session:")


def test_a_joined_server_is_what_the_user_says(served_key):
    joined = {"engine": "vllm", "server": "http://127.0.0.1:1/v1"}
    keys = [served_key(version, **joined, model_id="m") for version in ("0.11", None)]
    assert len(set(keys)) == 1
    assert served_key("0.11", **joined, model_id="n") not in keys
    assert served_key("0.11", **joined).startswith("session:")


def test_no_model_is_refused(prepared):
    with pytest.raises(InputError, match="give --model"):
        prepared()
