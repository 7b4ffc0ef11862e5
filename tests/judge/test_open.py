"""Judges of plug-ins are checked when they are opened, and so are their replies."""

import json
import re
import sys
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


@pytest.mark.parametrize("error", [SystemExit(0), KeyboardInterrupt(), OSError("gone"), ValueError("bad")])
def test_whatever_it_raises_when_it_is_asked_is_an_error_of_its_question(opened, error):
    """sys.exit would end the thread in which it is asked, and the gate would wait for ever."""

    async def broken(self, request):
        raise error

    found = ask(opened(ask=broken))
    assert isinstance(found, JudgeError)
    assert str(found).startswith(type(error).__name__)


def test_one_that_exits_when_it_is_closed_is_noted(opened):
    async def close(self):
        sys.exit(1)

    assert ask(opened(close=close)).data == {"reason": "short", "pass": True}
    assert active().warnings == ["judge short:1: it could not be closed: SystemExit: 1"]


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (lambda *_: pytest.skip("no"), "Skipped: no"),
        (lambda *_: sys.exit(0), "SystemExit: 0"),
        (lambda *_: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda *_: int(open("/gone/key").read()), "FileNotFoundError: [Errno 2] No such file"),  # noqa: PTH123, SIM115
    ],
)
def test_one_that_breaks_when_it_is_read_or_opened_is_refused_in_one_line(monkeypatch, broken, told):
    monkeypatch.setattr(metadata, "entry_points", lambda group: [])
    before = use_registry(None)
    try:
        for place, fields in (
            ("judge 'short'", {"read": broken, "open": Short}),
            ("judge short:1", {"open": broken}),
        ):
            registry = Registry()
            kind = JudgeKind(name="short", form="short:N", **fields)
            registry.register("test", lambda registrar, kind=kind: registrar.add(kind))
            use_registry(registry)
            with pytest.raises(SettingsError, match=f"^{re.escape(f'{place}: {told}')}"):
                open_judge("short:1", Cache(None), environment={})
    finally:
        use_registry(before)


def test_what_is_read_is_a_spec(monkeypatch):
    monkeypatch.setattr(metadata, "entry_points", lambda group: [])
    registry = Registry()
    kind = JudgeKind(name="short", form="short:N", read=lambda reference: None, open=Short)
    registry.register("test", lambda registrar: registrar.add(kind))
    before = use_registry(registry)
    try:
        with pytest.raises(SettingsError, match=r"judge 'short': read gave a NoneType .allowed: a JudgeSpec"):
            open_judge("short:1", Cache(None), environment={})
    finally:
        use_registry(before)


def test_a_judge_behind_a_server_says_what_it_needs(monkeypatch):
    monkeypatch.setattr("harness.judge.openai_engine.find_spec", lambda name: None)
    with pytest.raises(
        SettingsError, match=r"openai, tenacity not installed: pip install 'tunegate\[judge\]'"
    ):
        open_judge("openai:m@http://127.0.0.1:1/v1", Cache(None), environment={})
