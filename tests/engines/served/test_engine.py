"""Models behind real servers: what is sent, what comes back, and what happens when a server fails."""

import json
from dataclasses import replace
from functools import partial

import pytest

from harness.engines.base import CANDIDATE, GenerationRequest, LossRequest
from harness.engines.open import choose_plan, describe_model, open_sides
from harness.engines.served import describe, engine
from harness.engines.served.describe import UnreachableError
from harness.errors import CasesFailedError, EngineError, ModelError, SettingsError, TextsUnmeasuredError
from harness.types import UNKNOWN_WEIGHTS, GenerationSettings, Message, ModelRef, ServerUse, ToolCall

PROMPTS = ["what is one", "the cat sat on the mat", "w1 w2 w3 w4 w5 w6", "two", "w9 w8 the w7"]


def scripted_model(server, *urls, engine="openai"):
    """A model of a scripted server, which has no list of models."""
    reference = f"scripted@{','.join([server.url, *urls])}"
    return ModelRef(label=reference, base_model=reference, base_sha256=f"{UNKNOWN_WEIGHTS}1", engine=engine)


def plan_for(model, **use):
    plan = choose_plan("auto", "cpu", 4096, [model])
    return replace(plan, server=replace(ServerUse(), **use))


@pytest.fixture
def impatient(monkeypatch):
    """Requests are repeated at once: the pauses between attempts sum up to half a minute."""
    monkeypatch.setattr(engine, "open_client", partial(describe.open_client, first_wait_s=0.001))


def asked(*prompts, side=CANDIDATE, **settings):
    return [
        GenerationRequest(
            key=f"s/{place}",
            side=side,
            messages=(Message(role="user", content=prompt),),
            settings=GenerationSettings(**settings),
        )
        for place, prompt in enumerate(prompts)
    ]


def answers(engine, requests):
    found = {}
    engine.generate(requests, found.update)
    return [found[place].text for place in range(len(requests))]


def test_answers_are_those_of_the_same_model_here(start_app, tiny_model_dir, tiny_adapter_dir):
    url = start_app(tiny_model_dir, [tiny_adapter_dir])
    for name, local in ((tiny_adapter_dir.name, tiny_adapter_dir), (tiny_model_dir.name, tiny_model_dir)):
        served = describe_model(f"openai:{name}@{url}")
        here = describe_model(str(local))
        engine = open_sides({CANDIDATE: served}, plan_for(served))
        own = open_sides({CANDIDATE: here}, choose_plan("float32", "cpu", 4096, [here]))
        requests = asked(*PROMPTS, max_new_tokens=12, stop=("w7",))
        assert answers(engine, requests) == answers(own, requests)
        use = engine.plan.server
        assert use.requests == len(PROMPTS)
        assert (use.reported, use.cost, use.unmeasured) == ((name,), None, "")
        assert min(use.prompt_tokens, use.completion_tokens) > len(PROMPTS)
        texts = [
            LossRequest(key=f"t/{n}", side=CANDIDATE, text="the cat sat on the mat w1", messages=messages)
            for n, messages in enumerate([(), (Message(role="user", content="what is one"),)])
        ]
        found, expected = {}, {}
        engine.losses(texts, found.update)
        own.losses(texts, expected.update)
        # After a conversation the tokens are the same; a text on its own has no BOS on the server.
        assert found[1].nats_per_token == pytest.approx(expected[1].nats_per_token, abs=1e-4)
        assert (found[1].tokens, found[0].tokens) == (expected[1].tokens, expected[0].tokens - 1)


def test_plain_completions_continue_texts(start_app, tiny_model_dir):
    url = start_app(tiny_model_dir)
    served = describe_model(f"openai-completions:{tiny_model_dir.name}@{url}")
    engine = open_sides({CANDIDATE: served}, plan_for(served))
    requests = asked("what is one", max_new_tokens=7)
    chat = describe_model(f"openai:{tiny_model_dir.name}@{url}")
    as_chat = answers(open_sides({CANDIDATE: chat}, plan_for(chat)), requests)
    assert answers(engine, requests) != as_chat
    with pytest.raises(SettingsError, match="s/0: tools or values for a template"):
        answers(engine, asked("x", chat_template_kwargs={"a": 1}))


