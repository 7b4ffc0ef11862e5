"""Each row of a batch gets its own adapter or none, by logits that are PEFT's own."""

import pytest

from harness.engines.side import adapted


@pytest.fixture
def two_adapters(tiny_model_dir, lora):
    """A tiny model with the adapters a and b, its base, and rows of tokens."""
    import torch
    from peft import get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(5)
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(tiny_model_dir), lora(), adapter_name="a")
    # It leaves out layers that the other one has.
    model.add_adapter("b", lora(target_modules=["q_proj", "down_proj"]))
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(0, 0.5)
    base = AutoModelForCausalLM.from_pretrained(tiny_model_dir)
    return model.eval(), base, torch.tensor([[7, 8, 9], [10, 11, 12], [9, 8, 7], [5, 6, 7]])


def logits(forward, ids):
    import torch

    with torch.inference_mode():
        return forward(input_ids=ids).logits


@pytest.mark.parametrize(
    "names", [["a", "a", "b", None], ["a", None, "a", "b"], [None, "b", None, "b"]], ids=str
)
def test_a_mixed_batch_has_the_logits_of_pefts_mixed_batch(two_adapters, names):
    import torch

    model, base, ids = two_adapters
    expected = logits(lambda **given: model(**given, adapter_names=[n or "__base__" for n in names]), ids)
    with adapted(model, names) as forward:
        found = logits(forward, ids)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)
    places = [place for place, name in enumerate(names) if name is None]
    torch.testing.assert_close(found[places], logits(base, ids[places]), atol=1e-4, rtol=1e-4)
    assert not torch.allclose(found[0], found[3], atol=1e-2)


@pytest.mark.parametrize("scaling", [2.0, 1.3])
def test_a_batch_of_one_adapter_has_pefts_logits(two_adapters, scaling):
    import torch

    model, base, ids = two_adapters
    for module in model.modules():
        if isinstance(getattr(module, "scaling", None), dict):
            module.scaling["a"] = scaling
    expected = logits(model, ids)
    with adapted(model, ["a"] * 4, by_peft=True) as forward:
        assert torch.equal(logits(forward, ids), expected)
    with adapted(model, ["a"] * 4) as forward:
        found = logits(forward, ids)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(found, logits(base, ids), atol=1e-2)


def test_a_layer_may_get_all_tokens_of_one_adapter_as_rows(two_adapters):
    """So do experts that all tokens share."""
    import torch

    model = two_adapters[0]
    layers = [each for each in model.modules() if hasattr(each, "lora_A")]
    given = torch.randn(12, layers[0].in_features)
    with torch.inference_mode():
        expected = layers[0](given)
        with adapted(model, ["a"] * 4):
            torch.testing.assert_close(layers[0](given), expected, atol=1e-5, rtol=1e-5)
        with adapted(model, ["a", "a", "b", "b"]), pytest.raises(ValueError, match="12 rows of a batch of 4"):
            layers[0](given)


def test_a_batch_of_one_adapter_is_computed_by_peft_in_lower_precision(two_adapters):
    import torch

    model, _, ids = two_adapters
    model.to(torch.bfloat16)
    expected = logits(model, ids)
    # PEFT's own layers take any number of rows.
    with adapted(model, ["a"]) as forward:
        assert torch.equal(logits(forward, ids), expected)


def test_rows_that_leave_a_batch_take_their_adapters_with_them(two_adapters):
    import torch

    model, _, ids = two_adapters
    names = ["a", "b", None, "b"]
    with adapted(model, names) as forward:
        before = logits(forward, ids)
        names[:] = ["b", None]
        after = logits(forward, ids[1:3])
    torch.testing.assert_close(after, before[1:3], atol=1e-4, rtol=1e-4)


def test_the_adapter_is_on_again_after_a_batch_of_the_base_and_after_a_failure(two_adapters):
    import torch

    model, base, ids = two_adapters
    with adapted(model, ["a"] * 4) as forward:
        before = logits(forward, ids)
    with adapted(model, [None] * 4) as forward:
        torch.testing.assert_close(logits(forward, ids), logits(base, ids), atol=1e-4, rtol=1e-4)
    with (
        pytest.raises(ValueError, match="4 rows of a batch of 3"),
        adapted(model, ["a", "b", None]) as forward,
    ):
        logits(forward, ids)
    assert torch.equal(logits(model, ids), before)
    assert not any(module._forward_hooks for module in model.modules())


def test_an_adapter_with_other_layers_is_mixed_by_peft(two_adapters, lora):
    import torch

    model, _, ids = two_adapters
    model.add_adapter("c", lora(target_modules=["embed_tokens", "q_proj"]))
    for name, parameter in model.named_parameters():
        if ".c" in name and ("lora_B" in name or "lora_embedding_B" in name):
            parameter.data.normal_(0, 0.5)
    names = ["a", "c", None, None]
    with adapted(model, names) as forward:
        found = logits(forward, ids)
    expected = logits(lambda **given: model(**given, adapter_names=[n or "__base__" for n in names]), ids)
    torch.testing.assert_close(found, expected, atol=0, rtol=0)
