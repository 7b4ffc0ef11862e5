"""Plain completions, several answers, log-probabilities and tools, by the official client and by hand."""

from dataclasses import replace

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from harness.engines.base import GenerationRequest
from harness.engines.open import choose_plan, open_sides
from harness.prompts.rendering import plain_prompt
from harness.serving.replies import chat_reply
from harness.types import Completion, GenerationSettings

PLAIN = "the cat sat on the mat w1 w2"


@pytest.fixture(scope="module")
def by_hand(tiny_model_dir, tiny_adapter_dir):
    """Each model's tokens of a text and their log-probabilities, by transformers and PEFT alone."""
    from peft import PeftModel

    tokenizer = AutoTokenizer.from_pretrained(tiny_model_dir)

    def score(text, adapter):
        model = AutoModelForCausalLM.from_pretrained(tiny_model_dir, dtype=torch.float32)
        if adapter:
            model = PeftModel.from_pretrained(model, tiny_adapter_dir)
        ids = tokenizer(text, return_tensors="pt")["input_ids"]
        with torch.no_grad():
            logprobs = model.eval()(ids).logits[0].log_softmax(-1)
        own = [None] + [float(logprobs[place, ids[0, place + 1]]) for place in range(ids.shape[1] - 1)]
        best = [None] + [int(logprobs[place].argmax()) for place in range(ids.shape[1] - 1)]
        return ids[0].tolist(), own, [None if one is None else tokenizer.decode([one]) for one in best]

    return score


def test_a_prompt_is_scored_as_by_hand(serve, models, by_hand):
    client, _ = serve()
    for place, name in enumerate(models):
        ids, own, best = by_hand(PLAIN, adapter=place == 1)
        reply = client.completions.create(model=name, prompt=PLAIN, echo=True, logprobs=2, max_tokens=0)
        found = reply.choices[0].logprobs
        assert found.token_logprobs[0] is None
        assert found.token_logprobs[1:] == pytest.approx(own[1:], abs=1e-4)
        assert [top and max(top, key=top.get) for top in found.top_logprobs] == best
        assert reply.usage.prompt_tokens == len(ids)
        assert reply.choices[0].text == PLAIN


def test_prompts_may_be_tokens_and_many(serve, models, by_hand):
    client, watched = serve()
    name = next(iter(models))
    ids, own, _ = by_hand(PLAIN, adapter=False)
    asked = {"model": name, "echo": True, "logprobs": 1, "max_tokens": 1}
    reply = client.completions.create(prompt=[ids, ids[:4], ids[:6]], **asked)
    assert [choice.index for choice in reply.choices] == [0, 1, 2]
    for choice, length in zip(reply.choices, (len(ids), 4, 6), strict=True):
        # One more token than the prompt: the answer's.
        assert choice.logprobs.token_logprobs[1:-1] == pytest.approx(own[1:length], abs=1e-4)
        last = choice.logprobs.token_logprobs[-1]
        assert last == pytest.approx(max(choice.logprobs.top_logprobs[-1].values()))
    assert watched.sizes == []
    with pytest.raises(Exception, match="token 999999"):
        client.completions.create(model=name, prompt=[999999])


def test_a_continuation_is_the_model_s_own(serve, models, tiny_model_dir):
    client, _ = serve()
    tokenizer = AutoTokenizer.from_pretrained(tiny_model_dir)
    model = AutoModelForCausalLM.from_pretrained(tiny_model_dir, dtype=torch.float32)
    prompt = "what is one"
    ids = tokenizer(prompt, return_tensors="pt")["input_ids"]
    written = model.generate(ids, max_new_tokens=7, do_sample=False)[0, ids.shape[1] :]
    asked = {"model": next(iter(models)), "prompt": prompt, "max_tokens": 7}
    reply = client.completions.create(**asked, extra_body={"return_token_ids": True})
    assert reply.choices[0].text == tokenizer.decode(written, skip_special_tokens=True)
    assert reply.choices[0].token_ids == written.tolist()[: len(reply.choices[0].token_ids)]
    assert reply.choices[0].prompt_token_ids == ids[0].tolist()
    stop = reply.choices[0].text.split()[2]
    short = client.completions.create(**asked, stop=stop)
    assert short.choices[0].text == reply.choices[0].text.partition(stop)[0]


