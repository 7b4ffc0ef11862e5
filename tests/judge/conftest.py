"""Requests and judges for the tests of judging."""

import pytest

from harness.cache import Cache
from harness.judge.client import Judge
from harness.judge.openai_engine import OpenAIEngine
from harness.judge.spec import parse_spec
from harness.types import JudgeRequest, Message

SCHEMA = {
    "type": "object",
    "properties": {"reason": {"type": "string"}, "pass": {"type": "boolean"}},
    "required": ["reason", "pass"],
}


@pytest.fixture
def ask():
    """Makes a request out of a text."""

    def make(text="Is it good?", **rest):
        return JudgeRequest(
            **{
                "key": "set/case",
                "task": "rubric",
                "messages": (Message(role="user", content=text),),
                "reply_schema": SCHEMA,
                "prompt_version": "test-1",
                **rest,
            }
        )

    return make


@pytest.fixture
def open_judge(judge_server, tmp_path):
    """Opens a judge at the scripted server; its cache is a file, so a second one knows what the first asked."""
    opened = []

    def open_one(*, path="cache.sqlite", environment=None, concurrency=8, prices=None, **rest):
        cache = Cache(tmp_path / path)
        settings = {"timeout_s": 5.0, "first_wait_s": 0.01, **rest}
        engine = OpenAIEngine(parse_spec(judge_server.spec), environment=environment or {}, **settings)
        judge = Judge(engine, cache, concurrency=concurrency, prices=prices)
        opened.append((judge, cache))
        return judge

    yield open_one
    for judge, cache in opened:
        judge.close()
        cache.close()
