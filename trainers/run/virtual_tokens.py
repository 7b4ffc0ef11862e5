"""What virtual tokens begin as: a text, and not noise."""

from itertools import cycle, islice
from typing import Any

from harness.errors import SettingsError


def begin_as_text(model: Any, tokenizer: Any, text: str) -> None:
    """Give new virtual tokens the values that the base has for a text.

    PEFT draws them from a normal distribution. Random keys before every text take attention from it: a
    prefix of 20 brings SmolLM2-135M from 0.8 to 6.5 nats a token before the first step. Real words are the
    better start (prefix tuning: Li and Liang 2021, arXiv:2101.00190, section 7.4; prompt tuning: Lester et
    al. 2021, arXiv:2104.08691, section 3.2).

    Args:
        model: A model of PEFT with a new adapter. Kinds without virtual tokens stay as they are.
        tokenizer: The base's.
        text: Repeated or cut to the number of virtual tokens.

    Raises:
        SettingsError: The text has no tokens.
    """
    import torch
    from peft import PeftType, initialize_kv_prefix_from_past_key_values

    config = model.peft_config["default"]
    if config.peft_type not in (PeftType.PREFIX_TUNING, PeftType.PROMPT_TUNING):
        return
    words = tokenizer(text, add_special_tokens=False)["input_ids"]
    if not words:
        raise SettingsError(f"peft.init_text: {text!r} has no tokens in the base's vocabulary")
    tokens = torch.tensor([[*islice(cycle(words), config.num_virtual_tokens)]], device=model.device)
    with torch.no_grad(), model.disable_adapter():
        if config.peft_type == PeftType.PREFIX_TUNING:
            # The base itself, since a gradient checkpoint would leave its cache empty.
            cache = model.get_base_model()(input_ids=tokens, use_cache=True).past_key_values
            initialize_kv_prefix_from_past_key_values(model, past_key_values=cache)
        else:
            weight = model.prompt_encoder["default"].embedding.weight
            weight.copy_(model.get_base_model().get_input_embeddings()(tokens)[0].to(weight.dtype))
