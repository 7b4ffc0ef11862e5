"""Judges of plug-ins are checked when they are opened, and so are their replies."""

import json
import re
from importlib import metadata

import pytest

from harness.errors import JudgeError, SettingsError
from harness.judge.open import open_judge
from harness.registry import JudgeKind, Registry, active, use_registry
from harness.run.cache import Cache
from harness.types import JudgeReply, JudgeRequest, Message

REPLY = JudgeReply(text=json.dumps({"reason": "short", "pass": True}), model="short:1")


class Short:
    """A judge as a plug-in has it."""

    identity, remote, requests, retried = "short:1", False, 0, 0
    reply = REPLY

    async def ask(self, request):
        return self.reply

    async def close(self):
        pass


@pytest.fixture
def opened(monkeypatch):
    """Opens a plug-in's judge with some attributes changed."""
    monkeypatch.setattr(metadata, "entry_points", lambda group: [])
    before = use_registry(None)

    def opened(**changed):
        kind = JudgeKind(
            name="short",
            form="short:N",
            open=lambda spec, timeout_s, environment: type("Changed", (Short,), changed)(),
        )
        registry = Registry()
        registry.register("test", lambda registrar: registrar.add(kind))
        use_registry(registry)
        return open_judge("short:1", Cache(None), environment={})

    yield opened
    use_registry(before)


def ask(judge):
    schema = {"properties": {"reason": {"type": "string"}, "pass": {"type": "boolean"}}, "required": ["pass"]}
    request = JudgeRequest(
        key="s/a",
        task="rubric",
        prompt_version="1",
        messages=(Message(role="user", content="Is it short?"),),
        answers=("yes",),
        reply_schema=schema,
    )
    with judge:
        (reply,) = judge.ask_all([request])
    return reply


def test_a_judge_of_a_plug_in_answers(opened):
    assert ask(opened()).data == {"reason": "short", "pass": True}


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"identity": None}, "identity None (allowed: str)"),
        ({"identity": ""}, "identity '' (allowed: str)"),
        ({"remote": "no"}, "remote 'no' (allowed: bool)"),
        ({"requests": None}, "requests None (allowed: int)"),
        ({"ask": None}, "no method ask"),
        ({"close": None}, "no method close"),
    ],
)
def test_one_that_lacks_a_part_is_refused_before_anything_is_asked(opened, changed, told):
    with pytest.raises(SettingsError, match=re.escape(f"judge short:1: the plug-in's judge has {told}")):
        opened(**changed)


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        ("yes", "the judge gave a str (allowed: a JudgeReply)"),
        (None, "the judge gave a NoneType (allowed: a JudgeReply)"),
        (
            JudgeReply(text=5),
            "the judge gave a JudgeReply with text: found 5: Input should be a valid string",
        ),
        (
            JudgeReply(text="{}", prompt_tokens="4"),
            "the judge gave a JudgeReply with prompt_tokens: found '4'",
        ),
    ],
)
def test_a_wrong_reply_is_an_error_of_its_question(opened, reply, told):
    found = ask(opened(reply=reply))
    assert isinstance(found, JudgeError)
    assert str(found).startswith(told)


def test_one_that_breaks_when_it_is_closed_is_noted_and_changes_nothing(opened):
    async def close(self):
        raise OSError("gone\nand more")

    judge = opened(close=close)
    assert ask(judge).data == {"reason": "short", "pass": True}
    assert active().warnings == ["judge short:1: it could not be closed: OSError: gone"]