@pytest.mark.parametrize("stream", [False, True])
def test_tokens_say_where_they_begin(serve, models, stream):
    """As OpenAI's clients look for a continuation: behind the prompt's end."""
    client, _ = serve()
    asked = {"model": next(iter(models)), "prompt": PLAIN, "max_tokens": 4, "logprobs": 1, "stream": stream}
    for echo in (True, False):
        reply = client.completions.create(**asked, echo=echo)
        (choice,) = (part.choices[0] for part in reply) if stream else reply.choices
        listed = choice.logprobs
        for token, offset in zip(listed.tokens, listed.text_offset, strict=True):
            assert choice.text[offset:].lstrip().startswith("" if token == "<|end|>" else token)
        behind = [offset for offset in listed.text_offset if offset >= len(PLAIN) * echo]
        assert len(behind) == len(listed.tokens) - len(PLAIN.split()) * echo > 1
        assert listed.text_offset[0] == 0


def test_several_answers_are_samples_of_their_own(serve, models, user):
    client, _ = serve()
    asked = {"model": next(iter(models)), "max_tokens": 8, "seed": 3, "n": 3}
    greedy = client.chat.completions.create(messages=user("one"), **asked)
    assert len({choice.message.content for choice in greedy.choices}) == 1
    assert [choice.index for choice in greedy.choices] == [0, 1, 2]
    for create, prompt in (
        (client.chat.completions.create, {"messages": user("one")}),
        (client.completions.create, {"prompt": "one"}),
    ):
        found = [create(**prompt, temperature=1.5, **asked) for _ in range(2)]
        texts = [
            [getattr(choice, "text", None) or choice.message.content for choice in reply.choices]
            for reply in found
        ]
        assert len(set(texts[0])) == 3
        assert texts[0] == texts[1]
        assert found[0].usage.completion_tokens <= 3 * 8
        alone = create(**prompt, temperature=1.5, **{**asked, "n": 1})
        single = alone.choices[0]
        # A prompt counts once, however many answers it has.
        assert found[0].usage.prompt_tokens == alone.usage.prompt_tokens
        assert (getattr(single, "text", None) or single.message.content) == texts[0][0]


def test_chat_answers_have_log_probabilities(serve, models, user):
    client, _ = serve()
    for name in models:
        asked = {"model": name, "messages": user("two"), "max_tokens": 6}
        plain = client.chat.completions.create(**asked)
        reply = client.chat.completions.create(**asked, logprobs=True, top_logprobs=3)
        assert reply.choices[0].message.content == plain.choices[0].message.content
        tokens = reply.choices[0].logprobs.content
        # The token that ends an answer is listed, and counts as no part of it.
        ended = plain.choices[0].finish_reason == "stop"
        assert len(tokens) == plain.usage.completion_tokens + ended
        for token in tokens:
            tops = [top.logprob for top in token.top_logprobs]
            assert tops == sorted(tops, reverse=True)
            # A greedy token is the likeliest one.
            assert (token.token, token.logprob) == (token.top_logprobs[0].token, tops[0])
        assert plain.choices[0].logprobs is None


def test_a_token_that_ends_an_answer_is_listed(serve, models, engine, monkeypatch):
    """Clients that score a prompt ask for one token, and leave the last out: it must be there."""
    client, _ = serve()
    name = next(iter(models))
    asked = {"model": name, "prompt": PLAIN, "max_tokens": 1, "logprobs": 1}
    reply = client.completions.create(**asked, extra_body={"return_token_ids": True}).choices[0]
    monkeypatch.setattr(type(engine.sides[name]), "stop_ids", property(lambda _: set(reply.token_ids)))
    ended = client.completions.create(**asked, echo=True).choices[0]
    assert (ended.finish_reason, ended.text) == ("stop", PLAIN)
    assert len(ended.logprobs.token_logprobs) == len(PLAIN.split()) + 1
    assert ended.logprobs.token_logprobs[-1] == pytest.approx(reply.logprobs.token_logprobs[0], abs=1e-4)


def test_tokens_are_traced_alike_alone_and_in_a_batch(models):
    engine = open_sides(models, choose_plan("float32", "cpu", 4096, list(models.values())))
    requests = [
        GenerationRequest(
            key=text,
            side=side,
            messages=(),
            prompt=plain_prompt(engine.tokenizer(side), text),
            settings=GenerationSettings(max_new_tokens=4),
        )
        for side in models
        for text in ("one", "w1 w2 w3 w4")
    ]
    together = engine.trace(requests, 2, with_prompts=True)
    engine.sides = {name: replace(side, decoder="library") for name, side in engine.sides.items()}
    alone = engine.trace(requests, 2, with_prompts=True)
    for one, other in zip(together, alone, strict=True):
        assert one.completion.text == other.completion.text
        for first, second in zip((*one.prompt, *one.answer), (*other.prompt, *other.answer), strict=True):
            assert first.id == second.id
            assert first.logprob == pytest.approx(second.logprob, abs=1e-4)
    without = engine.trace(requests, None)
    assert [[token.id for token in one.answer] for one in without] == [
        [token.id for token in one.answer] for one in alone
    ]


