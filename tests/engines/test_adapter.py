"""Bad adapters are refused by name, with the remedy, before any model is loaded."""

import json
import shutil
import subprocess
import sys

import pytest

from harness.engines.adapter import read_adapter
from harness.engines.open import choose_plan, describe_model, open_sides
from harness.errors import AdapterError, ModelError


@pytest.fixture
def adapter(tiny_adapter_dir, tmp_path):
    return shutil.copytree(tiny_adapter_dir, tmp_path / "adapter")


def test_a_sound_adapter_is_identified_by_content(tiny_adapter_dir, adapter):
    """A copy in another directory is the same adapter."""
    here, there = describe_model(str(tiny_adapter_dir)), describe_model(str(adapter))
    assert here.adapter_sha256 == there.adapter_sha256
    assert here.base_sha256 == there.base_sha256


def test_retraining_into_the_same_directory_changes_the_hash(adapter, tiny_model_dir, make_tiny_adapter):
    before = describe_model(str(adapter)).adapter_sha256
    make_tiny_adapter(tiny_model_dir, adapter, spread=0.5, seed=2)
    assert describe_model(str(adapter)).adapter_sha256 != before


def test_a_directory_that_is_no_adapter(tmp_path):
    with pytest.raises(AdapterError, match=r"neither an adapter \(no adapter_config.json\) nor a model"):
        describe_model(str(tmp_path))


def test_a_truncated_file(adapter):
    weights = adapter / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    with pytest.raises(AdapterError, match=r"adapter_model.safetensors: truncated: .* copy or save"):
        describe_model(str(adapter))


@pytest.mark.parametrize(
    "content", [b"", b"1234", b"\xff" * 40, b"\x02\0\0\0\0\0\0\0[]", b'\x04\0\0\0\0\0\0\0{"a"']
)
def test_a_file_that_is_no_safetensors(adapter, content):
    (adapter / "adapter_model.safetensors").write_bytes(content)
    with pytest.raises(AdapterError, match=r"adapter_model.safetensors: (truncated|not a safetensors)"):
        describe_model(str(adapter))


def test_missing_weights(adapter):
    (adapter / "adapter_model.safetensors").unlink()
    with pytest.raises(AdapterError, match="did training finish"):
        describe_model(str(adapter))


def test_pickled_weights_are_not_loaded(adapter):
    (adapter / "adapter_model.safetensors").rename(adapter / "adapter_model.bin")
    with pytest.raises(AdapterError, match="pickled weights are not loaded"):
        describe_model(str(adapter))


@pytest.mark.parametrize(
    ("text", "message"), [("{", "not JSON"), ("[]", "expected a JSON object, found list")]
)
def test_a_broken_config(adapter, text, message):
    (adapter / "adapter_config.json").write_text(text)
    with pytest.raises(AdapterError, match=message):
        describe_model(str(adapter))


def test_a_dead_adapter(tiny_model_dir, tmp_path, make_tiny_adapter):
    """All-zero B matrices change nothing: scoring it would score the base."""
    dead = make_tiny_adapter(tiny_model_dir, tmp_path / "dead", spread=0.0)
    with pytest.raises(AdapterError, match="dead adapter: every lora_B is zero"):
        describe_model(str(dead))


def test_another_base_by_hash(adapter):
    (adapter / "training_manifest.json").write_text(json.dumps({"base_sha256": "0" * 64}))
    with pytest.raises(AdapterError, match="trained on another base: its manifest names 000000000000"):
        describe_model(str(adapter))


def test_another_base_by_shape(adapter, tmp_path):
    """Without a manifest the LoRA shapes tell: this base is wider."""
    from transformers import AutoConfig, AutoModelForCausalLM

    config = json.loads((adapter / "adapter_config.json").read_text())
    other = shutil.copytree(config["base_model_name_or_path"], tmp_path / "other")
    wider = AutoConfig.from_pretrained(other)
    wider.intermediate_size = 256
    AutoModelForCausalLM.from_config(wider).save_pretrained(other)
    config["base_model_name_or_path"] = str(other)
    (adapter / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(AdapterError, match=r"adapter of another base: .* is \[.*\], .* is \["):
        describe_model(str(adapter))


@pytest.mark.parametrize(("key", "value"), [("task_type", []), ("revision", {"a": 1}), ("peft_type", 3)])
def test_what_should_be_a_text_is_named(adapter, key, value):
    path = adapter / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    with pytest.raises(AdapterError, match=rf"adapter_config.json: {key}: found .* \(allowed: a text\)"):
        describe_model(str(adapter))


@pytest.mark.parametrize("base", ["/models\n/base", "base\0", "b" * 300])
def test_a_base_that_no_place_can_have_is_one_line(adapter, base):
    edit(adapter, base_model_name_or_path=base)
    with pytest.raises(
        AdapterError, match=r"base_model_name_or_path: found .*name the base model"
    ) as refused:
        describe_model(str(adapter))
    assert "\n" not in str(refused.value)


def test_a_link_to_no_file_beside_an_adapter_is_named(adapter, tmp_path):
    """Without its own tokenizer the adapter would be asked with its base's."""
    (adapter / "tokenizer_config.json").symlink_to(tmp_path / "removed")
    with pytest.raises(AdapterError, match=r"tokenizer_config\.json: a link to .*removed"):
        describe_model(str(adapter))


def test_no_base_named(adapter):
    config = json.loads((adapter / "adapter_config.json").read_text())
    del config["base_model_name_or_path"]
    (adapter / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(AdapterError, match="base_model_name_or_path is missing"):
        read_adapter(adapter)


def test_checking_an_adapter_imports_no_torch(adapter):
    """All of the above happens before the seconds that importing torch takes."""
    code = (
        "import sys; from harness.engines.open import describe_model; "
        f"describe_model({str(adapter)!r}); assert 'torch' not in sys.modules, 'torch was imported'"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"peft_type": "POLY"}, "kind POLY can't be gated: it needs a task's number"),
        ({"peft_type": "XLORA"}, "kind XLORA can't be gated: it mixes adapters"),
        ({"peft_type": "BRAND_NEW"}, "kind BRAND_NEW can't be gated: no test holds it"),
        ({"peft_type": "\x1b[2J\n::error::x"}, "kind ⟨ESC⟩\\[2J⟨LF⟩::error::x can't be gated"),
        ({"task_type": "A\nB"}, "an adapter for A⟨LF⟩B: it writes"),
        ({"task_type": "TOKEN_CLS"}, "an adapter for TOKEN_CLS: it writes no answers"),
        ({"task_type": "SEQ_CLS"}, "a reward model"),
    ],
)
def test_what_cannot_be_gated_is_refused_before_anything_loads(adapter, changes, problem):
    config = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps({**config, **changes}))
    with pytest.raises(AdapterError, match=problem):
        read_adapter(adapter)


