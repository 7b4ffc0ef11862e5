"""A multi-task model's directory is checked before anything is loaded."""

import json
import shutil

import pytest
from safetensors.torch import load_file, save_file

from harness.engines.adapter import is_multitask
from harness.engines.multitask.directory import read_multitask
from harness.engines.open import base_of, choose_plan, describe_model
from harness.errors import AdapterError, ModelError


@pytest.fixture
def copy(tiny_multitask_dir, tmp_path):
    return shutil.copytree(tiny_multitask_dir, tmp_path / "copy")


def change(directory, **changes):
    path = directory / "multitask.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_it_is_a_model_of_its_own_without_a_base_to_compare_with(tiny_multitask_dir):
    model = describe_model(str(tiny_multitask_dir))
    assert is_multitask(tiny_multitask_dir)
    assert model.adapter_dir is None
    assert base_of(model) is None
    assert choose_plan("auto", "cpu", 4096, [model]).engine == "multitask"


def test_a_copy_is_the_same_model_and_any_changed_part_is_another(copy, tiny_multitask_dir):
    whole = describe_model(str(tiny_multitask_dir)).base_sha256
    assert describe_model(str(copy)).base_sha256 == whole
    change(copy, max_answer_tokens=5)
    other_config = describe_model(str(copy)).base_sha256
    heads = load_file(copy / "heads.safetensors")
    heads["intent.bias"] = heads["intent.bias"] + 1
    save_file(heads, copy / "heads.safetensors")
    other_heads = describe_model(str(copy)).base_sha256
    encoder = load_file(copy / "encoder" / "model.safetensors")
    save_file({name: tensor * 2 for name, tensor in encoder.items()}, copy / "encoder" / "model.safetensors")
    assert len({whole, other_config, other_heads, describe_model(str(copy)).base_sha256}) == 4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"encoder": "half"}, "multitask.json: encoder: Input should be 'full' or 'lora'"),
        ({"schema_version": 2}, "multitask.json: schema_version"),
        ({"speed": 1}, "multitask.json: speed: Extra inputs are not permitted"),
        ({"tasks": []}, "multitask.json: tasks"),
        ({"encoder": "lora"}, "intent: an adapter goes with encoder lora"),
        ({"tokenizer_sha256": "0" * 64}, "trained with another tokenizer: multitask.json names 000000000000"),
        (
            {"tasks": [{"name": "intent", "kind": "label", "labels": ["a", "b"]}]},
            "the head of intent has 3 outputs, multitask.json names 2",
        ),
        (
            {"tasks": [{"name": "mood", "kind": "label", "labels": ["a", "b"]}]},
            "the head of mood has 0 outputs",
        ),
    ],
)
def test_a_fault_is_named(copy, changes, message):
    change(copy, **changes)
    with pytest.raises(AdapterError, match=message):
        read_multitask(copy)


def test_a_missing_base_names_the_directory(copy):
    change(copy, base="/no/such/encoder")
    with pytest.raises(ModelError, match=r"copy: its base model '/no/such/encoder'"):
        read_multitask(copy)


@pytest.mark.parametrize("file", ["heads.safetensors", "encoder/model.safetensors"])
def test_missing_weights_are_named(copy, file):
    (copy / file).unlink()
    with pytest.raises(AdapterError, match=file.rpartition("/")[2]):
        read_multitask(copy)


def test_truncated_heads_are_refused(copy):
    data = (copy / "heads.safetensors").read_bytes()
    (copy / "heads.safetensors").write_bytes(data[:-8])
    with pytest.raises(AdapterError, match="truncated"):
        read_multitask(copy)


def test_it_cannot_run_beside_a_model_that_generates(tiny_multitask_dir, tiny_model_dir):
    sides = [describe_model(str(tiny_multitask_dir)), describe_model(str(tiny_model_dir))]
    with pytest.raises(ModelError, match="can't be run side by side"):
        choose_plan("auto", "cpu", 4096, sides)
