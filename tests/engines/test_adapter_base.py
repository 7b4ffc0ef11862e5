"""Which base an adapter was trained on: its revision, a path beside the adapter, or the one that is named for it."""

import json
import shutil

import pytest

from harness.engines.open import base_of, describe_model
from harness.errors import ModelError


def set_base(adapter, base, **rest):
    config = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(
        json.dumps({**config, "base_model_name_or_path": base, **rest})
    )


@pytest.fixture
def adapter(tiny_adapter_dir, tmp_path):
    return shutil.copytree(tiny_adapter_dir, tmp_path / "adapters" / "mine")


@pytest.fixture
def hub_with_two_revisions(tiny_model_dir, tmp_path, monkeypatch):
    """A local hub cache whose newest revision of acme/base is another model than the one tagged v1."""
    import torch
    from huggingface_hub import constants
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    cache = tmp_path / "hub"
    repository = cache / "models--acme--base"
    old, new = "1" * 40, "2" * 40
    shutil.copytree(tiny_model_dir, repository / "snapshots" / old)
    torch.manual_seed(123)
    LlamaForCausalLM(LlamaConfig.from_pretrained(tiny_model_dir)).save_pretrained(
        repository / "snapshots" / new
    )
    AutoTokenizer.from_pretrained(tiny_model_dir).save_pretrained(repository / "snapshots" / new)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(new)
    (repository / "refs" / "v1").write_text(old)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)


@pytest.mark.usefixtures("hub_with_two_revisions")
def test_the_revision_that_was_trained_on_answers(adapter, tiny_model_dir, bare_texts, engine_texts):
    set_base(adapter, "acme/base", revision="v1")
    assert describe_model(str(adapter)).base_model == "acme/base@v1"
    texts, _ = engine_texts(adapter)
    assert texts["baseline"] == bare_texts(tiny_model_dir)
    assert texts["candidate-0"] == bare_texts(tiny_model_dir, adapter)


@pytest.mark.usefixtures("hub_with_two_revisions")
def test_a_revision_of_a_model_is_named_behind_an_at():
    models = [describe_model(f"hf:acme/base{revision}") for revision in ("", "@main", "@v1")]
    assert models[0].base_sha256 == models[1].base_sha256 != models[2].base_sha256


def test_a_base_beside_the_adapter(adapter, tiny_model_dir, monkeypatch, tmp_path):
    """A relative path is read from here first, as PEFT does, then from the adapter."""
    shutil.copytree(tiny_model_dir, adapter.parent / "base")
    set_base(adapter, "../base")
    monkeypatch.chdir(tmp_path)
    model = describe_model("adapters/mine")
    assert model.base_model == str((adapter.parent / "base").resolve())
    assert base_of(model).base_sha256 == describe_model(str(tiny_model_dir)).base_sha256


def test_a_base_of_another_machine_is_named(adapter, tiny_model_dir):
    set_base(adapter, "/home/somebody/models/base")
    with pytest.raises(ModelError, match=r"its base model '/home/somebody/.*name it with --gate-base"):
        describe_model(str(adapter))
    model = describe_model(str(adapter), str(tiny_model_dir))
    assert base_of(model).base_model == str(tiny_model_dir)
