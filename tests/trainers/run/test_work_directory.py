"""Checkpoints and results are whole or not there."""

import json

import pytest

from harness.errors import SettingsError
from trainers.config import RunConfig, TrainingConfig
from trainers.run.work_directory import (
    can_resume,
    last_checkpoint,
    prepare_work,
    put_in_place,
    work_directory,
)

ROWS = [{"prompt": f"what is w{i}", "completion": f"one two w{i}"} for i in range(16)]


def test_a_full_disk_keeps_the_last_checkpoint(make_project, capsys, monkeypatch):
    """The error is one line that names the checkpoint to go on from; the old adapter is untouched."""
    project = make_project("sft", ROWS)
    assert project.train() == 0
    before = project.manifest["adapter_sha256"]

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("trainers.run.trained_weights.save_trained", full)
    assert project.train(seed=1) == 4
    assert "No space left on device; checkpoint-8 is kept: make room" in capsys.readouterr().err
    assert project.manifest["adapter_sha256"] == before


def test_a_checkpoint_that_was_cut_short_is_passed_over(make_project):
    """Resuming takes the newest whole one: a checkpoint's state is its last file."""
    project = make_project("sft", ROWS)
    assert project.train() == 0
    (project.path / "out.work" / "checkpoints" / "checkpoint-8" / "trainer_state.json").unlink()
    assert project.train("--resume") == 0
    assert project.manifest["steps"] == 8


@pytest.mark.parametrize("output", ["", "rows.jsonl", "mine"])
def test_what_no_training_wrote_is_never_replaced(make_project, capsys, output):
    """An output that names the configuration's own directory would delete the data."""
    project = make_project("sft", ROWS)
    (project.path / "mine").mkdir()
    (project.path / "mine" / "notes.txt").write_text("mine")
    assert project.train(output=output) == 4
    assert "has files that no training wrote, and they would be replaced" in capsys.readouterr().err
    assert (project.path / "rows.jsonl").read_text()
    assert (project.path / "mine" / "notes.txt").exists()


@pytest.mark.parametrize("made", ["out.work/thesis.txt", "out.work"])
def test_a_work_directory_that_no_training_made_is_never_emptied(make_project, capsys, made):
    project = make_project("sft", ROWS)
    (project.path / made).parent.mkdir(exist_ok=True)
    (project.path / made).write_text("mine")
    assert project.train() == 4
    assert "out.work is for a training's checkpoints and has other files" in capsys.readouterr().err
    assert (project.path / made).read_text() == "mine"


def config(tmp_path, **changes):
    return RunConfig(**{"base": "b", "output": tmp_path / "out", **changes})


def checkpoint(work, step):
    directory = work / "checkpoints" / f"checkpoint-{step}"
    directory.mkdir(parents=True)
    (directory / "trainer_state.json").write_text("{}")


def test_the_newest_checkpoint_is_the_one_of_the_highest_step(tmp_path):
    """As numbers: 10 comes after 9."""
    for step in (9, 10, 2):
        checkpoint(tmp_path, step)
    assert last_checkpoint(tmp_path).name == "checkpoint-10"


def test_a_run_can_be_resumed_with_the_same_settings_and_data_only(tmp_path):
    settings = config(tmp_path)
    work = work_directory(settings.output)
    assert work == tmp_path / "out.work"
    assert prepare_work(work, settings, "data", resume=False) is None
    assert not can_resume(work, settings, "data")
    checkpoint(work, 3)
    assert can_resume(work, settings, "data")
    assert prepare_work(work, settings, "data", resume=True).name == "checkpoint-3"
    assert not can_resume(work, settings, "other")
    assert not can_resume(work, config(tmp_path, seed=1), "data")
    with pytest.raises(SettingsError, match="--resume: data_sha256, seed changed since the checkpoint"):
        prepare_work(work, config(tmp_path, seed=1), "other", resume=True)
    # What is looked for in the data and where the result goes is no part of it.
    assert can_resume(work, config(tmp_path, leakage={"allow": True}), "data")


