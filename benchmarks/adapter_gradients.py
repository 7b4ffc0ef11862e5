"""Are gradients through a 4-bit base right? The least cosine over a trained LoRA adapter's matrices.

    python benchmarks/adapter_gradients.py ADAPTER

Loads the 4-bit base with the adapter, runs it forward in eval mode, and compares the gradient of every LoRA
matrix with that through a dequantised copy of the base.
"""

import json
import sys
from pathlib import Path
from typing import Any

CHECK_TEXT = "The tide comes in twice a day, and the harbour fills slowly with water and boats."


def least_gradient_cosine(adapter: Path) -> float:
    """Least cosine, over a trained adapter's LoRA matrices, of the 4-bit base's gradients and a copy's."""
    import torch
    from bitsandbytes.functional import dequantize_4bit
    from bitsandbytes.nn import Linear4bit
    from transformers import AutoTokenizer

    from harness.models.resolve import resolve_model
    from trainers.run.base_model import load_base

    config = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
    base = resolve_model(config["base_model_name_or_path"])
    head = "reward" if config["task_type"] == "SEQ_CLS" else "text"
    ids = AutoTokenizer.from_pretrained(base)(CHECK_TEXT, return_tensors="pt")["input_ids"]
    quantised = load_base(base, "nf4", torch.float32, head=head)
    plain = load_base(base, "none", torch.float32, head=head)
    layers = dict(plain.named_modules())
    for name, module in quantised.named_modules():
        if isinstance(module, Linear4bit):
            weight = module.weight
            layers[name].weight.data = dequantize_4bit(weight.data, weight.quant_state).float()
    found = [_gradients(model, adapter, ids.to(model.device), head) for model in (quantised, plain)]
    assert found[0].keys() == found[1].keys() != set()
    return min(
        torch.nn.functional.cosine_similarity(found[0][name], found[1][name], dim=0).item()
        for name in found[0]
    )


def _gradients(model: Any, adapter: Path, ids: Any, head: str) -> dict[str, Any]:
    """The gradient of each LoRA matrix on the text, after a forward in eval mode."""
    import torch
    from peft import PeftModel

    model.config.pad_token_id = 0
    adapted = PeftModel.from_pretrained(model, str(adapter), is_trainable=True, autocast_adapter_dtype=True)
    adapted.eval()
    with torch.no_grad():
        adapted(input_ids=ids)
    adapted.train()
    logits = adapted(input_ids=ids).logits.float()
    loss = logits.sum() if head == "reward" else torch.nn.functional.cross_entropy(logits[0, :-1], ids[0, 1:])
    loss.backward()
    return {
        name: parameter.grad.flatten().double()
        for name, parameter in adapted.named_parameters()
        if "lora_" in name and parameter.grad is not None
    }


if __name__ == "__main__":
    print(f"{least_gradient_cosine(Path(sys.argv[1])):.5f}")
