"""An answer is followed token by token while it is written."""

from types import SimpleNamespace

from transformers import AutoTokenizer

from harness.engines.base import CANDIDATE, GenerationRequest
from harness.engines.questions import DecidedWatch, Question
from harness.prompts.reasoning import AnswerWatch
from harness.prompts.rendering import RenderedPrompt
from harness.types import GenerationSettings


def test_an_answer_ends_with_the_json_that_is_looked_for(tiny_bytes_dir):
    """At its last bracket; a character in parts, other brackets and JSON of another schema end nothing."""
    tokenizer = AutoTokenizer.from_pretrained(tiny_bytes_dir)
    schema = {"type": "object", "required": ["a"]}
    settings = GenerationSettings(decided_by=({"json": schema},), max_new_tokens=400)
    asked = Question(
        request=GenerationRequest(key="k", side=CANDIDATE, messages=(), settings=settings),
        side=SimpleNamespace(tokenizer=tokenizer),
        prompt=RenderedPrompt(text="", tokens=0),
        tokens=[1],
    )
    watch = DecidedWatch(AnswerWatch(tokenizer, "", settings, ()), asked)
    text = 'It is [see "x"] {"b": 1} or so: {"a": "}é"} and much more {"a": 2}'
    tokens = tokenizer(text, add_special_tokens=False)["input_ids"]
    until = text.encode().index(b"} and") + 1
    assert [watch.take(token) for token in tokens[:until]] == [""] * (until - 1) + ["stop"]
