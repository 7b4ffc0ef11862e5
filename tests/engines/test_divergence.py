"""The divergence of a candidate from its baseline, token by token, as its definition says."""

import pytest

from harness.engines.base import BASELINE, CANDIDATE, LossRequest
from harness.engines.open import base_of, choose_plan, describe_model, open_sides
from harness.engines.text_losses import text_logits
from harness.errors import AllFailedError
from harness.types import TextLoss

TEXT = "the cat sat on a mat one two three"


@pytest.fixture
def divergence_of():
    """The divergence of an adapter from its base on a text, and the engine."""

    def measure(adapter, text=TEXT):
        candidate = describe_model(str(adapter))
        sides = {CANDIDATE: candidate, BASELINE: base_of(candidate)}
        engine = open_sides(sides, choose_plan("float32", "cpu", 512, list(sides.values())))
        found: dict[int, TextLoss] = {}
        engine.losses([LossRequest(key="kl", side=CANDIDATE, text=text, against=BASELINE)], found.update)
        return found[0], engine

    return measure


def next_words(engine, side, ids):
    """The side's logits of the token after each but the last."""
    import torch

    rows = torch.tensor([ids])
    with torch.inference_mode():
        return text_logits([engine.sides[side]], rows, torch.ones_like(rows), 0)[0]


def with_marks(base, **special):
    """The base's tokenizer with tokens of its own."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"], **special})
    return tokenizer


@pytest.mark.parametrize("mixed", [True, False])
def test_it_is_the_mean_kl_of_the_next_token(tiny_adapter_dir, mixed):
    """Against torch's own kl_div on the two models' logits; of a side against itself it is 0."""
    from dataclasses import replace

    import torch

    candidate = describe_model(str(tiny_adapter_dir))
    sides = {CANDIDATE: candidate, BASELINE: base_of(candidate)}
    plan = choose_plan("float32", "cpu", 512, list(sides.values()))
    engine = open_sides(sides, replace(plan, mixed=mixed))
    text = "the cat sat on a mat one two three"
    found: dict[int, TextLoss] = {}
    engine.losses(
        [
            LossRequest(key="kl", side=CANDIDATE, text=text, against=BASELINE),
            LossRequest(key="self", side=CANDIDATE, text=text, against=CANDIDATE),
            LossRequest(key="nll", side=CANDIDATE, text=text),
            LossRequest(key="short", side=CANDIDATE, text="one two", against=BASELINE),
        ],
        found.update,
    )
    entries = engine.sides
    ids = torch.tensor([[2, *engine._ids(CANDIDATE, text)]])
    with torch.inference_mode():
        mask = torch.ones_like(ids)
        now = text_logits([entries[CANDIDATE]], ids, mask, 0)
        then = text_logits([entries[BASELINE]], ids, mask, 0)
    expected = torch.nn.functional.kl_div(
        now.log_softmax(-1)[0], then.log_softmax(-1)[0], log_target=True, reduction="batchmean"
    )
    assert found[0].nats_per_token == pytest.approx(float(expected), rel=1e-4)
    assert found[0].tokens == 9
    assert found[1].nats_per_token == pytest.approx(0.0, abs=1e-6)
    assert found[2].nats_per_token != pytest.approx(found[0].nats_per_token)
    assert found[3].tokens == 2


def test_what_an_adapter_gives_to_tokens_of_its_own_counts(
    divergence_of, save_resized_adapter, tiny_model_dir, tmp_path
):
    """The base has none of them, so all of its probability is compared: no figure is left out."""
    import torch

    tokenizer = with_marks(tiny_model_dir, bos_token="<|im_start|>", pad_token="<|im_end|>")
    found, engine = divergence_of(save_resized_adapter(tiny_model_dir, tmp_path / "chatml", tokenizer))
    text = engine._ids(CANDIDATE, TEXT)
    now = next_words(engine, CANDIDATE, [tokenizer.bos_token_id, *text]).log_softmax(-1)
    then = next_words(engine, BASELINE, [2, *text]).log_softmax(-1)
    assert (now.shape[-1], then.shape[-1]) == (len(tokenizer), len(tokenizer) - 2)
    without = torch.nn.functional.pad(then, (0, 2), value=-1e30)  # a probability of 0
    expected = torch.nn.functional.kl_div(now, without, log_target=True, reduction="batchmean")
    assert found.nats_per_token == pytest.approx(float(expected), rel=1e-4)
    assert found.tokens == len(text)


def test_tokens_that_an_adapter_lacks_are_left_out(
    divergence_of, save_resized_adapter, tiny_model_dir, tmp_path
):
    """Some bases have rows for tokens that no tokenizer has, which some trainers cut off."""
    import torch
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model_dir)
    text = "w1 w2 w3 w4 w5"
    adapter = save_resized_adapter(tiny_model_dir, tmp_path / "cut", tokenizer, rows=60)
    found, engine = divergence_of(adapter, text)
    ids = [2, *engine._ids(CANDIDATE, text)]
    now, then = next_words(engine, CANDIDATE, ids), next_words(engine, BASELINE, ids)
    assert (now.shape[-1], then.shape[-1]) == (60, 68)
    expected = torch.nn.functional.kl_div(
        now.log_softmax(-1), then[:, :60].log_softmax(-1), log_target=True, reduction="batchmean"
    )
    assert found.nats_per_token == pytest.approx(float(expected), rel=1e-4)


def test_texts_that_are_split_differently_have_none(
    divergence_of, save_resized_adapter, tiny_model_dir, tmp_path
):
    tokenizer = with_marks(tiny_model_dir)
    tokenizer.add_tokens(["the cat"])
    adapter = save_resized_adapter(tiny_model_dir, tmp_path / "split", tokenizer)
    with pytest.raises(AllFailedError, match=r"^kl: candidate and baseline split it into other tokens$"):
        divergence_of(adapter)


def test_a_side_that_answers_alone_is_compared_with_one_that_is_batched(divergence_of, tiny_adapter_dir):
    from dataclasses import replace

    found, engine = divergence_of(tiny_adapter_dir)
    for side in (CANDIDATE, BASELINE):
        engine.sides = {**engine.sides, side: replace(engine.sides[side], decoder="library")}
        again: dict[int, TextLoss] = {}
        engine.losses([LossRequest(key="kl", side=CANDIDATE, text=TEXT, against=BASELINE)], again.update)
        assert again[0].nats_per_token == pytest.approx(found.nats_per_token, rel=1e-4)
        assert again[0].tokens == found.tokens
