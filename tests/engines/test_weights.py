"""Damaged files of a model are refused by name, before its weights are loaded."""

import json
import shutil

import pytest

from harness.engines.weights import refuse_damaged_files
from harness.errors import ModelError


@pytest.fixture
def model(tiny_model_dir, tmp_path):
    return shutil.copytree(tiny_model_dir, tmp_path / "model")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{broken", "not JSON"),
        ("[]", "expected a JSON object, found list"),
        ('{"eos_token_id": "three"}', "eos_token_id: found 'three'"),
        ('{"eos_token_id": [3, "x"]}', r"eos_token_id: found \[3, 'x'\]"),
    ],
)
def test_a_damaged_generation_config(model, content, problem):
    """Transformers would leave it out without a word, and the model's end tokens with it."""
    (model / "generation_config.json").write_text(content)
    with pytest.raises(ModelError, match=rf"generation_config.json: {problem}"):
        refuse_damaged_files(model)


@pytest.mark.parametrize("ends", ["3", "[3, 9]", "null"])
def test_end_tokens(model, ends):
    (model / "generation_config.json").write_text(f'{{"eos_token_id": {ends}}}')
    refuse_damaged_files(model)
    (model / "generation_config.json").unlink()
    refuse_damaged_files(model)


def test_a_pointer_of_git_lfs_is_named(model):
    (model / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\nsize 12345\n")
    with pytest.raises(ModelError, match="a pointer of Git LFS instead of the file: run git lfs pull"):
        refuse_damaged_files(model)


def test_a_truncated_shard_is_named(model):
    whole = (model / "model.safetensors").rename(model / "model-00001-of-00001.safetensors")
    index = {"weight_map": {"lm_head.weight": whole.name}}
    (model / "model.safetensors.index.json").write_text(json.dumps(index))
    refuse_damaged_files(model)
    whole.write_bytes(whole.read_bytes()[:-10])
    with pytest.raises(ModelError, match=r"model-00001-of-00001\.safetensors: truncated"):
        refuse_damaged_files(model)


def test_other_files_of_weights_are_not_read(model):
    (model / "optimizer.safetensors").write_bytes(b"part of one")
    refuse_damaged_files(model)
