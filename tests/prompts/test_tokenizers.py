"""Which tokenizer and which chat template an adapter is asked with."""

import json

import pytest

from harness.errors import AdapterError, ModelError
from harness.prompts.tokenizers import has_own_template, load_tokenizer


@pytest.fixture
def base(letters, tmp_path):
    directory = tmp_path / "base"
    letters("BASE {{ messages[0].content }}").save_pretrained(directory)
    return directory


@pytest.fixture
def adapter(tmp_path):
    directory = tmp_path / "adapter"
    directory.mkdir()
    return directory


def test_the_base_s_own(base, adapter):
    assert load_tokenizer(base).chat_template.startswith("BASE")
    assert load_tokenizer(base, adapter).chat_template.startswith("BASE")


def test_a_template_file_beside_the_adapter_is_heeded_without_a_tokenizer(base, adapter):
    (adapter / "chat_template.jinja").write_text("ADAPTER {{ messages[0].content }}")
    assert load_tokenizer(base, adapter).chat_template.startswith("ADAPTER")


def test_an_older_template_file_is_heeded(base, adapter):
    (adapter / "chat_template.json").write_text('{"chat_template": "OLDER"}')
    assert load_tokenizer(base, adapter).chat_template == "OLDER"


def test_a_base_may_have_the_template_of_its_processor(base, letters, tmp_path):
    """Models of pictures and text have it there; without it they would be asked plain text."""
    directory = tmp_path / "pictures"
    letters(None).save_pretrained(directory)
    (directory / "chat_template.json").write_text('{"chat_template": "OLDER"}')
    assert load_tokenizer(directory).chat_template == "OLDER"
    (directory / "chat_template.json").write_text("[]")
    with pytest.raises(ModelError, match="pictures: its chat template can't be read"):
        load_tokenizer(directory)


def test_a_vocabulary_that_no_library_would_load_is_not_passed_over(base, adapter):
    own = (base / "tokenizer.json").read_text()
    (adapter / "tokenizer.json").write_text(own)
    assert load_tokenizer(base, adapter).chat_template.startswith("BASE")
    (adapter / "tokenizer.json").write_text(own.replace("a", "b", 1))
    with pytest.raises(AdapterError, match=r"tokenizer\.json without tokenizer_config\.json"):
        load_tokenizer(base, adapter)


def test_named_templates_beside_the_adapter_are_heeded(base, adapter):
    (adapter / "additional_chat_templates").mkdir()
    (adapter / "additional_chat_templates" / "rag.jinja").write_text("RAG")
    (adapter / "chat_template.jinja").write_text("ADAPTER")
    assert load_tokenizer(base, adapter).chat_template == {"rag": "RAG", "default": "ADAPTER"}


def test_an_adapter_s_own_tokenizer_comes_first(base, adapter, letters):
    letters("OWN", eos="<|end|>").save_pretrained(adapter)
    tokenizer = load_tokenizer(base, adapter)
    assert (tokenizer.chat_template, tokenizer.eos_token) == ("OWN", "<|end|>")
    (adapter / "chat_template.jinja").write_text("FILE")
    assert load_tokenizer(base, adapter).chat_template == "FILE"


def test_an_own_tokenizer_without_a_template_takes_the_base_s(base, adapter, letters):
    letters(None, eos="<|end|>").save_pretrained(adapter)
    tokenizer = load_tokenizer(base, adapter)
    assert tokenizer.chat_template.startswith("BASE")
    assert tokenizer.eos_token == "<|end|>"


def test_without_any_template_there_is_none(letters, tmp_path):
    letters().save_pretrained(tmp_path)
    assert load_tokenizer(tmp_path).chat_template is None


def test_a_damaged_tokenizer_is_named(base, adapter):
    (adapter / "tokenizer_config.json").write_text("{}")
    with pytest.raises(AdapterError, match=r"adapter: no vocabulary of a tokenizer .*save_pretrained"):
        load_tokenizer(base, adapter)
    (base / "tokenizer.json").write_text("{}")
    with pytest.raises(ModelError, match="base: its tokenizer can't be loaded"):
        load_tokenizer(base)


def test_a_token_for_unknown_text_that_is_none_is_named(base):
    path = base / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "unk_token": ""}))
    with pytest.raises(
        ModelError, match=r"base: tokenizer_config\.json: unk_token '' is not in the vocabulary"
    ):
        load_tokenizer(base)


def test_a_tokenizer_with_its_own_code_is_refused(base):
    path = base / "tokenizer_config.json"
    own = {"auto_map": {"AutoTokenizer": ["tokens.Own", None]}, "tokenizer_class": "Own"}
    path.write_text(json.dumps({**json.loads(path.read_text()), **own}))
    with pytest.raises(
        ModelError, match=r"needs its own program code \(auto_map\), and code of models is not run"
    ):
        load_tokenizer(base)


def test_a_damaged_template_file_is_named(base, adapter):
    (adapter / "chat_template.json").write_text("[]")
    with pytest.raises(AdapterError, match="chat template can't be read"):
        load_tokenizer(base, adapter)


def test_an_adapter_that_is_not_asked_as_its_base_is(adapter):
    assert not has_own_template(adapter)
    (adapter / "chat_template.jinja").write_text("ADAPTER")
    assert has_own_template(adapter)


def test_a_base_may_have_no_tokenizer_where_the_adapter_has_one(tmp_path, adapter, letters):
    bare = tmp_path / "bare"
    bare.mkdir()
    letters().save_pretrained(adapter)
    assert load_tokenizer(bare, adapter).chat_template is None
    (adapter / "chat_template.jinja").write_text("OWN")
    assert load_tokenizer(bare, adapter).chat_template == "OWN"


@pytest.mark.parametrize("content", ["[]", "3", "null"])
def test_a_configuration_that_is_no_object_is_named(base, content):
    (base / "config.json").write_text(content)
    with pytest.raises(ModelError, match=r"base: config\.json: can't be read"):
        load_tokenizer(base)


@pytest.mark.parametrize(
    ("key", "value"), [("eos_token_id", "3"), ("num_hidden_layers", "2"), ("hidden_size", [8])]
)
def test_a_damaged_configuration_is_not_blamed_on_the_tokenizer(base, key, value):
    """A tokenizer's class depends on the model's configuration, which is read first."""
    (base / "config.json").write_text(json.dumps({"model_type": "llama", key: value}))
    (base / "tokenizer_config.json").write_text("{}")
    with pytest.raises(
        ModelError, match=rf"base: config.json: can't be read: .*'{key}'.*; save the model again"
    ):
        load_tokenizer(base)


def test_the_tokenizer_does_not_depend_on_the_packages_beside_it(tiny_model_dir, monkeypatch):
    """Where Mistral's package is installed its tokenizer, without templates, would take a directory's place."""
    from transformers import AutoTokenizer

    asked, load = [], AutoTokenizer.from_pretrained

    def noted(*given, **options):
        asked.append(options.get("mistral_format"))
        return load(*given, **options)

    monkeypatch.setattr(AutoTokenizer, "from_pretrained", noted)
    assert load_tokenizer(tiny_model_dir).chat_template
    assert asked == [False]
