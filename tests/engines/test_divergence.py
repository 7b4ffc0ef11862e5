"""The divergence of a candidate from its baseline, token by token, as its definition says."""

import pytest

from harness.engines.base import BASELINE, CANDIDATE, LossRequest
from harness.engines.open import base_of, choose_plan, describe_model, open_sides
from harness.engines.text_losses import text_logits
from harness.types import TextLoss


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
