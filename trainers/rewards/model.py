"""A reward model's adapter as a reward."""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal

from harness.engines.adapter import read_json, read_training
from harness.errors import SettingsError
from harness.models.resolve import adapter_sha256, is_model, resolve_model
from harness.prompts.tokenizers import load_tokenizer, with_padding
from harness.prompts.training import render_answered, training_settings
from trainers.data.batches import padded_batches
from trainers.rewards.definition import RewardFunction

_CONVERSATIONS_A_BATCH = 8


def model_reward(path: Path, place: str) -> tuple[RewardFunction, str]:
    """The reward that the model gives a prompt with its answer; it is loaded when it is first asked.

    Args:
        path: The adapter's directory.
        place: Where the reward is in the configuration, for messages.

    Returns:
        The function and the adapter's SHA-256.

    Raises:
        InputError: The directory is no reward model's, or its base is unavailable or another one.
    """
    config = read_json(path / "adapter_config.json")
    if config.get("task_type") != "SEQ_CLS":
        raise SettingsError(f"{place}: {path}: no reward model; train one with: tunegate train reward")
    base_dir = resolve_model(str(config.get("base_model_name_or_path")), recorded=True)
    training = read_training(path)
    trained_on = None if training is None else training.base_sha256
    if trained_on is not None and not is_model(base_dir, trained_on):
        raise SettingsError(f"{place}: {path}: trained on another base than {base_dir}; train it again")
    # In the numbers that its head has learnt to read, and that its held-out pairs were measured with.
    in_4_bits = training is not None and training.config.get("quantization") == "nf4"
    load = cache(lambda: _scorer(path, base_dir, "nf4" if in_4_bits else "none"))

    def reward(completions: Sequence[Any], *, prompts: Sequence[Any], **_: Any) -> list[float]:
        score = load()
        return score([_turns(*pair) for pair in zip(prompts, completions, strict=True)])

    return reward, adapter_sha256(path)


def conversation_rewards(model: Any, tokenizer: Any, texts: Sequence[str]) -> list[float]:
    """The reward of each conversation.

    Args:
        model: The reward model, in evaluation mode.
        tokenizer: Its tokenizer.
        texts: Conversations, rendered up to the end of the assistant's answer.

    Returns:
        One number per conversation, in order.
    """
    import torch

    found: list[float] = []
    for _, batch in padded_batches(tokenizer, texts, model.device, _CONVERSATIONS_A_BATCH, side="right"):
        with torch.inference_mode():
            found += model(**batch).logits[:, 0].float().tolist()
    return found


def _turns(prompt: Any, completion: Any) -> list[dict[str, str]]:
    answer = [{"role": "assistant", "content": completion}] if isinstance(completion, str) else completion
    return [*prompt, *answer]


def _scorer(
    path: Path, base_dir: Path, quantization: Literal["nf4", "none"]
) -> Callable[[list[list[dict[str, str]]]], list[float]]:
    from peft import PeftModel

    from trainers.run.base_model import compute_dtype, load_base

    tokenizer = with_padding(load_tokenizer(base_dir, path))
    settings = training_settings(read_training(path))
    base = load_base(base_dir, quantization, compute_dtype(), head="reward")
    base.config.pad_token_id = tokenizer.pad_token_id
    model = PeftModel.from_pretrained(base, str(path))
    model.eval()

    def score(conversations: list[list[dict[str, str]]]) -> list[float]:
        texts = [render_answered(tokenizer, turns, settings) for turns in conversations]
        return conversation_rewards(model, tokenizer, texts)

    return score
