import json
import os
import sys
from types import SimpleNamespace

import pytest

from harness.errors import ModelError
from harness.models.resolve import (
    model_config,
    own_settings,
    plain_reference,
    resolve_model,
    token_bytes,
    with_revision,
)


def write_model(directory, *files: str):
    directory.mkdir(parents=True, exist_ok=True)
    for name in files:
        (directory / name).write_text("{}")
    return directory


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A hub client that has a local cache and a remote side, and notes what it was asked."""
    errors = pytest.importorskip("huggingface_hub.errors")
    state = SimpleNamespace(local=None, remote=None, asked=[])

    def snapshot_download(
        reference, *, allow_patterns, ignore_patterns, local_files_only=False, revision=None
    ):
        state.revision = (reference, revision)
        state.asked.append("local" if local_files_only else "remote")
        state.patterns, state.left_out = allow_patterns, ignore_patterns
        if local_files_only:
            if state.local is None:
                raise errors.LocalEntryNotFoundError("not cached")
            return str(state.local)
        if isinstance(state.remote, Exception):
            raise state.remote
        return str(state.remote)

    class HfApi:
        def model_info(self, name, *, revision, files_metadata):
            sizes = {
                "model.safetensors": 2_000_000_000,
                "config.json": 700,
                "pytorch_model.bin": 2_000_000_000,
                "consolidated.safetensors": 2_000_000_000,
            }
            return SimpleNamespace(
                siblings=[SimpleNamespace(rfilename=file, size=size) for file, size in sizes.items()]
            )

    monkeypatch.setattr(sys.modules["huggingface_hub"], "HfApi", HfApi)
    monkeypatch.setattr(sys.modules["huggingface_hub"], "snapshot_download", snapshot_download)
    monkeypatch.chdir(tmp_path)
    return state


def test_a_directory_is_itself(tmp_path):
    directory = write_model(tmp_path / "m", "config.json", "model.safetensors")
    assert resolve_model(str(directory)) == directory


def test_a_catalogue_name_is_its_cached_directory(home):
    directory = write_model(home / "models" / "smollm2", "config.json", "model.safetensors")
    assert resolve_model("smollm2") == directory


def test_a_catalogue_name_that_is_not_fetched_tells_the_command(home):
    with pytest.raises(ModelError, match="smollm2 isn't fetched yet: run tunegate model fetch smollm2"):
        resolve_model("smollm2")


def test_a_local_directory_without_a_model_does_not_hide_the_catalogue(home, tmp_path, monkeypatch):
    """A folder of results may well be called after the base model."""
    monkeypatch.chdir(tmp_path)
    write_model(tmp_path / "smollm2", "notes.txt")
    directory = write_model(home / "models" / "smollm2", "config.json", "model.safetensors")
    assert resolve_model("smollm2") == directory


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], "not a model: config.json is missing"),
        (["adapter_config.json"], "an adapter, not a model"),
        (["config.json"], r"no weights: no \*\.safetensors"),
        (["config.json", "pytorch_model.bin"], r"pytorch_model\.bin: pickled weights .* as safetensors"),
        (["config.json", "model.pt"], r"model\.pt: pickled weights"),
        (["config.json", "model.pth"], r"model\.pth: pickled weights"),
    ],
)
def test_a_directory_that_is_no_model_says_why(tmp_path, files, message):
    with pytest.raises(ModelError, match=message):
        resolve_model(str(write_model(tmp_path / "m", *files)))


@pytest.mark.parametrize(
    ("config", "key"),
    [
        ({"num_hidden_layers": 10**12}, "num_hidden_layers"),
        ({"n_layer": 1e12}, "n_layer"),
        ({"text_config": {"num_layers": 10**9}}, "text_config.num_layers"),
        ({"vision_config": {"depth": 1001}}, "vision_config.depth"),
        ({"attention_types": [[["global", "local"], 10**12]]}, "attention_types"),
    ],
)
def test_layers_that_would_be_built_for_hours_are_refused(tmp_path, config, key):
    model = write_model(tmp_path / "m", "model.safetensors")
    (model / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=rf"config\.json: {key}: found .* \(allowed: up to 1000\)"):
        resolve_model(str(model))


@pytest.mark.parametrize("content", ['{"num_hidden_layers": 1000, "vocab_size": 200000}', "[1", "[]", "{}"])
def test_other_configurations_are_read_by_the_library(tmp_path, content):
    model = write_model(tmp_path / "m", "model.safetensors")
    (model / "config.json").write_text(content)
    assert resolve_model(str(model)) == model


@pytest.mark.parametrize(
    "name", ["generation_config.json", "tokenizer_config.json", "chat_template.jinja", "model.safetensors"]
)
def test_a_name_without_a_file_is_not_taken_for_an_absent_file(tmp_path, name):
    """Libraries would answer without it: with other end tokens, or as if there were no chat template."""
    directory = write_model(tmp_path / "m", "config.json", "weights.safetensors")
    (directory / name).symlink_to(tmp_path / "removed")
    with pytest.raises(ModelError, match=f"{name}: a link to .*removed, where no file is; fetch or copy"):
        resolve_model(str(directory))
    (directory / name).unlink()
    os.mkfifo(directory / name)  # reading it would wait for ever
    with pytest.raises(ModelError, match=f"{name}: a pipe, socket or device, and no file"):
        resolve_model(str(directory))
    (directory / name).unlink()
    (directory / "README.md").symlink_to(tmp_path / "removed")
    assert resolve_model(str(directory)) == directory


def test_pickles_beside_safetensors_do_no_harm(tmp_path):
    """They are never read where there are safetensors."""
    directory = write_model(tmp_path, "config.json", "model.safetensors", "pytorch_model.bin")
    assert resolve_model(str(directory)) == directory


@pytest.mark.parametrize("index", ["{", "[]", "{}", '{"weight_map": []}', '{"weight_map": {"a": 1}}'])
def test_an_index_that_is_none_is_refused(tmp_path, index):
    write_model(tmp_path, "config.json", "model-00001-of-00002.safetensors")
    (tmp_path / "model.safetensors.index.json").write_text(index)
    with pytest.raises(ModelError, match="not an index of weight files"):
        resolve_model(str(tmp_path))


def test_a_missing_shard_is_named(tmp_path):
    write_model(tmp_path, "config.json", "model-00001-of-00002.safetensors")
    shards = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))
    with pytest.raises(ModelError, match=r"model-00002-of-00002\.safetensors is missing"):
        resolve_model(str(tmp_path))


def test_a_file_is_no_model(tmp_path):
    (tmp_path / "model.gguf").write_text("")
    with pytest.raises(ModelError, match="a file; give the directory"):
        resolve_model(str(tmp_path / "model.gguf"))


@pytest.mark.parametrize("reference", ["smolm2", "/no/such/place", "a/b/c", "", "org/na me"])
def test_an_unknown_name_lists_what_is_allowed(reference, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match=r"no model|config\.json is missing|: no such directory"):
        resolve_model(reference)


def test_a_cached_hub_model_is_used_without_asking_the_hub(hub, tmp_path):
    hub.local = write_model(tmp_path / "snapshot", "config.json", "model.safetensors")
    assert resolve_model("hf:org/name") == hub.local
    assert hub.asked == ["local"]


@pytest.mark.parametrize("cached", [None, ["config.json"]])
def test_what_the_local_cache_lacks_comes_from_the_hub(hub, tmp_path, cached):
    """Nothing cached, or a configuration alone, as other programs leave it."""
    hub.local = cached and write_model(tmp_path / "partly", *cached)
    hub.remote = write_model(tmp_path / "snapshot", "config.json", "model.safetensors")
    assert resolve_model("hf:org/name") == hub.remote
    assert hub.asked == ["local", "remote"]
    assert not {"*.py", "*.bin", "*.pt"} & set(hub.patterns)
    assert hub.left_out == ["consolidated*"]


def test_a_download_is_announced_with_its_size(hub, tmp_path, capsys):
    """Only what is downloaded counts; what is there already is not announced."""
    hub.remote = write_model(tmp_path / "snapshot", "config.json", "model.safetensors")
    resolve_model("org/name@v1", recorded=True)
    assert capsys.readouterr().err == "tunegate: downloading org/name@v1 from the hub: 2 files, 2,000 MB\n"
    hub.local = hub.remote
    resolve_model("org/name@v1", recorded=True)
    assert capsys.readouterr().err == ""


def test_a_model_that_is_fetched_again_gets_what_the_cache_lacks(hub, tmp_path, capsys):
    """Another program may have fetched it without its tokenizer: weights and configuration look complete."""
    hub.local = write_model(tmp_path / "snapshot", "config.json", "model.safetensors")
    hub.remote = hub.local
    assert resolve_model("hf:org/name", again=True) == hub.local
    assert hub.asked == ["local", "remote"]
    hub.remote = OSError("no route to host")
    assert resolve_model("hf:org/name", again=True) == hub.local
    told = "org/name: the hub did not return it: no route to host; the cached files are taken as they are"
    assert capsys.readouterr().err == f"tunegate: {told}\n"


def test_without_leave_to_download_the_hub_is_not_asked(hub):
    with pytest.raises(ModelError, match="run tunegate model fetch hf:org/name"):
        resolve_model("hf:org/name", download=False)
    assert hub.asked == ["local"]


@pytest.mark.parametrize(
    "error", [OSError("no route to host\nmore"), ValueError("no route to host"), OSError()]
)
def test_a_hub_that_gives_nothing_is_one_line(hub, error):
    hub.remote = error
    with pytest.raises(ModelError, match="org/name: the hub did not return it: ") as caught:
        resolve_model("hf:org/name")
    assert "\n" not in str(caught.value)


def test_a_hub_model_of_pickles_is_refused(hub, tmp_path):
    hub.remote = write_model(tmp_path / "snapshot", "config.json")
    with pytest.raises(ModelError, match="no other kind is loaded"):
        resolve_model("hf:org/name")


def test_an_id_that_no_hub_takes_is_told_offline():
    pytest.importorskip("huggingface_hub")
    with pytest.raises(ModelError, match=r"neither a directory nor a hub id: "):
        resolve_model("hf:a--b/c..d")


def test_without_the_hub_client_the_remedy_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ModelError, match=r"pip install 'tunegate\[local\]'"):
        resolve_model("hf:org/name")


def test_a_hub_id_may_name_a_revision(hub, tmp_path):
    hub.local = write_model(tmp_path / "snapshot", "config.json", "model.safetensors")
    assert resolve_model("hf:org/name@refs/pr-1") == hub.local
    assert hub.revision == ("org/name", "refs/pr-1")
    resolve_model("hf:org/name")
    assert hub.revision == ("org/name", None)


@pytest.mark.parametrize(
    ("reference", "revision", "named"),
    [
        ("org/name", "v1", "org/name@v1"),
        ("org/name", None, "org/name"),
        ("org/name@v2", "v1", "org/name@v2"),
        ("smollm2", "v1", "smollm2"),
        ("/models/base", "v1", "/models/base"),
    ],
)
def test_a_revision_belongs_to_a_hub_id(reference, revision, named, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert with_revision(reference, revision) == named


def test_a_directory_that_looks_like_a_hub_id_has_no_revision(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_model(tmp_path / "org" / "name", "config.json", "model.safetensors")
    assert with_revision("org/name", "v1") == "org/name"


def test_a_path_that_is_missing_is_no_hub_id(hub):
    with pytest.raises(ModelError, match=r"no such directory; a model of the hub is written hf:out/mine"):
        resolve_model("out/mine")
    assert hub.asked == []


def test_what_an_adapter_records_may_be_a_hub_id(hub, tmp_path):
    hub.local = write_model(tmp_path / "snapshot", "config.json", "model.safetensors")
    assert resolve_model("org/name", recorded=True) == hub.local
    assert resolve_model("hf:org/name", recorded=True) == hub.local


def test_other_programs_read_a_hub_id_without_its_mark():
    assert plain_reference("hf:org/name") == plain_reference("org/name") == "org/name"


@pytest.mark.parametrize("name", ["hf:org/name", "org/name", "hf:org/name@v1"])
def test_an_encoder_that_a_golden_set_names_is_never_downloaded(hub, tmp_path, name):
    """Its file may come from anybody's pull request, and the download would carry the user's token."""
    from harness.metrics.encoders import find_encoder

    hub.remote = write_model(tmp_path / "snapshot", "config.json", "model.safetensors")
    with pytest.raises(ModelError):
        find_encoder(name)
    assert "remote" not in hub.asked


def test_an_index_beside_a_whole_file_is_not_read(tmp_path):
    """As transformers does: one that is left over from shards names files that are gone."""
    for name, text in (("config.json", "{}"), ("model.safetensors", "x")):
        (tmp_path / name).write_text(text)
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": {"a": "gone.safetensors"}}')
    assert resolve_model(str(tmp_path)) == tmp_path


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (None, ()),
        ("{", ()),
        ("[]", ()),
        ('{"eos_token_id": 3, "temperature": 0.7, "do_sample": true, "repetition_penalty": 1.0}', ()),
        ('{"num_beams": 1, "min_length": 0, "suppress_tokens": [], "token_healing": false}', ()),
        (
            '{"no_repeat_ngram_size": 2, "repetition_penalty": 1.1, "num_beams": 4}',
            ("repetition_penalty: 1.1", "no_repeat_ngram_size: 2", "num_beams: 4"),
        ),
        (
            '{"suppress_tokens": [11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21]}',
            ("suppress_tokens: [11, 12, 13, 14, 15, 16, 17, 18, 19, 20…",),
        ),
    ],
)
def test_what_a_generation_config_changes_in_greedy_answers(tmp_path, content, found):
    if content is not None:
        (tmp_path / "generation_config.json").write_text(content)
    assert own_settings(tmp_path) == found


@pytest.mark.parametrize("written", [None, "{", "[1]", '{"n_layer": "two"}'])
def test_a_configuration_that_tells_nothing_is_refused_when_the_model_loads(tmp_path, written):
    if written is not None:
        (tmp_path / "config.json").write_text(written)
        (tmp_path / "model.safetensors").touch()
    assert token_bytes(model_config(str(tmp_path)), "float32") == 0


@pytest.mark.parametrize(("dtype", "size"), [("bfloat16", 2), ("float32", 4), ("float64", 8)])
def test_a_token_has_a_key_and_a_value_in_each_layer_and_head(dtype, size):
    config = {"num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3, "hidden_size": 576}
    assert token_bytes(config, dtype) == 2 * 30 * 3 * 64 * size
