"""Every method learns the tokens that the gate asks with, whatever the tokenizer and the template do with BOS."""

import shutil

import pytest

from harness.prompts.rendering import prompt_ids, render_prompt, text_ids
from harness.prompts.tokenizers import load_tokenizer
from harness.types import GenerationSettings, Message

PLAIN = (
    "{% for message in messages %}<|{{ message['role'] }}|> {{ message['content'] }} <|end|> {% endfor %}"
    "{% if add_generation_prompt %}<|assistant|> {% endif %}"
)
# A template that writes BOS, one that doesn't, and one whose answers end with more than the end token.
TEMPLATES = {
    "bos": "{{ bos_token }} " + PLAIN,
    "no-bos": PLAIN,
    "more-after-the-end": PLAIN.replace("<|end|>", "<|end|> w0"),
    # A bare base: plain text, which the tokenizer begins and the end token ends.
    "none": None,
}
# Without the space an answer would join a plain prompt.
QUESTION, ANSWERS = "what is w3", {"chosen": " one two w3", "rejected": " cat sat", "completion": " one two"}
PAIR = {"prompt": QUESTION, "chosen": ANSWERS["chosen"], "rejected": ANSWERS["rejected"]}
ROWS = {
    "sft": {"prompt": QUESTION, "completion": ANSWERS["completion"]},
    "kto": {"prompt": QUESTION, "completion": ANSWERS["completion"]},
    "dpo": PAIR,
    "orpo": PAIR,
    "reward": PAIR,
    "grpo": {"prompt": QUESTION},
    "rloo": {"prompt": QUESTION},
    "ppo": {"prompt": QUESTION},
}
# Of the methods that sample. The reward decides no token, so rloo and ppo need none that was trained.
SAMPLED = {
    "grpo": {"rewards": [{"type": "json-valid"}], "num_generations": 2},
    "rloo": {"reward_model": "judge", "rewards": [{"type": "json-valid"}], "num_generations": 2},
    "ppo": {"reward_model": "judge", "rewards": [{"type": "json-valid"}], "num_generations": 2},
}


@pytest.fixture(params=TEMPLATES)
def base(request, tiny_model_dir, tmp_path):
    """The tiny model with a tokenizer that puts BOS before each text, and one of the templates."""
    from tokenizers import processors
    from transformers import AutoTokenizer

    directory = shutil.copytree(tiny_model_dir, tmp_path / "base")
    tokenizer = AutoTokenizer.from_pretrained(directory)
    tokenizer.add_special_tokens({"bos_token": "w1"})
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="w1 $A", pair="w1 $A $B", special_tokens=[("w1", tokenizer.bos_token_id)]
    )
    tokenizer.chat_template = TEMPLATES[request.param]
    (directory / "chat_template.jinja").unlink()
    tokenizer.save_pretrained(directory)
    assert load_tokenizer(directory)("two")["input_ids"][0] == tokenizer.bos_token_id
    return directory


@pytest.fixture
def trainer_of(base, make_project, monkeypatch):
    """TRL's trainer of a method, ready to train."""
    from trainers.methods import ppo, rloo, sft
    from trainers.shared import policy, preference_run

    seen = []
    build = rloo.build_rewards
    for module in (rloo, ppo):
        monkeypatch.setattr(
            module, "build_rewards", lambda given, *rest, key="": build(given, *rest) if not key else []
        )
    for module in (sft, preference_run, policy):
        monkeypatch.setattr(module, "fit", lambda run, trainer: seen.append(trainer))

    def make(method):
        rows = [ROWS[method]] * 4
        if method == "kto":
            rows = [{**row, "label": bool(place % 2)} for place, row in enumerate(rows)]
        project = make_project(
            method,
            rows,
            base=str(base),
            quantization="none",
            **SAMPLED.get(method, {}),
        )
        assert project.train() == 2  # stopped before its first step
        return seen[-1]

    return make


def wanted(base, key):
    """The prompt's tokens at the gate, and those of prompt and answer in training."""
    tokenizer = load_tokenizer(base)
    prompt = render_prompt(tokenizer, (Message(role="user", content=QUESTION),), GenerationSettings())
    if tokenizer.chat_template is None:
        return prompt_ids(tokenizer, prompt), [
            *prompt_ids(tokenizer, prompt),
            *text_ids(tokenizer, f"{ANSWERS[key]}{tokenizer.eos_token}"),
        ]
    turns = [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": ANSWERS[key]}]
    whole = tokenizer.apply_chat_template(turns, tokenize=False)
    return prompt_ids(tokenizer, prompt), text_ids(tokenizer, whole)


def split(base, key):
    prompt, whole = wanted(base, key)
    return prompt, whole[len(prompt) :]


def masked(base, key):
    """The labels of prompt and answer: only the answer's tokens are learnt."""
    prompt, answer = split(base, key)
    return [-100] * len(prompt) + answer


def test_sft(base, trainer_of):
    row = trainer_of("sft").train_dataset[0]
    assert row["input_ids"] == wanted(base, "completion")[1]
    assert row["labels"] == masked(base, "completion")


def test_dpo(base, trainer_of):
    row = trainer_of("dpo").train_dataset[0]
    prompt, chosen = split(base, "chosen")
    assert (row["prompt_ids"], row["chosen_ids"]) == (prompt, chosen)
    assert row["rejected_ids"] == split(base, "rejected")[1]


def test_kto(base, trainer_of):
    row = trainer_of("kto").train_dataset[0]
    assert (row["prompt_ids"], row["completion_ids"]) == split(base, "completion")


def test_orpo(base, trainer_of):
    """TRL's own tokens begin with BOS and end with the end token, also where the template writes neither."""
    row = trainer_of("orpo").train_dataset[0]
    assert row["prompt_input_ids"] == wanted(base, "chosen")[0]
    for key in ("chosen", "rejected"):
        assert row[f"{key}_input_ids"] == wanted(base, key)[1]
        assert row[f"{key}_labels"] == masked(base, key)
        assert row[f"{key}_attention_mask"] == [1] * len(row[f"{key}_input_ids"])


def test_a_reward_model(base, trainer_of):
    row = trainer_of("reward").train_dataset[0]
    assert (row["chosen_ids"], row["rejected_ids"]) == (
        wanted(base, "chosen")[1],
        wanted(base, "rejected")[1],
    )


@pytest.mark.parametrize("method", ["grpo", "rloo"])
def test_prompts_that_are_sampled(method, base, trainer_of):
    trainer = trainer_of(method)
    ids, *_ = trainer._tokenize_prompts([trainer.train_dataset[0]["prompt"]])
    assert ids == [wanted(base, "chosen")[0]]


def test_prompts_that_ppo_samples_from(base, trainer_of):
    """And what it learns: the answer's tokens alone, with the end token if one ended it."""
    trainer = trainer_of("ppo")
    rollout = trainer._sampled([trainer.train_dataset[0]] * 2)
    prompt = wanted(base, "chosen")[0]
    for ids, mask, written in zip(rollout.ids, rollout.mask, rollout.written, strict=True):
        assert ids[: len(prompt)].tolist() == prompt
        assert written.nonzero()[0, 0] == len(prompt) - 1
        assert int(written.sum()) == int(mask.sum()) - len(prompt)