def edit(directory, name="adapter_config.json", **changes):
    path = directory / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"lora_alpha": float("nan")}, "lora_alpha: found nan"),
        ({"lora_alpha": float("inf")}, "lora_alpha: found inf"),
        ({"alpha_pattern": {"q_proj": float("-inf")}}, "alpha_pattern.q_proj: found -inf"),
        ({"lora_dropout": float("nan")}, "lora_dropout: found nan"),
        ({"loftq_config": {"list": [1.0, float("nan")]}}, r"loftq_config.list\[1\]: found nan"),
    ],
)
def test_a_number_that_nothing_can_be_computed_with_is_named(adapter, changes, problem):
    edit(adapter, **changes)
    with pytest.raises(AdapterError, match=rf"adapter_config.json: {problem} \(allowed: a finite number\)"):
        describe_model(str(adapter))


@pytest.mark.parametrize("changes", [{"lora_alpha": "8"}, {"r": [4]}, {"lora_dropout": "0.1"}])
def test_a_text_in_place_of_a_number_is_named(adapter, changes):
    (key,) = changes
    edit(adapter, **changes)
    model = describe_model(str(adapter))
    with pytest.raises(AdapterError, match=rf"adapter_config.json: {key}: found .* \(allowed: a number\)"):
        open_sides({"candidate": model}, choose_plan("float32", "cpu", 512, [model]))


@pytest.mark.parametrize("kind", ["float8_e4m3fn", "float8_e5m2", "float16", "bfloat16"])
def test_weights_in_few_bits_are_answered_as_peft_reads_them(
    kind, adapter, tiny_model_dir, bare_texts, engine_texts
):
    import torch
    from safetensors.torch import load_file, save_file

    file = adapter / "adapter_model.safetensors"
    narrow = {name: tensor.to(getattr(torch, kind)) for name, tensor in load_file(file).items()}
    save_file(narrow, file, metadata={"format": "pt"})
    assert engine_texts(adapter)[0]["candidate-0"] == bare_texts(tiny_model_dir, adapter)
    first = next(iter(narrow))
    narrow[first] = torch.full(narrow[first].shape, float("nan")).to(narrow[first].dtype)
    save_file(narrow, file, metadata={"format": "pt"})
    with pytest.raises(AdapterError, match="1 of its weights hold NaN or infinity"):
        engine_texts(adapter)


def test_what_a_directory_with_both_kinds_of_files_holds_is_decided_by_its_weights(adapter, tiny_model_dir):
    """A merge into the adapter's own directory leaves its configuration there."""
    shutil.copytree(tiny_model_dir, adapter, dirs_exist_ok=True)
    with pytest.raises(
        AdapterError, match=r"both an adapter \(adapter_model.safetensors\) and a whole model"
    ):
        describe_model(str(adapter))
    (adapter / "adapter_model.safetensors").unlink()
    with pytest.raises(
        AdapterError, match=r"a whole model .* left over.* remove adapter_config.json to gate"
    ):
        describe_model(str(adapter))
    (adapter / "adapter_config.json").unlink()
    assert describe_model(str(adapter)).adapter_dir is None


def test_a_configuration_of_the_base_beside_an_adapter_is_no_model(adapter, tiny_model_dir):
    """Some trainers copy it there."""
    shutil.copy(tiny_model_dir / "config.json", adapter)
    assert describe_model(str(adapter)).adapter_dir == str(adapter)


def test_a_base_that_transformers_would_put_an_adapter_on_is_refused(adapter, tiny_model_dir, tmp_path):
    base = shutil.copytree(tiny_model_dir, tmp_path / "base")
    shutil.copy(adapter / "adapter_config.json", base)
    edit(adapter, base_model_name_or_path=str(base))
    with pytest.raises(
        ModelError, match=r"base: adapter_config.json beside a whole model: transformers would"
    ):
        describe_model(str(adapter))


@pytest.mark.parametrize(("revision", "is_read"), [("v2", False), ("main", True), (None, True), ("", True)])
def test_a_revision_that_cannot_be_looked_up_is_refused(adapter, tiny_model_dir, revision, is_read):
    """A directory has none. A base that is given by hand is the one that is meant."""
    edit(adapter, revision=revision)
    if is_read:
        describe_model(str(adapter))
        return
    with pytest.raises(
        AdapterError, match=r"revision: found 'v2', which can't be looked up: the base .* directory"
    ):
        describe_model(str(adapter))
    assert describe_model(str(adapter), str(tiny_model_dir)).base_model == str(tiny_model_dir)
