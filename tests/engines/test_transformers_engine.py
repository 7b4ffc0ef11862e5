"""The engine on a tiny random model: the same text as transformers' own generate, whatever the batch."""

import math
from dataclasses import replace
from typing import ClassVar

import pytest

from harness.engines.base import GenerationRequest, LossRequest
from harness.engines.open import base_of, check_alive, choose_plan, describe_model, open_sides
from harness.engines.questions import TimedWatch
from harness.engines.text_losses import text_logits
from harness.errors import AdapterError, CasesFailedError
from harness.models.resolve import adapter_sha256
from harness.types import GenerationSettings, Message

PROMPTS = ["what is one", "the cat sat on the mat", "w1 w2 w3 w4 w5 w6", "two", "w9 w8 the w7"]


def requests(side, *, max_new_tokens=12, **settings):
    return [
        GenerationRequest(
            key=f"{side}-{index}",
            side=side,
            messages=(Message(role="user", content=prompt),),
            settings=GenerationSettings(max_new_tokens=max_new_tokens, **settings),
        )
        for index, prompt in enumerate(PROMPTS)
    ]


def answers(engine, asked):
    completions = {}
    engine.generate(asked, completions.update)
    assert sorted(completions) == list(range(len(asked)))
    return [completions[index] for index in range(len(asked))]


@pytest.fixture(scope="module")
def sides(tiny_adapter_dir):
    candidate = describe_model(str(tiny_adapter_dir))
    return {"candidate": candidate, "baseline": base_of(candidate)}


@pytest.fixture(scope="module")
def mixed_engine(sides):
    return open_sides(sides, choose_plan("float32", "cpu", 4096, list(sides.values())))


def test_greedy_text_equals_transformers_generate(tiny_model_dir, mixed_engine):
    """Our loop, batched and with rows leaving early, gives what generate gives one prompt at a time."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(tiny_model_dir)
    tokenizer = AutoTokenizer.from_pretrained(tiny_model_dir)
    expected = []
    for request in requests("baseline"):
        text = tokenizer.apply_chat_template(
            [{"role": "user", "content": request.messages[0].content}],
            add_generation_prompt=True,
            tokenize=False,
        )
        ids = tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
        out = model.generate(ids, max_new_tokens=12, do_sample=False)
        expected.append(tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True))
    assert [completion.text for completion in answers(mixed_engine, requests("baseline"))] == expected


def test_mixed_batches_answer_like_separate_ones(sides, mixed_engine):
    """Base and candidate in one batch say what each says alone, and they differ."""
    assert mixed_engine.plan.mixed
    both = answers(mixed_engine, requests("candidate") + requests("baseline"))
    alone = {}
    for side, model in sides.items():
        engine = open_sides({side: model}, choose_plan("float32", "cpu", 4096, [model]))
        assert not engine.plan.mixed
        alone[side] = [completion.text for completion in answers(engine, requests(side))]
    assert [completion.text for completion in both] == alone["candidate"] + alone["baseline"]
    assert alone["candidate"] != alone["baseline"]


def test_batch_budget_does_not_change_text(sides):
    """In float32 a batch of one row and a batch of all rows give the same text."""
    texts = []
    for budget in (1, 4096):
        engine = open_sides(sides, choose_plan("float32", "cpu", budget, list(sides.values())))
        texts.append([completion.text for completion in answers(engine, requests("candidate"))])
    assert texts[0] == texts[1]


def test_each_row_has_its_own_limit(mixed_engine):
    """Rows of one batch stop at their own max_new_tokens and say so."""
    asked = [
        replace(request, settings=GenerationSettings(max_new_tokens=limit))
        for request, limit in zip(requests("baseline"), (1, 2, 3, 4, 5), strict=True)
    ]
    for completion, limit in zip(answers(mixed_engine, asked), (1, 2, 3, 4, 5), strict=True):
        assert completion.completion_tokens <= limit
        assert completion.stop_reason == ("length" if completion.completion_tokens == limit else "stop")


def test_a_stop_string_ends_the_answer_before_it(mixed_engine):
    """The text is cut before the stop string, and the reason is stop."""
    full = answers(mixed_engine, requests("baseline"))[0].text
    word = full.split()[2]
    stopped = answers(mixed_engine, requests("baseline", stop=(word,)))[0]
    assert stopped.text.rstrip() == full[: full.index(word)].rstrip()
    assert stopped.stop_reason == "stop"


def test_a_sample_depends_on_its_seed_not_on_its_batch(mixed_engine):
    """Each row draws from its own stream: alone or among others, the text is the same."""
    asked = requests("baseline", temperature=1.5, seed=7)
    together = [completion.text for completion in answers(mixed_engine, asked)]
    apart = [answers(mixed_engine, [request])[0].text for request in asked]
    other_seed = answers(mixed_engine, requests("baseline", temperature=1.5, seed=8))
    assert together == apart
    assert together != [completion.text for completion in other_seed]


def test_losses_equal_the_models_own(tiny_model_dir, mixed_engine):
    """Cross-entropy of a bare text is that of the model's labels, in nats per token."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(tiny_model_dir)
    tokenizer = AutoTokenizer.from_pretrained(tiny_model_dir)
    texts = ["the cat sat on a mat", "w1 w2", "what is two"]
    losses = {}
    asked = [LossRequest(key=text, side="baseline", text=text) for text in texts]
    mixed_engine.losses(asked, losses.update)
    for index, text in enumerate(texts):
        ids = torch.tensor(
            [[tokenizer.bos_token_id, *tokenizer(text, add_special_tokens=False)["input_ids"]]]
        )
        with torch.inference_mode():
            expected = model(input_ids=ids, labels=ids).loss.item()
        assert losses[index].nats_per_token == pytest.approx(expected, rel=1e-5)
        assert losses[index].tokens == ids.shape[1] - 1
        assert math.isfinite(losses[index].nats_per_token)