def test_all_of_a_request_is_sent(judge_server):
    judge_server.answer = lambda body: "good"
    model = scripted_model(judge_server)
    engine = open_sides({CANDIDATE: model}, plan_for(model, prices=(1.0, 10.0)))
    call = ToolCall(name="f", arguments={"a": 1})
    tool = {"type": "function", "function": {"name": "f", "parameters": {}}}
    request = GenerationRequest(
        key="s/1",
        side=CANDIDATE,
        messages=(
            Message(role="system", content="be"),
            Message(role="user", content="x"),
            Message(role="assistant", content="", tool_calls=(call,)),
            Message(role="tool", content="7", name="f"),
        ),
        settings=GenerationSettings(
            max_new_tokens=9,
            temperature=0.5,
            top_p=0.9,
            seed=4,
            stop=("A", "B"),
            tools=(tool,),
            chat_template_kwargs={"enable_thinking": False},
        ),
    )
    assert answers(engine, [request]) == ["good"]
    (body,) = judge_server.bodies
    assert {name: body[name] for name in ("max_tokens", "temperature", "top_p", "seed", "stop")} == {
        "max_tokens": 9,
        "temperature": 0.5,
        "top_p": 0.9,
        "seed": 4,
        "stop": ["A", "B"],
    }
    assert body["tools"] == [tool]
    assert body["chat_template_kwargs"] == {"enable_thinking": False}
    sent = body["messages"][2]["tool_calls"][0]
    assert json.loads(sent["function"]["arguments"]) == {"a": 1}
    assert body["messages"][3]["tool_call_id"] == sent["id"]
    assert engine.plan.server.cost == pytest.approx((100 * 1.0 + 10 * 10.0) / 1e6)


@pytest.mark.parametrize("fault", ["429", "500", "half", "schema", "reset"])
def test_a_passing_fault_is_asked_past(judge_server, fault):
    judge_server.answer, judge_server.faults = (lambda body: "good"), [fault]
    model = scripted_model(judge_server)
    engine = open_sides({CANDIDATE: model}, plan_for(model))
    assert answers(engine, asked("a", "b", "c")) == ["good"] * 3
    assert engine.plan.server.retried == 1


def test_one_refused_request_leaves_the_others_alone(judge_server):
    judge_server.answer, judge_server.faults = (lambda body: "good"), ["400"]
    model = scripted_model(judge_server)
    engine = open_sides({CANDIDATE: model}, plan_for(model, concurrency=1))
    found = {}
    with pytest.raises(CasesFailedError) as error:
        engine.generate(asked("a", "b", "c"), found.update)
    assert (set(error.value.failures), set(found)) == ({0}, {1, 2})
    assert "s/0: status 400" in error.value.failures[0]
    judge_server.faults = ["403"] * 3
    with pytest.raises(ModelError, match=r"status 403.*; are the address .* and the key right"):
        engine.generate(asked("a", "b", "c"), found.update)


def test_requests_are_under_way_together_up_to_the_limit(judge_server):
    import time

    judge_server.answer = lambda body: time.sleep(0.05) or "good"
    model = scripted_model(judge_server)
    engine = open_sides({CANDIDATE: model}, plan_for(model, concurrency=3))
    assert answers(engine, asked(*"abcdefghi")) == ["good"] * 9
    assert judge_server.most_at_once == 3


def test_a_pool_shares_the_work_and_survives_a_server(judge_server, second_server):
    for server in (judge_server, second_server):
        server.answer = lambda body: "good"
    model = scripted_model(judge_server, second_server.url)
    engine = open_sides({CANDIDATE: model}, plan_for(model, concurrency=2))
    assert answers(engine, asked(*"abcdefgh")) == ["good"] * 8
    assert min(len(judge_server.bodies), len(second_server.bodies)) >= 3
    second_server.faults = ["500"] * 99
    engine = open_sides({CANDIDATE: model}, plan_for(model))
    assert answers(engine, asked("a", "b")) == ["good"] * 2


