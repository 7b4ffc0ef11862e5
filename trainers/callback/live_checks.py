"""What is checked before the model in training is asked."""

from typing import Any

from harness.errors import PromptError, SettingsError
from harness.prompts.rendering import render_prompt, text_ids
from harness.prompts.tokenizers import places
from harness.run.workload import load_passages
from trainers.callback.asking import TrainingGate


def check_model(model: Any, tokenizer: Any, args: Any) -> None:
    """Check that the weights in this process can answer.

    Args:
        model: The model in training.
        tokenizer: The trainer's ``processing_class``, or its tokenizer.
        args: The training arguments.

    Raises:
        SettingsError: They are spread over processes, continue no text, or there is no tokenizer.
    """
    if getattr(args, "deepspeed", None) or getattr(args, "fsdp", None):
        raise SettingsError(
            "GateCallback: the weights are spread over processes (FSDP or DeepSpeed), so this process can't "
            "answer: give where='subprocess'"
        )
    if tokenizer is None or not hasattr(tokenizer, "eos_token_id"):
        raise SettingsError("GateCallback: no tokenizer: give the trainer processing_class=tokenizer")
    if getattr(model.config, "is_encoder_decoder", False) or not hasattr(model, "generate"):
        raise SettingsError(
            f"GateCallback: {type(model).__name__} continues no text: the gate is for causal language models"
        )


def check_room(model: Any, tokenizer: Any, asking: TrainingGate) -> None:
    """Check that each prompt can be rendered, and that the model has room for it and its answer.

    Args:
        model: The model in training.
        tokenizer: Its tokenizer.
        asking: What is asked.

    Raises:
        SettingsError: It can't; with the first such case.
    """
    room, kwargs = places(model.config), asking.settings.chat_template_kwargs
    for case in asking.asked:
        settings = case.asked_with(kwargs).generation
        try:
            tokens = render_prompt(tokenizer, case.messages, settings).tokens
        except PromptError as error:
            raise SettingsError(f"GateCallback: {case.key}: {error}") from error
        if room is not None and tokens + settings.token_limit > room:
            raise SettingsError(
                f"GateCallback: {case.key}: {tokens} tokens of the prompt and {settings.token_limit} of the "
                f"answer are more than the model's context of {room}; shorten it, or skip the case"
            )
    if asking.settings.forgetting and room is not None:
        longest = max(len(text_ids(tokenizer, text)) for text in load_passages().values()) + 1
        if longest > room:
            raise SettingsError(
                f"GateCallback: general text has {longest} tokens, the model a context of {room}: "
                f"give forgetting=False"
            )