def test_a_run_goes_on_with_as_many_processes_only(tmp_path, monkeypatch):
    """Each has a batch of its own in a step: with another number rows were learnt twice or never."""
    settings = config(tmp_path)
    work = work_directory(settings.output)
    monkeypatch.setenv("WORLD_SIZE", "2")
    prepare_work(work, settings, "data", resume=False)
    checkpoint(work, 3)
    assert prepare_work(work, settings, "data", resume=True).name == "checkpoint-3"
    monkeypatch.delenv("WORLD_SIZE")
    with pytest.raises(SettingsError, match=r"--resume: the number of processes changed .* \(2, now 1\)"):
        prepare_work(work, settings, "data", resume=True)
    # It is a line, not a reason to begin anew.
    assert can_resume(work, settings, "data")
    with pytest.raises(SettingsError, match="--resume: processes, seed changed since the checkpoint"):
        prepare_work(work, config(tmp_path, seed=1), "data", resume=True)
    # A run that was begun before they were stored goes on.
    stored = json.loads((work / "config.json").read_text())
    del stored["processes"]
    (work / "config.json").write_text(json.dumps(stored))
    assert prepare_work(work, settings, "data", resume=True).name == "checkpoint-3"


@pytest.mark.parametrize("content", ["", "{", "[]"])
def test_a_damaged_note_of_the_settings_is_one_line(tmp_path, content):
    settings = config(tmp_path)
    work = work_directory(settings.output)
    prepare_work(work, settings, "data", resume=False)
    checkpoint(work, 1)
    (work / "config.json").write_text(content)
    with pytest.raises(SettingsError, match=r"config.json: .*; start without --resume"):
        prepare_work(work, settings, "data", resume=True)


def test_a_result_replaces_the_old_one_whole(tmp_path):
    old, made = tmp_path / "deep" / "out", tmp_path / "made"
    for directory, name in ((old, "old"), (made, "new")):
        directory.mkdir(parents=True)
        (directory / name).touch()
    put_in_place(old, made)
    assert [path.name for path in old.iterdir()] == ["new"]
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["deep", "new", "out"]


def test_a_copy_beside_the_result_stays(tmp_path):
    """NAME.old is a name that people give their own copies."""
    for name in ("out", "out.old", "made"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "is").write_text(name)
    put_in_place(tmp_path / "out", tmp_path / "made")
    assert {path.name: (path / "is").read_text() for path in tmp_path.iterdir()} == {
        "out": "made",
        "out.old": "out.old",
    }


def test_a_result_that_cannot_be_moved_leaves_the_old_one(tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(FileNotFoundError):
        put_in_place(tmp_path / "out", tmp_path / "never made")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_names_like_a_checkpoints_are_passed_over(tmp_path):
    for name in ("checkpoint-8", "checkpoint-best"):
        checkpoint(tmp_path, name.removeprefix("checkpoint-"))
    assert last_checkpoint(tmp_path).name == "checkpoint-8"


def test_another_content_of_a_named_file_is_another_run(tmp_path):
    template = tmp_path / "mine.jinja"
    template.write_text("{{ messages }}")
    settings = TrainingConfig(base="b", output=tmp_path / "out", chat_template=template, data="d.jsonl")
    work = work_directory(settings.output)
    prepare_work(work, settings, "data", resume=False)
    checkpoint(work, 3)
    assert can_resume(work, settings, "data")
    template.write_text("{{ messages[0] }}")
    assert not can_resume(work, settings, "data")
    with pytest.raises(SettingsError, match="--resume: content of chat_template changed since"):
        prepare_work(work, settings, "data", resume=True)
    # A run that was begun before hashes were stored goes on.
    stored = json.loads((work / "config.json").read_text())
    del stored["content of chat_template"]
    (work / "config.json").write_text(json.dumps(stored))
    assert prepare_work(work, settings, "data", resume=True).name == "checkpoint-3"
    assert can_resume(work, settings, "data")
