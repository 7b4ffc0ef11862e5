"""``tunegate data check``: what it prints of every kind of data, and when its exit status is 1."""

import json

import pytest
from typer.testing import CliRunner

from harness.errors import TunegateError
from trainers.inspection.cli import app

GOLDEN = "name: g\ncases:\n  - {id: a, prompt: what is w3 and w4, checks: [{type: contains, value: x}]}\n"


def turn(role, content):
    return {"role": role, "content": content}


TALK = [turn("user", "what is"), turn("assistant", "one"), turn("user", "the cat"), turn("assistant", "sat")]
ROWS = [{"messages": TALK}, {"prompt": "w1", "completion": "two"}]


@pytest.fixture
def check(tmp_path, monkeypatch):
    """Runs the command on rows; its status and its lines."""
    monkeypatch.chdir(tmp_path)

    def run(rows, *options):
        text = "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows)
        (tmp_path / "rows.jsonl").write_text(text)
        found = CliRunner().invoke(app, ["check", "rows.jsonl", *map(str, options)])
        if isinstance(found.exception, TunegateError):
            raise found.exception
        return found.exit_code, found.stdout

    return run


def test_rows_are_counted_by_their_form_and_measured_in_words(check):
    status, said = check(ROWS)
    assert status == 0
    assert "rows        2 of answers: 1 with completion, 1 with messages" in said
    assert "lengths     words: median 6, 95 % up to 6, longest 6 (rows.jsonl:1)" in said
    assert "duplicates  none" in said
    assert "leakage     no golden set to look for; --golden names one" in said


def test_what_is_learnt_is_marked_in_the_model_s_own_form(check, tiny_model_dir):
    _, last = check(ROWS, "--base", tiny_model_dir, "--max-length", 8)
    assert "lengths     tokens: median 14, 95 % up to 14, longest 14 (rows.jsonl:1); 1 longer than 8" in last
    assert "the cat <|end|> <|assistant|>⟦sat <|end|>⟧" in last
    assert "⟦one" not in last
    _, both = check(ROWS, "--base", tiny_model_dir, "--learn", "all")
    assert "<|user|> what is <|end|> <|assistant|>⟦one <|end|>⟧<|user|> the cat" in both
    assert "learnt      6 tokens" in both
    assert "all fit into 1024" in both
    _, second = check(ROWS, "--row", 2)
    assert "user: w1\n⟦assistant: two\n⟧" in second


def test_both_answers_of_a_pair_are_shown(check, tiny_model_dir):
    status, said = check([{"prompt": "w1", "chosen": "two", "rejected": "one"}], "--base", tiny_model_dir)
    assert status == 0
    assert "<|assistant|> ⟦two <|end|> ⟧⟪one <|end|> ⟫" in said


@pytest.mark.parametrize(
    ("row", "kind", "shown"),
    [
        ({"prompt": "w1"}, "prompts", "<|user|> w1 <|end|> <|assistant|>"),
        ({"text": "the cat"}, "texts", "⟦the cat⟧"),
        ({"prompt": "w1", "completion": "one", "label": False}, "thumbs", "⟪one <|end|> ⟫"),
    ],
)
def test_every_kind_of_data_is_recognised_and_shown(check, tiny_model_dir, row, kind, shown):
    _, said = check([row], "--base", tiny_model_dir)
    assert f"rows        1 of {kind}" in said
    assert shown in said


def test_fields_beside_a_text_are_said_to_be_unread(check):
    rows = [
        {"prompt": "Hi.", "text": "Good day.", "topic": "greetings"},
        {"instruction": "Say good day.", "text": "Say good day. Good day."},
        {"prompt": "", "text": "Good night."},
    ]
    status, said = check(rows)
    assert status == 0
    assert "not read    prompt (1): a text is learnt alone" in said
    assert "instruction" not in said.split("example")[0]
    assert "not read" not in check(rows[2:])[1]


def test_copies_are_named(check):
    row = {"prompt": "what is w1", "completion": "one"}
    status, said = check([row, {"prompt": "What is w1?", "completion": "one."}, {**row, "completion": "two"}])
    assert status == 0
    assert "duplicates  1 row repeats an earlier one: rows.jsonl:2 as rows.jsonl:1" in said
    assert "duplicates  1 row asks the same, with another answer: rows.jsonl:3 as rows.jsonl:1" in said


def test_a_golden_case_in_the_data_fails(check, tmp_path):
    (tmp_path / "g.yaml").write_text(GOLDEN)
    status, said = check([{"prompt": "What is w3 and w4?", "completion": "x"}], "--golden", "g.yaml")
    assert status == 1
    assert "leakage     1 of 1 golden cases in the data" in said
    assert "rows.jsonl:1: golden case g/a" in said


def test_all_invalid_rows_are_named_not_only_the_first(check):
    status, said = check([{"x": 1}, *ROWS, {"prompt": "", "completion": "a"}, "{"])
    assert status == 1
    assert [line.split(": ")[0] for line in said.splitlines() if line.startswith("invalid")] == [
        "invalid     rows.jsonl:1",
        "invalid     rows.jsonl:4",
        "invalid     rows.jsonl:5",
    ]
    assert "rows        2 of answers" in said


def test_rows_that_the_template_refuses_fail(check, letters, shipped, tmp_path):
    letters(shipped("gemma")).save_pretrained(tmp_path / "base")
    (tmp_path / "base" / "config.json").write_text("{}")
    (tmp_path / "base" / "model.safetensors").write_text("")
    row = {"messages": [turn("system", "s"), *TALK]}
    status, said = check([row], "--base", tmp_path / "base")
    assert status == 1
    assert "refused     rows.jsonl:1: the chat template refuses it: System role not supported" in said


def test_an_end_that_is_not_learnt_is_said(check, letters, shipped, tmp_path):
    """GLM's template ends an answer with nothing."""
    letters(shipped("glm4moe")).save_pretrained(tmp_path / "base")
    (tmp_path / "base" / "config.json").write_text("{}")
    (tmp_path / "base" / "model.safetensors").write_text("")
    _, said = check(ROWS, "--base", tmp_path / "base")
    assert "end         is not learnt: the chat template writes none of the end tokens ('</s>')" in said
    _, ended = check(ROWS, "--base", tmp_path / "base", "--chat-template", "zephyr")
    assert "end         " not in ended


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--method", "sfr"], "--method: found 'sfr'"),
        (["--learn", "some"], "--learn: found 'some'"),
        (["--row", "9"], r"--row: found 9 \(allowed: 1 to 2\)"),
        (["--chat-template", "alpaca"], "--chat-template: needs --base"),
        (["--method", "dpo"], None),
    ],
)
def test_options_that_do_not_fit_are_named(check, options, message):
    if message is None:  # another kind of rows than the method reads
        status, said = check(ROWS, *options)
        assert status == 1
        assert "invalid     rows.jsonl:1: prompt is missing" in said or "chosen is missing" in said
        return
    with pytest.raises(TunegateError, match=message):
        check(ROWS, *options)


def test_every_method_has_its_kind_of_data():
    from trainers.inspection.findings import KIND_OF_METHOD, KINDS
    from trainers.methods.catalogue import METHODS

    assert set(KIND_OF_METHOD) == set(METHODS) - {"multitask", "rlhf"}
    assert set(KIND_OF_METHOD.values()) == set(KINDS)
