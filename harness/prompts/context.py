"""A model's context, from its configuration."""

from pathlib import Path
from typing import Any

from harness.errors import ModelError
from harness.prompts.own_code import own_code_problem


def context_length(model_dir: Path) -> int | None:
    """Largest number of tokens of prompt and answer together; None if the model has no limit.

    Raises:
        ModelError: The configuration can't be read.
    """
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(model_dir, trust_remote_code=False, local_files_only=True)
        return places(config)
    except Exception as error:  # for a damaged or unknown configuration the library may raise any exception
        path, line = model_dir / "config.json", str(error).strip().partition("\n")[0]
        problem = own_code_problem(error) or f"can't be read: {line}; save the model again"
        raise ModelError(f"{path}: {problem}") from error


def places(config: Any) -> int | None:
    """The same, of a loaded configuration."""
    text = config.get_text_config(decoder=True)
    found = getattr(text, "max_position_embeddings", None)
    if not isinstance(found, int) or found < 1:
        return None
    # Stretched positions: some configurations give the context before stretching, others the one after.
    rope = getattr(text, "rope_parameters", None) or getattr(text, "rope_scaling", None) or {}
    factor, original = rope.get("factor"), rope.get("original_max_position_embeddings")
    if isinstance(factor, int | float) and isinstance(original, int):
        found = max(found, int(factor * original))
    return found
