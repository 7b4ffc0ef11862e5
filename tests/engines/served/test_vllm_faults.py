"""Whether a server that speaks vLLM's API fails at some requests, or answers nothing."""

import pytest

from harness.errors import EngineError
from tests.engines.served.test_vllm import open_on, requests_of


def test_a_server_that_fails_at_some_requests_is_told_from_one_that_answers_nothing(
    start_app, tiny_model_dir, tiny_adapter_dir
):
    failing = set()

    def wrap(app):
        async def wrapped(scope, receive, send):
            said = b""
            while scope["method"] == "POST" and (message := await receive()):
                said += message["body"]
                if not message.get("more_body"):
                    break
            if not any(part in said for part in failing):

                async def given():
                    return {"type": "http.request", "body": said}

                await app(scope, given, send)
                return
            await send({"type": "http.response.start", "status": 500, "headers": []})
            await send({"type": "http.response.body", "body": b"broken"})

        return wrapped

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
