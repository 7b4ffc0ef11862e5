"""A damaged checkpoint is one line that says which file and what to do, before any model loads."""

import json
import zipfile

import pytest

from harness.errors import SettingsError
from trainers.config import RunConfig
from trainers.run.checkpoint import STATE_FILE, check_checkpoint, read_state, whole_checkpoint
from trainers.run.work_directory import prepare_work


@pytest.fixture
def checkpoint(tmp_path):
    import torch
    from safetensors.torch import save_file

    directory = tmp_path / "out.work" / "checkpoints" / "checkpoint-8"
    directory.mkdir(parents=True)
    torch.save({"state": {0: torch.arange(4000.0)}}, directory / "optimizer.pt")
    save_file({"w": torch.zeros(8)}, directory / "adapter_model.safetensors")
    (directory / STATE_FILE).write_text(json.dumps({"step": 8}))
    check_checkpoint(directory)
    return directory


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("optimizer.pt", cut),
        ("optimizer.pt", flip),
        ("optimizer.pt", lambda path: path.write_bytes(b"")),
        ("adapter_model.safetensors", lambda path: path.write_bytes(b"no")),
        (STATE_FILE, lambda path: path.write_text("{")),
        (STATE_FILE, lambda path: path.write_text("[" * 100_000)),
        (STATE_FILE, lambda path: path.write_text("3")),
    ],
)
def test_a_damaged_file_is_named(checkpoint, name, damage):
    damage(checkpoint / name)
    config = RunConfig(base="b", output=checkpoint.parents[2] / "out")
    with pytest.raises(SettingsError) as raised:
        prepare_work(checkpoint.parents[1], config, "0", resume=True)
    line = str(raised.value)
    assert f"checkpoint-8: {name} is damaged (" in line
    assert line.endswith("older one, or start without --resume")
    assert "\n" not in line


STATE = {"epoch": 1.0, "global_step": 8, "max_steps": 8, "log_history": [{"loss": 1.0, "step": 8}]}


@pytest.fixture
def of_a_trainer(checkpoint):
    """A checkpoint with all that the transformers library writes."""
    for name in ("scheduler.pt", "rng_state.pth"):
        (checkpoint / name).write_bytes((checkpoint / "optimizer.pt").read_bytes())
    (checkpoint / STATE_FILE).write_text(json.dumps(STATE))
    check_checkpoint(checkpoint)
    return checkpoint


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("optimizer.pt", "its optimizer"),
        ("scheduler.pt", "its scheduler"),
        ("rng_state.pth", "its random state"),
        ("adapter_model.safetensors", "its weights"),
    ],
)
def test_a_missing_part_is_named(of_a_trainer, name, part):
    """The library would begin that part anew, and the result would be another one."""
    (of_a_trainer / name).unlink()
    with pytest.raises(SettingsError, match=rf"checkpoint-8: {part} is damaged \(the file is missing\)"):
        check_checkpoint(of_a_trainer)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"global_step": 0}, "global_step is 0"),
        ({"global_step": "x"}, "global_step is 'x'"),
        ({"max_steps": None}, "max_steps is None"),
        ({"epoch": "x"}, "epoch is 'x'"),
        ({"train_batch_size": "x"}, "train_batch_size is 'x'"),
        ({"log_history": [{"loss": "x", "step": 1}]}, "could not convert string to float"),
        ({"log_history": [{"loss": 1}]}, "'step'"),
        ({"log_history": 5}, "not iterable"),
        ({"stateful_callbacks": 5}, "not iterable"),
        ({"of_a_later_version": 1}, "of_a_later_version"),
    ],
)
def test_a_state_that_the_library_cannot_read_is_named(of_a_trainer, changes, said):
    (of_a_trainer / STATE_FILE).write_text(json.dumps({**STATE, **changes}))
    with pytest.raises(SettingsError, match=f"checkpoint-8: {STATE_FILE} is damaged .*{said}"):
        check_checkpoint(of_a_trainer)


def test_a_state_without_anything_is_not_taken_for_another_kind(of_a_trainer):
    """The library would train from step 0 with the weights of step 8."""
    (of_a_trainer / "training_args.bin").write_bytes((of_a_trainer / "optimizer.pt").read_bytes())
    (of_a_trainer / STATE_FILE).write_text("{}")
    with pytest.raises(SettingsError, match=f"checkpoint-8: {STATE_FILE} is damaged .*epoch is None"):
        check_checkpoint(of_a_trainer)


def test_an_archive_of_another_program_is_named(of_a_trainer):
    with zipfile.ZipFile(of_a_trainer / "optimizer.pt", "w") as archive:
        archive.writestr("a", "b")
    with pytest.raises(SettingsError, match=r"optimizer.pt is damaged \(not a file of torch.save\)"):
        check_checkpoint(of_a_trainer)


def test_content_of_another_program_is_named(checkpoint):
    with (
        pytest.raises(SettingsError, match="checkpoint-8: its content is damaged"),
        whole_checkpoint(checkpoint),
    ):
        read_state(checkpoint)["rounds"]


def test_a_lack_of_memory_is_no_damage(checkpoint):
    with pytest.raises(RuntimeError, match="out of memory"), whole_checkpoint(checkpoint):
        raise RuntimeError("CUDA out of memory")
