import json
import re
import shutil
from fnmatch import fnmatch
from pathlib import Path

import pytest

from harness.errors import AdapterError
from harness.models import resolve
from harness.models.hub import HUB_FILES
from harness.models.resolve import adapter_sha256, is_model, model_sha256

MODEL = {
    "config.json": "{}",
    "generation_config.json": "{}",
    "model.safetensors": "weights",
    "tokenizer.json": "{}",
    "tokenizer_config.json": "{}",
    "chat_template.jinja": "{{ x }}",
    "additional_chat_templates/tools.jinja": "{{ y }}",
    "vocab.txt": "a",
    "merges.txt": "a b",
}
CONFIG = {
    "base_model_name_or_path": "smollm2",
    "r": 16,
    "lora_alpha": 16,
    "target_modules": ["q_proj", "v_proj"],
    "modules_to_save": None,
    "inference_mode": True,
}


def write(directory, files):
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return directory


@pytest.fixture
def adapter(tmp_path):
    return write(
        tmp_path / "adapter",
        {"adapter_config.json": json.dumps(CONFIG), "adapter_model.safetensors": "weights"},
    )


def test_the_order_in_which_files_were_written_is_no_content(tmp_path):
    """Directory listings follow the file system; the hash doesn't, nor the place."""
    one = write(tmp_path / "one", MODEL)
    other = write(tmp_path / "elsewhere" / "other", dict(reversed(MODEL.items())))
    assert model_sha256(one) == model_sha256(other)


@pytest.mark.parametrize("name", MODEL)
def test_each_file_that_decides_answers_counts(tmp_path, name):
    """Its bytes count, and whether it is there."""
    directory = write(tmp_path, MODEL)
    before = model_sha256(directory)
    (directory / name).write_text("changed")
    changed = model_sha256(directory)
    (directory / name).unlink()
    assert len({before, changed, model_sha256(directory)}) == 3


@pytest.mark.parametrize("name", ["README.md", ".gitattributes", "tunegate_model.json", "pytorch_model.bin"])
def test_files_that_are_never_read_do_not_count(tmp_path, name):
    directory = write(tmp_path, MODEL)
    before = model_sha256(directory)
    write(directory, {name: "anything"})
    assert model_sha256(directory) == before


def test_content_cannot_move_between_files(tmp_path):
    """Two files that swap their content are another model."""
    one = write(tmp_path / "one", {"config.json": "a", "tokenizer.json": "b"})
    other = write(tmp_path / "other", {"config.json": "b", "tokenizer.json": "a"})
    assert model_sha256(one) != model_sha256(other)


def test_a_copied_adapter_is_the_same_adapter(adapter, tmp_path):
    """Where it lies, what its base is called there, and the layout of its JSON say nothing of what it does."""
    copy = shutil.copytree(adapter, tmp_path / "other" / "copy")
    moved = CONFIG | {"base_model_name_or_path": "/elsewhere/smollm2", "inference_mode": False}
    (copy / "adapter_config.json").write_text(json.dumps(dict(reversed(moved.items())), indent=4))
    assert adapter_sha256(copy) == adapter_sha256(adapter)


def test_the_order_of_a_set_is_no_content(adapter):
    """PEFT writes the set of target modules in an order that differs from process to process."""
    before = adapter_sha256(adapter)
    (adapter / "adapter_config.json").write_text(
        json.dumps(CONFIG | {"target_modules": ["v_proj", "q_proj"]})
    )
    assert adapter_sha256(adapter) == before


@pytest.mark.parametrize(
    "change",
    [
        {"r": 8},
        {"lora_alpha": 32},
        {"target_modules": ["q_proj"]},
        {"target_modules": "all-linear"},
        {"use_dora": True},
    ],
)
def test_a_changed_configuration_is_another_adapter(adapter, change):
    before = adapter_sha256(adapter)
    (adapter / "adapter_config.json").write_text(json.dumps(CONFIG | change))
    assert adapter_sha256(adapter) != before


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "tokenizer.json", "chat_template.jinja"])
def test_changed_weights_or_an_own_tokenizer_make_another_adapter(adapter, name):
    before = adapter_sha256(adapter)
    (adapter / name).write_text("changed")
    assert adapter_sha256(adapter) != before


@pytest.mark.parametrize("content", [None, "{", "[]", "\udcff"])
def test_no_readable_configuration_is_told_in_one_line(tmp_path, content):
    if content is not None:
        (tmp_path / "adapter_config.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(AdapterError, match=r"adapter_config\.json: ") as caught:
        adapter_sha256(tmp_path)
    assert "\n" not in str(caught.value)


def test_the_vocabulary_files_of_all_tokenizers_count():
    """Else an edited vocabulary would get the answers of the old one."""
    import transformers

    sources = Path(transformers.__file__).parent.glob("models/*/tokenization*.py")
    named = {
        name
        for source in sources
        for name in re.findall(r'"\w+_file": *"([^"]+)"', source.read_text(encoding="utf-8"))
    }
    assert {"vocab.json", "spiece.model", "emoji.json", "word_shape.json"} <= named
    for patterns in (resolve._TOKENIZER_PATTERNS, resolve._MODEL_PATTERNS, HUB_FILES):
        assert [name for name in named if not any(fnmatch(name, pattern) for pattern in patterns)] == []


@pytest.mark.parametrize("weights", ["model.safetensors", "model.safetensors.index.json"])
def test_weights_that_only_another_library_loads_are_no_part_of_a_model(tmp_path, weights):
    """Mistral's models have theirs twice, and who fetched one decides whether both are there."""
    files = {**MODEL, weights: '{"weight_map": {}}'}
    fetched_by_one = write(tmp_path / "one", files)
    fetched_by_other = write(tmp_path / "other", {**files, "consolidated.safetensors": "weights"})
    assert model_sha256(fetched_by_one) == model_sha256(fetched_by_other)
    everything = resolve._hash_files(fetched_by_other)
    assert everything != model_sha256(fetched_by_other)
    # Manifests of earlier versions name what was there.
    assert is_model(fetched_by_other, everything)
    assert is_model(fetched_by_other, model_sha256(fetched_by_one))
    assert not is_model(fetched_by_one, everything)
    alone = write(tmp_path / "alone", {"config.json": "{}", "consolidated.safetensors": "weights"})
    before = model_sha256(alone)
    (alone / "consolidated.safetensors").write_text("others")
    assert model_sha256(alone) != before
