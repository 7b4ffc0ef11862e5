"""Continual pretraining on a tiny model."""

import json
from itertools import chain

import pytest
from transformers import AutoTokenizer

from harness.errors import DataError
from trainers.data.texts import load_texts
from trainers.methods import continual
from trainers.methods.continual import windows


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
    (tmp_path / "a.md").write_text("\ufeff# One document\n\nwith two paragraphs\n")
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
    (tmp_path / "rows.jsonl").write_text('{"text": "x", "images": ["x.png"]}\n')
    with pytest.raises(DataError, match=r"rows.jsonl:1: images: not read here; remove it"):
        load_texts([tmp_path / "rows.jsonl"])


def test_long_documents_are_cut_into_windows_and_no_token_is_lost(tiny_model_dir):
    tokenizer = AutoTokenizer.from_pretrained(tiny_model_dir)
    texts = ["the cat sat on a mat", "one two three " * 9, "w1"]
    rows = [row["input_ids"] for row in windows([{"text": text} for text in texts], tokenizer, 8)]
    end = [tokenizer.eos_token_id]
    assert [len(row) for row in rows] == [7, 8, 8, 8, 4, 2]
    assert [*chain(*rows)] == [*chain(*(tokenizer(text)["input_ids"] + end for text in texts))]


def test_a_last_window_of_one_token_is_left_out(tiny_model_dir):
    tokenizer = AutoTokenizer.from_pretrained(tiny_model_dir)
    rows = windows([{"text": "the cat sat on a mat w1 w2"}], tokenizer, 8)
    assert [len(row["input_ids"]) for row in rows] == [8]


DOCUMENTS = [{"text": "the cat sat " * (1 + i % 3) + f"w{i}"} for i in range(8)]


def losses(project, **changes):
    keys = {"max_steps": 2, "batch_size": 8, "learning_rate": 1e-3, "quantization": "none"}
    assert project.train(**{**keys, **changes}) == 0
    return [entry["loss"] for entry in project.manifest["losses"]]


def test_a_document_does_not_see_the_one_before_it(make_project, monkeypatch, capsys):
    """Packed documents have the loss that they have in rows of their own, learnt in one step."""
    project = make_project("continual", DOCUMENTS)
    packed = losses(project, max_length=24)
    assert "packing   none" not in capsys.readouterr().err
    monkeypatch.setattr(continual, "_why_not_packed", lambda *_: "told so")
    assert packed == pytest.approx(losses(project, max_length=24), rel=1e-3)
    assert "packing   none: told so, so each document is a row of its own" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["prefix", "prompt"])
def test_virtual_tokens_come_before_each_document(kind, make_project, capsys):
    project = make_project("continual", DOCUMENTS, peft={"method": kind, "virtual_tokens": 4})
    assert losses(project, max_length=24)
    assert "packing   none: virtual tokens come before a sequence" in capsys.readouterr().err
