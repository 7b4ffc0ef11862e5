"""Prompts of training rows as text, and whether they fit."""

from typing import Any

from harness.errors import DataError
from harness.prompts.rendering import RenderedPrompt, prompt_ids, render_prompt, text_ids
from harness.types import Message
from trainers.config import TrainingConfig, rendering_of
from trainers.data.overlong import fitted
from trainers.data.rows import Examples, Row
from trainers.data.turns import messages_of_turns


def fitting_prompts(examples: Examples, tokenizer: Any, config: TrainingConfig, answer: int) -> Examples:
    """The rows whose prompts leave room for an answer.

    Args:
        examples: Rows with ``prompt``.
        tokenizer: The base's.
        config: Gives ``max_length``, of prompt and answer together, and the settings of rendering.
        answer: Most tokens of an answer.

    Returns:
        The rows, some with a shorter prompt.

    Raises:
        DataError: With file and line of the first that can't be rendered, or leaves no room for an answer.
    """

    def render(row: Row) -> tuple[RenderedPrompt, int]:
        prompt = render_prompt(tokenizer, messages_of(row), rendering_of(config))
        return prompt, prompt.tokens

    return fitted(examples, config, render, answer)[0]


def rendered_prompts(
    examples: Examples, tokenizer: Any, config: TrainingConfig, answer: int
) -> list[RenderedPrompt]:
    """The prompts of rows, to be answered; all must leave room for an answer.

    Args:
        examples: Rows with ``prompt``.
        tokenizer: The base's.
        config: Gives ``max_length``, of prompt and answer together, and the settings of rendering.
        answer: Most tokens of an answer.

    Raises:
        DataError: With file and line of the first that can't be rendered, or leaves no room for an answer.
    """
    kept = fitting_prompts(examples, tokenizer, config.model_copy(update={"overlong": "refuse"}), answer)
    prompts = [render_prompt(tokenizer, messages_of(row), rendering_of(config)) for row in kept.rows]
    for place, prompt in zip(kept.places, prompts, strict=True):
        if text_ids(tokenizer, prompt.shown) != prompt_ids(tokenizer, prompt):
            problem = (
                "the tokenizer reads its plain prompt in another way behind its beginning; give chat_template"
            )
            raise DataError(*place, problem)
    return prompts


def messages_of(row: Row) -> tuple[Message, ...]:
    """A row's prompt as the gate's messages."""
    return messages_of_turns(row["prompt"])


def conversation_text(row: Row, key: str) -> str:
    """A rendered row's prompt and answer.

    Args:
        row: A rendered row.
        key: The answer's key, such as ``completion``.
    """
    return f"{row['prompt'][0]['content']}{row[key][0]['content']}"
