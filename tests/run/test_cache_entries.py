"""Values as the cache's texts and back; a damaged text is as good as none."""

import json
from dataclasses import asdict

import pytest

from harness.prompts.rendering import RenderedPrompt
from harness.run.cache_entries import entry_fields, read_entry, written_entry
from harness.types import Completion, JudgeReply, Score, TextLoss

ANSWER = Completion(
    text="h\ud800 ö", stop_reason="stop", prompt_tokens=3, completion_tokens=2, latency_s=0.25, reasoning="so"
)


@pytest.mark.parametrize(
    "value",
    [
        ANSWER,
        TextLoss(passage="p", nats_per_token=2.5, tokens=10),
        Score(metric="accuracy", value=1.0, labels=("yes", "no")),
        JudgeReply(text="yes", model="judge"),
    ],
)
def test_a_value_comes_back_as_it_was(value):
    assert read_entry(written_entry(value), type(value)) == value
    assert entry_fields(written_entry(value)) is not None


def test_earlier_turns_are_entries_of_their_own():
    later = Completion(**{**asdict(ANSWER), "earlier": (ANSWER,)})
    assert read_entry(written_entry(later), Completion) == ANSWER


def test_only_a_prompt_that_came_as_tokens_has_them():
    prompt = RenderedPrompt(text="hello", tokens=2)
    assert "ids" not in json.loads(written_entry(prompt))
    assert read_entry(written_entry(prompt), RenderedPrompt) == prompt
    assert json.loads(written_entry(RenderedPrompt(text="hello", tokens=2, ids=(1, 2))))["ids"] == [1, 2]


@pytest.mark.parametrize(
    "text", [None, "", "{", "[]", "7", '{"tokens": NaN}', '{"unknown": 1}', '{"text": "no other field"}']
)
def test_a_damaged_text_is_as_good_as_none(text):
    assert read_entry(text, Completion) is None
