"""Whether a server that speaks vLLM's API fails at some requests, or answers nothing."""

import json

import pytest

from harness.engines.base import BASELINE, CANDIDATE, LossRequest
from harness.errors import AllFailedError, CasesFailedError, EngineError, TextsUnmeasuredError
from tests.engines.served.test_vllm import open_on, requests_of


def refusing(status_of):
    """A wrapper of a server: requests have the status that a function gives for their body, if it gives one."""

    def wrap(app):
        async def wrapped(scope, receive, send):
            said = b""
            while scope["method"] == "POST" and (message := await receive()):
                said += message["body"]
                if not message.get("more_body"):
                    break
            status = status_of(said)
            if status is None:

                async def given():
                    return {"type": "http.request", "body": said}

                await app(scope, given, send)
                return
            await send({"type": "http.response.start", "status": status, "headers": []})
            await send({"type": "http.response.body", "body": b"broken"})

        return wrapped

    return wrap


def test_a_server_that_fails_at_some_requests_is_told_from_one_that_answers_nothing(
    start_app, tiny_model_dir, tiny_adapter_dir
):
    failing = set()

    def status_of(said):
        return 500 if any(part in said for part in failing) else None

    wrap = refusing(status_of)
    sides, engine = open_on(start_app(tiny_model_dir, runtime_adapters=True, wrap=wrap), tiny_adapter_dir)
    engine.engine._pool.clients[0]._first_wait_s = 0.01
    failing.add(b"return_token_ids")
    with pytest.raises(EngineError, match="s/0: no reply") as raised:
        engine.generate(requests_of(sides)[:2], lambda _: None)
    assert [reason.partition(":")[0] for _, reason in sorted(raised.value.failures.items())] == ["s/0", "s/1"]
    engine.engine.require_reply()
    failing.add(b"echo")
    with pytest.raises(EngineError, match=r"its server answers nothing: no reply in .*500"):
        engine.engine.require_reply()


def text_of(words, **rest):
    return LossRequest(key=f"t/{words}", side=CANDIDATE, text="w1 " * words, **rest)


@pytest.mark.parametrize(
    ("refused", "raised"),
    [((), CasesFailedError), ((2,), TextsUnmeasuredError), ((2, 4), TextsUnmeasuredError)],
)
def test_each_text_is_measured_or_has_its_reason(
    start_app, tiny_model_dir, tiny_adapter_dir, refused, raised
):
    """One that fails hides neither those that the server refuses nor those that it measures."""
    statuses = {3: 500, **dict.fromkeys(refused, 400)}

    def status_of(said):
        body = json.loads(said or b"{}")
        return statuses.get(len(body["prompt"]) - 1) if body.get("echo") else None

    url = start_app(tiny_model_dir, runtime_adapters=True, wrap=refusing(status_of))
    _, engine = open_on(url, tiny_adapter_dir)
    engine.engine._pool.clients[0]._first_wait_s = 0.01
    texts = [text_of(words) for words in (1, 2, 3, 4)]
    found = {}
    with pytest.raises(raised) as error:
        engine.losses(texts, found.update)
    assert {text.key for place, text in enumerate(texts) if place in found} == {
        f"t/{words}" for words in {1, 2, 4} - {*refused}
    }
    assert set(error.value.failures) == {2}
    assert error.value.failures[2].startswith("t/3: no reply in")
    if refused:
        assert set(error.value.reasons) == {words - 1 for words in refused}
        assert "status 400" in engine.plan.server.unmeasured
    else:
        assert engine.plan.server.unmeasured == ""


def test_a_server_that_measures_no_text_that_it_is_asked_for_is_told_so(
    start_app, tiny_model_dir, tiny_adapter_dir
):
    """A divergence, which no server is asked for, says nothing of it."""
    url = start_app(
        tiny_model_dir, runtime_adapters=True, wrap=refusing(lambda said: 500 if b"echo" in said else None)
    )
    _, engine = open_on(url, tiny_adapter_dir)
    engine.engine._pool.clients[0]._first_wait_s = 0.01
    texts = [text_of(1), text_of(2), text_of(3, against=BASELINE)]
    with pytest.raises(AllFailedError, match=r"^t/1: no reply in .*500") as error:
        engine.losses(texts, lambda batch: None)
    assert set(error.value.failures) == {0, 1}
    with pytest.raises(TextsUnmeasuredError, match="needs all of a model's probabilities") as error:
        engine.losses(texts[2:], lambda batch: None)
    assert (set(error.value.reasons), error.value.failures) == ({0}, {})