def test_reasoning_calls_and_filters_are_read(judge_server):
    model = scripted_model(judge_server)
    engine = open_sides({CANDIDATE: model}, plan_for(model))
    called = {"id": "1", "type": "function", "function": {"name": "weather", "arguments": '{"at": 1}'}}
    judge_server.message = {"content": None, "tool_calls": [called]}
    assert answers(engine, asked("x")) == [
        '<tool_call>\n{"name": "weather", "arguments": {"at": 1}}\n</tool_call>'
    ]
    judge_server.message = {"content": "Four.", "reasoning_content": "Two and two."}
    found = {}
    engine.generate(asked("x"), found.update)
    assert (found[0].text, found[0].reasoning) == ("Four.", "Two and two.")
    engine.generate(asked("x", score_reasoning=True), found.update)
    assert (found[0].text, found[0].reasoning) == ("<think>\nTwo and two.\n</think>\n\nFour.", None)
    judge_server.message, judge_server.finish_reason = {"content": "Fo"}, "content_filter"
    with pytest.raises(EngineError, match="content filter"):
        answers(engine, asked("x"))
    with pytest.raises(SettingsError, match="s/0: max_reasoning_tokens can't be sent"):
        answers(engine, asked("x", max_reasoning_tokens=9))


def test_a_server_without_log_probabilities_measures_no_text(judge_server):
    """It answers completions as it does chats: there is no echo, and no /tokenize."""
    model = scripted_model(judge_server)
    engine = open_sides({CANDIDATE: model}, plan_for(model))
    judge_server.answer = lambda body: "good"
    texts = [LossRequest(key=f"t/{n}", side=CANDIDATE, text="some text") for n in range(2)]
    with pytest.raises(TextsUnmeasuredError, match="no log-probabilities of a prompt") as error:
        engine.losses(texts, lambda batch: None)
    assert set(error.value.reasons) == {0, 1}
    assert "no log-probabilities" in engine.plan.server.unmeasured


def test_a_text_that_fails_hides_none_that_is_not_measured(judge_server, impatient):
    judge_server.answer, judge_server.faults = (lambda body: "good"), ["500"] * engine.ATTEMPTS
    model = scripted_model(judge_server)
    opened = open_sides({CANDIDATE: model}, plan_for(model, concurrency=1))
    texts = [LossRequest(key=f"t/{n}", side=CANDIDATE, text="some text") for n in range(3)]
    with pytest.raises(TextsUnmeasuredError) as error:
        opened.losses(texts, lambda batch: None)
    assert (set(error.value.failures), set(error.value.reasons)) == ({0}, {1, 2})
    assert "t/0: no reply in 6 attempts" in error.value.failures[0]
    assert "no log-probabilities" in opened.plan.server.unmeasured


def test_a_divergence_is_not_measured_and_the_rest_is(start_app, tiny_model_dir):
    url = start_app(tiny_model_dir)
    served = describe_model(f"openai:{tiny_model_dir.name}@{url}")
    engine = open_sides({CANDIDATE: served}, plan_for(served))
    texts = [
        LossRequest(key="t/0", side=CANDIDATE, text="the cat sat"),
        LossRequest(key="t/1", side=CANDIDATE, text="the cat sat", against="baseline"),
    ]
    found = {}
    with pytest.raises(TextsUnmeasuredError) as error:
        engine.losses(texts, found.update)
    assert (set(found), set(error.value.reasons)) == ({0}, {1})
    assert engine.plan.server.unmeasured == ""


