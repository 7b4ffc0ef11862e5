"""Virtual tokens read first into a cache give what PEFT gives by putting them before the input."""

import pytest

from harness.engines.side import virtual_tokens


@pytest.mark.parametrize("kind", ["prefix", "prompt"])
def test_the_logits_are_pefts_own(tiny_model_dir, kind):
    import torch
    from peft import PrefixTuningConfig, PromptTuningConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    config = {"prefix": PrefixTuningConfig, "prompt": PromptTuningConfig}[kind]
    torch.manual_seed(3)
    wrapped = get_peft_model(
        AutoModelForCausalLM.from_pretrained(tiny_model_dir),
        config(task_type="CAUSAL_LM", num_virtual_tokens=5),
    ).eval()
    ids = torch.tensor([[7, 8, 9], [10, 11, 12]])
    with torch.inference_mode():
        expected = wrapped(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[:, -3:]
        cache, count = virtual_tokens(wrapped, 2)
        mask = torch.ones(2, count + 3, dtype=torch.long)
        found = wrapped.get_base_model()(input_ids=ids, attention_mask=mask, past_key_values=cache).logits
        without = wrapped.get_base_model()(input_ids=ids).logits
    assert count == 5
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(found, without, atol=1e-2)
