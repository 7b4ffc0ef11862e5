"""An answer is followed token by token while it is written."""

from types import SimpleNamespace

import pytest
from transformers import AutoTokenizer

from harness.engines.base import CANDIDATE, GenerationRequest
from harness.engines.questions import DecidedWatch, Question
from harness.prompts.reasoning import AnswerWatch
from harness.prompts.rendering import RenderedPrompt
from harness.types import GenerationSettings


def watched(tokenizer, settings):
    asked = Question(
        request=GenerationRequest(key="k", side=CANDIDATE, messages=(), settings=settings),
        side=SimpleNamespace(tokenizer=tokenizer),
        prompt=RenderedPrompt(text="", tokens=0),
        tokens=[1],
    )
    return DecidedWatch(AnswerWatch(tokenizer, "", settings, ()), asked)


def test_an_answer_ends_with_the_json_that_is_looked_for(tiny_bytes_dir):
    """At its last bracket; a character in parts, other brackets and JSON of another schema end nothing."""
    tokenizer = AutoTokenizer.from_pretrained(tiny_bytes_dir)
    schema = {"type": "object", "required": ["a"]}
    watch = watched(tokenizer, GenerationSettings(decided_by=({"json": schema},), max_new_tokens=400))
    text = 'It is [see "x"] {"b": 1} or so: {"a": "}é"} and much more {"a": 2}'
    tokens = tokenizer(text, add_special_tokens=False)["input_ids"]
    until = text.encode().index(b"} and") + 1
    assert [watch.take(token) for token in tokens[:until]] == [""] * (until - 1) + ["stop"]


@pytest.mark.parametrize(
    ("text", "condition", "ends_after"),
    [
        # The whole answer is "yes": the second line break completes the stop text.
        ("yes\n\n", {"pattern": "yes\n", "ignore_case": False}, "yes\n\n"),
        ("yes\n\n", {"any": ["yes"], "fold": False}, "yes\n\n"),
        ("yes\nand", {"pattern": "yes\n", "ignore_case": False}, "yes\na"),
        ("yes, and", {"any": ["yes"], "fold": False}, "yes,"),
    ],
)
def test_what_a_stop_text_may_cut_off_decides_nothing(tiny_bytes_dir, text, condition, ends_after):
    tokenizer = AutoTokenizer.from_pretrained(tiny_bytes_dir)
    settings = GenerationSettings(decided_by=(condition,), stop=("\n\n",), max_new_tokens=40)
    watch = watched(tokenizer, settings)
    tokens = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert len(tokens) == len(text)
    taken = [watch.take(token) for token in tokens[: len(ends_after)]]
    assert taken == [""] * (len(ends_after) - 1) + ["stop"]
