"""Packed rows must not see each other: whether a model keeps them apart is measured, not believed."""

from typing import Any

from harness.errors import SettingsError

_TOKENS = 16
# Of the largest logit; a row that sees its neighbour differs by far more.
_NOISE = 1e-5


def refuse_mixed_rows(trainer: Any) -> None:
    """Refuse packing if a model lets a packed row see the one before it.

    transformers separates packed rows by their positions, which not all kinds of models and attention read.
    The second of two packed rows must have the same logits whatever the first one is.

    Args:
        trainer: TRL's trainer, whose collator packs.

    Raises:
        SettingsError: The model's answer to the second row depends on the first.
    """
    import torch

    model = trainer.model
    size = model.get_input_embeddings().weight.shape[0]
    random = torch.Generator().manual_seed(0)
    first, other, second = torch.randint(size, (3, _TOKENS), generator=random).tolist()
    was_training = model.training
    model.eval()
    logits = []
    for before in (first, other):
        row = {"input_ids": before + second, "labels": before + second, "seq_lengths": [_TOKENS, _TOKENS]}
        batch = {
            key: value.to(model.device) if hasattr(value, "to") else value
            for key, value in trainer.data_collator([row]).items()
            if key != "labels"
        }
        with torch.inference_mode():
            logits.append(model(**batch).logits[0, _TOKENS:].float())
    model.train(was_training)
    one, two = logits
    if float((one - two).abs().max()) > _NOISE * float(one.abs().max()):
        raise SettingsError(
            f"packing: {model.config.model_type} models let packed rows see each other; leave it out"
        )
