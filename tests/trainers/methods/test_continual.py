"""Continual pretraining on a tiny model."""

import json

import pytest

from harness.errors import DataError
from trainers.data.texts import load_texts


def test_the_loss_of_held_out_text_falls(make_project, texts):
    """Six held-out texts, of which the longer ones are two windows each."""
    project = make_project("continual", texts, max_length=32, batch_size=2, eval_data="more.jsonl")
    held_out = [*["the cat sat on a mat " * 8] * 3, *["one two three " * 5] * 3]
    (project.path / "more.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in held_out))
    assert project.train() == 0
    found = project.manifest["held_out"]
    assert found["n"] == 9
    assert found["change"]["high"] < 0
    assert found["after_nats_per_token"] < found["before_nats_per_token"]


def test_plain_files_and_json_lines_may_be_mixed(tmp_path):
    (tmp_path / "a.md").write_text("# One document\n\nwith two paragraphs\n")
    (tmp_path / "b.jsonl").write_text('{"text": "x"}\n{"text": "y"}\n')
    examples = load_texts([tmp_path / "a.md", tmp_path / "b.jsonl"])
    assert [row["text"][:5] for row in examples.rows] == ["# One", "x", "y"]
    assert examples.places[2] == (tmp_path / "b.jsonl", 2)


def test_bad_texts_are_named(tmp_path):
    (tmp_path / "latin.txt").write_bytes(b"fine\nna\xefve\n")
    (tmp_path / "empty.txt").write_text(" \n")
    (tmp_path / "rows.jsonl").write_text('{"txt": "x"}\n')
    with pytest.raises(DataError, match=r"latin.txt:2: not UTF-8"):
        load_texts([tmp_path / "latin.txt"])
    with pytest.raises(DataError, match=r"empty.txt: is empty"):
        load_texts([tmp_path / "empty.txt"])
    with pytest.raises(DataError, match=r"rows.jsonl:1: text: found None"):
        load_texts([tmp_path / "rows.jsonl"])