@pytest.mark.parametrize("others", [0, 2])
def test_a_server_that_is_gone_is_told_so_whatever_nobody_asked_it(judge_server, impatient, others):
    """A divergence is never asked for: it says nothing of the server."""
    model = scripted_model(judge_server)
    opened = open_sides({CANDIDATE: model}, plan_for(model, concurrency=1))
    judge_server.close()
    texts = [LossRequest(key=f"t/{n}", side=CANDIDATE, text="some text") for n in range(2)]
    texts += [replace(texts[0], key=f"d/{n}", against="baseline") for n in range(others)]
    with pytest.raises(UnreachableError, match=r"^t/0: .*is the server running\?$") as error:
        opened.losses(texts, lambda batch: None)
    assert set(error.value.failures) == {0, 1}


@pytest.mark.parametrize("key", ["secret-model-key"])
def test_the_key_is_sent_and_never_shown(judge_server, monkeypatch, key):
    monkeypatch.setenv("TUNEGATE_MODEL_API_KEY", key)
    model = scripted_model(judge_server)
    engine = open_sides({CANDIDATE: model}, plan_for(model))
    judge_server.faults = ["401"]
    with pytest.raises(ModelError) as error:
        answers(engine, asked("a"))
    assert judge_server.keys == [f"Bearer {key}"]
    assert key not in str(error.value)
    assert key not in repr(engine.plan)


def test_the_time_limit_is_of_a_whole_reply(judge_server):
    """Each part of it comes in time."""
    judge_server.answer, judge_server.faults, judge_server.slow_s = (lambda body: "good"), ["drip"], 3.0
    model = scripted_model(judge_server)
    engine = open_sides({CANDIDATE: model}, plan_for(model, timeout_s=1.0))
    assert answers(engine, asked("a")) == ["good"]
    # More often where this machine is busy.
    assert engine.plan.server.retried >= 1


def test_a_server_that_sends_requests_on_is_refused(judge_server, second_server):
    """The other one was not named: it would get the questions, and answer for the first."""
    judge_server.faults, judge_server.sent_on_to = ["307"], f"{second_server.url}/chat/completions"
    model = scripted_model(judge_server)
    with pytest.raises(ModelError, match=f"status 307: it sends requests on to {second_server.url}"):
        answers(open_sides({CANDIDATE: model}, plan_for(model)), asked("a"))
    assert second_server.bodies == []


@pytest.mark.parametrize("pause", ["0", "-5", "Fri, 31 Dec 1999 23:59:59 GMT", "nan"])
def test_attempts_are_not_spent_at_once(judge_server, pause):
    import time

    judge_server.answer, judge_server.retry_after = (lambda body: "good"), pause
    judge_server.faults = ["429"] * 2
    model = scripted_model(judge_server)
    begun = time.monotonic()
    assert answers(open_sides({CANDIDATE: model}, plan_for(model)), asked("a")) == ["good"]
    assert time.monotonic() - begun > 0.6


def test_a_rate_limit_is_no_dead_server(judge_server):
    """It takes few requests at a time, so that most are refused more often than there are attempts."""
    import time
    from threading import Lock

    taken, lock = [], Lock()

    def limited():
        with lock:
            now = time.monotonic()
            if len([then for then in taken if now - then < 0.08]) >= 3:
                return "429"
            taken.append(now)
            return ""

    judge_server.answer, judge_server.retry_after = (lambda body: "good"), "0.1"
    judge_server._next_fault = limited
    model = scripted_model(judge_server)
    engine = open_sides({CANDIDATE: model}, plan_for(model, concurrency=40))
    assert answers(engine, asked(*map(str, range(40)))) == ["good"] * 40


def test_a_server_that_is_not_there_is_bad_input(judge_server, impatient):
    model = scripted_model(judge_server)
    engine = open_sides({CANDIDATE: model}, plan_for(model))
    judge_server.close()
    with pytest.raises(ModelError, match=r"s/0: no reply in .* is the server running"):
        answers(engine, asked("a", "b"))
    engine = open_sides({CANDIDATE: model}, plan_for(model))
    with pytest.raises(ModelError, match=r"s/0: .*connection failed.*; is the server running"):
        answers(engine, asked(*map(str, range(40))))