WEATHER = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}},
}


def test_tools_reach_the_template(serve_models, reasoner):
    client, name = serve_models(reasoner)
    asked = {"model": name, "max_tokens": 2}
    turns = [{"role": "user", "content": "two"}]
    bare = client.chat.completions.create(messages=turns, **asked)
    told = client.chat.completions.create(messages=turns, tools=[WEATHER], **asked)
    off = client.chat.completions.create(messages=turns, tools=[WEATHER], tool_choice="none", **asked)
    assert told.usage.prompt_tokens > bare.usage.prompt_tokens + 20
    assert off.usage.prompt_tokens == bare.usage.prompt_tokens
    called = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"at": "here"}'}}
    turns += [
        {"role": "assistant", "content": None, "tool_calls": [called]},
        {"role": "tool", "tool_call_id": "c1", "content": "rain"},
    ]
    longer = client.chat.completions.create(messages=turns, tools=[WEATHER], **asked)
    assert longer.usage.prompt_tokens > told.usage.prompt_tokens + 10


def test_a_written_call_is_listed_beside_the_text():
    text = '<tool_call>\n{"name": "weather", "arguments": {"at": "here"}}\n</tool_call>'

    def choice(text, **options):
        said = Completion(text=text, stop_reason="stop", prompt_tokens=1, completion_tokens=1, latency_s=0)
        return chat_reply("m", [said], **options)["choices"][0]

    found = choice(text, tools=[WEATHER])
    assert found["finish_reason"] == "tool_calls"
    assert found["message"]["content"] == text
    assert found["message"]["tool_calls"][0]["function"] == {
        "name": "weather",
        "arguments": '{"at": "here"}',
    }
    for other in (choice(text), choice("Rain.", tools=[WEATHER]), choice("<tool_call>{", tools=[WEATHER])):
        assert other["finish_reason"] == "stop"
        assert "tool_calls" not in other["message"]


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ({"prompt": "x", "best_of": 2}, "best_of"),
        ({"prompt": "x", "suffix": "y"}, "suffix"),
        ({"prompt": "x", "max_tokens": 0}, "echo"),
        ({"prompt": "x", "extra_body": {"add_special_tokens": False}}, "add_special_tokens"),
        ({"prompt": "x", "extra_body": {"ignore_eos": True}}, "ignore_eos"),
        ({"prompt": []}, "prompt is empty"),
        ({"prompt": "x", "extra_body": {"prompt_logprobs": 1}}, "prompt_logprobs"),
        ({"prompt": "w1 " * 600}, "fill the context of 512"),
    ],
    ids=str,
)
def test_what_is_not_supported_is_refused(serve, models, asked, named):
    import openai

    client, _ = serve()
    with pytest.raises(openai.BadRequestError, match=named):
        client.completions.create(model=next(iter(models)), **asked)


def test_json_that_a_schema_asks_for(serve_models, tiny_bytes_dir, user):
    """In the words of a model that knows nothing: whatever it says follows the schema."""
    import json

    pytest.importorskip("llguidance")
    client, name = serve_models(tiny_bytes_dir)
    schema = {
        "type": "object",
        "properties": {"good": {"type": "boolean"}, "why": {"type": "string", "maxLength": 8}},
        "required": ["good", "why"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    asked = {"model": name, "messages": user("two"), "max_tokens": 120}
    for temperature in (0, 1.5):
        reply = client.chat.completions.create(**asked, response_format=form, temperature=temperature)
        found = json.loads(reply.choices[0].message.content)
        assert isinstance(found["good"], bool)
        assert len(found["why"]) <= 8
        assert set(found) == {"good", "why"}
    wrong = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "nothing"}}}
    with pytest.raises(Exception, match="response_format"):
        client.chat.completions.create(**asked, response_format=wrong)


def test_json_is_refused_where_its_library_is_missing(serve, models, user, monkeypatch):
    client, watched = serve()
    monkeypatch.setattr("harness.serving.completions.find_spec", lambda name: None)
    form = {"type": "json_object"}
    with pytest.raises(Exception, match=r"response_format needs llguidance.*tunegate\[serve\]"):
        client.chat.completions.create(model=next(iter(models)), messages=user("x"), response_format=form)
    text = {"type": "text"}
    client.chat.completions.create(
        model=next(iter(models)), messages=user("x"), response_format=text, max_tokens=2
    )
    assert watched.sizes == [1]
