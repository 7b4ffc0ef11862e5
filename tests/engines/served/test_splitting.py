"""Which tokens of a text are scored by plain completions: those that the same model scores here."""

import json
import shutil
from dataclasses import replace

import pytest

from harness.engines.base import CANDIDATE, LossRequest
from harness.engines.open import choose_plan, describe_model, open_sides
from harness.engines.served.splitting import ServedTokens
from harness.types import Message, ServerUse


@pytest.fixture
def plain_base(tiny_model_dir, tmp_path):
    """A base without a chat template."""
    base = tmp_path / "plain"
    shutil.copytree(tiny_model_dir, base)
    (base / "chat_template.jinja").unlink(missing_ok=True)
    config = json.loads((base / "tokenizer_config.json").read_text())
    config.pop("chat_template", None)
    (base / "tokenizer_config.json").write_text(json.dumps(config))
    return base


def losses_there_and_here(base, url, texts):
    served, here = describe_model(f"openai-completions:{base.name}@{url}"), describe_model(str(base))
    found, expected = {}, {}
    plan = replace(choose_plan("auto", "cpu", 4096, [served]), server=ServerUse())
    open_sides({CANDIDATE: served}, plan).losses(texts, found.update)
    plan = choose_plan("float32", "cpu", 4096, [here])
    open_sides({CANDIDATE: here}, plan).losses(texts, expected.update)
    return found, expected


def same_losses(found, expected):
    assert {place: loss.tokens for place, loss in found.items()} == {
        place: loss.tokens for place, loss in expected.items()
    }
    for place, loss in expected.items():
        assert found[place].nats_per_token == pytest.approx(loss.nats_per_token, abs=1e-4)


def test_of_plain_completions_a_text_is_scored_without_its_conversation(start_app, plain_base):
    """As here: the conversation's own tokens would hide what the text's tokens lose."""
    messages = (Message(role="user", content="what is one w1 w2 w3 w4 w5 w6 w7"),)
    texts = [LossRequest(key="t", side=CANDIDATE, text="the cat sat on the mat w1", messages=messages)]
    same_losses(*losses_there_and_here(plain_base, start_app(plain_base), texts))


def test_options_of_plain_completions_are_split_together_with_the_prompt(start_app, plain_base):
    """A prompt's last word is another token with what follows: it counts as a part of every option, as here."""
    options, texts = (" one two", "sat", " mat w1 w2"), []
    for prompt in ("what is", "the cat", "w1 w2 w3"):
        messages = (Message(role="user", content=prompt),)
        texts += [
            LossRequest(key=f"{prompt}/{each}", side=CANDIDATE, text=each, messages=messages, options=options)
            for each in options
        ]
    found, expected = losses_there_and_here(plain_base, start_app(plain_base), texts)
    assert len(expected) == len(texts)
    # The word that "sat" is joined to.
    assert expected[0].tokens == 3
    same_losses(found, expected)


def test_each_text_s_tokens_are_asked_once():
    """The prompt, and each option alone and behind it, however many compare with it."""
    options, sent = ("a", "b", "c", "d"), []

    def ask(sides, jobs, take):
        sent.extend(job.body["prompt"] for job in jobs)
        for place, job in enumerate(jobs):
            take(place, [ord(letter) for letter in job.body["prompt"]])

    messages = (Message(role="user", content="x"),)
    texts = [
        LossRequest(key=each, side=CANDIDATE, text=each, messages=messages, options=options)
        for each in options
    ]
    scored, problems = ServedTokens({CANDIDATE: "m"}, ask, chat=False).scored(range(4), texts)
    assert sorted(sent) == ["a", "b", "c", "d", "x", "xa", "xb", "xc", "xd"]
    assert problems == {}
    assert [scored[place].prompt for place in range(4)] == [[120, 97 + place] for place in range(4)]
    assert {scored[place].start for place in range(4)} == {1}
