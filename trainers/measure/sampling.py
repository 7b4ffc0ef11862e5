"""Sampling answers outside TRL's own trainers."""

import math
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.progress import Progress

from trainers.data.batches import padded_batches
from trainers.data.rows import Turn

_ANSWERS = 16  # of one batch: more costs memory, fewer waste the device


def sample_answers(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[list[Turn]],
    *,
    each: int,
    max_new_tokens: int,
    console: Console | None = None,
    temperature: float = 0.0,
    top_p: float = 1.0,
) -> list[list[str]]:
    """Sample several answers to each prompt.

    Args:
        model: A causal language model; afterwards it is in the mode that it was in.
        tokenizer: With a chat template.
        prompts: Conversations that end with the user's turn.
        each: Answers a prompt.
        max_new_tokens: Most tokens of an answer.
        console: Where progress is shown; nowhere by default.
        temperature: 0 takes the likeliest token each time.
        top_p: Sum of probability of the tokens that are sampled from.

    Returns:
        For each prompt its answers.
    """
    import torch

    texts = [
        tokenizer.apply_chat_template(prompt, tokenize=False, add_generation_prompt=True)
        for prompt in prompts
    ]
    found: list[list[str]] = []
    sampled = {"do_sample": True, "temperature": temperature, "top_p": top_p, "top_k": 0}
    chosen = sampled if temperature else {"do_sample": False}
    was_training = model.training
    model.eval()
    size = max(_ANSWERS // each, 1)
    shown = console is not None and console.is_terminal
    batches = padded_batches(tokenizer, texts, model.device, size, side="left")
    with Progress(console=console, disable=not shown, transient=True) as progress:
        total = math.ceil(len(texts) / size)
        for _, batch in progress.track(batches, total=total, description="sampling"):
            with torch.no_grad():
                tokens = model.generate(
                    **batch,
                    **chosen,
                    max_new_tokens=max_new_tokens,
                    num_return_sequences=each,
                    use_cache=True,
                    pad_token_id=tokenizer.pad_token_id,
                )  # (prompts * each, prompt + answer)
            answers = tokenizer.batch_decode(
                tokens[:, batch["input_ids"].shape[1] :], skip_special_tokens=True
            )
            found += [answers[place : place + each] for place in range(0, len(answers), each)]
    model.train(was_training)
    return found
