"""Stop texts of answers that come as tokens: inside a reasoning they end nothing, as here."""

import json
import shutil
from dataclasses import replace

import pytest

from harness.engines.base import CANDIDATE, GenerationRequest
from harness.engines.open import choose_plan, describe_model, open_sides
from harness.engines.served.describe import open_client
from harness.engines.served.pool import ServerPool
from harness.engines.served.reports import Reports
from harness.engines.served.tokens import Reader, tokens_job
from harness.prompts.rendering import render_prompt
from harness.types import GenerationSettings, Message, ServerUse

USER = (Message(role="user", content="what is it"),)


def asked(**settings):
    return GenerationRequest(
        key="s/1", side=CANDIDATE, messages=USER, settings=GenerationSettings(max_new_tokens=60, **settings)
    )


@pytest.fixture(scope="module")
def thinker(letters, shipped, save_tiny_llama, tmp_path_factory):
    """A model whose template leaves it to the model to think."""
    return save_tiny_llama(tmp_path_factory.mktemp("thinker"), letters(shipped("qwen3"), eos="<|im_end|>"))


@pytest.fixture
def answer_of(thinker, judge_server):
    """The answer to a request, by a server that writes a text as vLLM does: it looks for stop texts in all of it."""
    reader = Reader(thinker, None)

    def ask(written, **settings):
        def reply(body):
            ends = [written.find(stop) + len(stop) for stop in body.get("stop", []) if stop in written]
            ids = reader.tokenizer(written[: min(ends, default=None)], add_special_tokens=False)["input_ids"]
            ids += [] if ends else [reader.tokenizer.eos_token_id]
            is_cut = len(ids) > body["max_tokens"]
            choice = {"index": 0, "text": "", "token_ids": ids[: body["max_tokens"]]}
            judge_server.fields = {
                "choices": [{**choice, "finish_reason": "length" if is_cut else "stop"}],
            }
            return ""

        judge_server.answer = reply
        request = asked(**settings)
        prompt = render_prompt(reader.tokenizer, request.messages, request.settings)
        job = tokens_job("m", reader, replace(request, prompt=prompt), Reports("m"))
        return ServerPool([open_client(judge_server.url)], 1).ask(job)

    return ask


@pytest.mark.parametrize(
    ("written", "stop", "text", "reasoning"),
    [
        ("<think>\nfoo\n\nbar</think>\n\n42\n\nmore", "\n\n", "42", "foo\n\nbar"),
        ("<think>\nfoo\n\nbar</think>\n\n42", "\n", "42", "foo\n\nbar"),
        ("<think>42 or 43</think>42", "42", "", "42 or 43"),
        ("<think>foo</think>bar baz", " ", "bar", "foo"),
    ],
)
def test_a_stop_text_ends_no_reasoning(judge_server, answer_of, written, stop, text, reasoning):
    found = answer_of(written, stop=(stop,))
    assert (found.text, found.reasoning, found.stop_reason) == (text, reasoning, "stop")
    assert "stop" in judge_server.bodies[0]
    assert ["stop" in body for body in judge_server.bodies[1:]] == [False] * ("42" in (stop, text))


@pytest.mark.parametrize(
    ("config", "penalty"),
    [({"repetition_penalty": 1.1, "top_k": 20, "min_p": 0.1}, 1.1), ({"top_k": 20}, 1.0)],
)
def test_a_model_s_own_penalty_is_sent_where_a_case_asks_for_its_settings(thinker, tmp_path, config, penalty):
    """Whatever the server was started with; draws are the golden set's, as here."""
    directory = shutil.copytree(thinker, tmp_path / "m")
    (directory / "generation_config.json").write_text(json.dumps(config))
    reader, sent = Reader(directory, None), {}
    for own in (True, False):
        request = asked(use_model_settings=own)
        prompt = render_prompt(reader.tokenizer, request.messages, request.settings)
        job = tokens_job("m", reader, replace(request, prompt=prompt), Reports("m"))
        sent[own] = [job.body["extra_body"][name] for name in ("repetition_penalty", "top_k", "min_p")]
    assert sent == {True: [penalty, -1, 0.0], False: [1.0, -1, 0.0]}


def test_what_a_stop_text_ends_is_asked_for_once(judge_server, answer_of):
    assert answer_of("42\n\nmore", stop=("\n\n",)).text == "42"
    assert answer_of("42", stop=("\n\n",)).text == "42"
    # All of it is the answer, and a stop text ends it anywhere.
    found = answer_of("<think>\nfoo\n\nbar</think>42", stop=("\n\n",), score_reasoning=True)
    assert (found.text, found.reasoning) == ("<think>\nfoo", None)
    # A reasoning that the limit cuts is as long as it may be.
    assert answer_of(f"<think>{'long ' * 20}", stop=("\n\n",)).stop_reason == "length"
    assert [body.get("stop") for body in judge_server.bodies] == [["\n\n"]] * 4


def test_a_reasoning_that_the_prompt_opens_is_as_here(start_app, letters, shipped, save_tiny_llama, tmp_path):
    """By a server that looks for stop texts in all that it writes."""
    directory = save_tiny_llama(tmp_path / "m", letters(shipped("qwen3_5_think"), eos="<|im_end|>"))
    model = describe_model(str(directory))
    plan = choose_plan("float32", "cpu", 4096, [model])
    use = ServerUse(url=start_app(directory, runtime_adapters=True))
    served = open_sides({CANDIDATE: model}, replace(plan, engine="vllm", mixed=False, server=use))
    own = open_sides({CANDIDATE: model}, plan)
    whole, found, expected = {}, {}, {}
    own.generate([asked()], whole.update)
    stop = whole[0].reasoning[20:22]
    served.generate([asked(stop=(stop,))], found.update)
    own.generate([asked(stop=(stop,))], expected.update)
    assert replace(found[0], latency_s=0) == replace(expected[0], latency_s=0)
    assert (found[0].reasoning, found[0].stop_reason) == (whole[0].reasoning, "length")
    assert served.plan.server.requests == len(found)
    served.close()
