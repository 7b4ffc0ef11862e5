import pytest

from trainers.callback.kept_checkpoint import keep_checkpoint


@pytest.fixture
def checkpoint(tmp_path):
    made = tmp_path / "checkpoint-4"
    (made / "additional_chat_templates").mkdir(parents=True)
    for name in (
        *("adapter_model.safetensors", "adapter_config.json", "tokenizer.json"),
        *("additional_chat_templates/tools.jinja", "optimizer.pt", "rng_state_0.pth", "trainer_state.json"),
    ):
        (made / name).write_text(name)
    return made


def kept_files(kept):
    return sorted(str(file.relative_to(kept)) for file in kept.rglob("*") if file.is_file())


def test_the_model_alone_is_kept_in_place_of_the_one_before(checkpoint, tmp_path):
    (tmp_path / "gate-best").mkdir()
    (tmp_path / "gate-best" / "old.safetensors").write_text("old")
    kept = keep_checkpoint(checkpoint, tmp_path)
    assert kept_files(kept) == [
        "adapter_config.json",
        "adapter_model.safetensors",
        "additional_chat_templates/tools.jinja",
        "tokenizer.json",
    ]


def test_it_stays_when_the_trainer_deletes_the_checkpoint(checkpoint, tmp_path):
    kept = keep_checkpoint(checkpoint, tmp_path)
    (checkpoint / "adapter_model.safetensors").unlink()
    assert (kept / "adapter_model.safetensors").read_text() == "adapter_model.safetensors"


def test_file_systems_without_links_get_copies(checkpoint, tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError("no links here")

    monkeypatch.setattr("os.link", refuse)
    kept = keep_checkpoint(checkpoint, tmp_path)
    assert (kept / "tokenizer.json").read_text() == "tokenizer.json"