def test_losses_after_a_conversation_score_the_text_only(mixed_engine):
    """The prompt's tokens are context: they are not counted."""
    losses = {}
    messages = (Message(role="user", content="what is one"),)
    mixed_engine.losses(
        [LossRequest(key="k", side="candidate", text="one two", messages=messages)], losses.update
    )
    assert losses[0].tokens == 2


def test_texts_after_prompts_of_other_lengths_score_as_alone(sides, mixed_engine):
    """The logits of the prompts' common beginning are left out, and no text loses a token by it."""
    prompts = ("what is one", "what is one and two and three and four and five", "what")
    asked = [
        LossRequest(
            key=prompt, side="candidate", text="one two", messages=(Message(role="user", content=prompt),)
        )
        for prompt in prompts
    ]
    together, alone = {}, {}
    mixed_engine.losses(asked, together.update)
    for place, request in enumerate(asked):
        mixed_engine.losses([request], lambda found, place=place: alone.update({place: found[0]}))
    assert {place: loss.tokens for place, loss in together.items()} == {0: 2, 1: 2, 2: 2}
    for place, loss in alone.items():
        assert together[place].nats_per_token == pytest.approx(loss.nats_per_token, rel=1e-5)


def test_texts_behind_one_prompt_score_as_alone(sides, mixed_engine):
    """The prompt is read once for all of them; two sides may ask the same, and texts differ in length."""
    asked = [
        LossRequest(key=text, side=side, text=text, messages=(Message(role="user", content=prompt),))
        for side in ("candidate", "baseline")
        for prompt in ("what is one", "what is one and two and three")
        for text in ("one", "one two three", "the cat sat on a mat")
    ]
    together, alone = {}, {}
    mixed_engine.losses(asked, together.update)
    for place, request in enumerate(asked):
        mixed_engine.losses([request], lambda found, place=place: alone.update({place: found[0]}))
    assert len({round(loss.nats_per_token, 6) for loss in alone.values()}) == 12
    for place, loss in alone.items():
        assert together[place].tokens == loss.tokens
        assert together[place].nats_per_token == pytest.approx(loss.nats_per_token, rel=1e-5)


def test_a_model_that_computes_all_logits_gives_the_same_ones(mixed_engine):
    """Not every architecture can leave some out."""
    import torch

    side = mixed_engine.sides["candidate"]

    class WholeModel(torch.nn.Module):
        def forward(self, input_ids, attention_mask, past_key_values):
            return side.model(
                input_ids=input_ids, attention_mask=attention_mask, past_key_values=past_key_values
            )

    whole = replace(side, model=WholeModel())
    whole.model.config = side.model.config
    ids = torch.tensor([[2, 5, 6, 7, 8]])
    with torch.inference_mode():
        found = [text_logits([each], ids, torch.ones_like(ids), 2) for each in (side, whole)]
    assert found[0].shape == found[1].shape
    assert found[0].shape[1] == 2
    assert torch.allclose(found[0], found[1], atol=1e-5)


