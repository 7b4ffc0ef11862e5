"""Bases without a chat template, and templates by name or file: the gate asks as was trained."""

import json
import shutil

import pytest

from harness.prompts.rendering import render_prompt
from harness.prompts.tokenizers import load_tokenizer as load_gate_tokenizer
from harness.types import GenerationSettings, Message
from trainers.config import TrainingConfig
from trainers.run.chat_template import load_tokenizer

ANSWERS = [{"prompt": f"what is w{i}", "completion": f"one w{i}"} for i in range(6)]
# The tiny tokenizer splits at white space, so an answer without any would join its prompt.
PLAIN = [{**row, "completion": f" {row['completion']} "} for row in ANSWERS]


@pytest.fixture
def bare(tiny_model_dir, tmp_path):
    """The tiny model without a chat template."""
    directory = shutil.copytree(tiny_model_dir, tmp_path / "bare")
    (directory / "chat_template.jinja").unlink()
    return directory


def config(base, **changes):
    return TrainingConfig(base=str(base), output="o", data=("d",), **changes)


@pytest.mark.parametrize("method", ["sft", "dpo", "orpo", "kto", "reward", "grpo"])
def test_a_bare_base_is_trained_on_plain_text(make_project, bare, pairs, thumbs, capsys, method):
    rows = {"sft": PLAIN, "kto": thumbs}.get(method, pairs)
    spaced = ("completion", "chosen", "rejected")
    rows = [{key: f" {row[key].strip()} " if key in spaced else row[key] for key in row} for row in rows]
    rewards = {"rewards": [{"type": "json-valid"}], "num_generations": 2, "max_completion_length": 4}
    more = rewards if method == "grpo" else {}
    project = make_project(method, rows, base=str(bare), max_steps=1, quantization="none", **more)
    assert project.train() == 0
    said = capsys.readouterr().err
    assert ("prompts   plain text, each answer directly after its prompt" in said) == (
        method not in {"reward", "grpo"}
    )
    assert not (project.output / "chat_template.jinja").exists()


def test_a_plain_prompt_that_shares_a_token_with_its_answer_is_refused(make_project, bare, capsys):
    assert make_project("sft", ANSWERS, base=str(bare), quantization="none").train() == 4
    assert "rows.jsonl:1: without a chat template the answer directly follows" in capsys.readouterr().err


@pytest.mark.parametrize(("method", "name"), [("sft", "zephyr"), ("orpo", "alpaca"), ("rft", "zephyr")])
def test_a_bare_base_with_a_named_template_is_asked_with_it(make_project, bare, pairs, capsys, method, name):
    rows = ANSWERS if method == "sft" else pairs
    more = {}
    if method == "rft":
        rewards = [{"type": "regex", "pattern": "w", "full": False}]
        more = {"rewards": rewards, "threshold": 0, "rounds": 1, "num_generations": 2}
        more["max_completion_length"] = 4
    project = make_project(
        method, rows, base=str(bare), quantization="none", max_steps=1, chat_template=name, **more
    )
    assert project.train() == 0
    said = capsys.readouterr().err
    assert "plain text" not in said
    assert "is not learnt" not in said
    gate = load_gate_tokenizer(bare, project.output)
    asked = render_prompt(gate, (Message(role="user", content="what is w1"),), GenerationSettings())
    head = {"zephyr": "<|user|>\nwhat is w1<|end|>\n<|assistant|>\n"}
    assert asked.text == head.get(name, "### Instruction:\nwhat is w1\n\n### Response:\n")
    assert project.manifest["config"]["chat_template"] == name


def test_a_template_s_own_end_token_becomes_the_end(letters, shipped, tmp_path):
    """The base's end token would never be learnt, and the gate would not stop."""
    template = shipped("llama3_2")
    tokenizer = letters(template, eos="<|end_of_text|>")
    tokenizer.chat_template = None
    tokenizer.save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"eos_token_id": tokenizer.eos_token_id}))
    assert load_tokenizer(tmp_path, config(tmp_path)).eos_token == "<|end_of_text|>"
    assert load_tokenizer(tmp_path, config(tmp_path, chat_template="llama3_2")).eos_token == "<|eot_id|>"
    file = tmp_path / "own.jinja"
    file.write_text(template)
    found = load_tokenizer(tmp_path, config(tmp_path, chat_template=str(file)))
    assert (found.eos_token, found.chat_template) == ("<|eot_id|>", template)
    # The model itself stops there already.
    ends = {"eos_token_id": [tokenizer.convert_tokens_to_ids("<|eot_id|>")]}
    (tmp_path / "generation_config.json").write_text(json.dumps(ends))
    found = load_tokenizer(tmp_path, config(tmp_path, chat_template="llama3_2"))
    assert found.eos_token == "<|end_of_text|>"


def test_the_tokenizer_s_own_beginning_comes_first(letters, tmp_path):
    letters(None, adds_bos=True).save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    found = load_tokenizer(tmp_path, config(tmp_path, chat_template="zephyr"))
    asked = render_prompt(found, (Message(role="user", content="a"),), GenerationSettings())
    assert asked.shown == "<s><|user|>\na</s>\n<|assistant|>\n"


def test_an_end_that_is_not_learnt_is_said(make_project, bare, capsys):
    """GLM's template ends an answer with nothing."""
    template = "{% for m in messages %}<|{{ m.role }}|> {{ m.content }} {% endfor %}"
    template += "{% if add_generation_prompt %}<|assistant|> {% endif %}"
    (bare / "chat_template.jinja").write_text(template)
    project = make_project("sft", ANSWERS, base=str(bare), quantization="none", max_steps=1)
    assert project.train() == 0
    said = capsys.readouterr().err
    assert "end       is not learnt: the chat template writes none of the end tokens ('<|end|>')" in said


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("nonsense", "chat_template: found 'nonsense' (allowed: a .jinja file, or alpaca, zephyr, cohere"),
        ("none.jinja", "none.jinja: can't be read"),
        ("llama3_training", "found 'llama3_training'"),
    ],
)
def test_a_template_that_is_not_there_is_named(make_project, bare, capsys, given, message):
    assert make_project("sft", ANSWERS, base=str(bare), chat_template=given).train() == 4
    assert message in capsys.readouterr().err