def test_weights_that_change_under_their_name_are_noticed(
    start_app, tiny_model_dir, tiny_adapter_dir, make_tiny_adapter, tmp_path
):
    """Whatever answered before is kept; nothing is taken from the other weights."""
    import httpx

    other = make_tiny_adapter(tiny_model_dir, tmp_path / "other", spread=0.5, seed=9)
    url = start_app(tiny_model_dir, runtime_adapters=True)

    def exchange(directory):
        httpx.post(f"{url}/unload_lora_adapter", json={"lora_name": "mine"}, timeout=60)
        body = {"lora_name": "mine", "lora_path": str(directory)}
        assert httpx.post(f"{url}/load_lora_adapter", json=body, timeout=60).status_code == 200

    exchange(tiny_adapter_dir)
    for kind in ("openai", "openai-completions"):
        exchange(tiny_adapter_dir)
        model = describe_model(f"{kind}:mine@{url}")
        engine = open_sides({CANDIDATE: model}, plan_for(model))
        assert len(answers(engine, asked(*PROMPTS))) == len(PROMPTS)
        exchange(other)
        found = {}
        with pytest.raises(ModelError, match=r"openai.*:mine@.*: other weights answered than before"):
            engine.generate(asked(*PROMPTS), found.update)
        assert found == {}
        again = describe_model(f"{kind}:mine@{url}")
        assert again.base_sha256 != model.base_sha256
        assert len(answers(open_sides({CANDIDATE: again}, plan_for(again)), asked("x"))) == 1
        with pytest.raises(ModelError, match="other weights answered than before"):
            engine.losses([LossRequest(key="t", side=CANDIDATE, text="the cat sat")], found.update)


def test_what_a_server_says_has_no_key(judge_server, monkeypatch, impatient):
    monkeypatch.setenv("TUNEGATE_MODEL_API_KEY", "secret-model-key")
    judge_server.answer = lambda body: "good"
    judge_server.fields = {"model": "m for secret-model-key", "system_fingerprint": "x-secret-model-key"}
    model = scripted_model(judge_server)
    engine = open_sides({CANDIDATE: model}, plan_for(model))
    assert answers(engine, asked("a")) == ["good"]
    use = engine.plan.server
    assert (use.reported, use.fingerprints) == (("m for ***",), ("x-***",))
    judge_server.answer = lambda body: "your key is secret-model-key"
    assert answers(engine, asked("a")) == ["your key is ***"]
    judge_server.fields = {"choices": [], "error": {"message": "no credit for secret-model-key"}}
    with pytest.raises(EngineError, match=r"not a chat completion: .*no credit for \*\*\*"):
        answers(open_sides({CANDIDATE: model}, plan_for(model)), asked("a"))


@pytest.mark.parametrize("key", ["x", "EMPTY"])
def test_a_word_in_place_of_a_key_changes_no_answer(judge_server, monkeypatch, key):
    monkeypatch.setenv("TUNEGATE_MODEL_API_KEY", key)
    judge_server.answer = lambda body: "the box is EMPTY"
    model = scripted_model(judge_server)
    assert answers(open_sides({CANDIDATE: model}, plan_for(model)), asked("a")) == ["the box is EMPTY"]


@pytest.mark.parametrize(
    "content", ["<think>\nTwo and two.\n</think>\n\nFour.", "Two and two.\n</think>\n\nFour."]
)
def test_reasoning_that_a_server_leaves_in_the_text_is_apart(judge_server, content):
    judge_server.message = {"content": content}
    model = scripted_model(judge_server)
    engine = open_sides({CANDIDATE: model}, plan_for(model))
    found = {}
    engine.generate(asked("x"), found.update)
    assert (found[0].text, found[0].reasoning) == ("Four.", "Two and two.")
    engine.generate(asked("x", score_reasoning=True), found.update)
    assert (found[0].text, found[0].reasoning) == (content, None)
