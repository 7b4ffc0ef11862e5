"""The bare script that every text is compared with: one prompt at a time, greedy, float32, freshly loaded.

Nothing of tunegate is used here.
"""

import os
from pathlib import Path

# Where both the script and the gate compute.
DEVICE = os.environ.get("TUNEGATE_CONFORMANCE_DEVICE", "cpu")
PROMPTS = (
    "what is one",
    "the cat sat on the mat w1 w2 w3",
    "two",
    "w9 w8 the w7 w11 w12 w13 w14 w15 w16 w17 w18",
)
NEW_TOKENS = 10


def bare_texts(base: Path, adapter: Path | None = None) -> list[str]:
    """The model's answers to the prompts."""
    import torch
    from transformers import GenerationConfig

    model, tokenizer = _loaded(base, adapter)
    named = model.generation_config.eos_token_id
    ends = {tokenizer.eos_token_id, *(named if isinstance(named, list) else [named])} - {None}
    texts = []
    for prompt in PROMPTS:
        ids = _ids(tokenizer, prompt).to(DEVICE)
        with torch.no_grad():
            written = model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                generation_config=GenerationConfig(
                    max_new_tokens=NEW_TOKENS,
                    do_sample=False,
                    eos_token_id=sorted(ends),
                    pad_token_id=tokenizer.pad_token_id,
                ),
            )
        tokens = written[0, ids.shape[1] :].tolist()
        # The end token is no part of the answer, also where a tokenizer doesn't know it as a special one.
        tokens = tokens[:-1] if tokens and tokens[-1] in ends else tokens
        texts.append(tokenizer.decode(tokens, skip_special_tokens=True))
    return texts


def parting(base: Path, adapter: Path | None, prompt: str, other: str) -> str:
    """Where another text leaves the script's, and by how much the script's token won there.

    Args:
        base: The model.
        adapter: The adapter on it.
        prompt: The prompt.
        other: The other text.

    Returns:
        The number of the token, and the logits of the likeliest ones.
    """
    import torch

    model, tokenizer = _loaded(base, adapter)
    tokens = _ids(tokenizer, prompt).to(DEVICE)
    length = tokens.shape[1]
    for number in range(NEW_TOKENS):
        with torch.no_grad():
            # Without a cache: this is asked once, and every model can do it.
            logits = model(input_ids=tokens, attention_mask=torch.ones_like(tokens), use_cache=False).logits
        best = logits[0, -1].float().topk(4)
        tokens = torch.cat([tokens, best.indices[None, :1]], dim=1)
        said = tokenizer.decode(tokens[0, length:], skip_special_tokens=True)
        if not other.startswith(said) or number == NEW_TOKENS - 1:
            names = tokenizer.convert_ids_to_tokens(best.indices.tolist())
            shown = ", ".join(
                f"{name} {value:.6f}" for name, value in zip(names, best.values.tolist(), strict=True)
            )
            return f"token {number + 1}: {shown} (gap {best.values[0] - best.values[1]:.2e})"
    raise AssertionError("no token was asked for")


def _loaded(base: Path, adapter: Path | None):
    """The model on the device, and the tokenizer that belongs to it."""
    from transformers import AutoTokenizer

    own = adapter is not None and (adapter / "tokenizer_config.json").exists()
    tokenizer = AutoTokenizer.from_pretrained(adapter if own else base)
    return load_model(base, adapter, len(tokenizer) if own else 0).eval().to(DEVICE), tokenizer


def load_model(base: Path, adapter: Path | None = None, own_tokens: int = 0):
    """The base in float32, with its adapter; resized for a tokenizer that knows more tokens."""
    import torch
    from peft import PeftModel
    from transformers import (
        MODEL_FOR_CAUSAL_LM_MAPPING,
        AutoConfig,
        AutoModelForCausalLM,
        AutoModelForImageTextToText,
    )

    of_text = type(AutoConfig.from_pretrained(base)) in MODEL_FOR_CAUSAL_LM_MAPPING
    auto = AutoModelForCausalLM if of_text else AutoModelForImageTextToText
    model = auto.from_pretrained(base, dtype=torch.float32)
    if adapter is None:
        return model
    if own_tokens > model.get_input_embeddings().weight.shape[0]:
        model.resize_token_embeddings(own_tokens)  # as AutoPeftModel does
    return PeftModel.from_pretrained(model, adapter)


def _ids(tokenizer, prompt):
    if tokenizer.chat_template is None:
        return tokenizer(prompt, return_tensors="pt")["input_ids"]
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": prompt}], add_generation_prompt=True, tokenize=False
    )
    return tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
