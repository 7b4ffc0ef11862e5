"""Packed rows must not see each other: whether a model keeps them apart is measured, not believed."""

from collections.abc import Callable, Mapping
from typing import Any

from harness.errors import SettingsError

# Why rows behind learnt virtual tokens can't share a sequence.
VIRTUAL = "virtual tokens come before a sequence, not before each of its rows"
_TOKENS = 16
# Of the largest logit. The first compares equal shapes, where a masked row has no influence; the second
# compares different ones, whose last digits differ in low precision.
_NOISE, _ROUNDING = 1e-5, 0.05


def refuse_mixed_rows(trainer: Any) -> None:
    """Refuse packing if a model lets a packed row see the one before it, or counts its positions on.

    Args:
        trainer: TRL's trainer, whose collator packs.

    Raises:
        SettingsError: The model's answer to the second row depends on the first, or it can't be packed.
    """
    learnt = getattr(trainer.model, "active_peft_config", None)
    if learnt is not None and learnt.is_prompt_learning:
        raise SettingsError(f"packing: {VIRTUAL}; leave it out")
    if (reason := why_not_packed(trainer.model, trainer.data_collator)) is not None:
        raise SettingsError(f"packing: {reason}; leave it out")


def why_not_packed(model: Any, collate: Callable[[list[dict[str, Any]]], Mapping[str, Any]]) -> str | None:
    """Why a model can't be given packed rows; None if it keeps them apart.

    transformers separates packed rows by their positions, which not all kinds of models and attention read.
    The second of two packed rows must have the same logits whatever the first one is, and those of the row
    alone.

    Args:
        model: The model; afterwards it is in the mode that it was in.
        collate: TRL's collator, without padding.

    Returns:
        The reason in words.
    """
    import torch

    kind = model.config.model_type
    size = model.get_input_embeddings().weight.shape[0]
    random = torch.Generator().manual_seed(0)
    first, other, second = torch.randint(size, (3, _TOKENS), generator=random).tolist()
    was_training = model.training
    model.eval()
    try:
        after_first, after_other, alone = (
            _last_logits(model, collate, rows) for rows in ((first, second), (other, second), (second,))
        )
    except Exception as error:  # models refuse packed rows with exceptions of many kinds
        line = str(error).strip().partition("\n")[0] or type(error).__name__
        return f"{kind} models can't do it: {line}"
    finally:
        model.train(was_training)
    largest = float(alone.abs().max())
    mixed = float((after_first - after_other).abs().max()) > _NOISE * largest
    if mixed or float((after_first - alone).abs().max()) > _ROUNDING * largest:
        return f"{kind} models let packed rows see each other"
    return None


def _last_logits(model: Any, collate: Callable[..., Mapping[str, Any]], rows: tuple[list[int], ...]) -> Any:
    """The logits of the last of some packed rows: (tokens, vocabulary)."""
    import torch

    ids = [token for row in rows for token in row]
    packed = {"input_ids": ids, "labels": ids, "seq_lengths": [len(row) for row in rows]}
    batch = {
        key: value.to(model.device) if hasattr(value, "to") else value
        for key, value in collate([packed]).items()
        if key != "labels"
    }
    with torch.inference_mode():
        return model(**batch).logits[0, -_TOKENS:].float()