def test_an_adapter_that_changes_no_logit_is_refused(tiny_model_dir, tmp_path, make_tiny_adapter):
    """A dead adapter that slipped past the file check is found by its logits."""
    dead = make_tiny_adapter(tiny_model_dir, tmp_path / "dead", spread=0.0)
    model = describe_model(str(tiny_model_dir))
    model = replace(model, adapter_dir=str(dead), adapter_sha256=adapter_sha256(dead))
    engine = open_sides({"candidate": model}, choose_plan("float32", "cpu", 4096, [model]))
    with pytest.raises(AdapterError, match="changes no logit"):
        check_alive(engine, "candidate", model)


def test_a_live_adapter_passes_the_liveness_check(sides, mixed_engine):
    check_alive(mixed_engine, "candidate", sides["candidate"])


@pytest.mark.parametrize("decoder", ["own", "library"])
def test_a_timeout_stops_its_answer_and_no_other(sides, mixed_engine, decoder, monkeypatch):
    usual = answers(mixed_engine, requests("candidate"))
    side = mixed_engine.sides["candidate"]
    changed = {
        **mixed_engine.sides,
        "candidate": replace(side, decoder="library" if decoder == "library" else side.decoder),
    }
    monkeypatch.setattr(mixed_engine, "sides", changed)
    asked = requests("candidate")
    asked[1] = replace(asked[1], timeout_s=1e-9)
    asked[2] = replace(asked[2], timeout_s=1000.0)
    found = {}
    with pytest.raises(CasesFailedError) as caught:
        mixed_engine.generate(asked, found.update)
    assert caught.value.failures == {1: "the answer was stopped after 1 token: the case's timeout is 1e-09 s"}
    assert {place: one.text for place, one in found.items()} == {
        place: one.text for place, one in enumerate(usual) if place != 1
    }
    assert 0 < found[2].latency_s < 1000


@pytest.mark.parametrize("decoder", ["own", "library"])
def test_logits_that_are_no_numbers_end_their_answer_and_no_other(sides, decoder):
    """Finite weights may give NaN at a prompt; the token of the place 0 would be no answer."""
    import torch

    engine = open_sides(sides, choose_plan("float32", "cpu", 4096, list(sides.values())))
    side = engine.sides["candidate"]
    if decoder == "library":
        engine.sides = {**engine.sides, "candidate": replace(side, decoder="library")}
    usual = answers(engine, requests("candidate"))
    token = side.tokenizer.convert_tokens_to_ids("w9")  # of the last prompt alone
    embeddings = side.model.get_input_embeddings()
    embeddings.register_forward_hook(
        lambda _, given, found: (
            torch.where((given[0] == token)[..., None], torch.nan, found) if given[0].shape[1] > 1 else None
        )
    )
    found = {}
    with pytest.raises(CasesFailedError, match=r"^candidate-4: the model failed on it: .*logits are NaN"):
        engine.generate(requests("candidate"), found.update)
    assert {place: one.text for place, one in found.items()} == dict(
        enumerate(one.text for one in usual[:-1])
    )


@pytest.mark.parametrize("decoder", ["own", "library"])
def test_a_loss_that_is_no_number_fails_its_text_and_no_other(sides, decoder):
    """In float16 a long prompt may leave the range: NaN would be neither a rise nor the least of several."""
    import torch

    engine = open_sides(sides, choose_plan("float32", "cpu", 4096, list(sides.values())))
    side = engine.sides["candidate"]
    if decoder == "library":
        engine.sides = {**engine.sides, "candidate": replace(side, decoder="library")}
    token = side.tokenizer.convert_tokens_to_ids("w9")
    side.model.get_input_embeddings().register_forward_hook(
        lambda _, given, found: torch.where((given[0] == token)[..., None], torch.nan, found)
    )
    asked = [
        LossRequest(key=text, side="candidate", text=text, messages=(Message(role="user", content="w1"),))
        for text in ("one two", "w9 two", "the cat")
    ]
    found = {}
    with pytest.raises(CasesFailedError, match=r"^w9 two: the model failed on it: .*logits are NaN"):
        engine.losses(asked, found.update)
    assert sorted(found) == [0, 2]


def test_the_time_of_an_answer_is_its_share_of_the_batch_until_it_ends():
    """With 4 rows and a token a second the limit of 2 s is beyond the 8th token; a longer row changes nothing."""
    now = iter(range(100))

    class NoDecoder:
        tokens: ClassVar[list[int]] = []
        end = None

        def take(self, token):
            self.tokens.append(token)
            return ""

    watch = TimedWatch(NoDecoder(), 2.0, lambda: next(now) / 4)
    assert [watch.take(token) for token in range(9)] == [""] * 8 + ["late"]
    assert watch.seconds == 9 / 4
    assert len(watch.tokens) == 9
