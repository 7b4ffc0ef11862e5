"""Training rows as text: conversations rendered by the one function that renders the gate's prompts.

TRL's trainers render conversations themselves, with today's date. They get rows with rendered text in their
turns, and a tokenizer whose chat template writes this text unchanged.
"""

import copy
from collections.abc import Sequence
from typing import Any

from harness.errors import DataError, PromptError
from harness.prompts.rendering import RenderedPrompt, render_prompt, text_ids
from harness.prompts.training import render_example, render_written
from harness.types import GenerationSettings, Message
from trainers.config import TrainingConfig
from trainers.data.rows import Examples, Row

# With the mark for TRL's assistant_only_loss.
_AS_IT_IS = (
    "{%- for message in messages -%}{%- if message['role'] == 'assistant' -%}"
    "{% generation %}{{- message['content'] -}}{% endgeneration %}"
    "{%- else -%}{{- message['content'] -}}{%- endif -%}{%- endfor -%}"
)


def rendering_of(config: TrainingConfig) -> GenerationSettings:
    """The settings of rendering in a configuration."""
    return GenerationSettings(chat_template_kwargs=config.chat_template_kwargs, date=config.date)


def rendered_tokenizer(tokenizer: Any) -> Any:
    """The tokenizer for rendered rows; saving it saves the original tokenizer."""
    made = copy.deepcopy(tokenizer)
    made.chat_template = _AS_IT_IS
    # TRL saves it with each checkpoint, which can be used like any other adapter.
    made.save_pretrained = tokenizer.save_pretrained
    return made


def rendered_rows(
    examples: Examples, tokenizer: Any, config: TrainingConfig, answers: Sequence[str]
) -> list[Row]:
    """Rows of answered conversations.

    A cut answer would teach to stop in the middle, so a row that is too long is refused.

    Args:
        examples: Rows with ``prompt`` and answers, all lists of turns. An answer's turn may have ``written``,
            a model's whole text after the prompt, in place of its content.
        tokenizer: A tokenizer with the base's chat template.
        config: Gives ``max_length`` and the settings of rendering.
        answers: The answers' keys.

    Returns:
        The rows with prompt and answers as single turns of rendered text.

    Raises:
        DataError: With file and line of the first row that can't be rendered, or is too long.
    """
    settings, rows = rendering_of(config), []
    for (path, line), row in zip(examples.places, examples.rows, strict=True):
        rendered = dict(row)
        for key in answers:
            (turn,) = row[key]
            try:
                if "written" in turn:
                    prompt, answer = render_written(tokenizer, row["prompt"], turn["written"], settings)
                else:
                    prompt, answer = render_example(tokenizer, row["prompt"], turn["content"], settings)
            except PromptError as error:
                raise DataError(path, line, str(error)) from error
            tokens = len(text_ids(tokenizer, prompt + answer))
            if tokens > config.max_length:
                problem = (
                    f"{tokens} tokens (allowed: max_length {config.max_length}); raise it or shorten the row"
                )
                raise DataError(path, line, problem)
            rendered["prompt"] = [{"role": "user", "content": prompt}]
            rendered[key] = [{"role": "assistant", "content": answer}]
        rows.append(rendered)
    return rows


def rendered_prompts(
    examples: Examples, tokenizer: Any, config: TrainingConfig, answer: int
) -> list[RenderedPrompt]:
    """The prompts of rows, to be answered.

    Args:
        examples: Rows with ``prompt``.
        tokenizer: A tokenizer with the base's chat template.
        config: Gives ``max_length``, of prompt and answer together, and the settings of rendering.
        answer: Most tokens of an answer.

    Raises:
        DataError: With file and line of the first that can't be rendered, or leaves no room for an answer.
    """
    prompts = []
    for (path, line), row in zip(examples.places, examples.rows, strict=True):
        try:
            prompt = render_prompt(tokenizer, messages_of(row), rendering_of(config))
        except PromptError as error:
            raise DataError(path, line, str(error)) from error
        if prompt.tokens + answer > config.max_length:
            raise DataError(
                path,
                line,
                f"{prompt.tokens} tokens and {answer} of the answer (allowed: max_length {config.max_length} "
                "together); raise it or shorten the row",
            )
        prompts.append(prompt)
    return prompts


def messages_of(row: Row) -> tuple[Message, ...]:
    """A row's prompt as the gate's messages."""
    return tuple(Message(role=turn["role"], content=turn["content"]) for turn in row["prompt"])


def conversation_text(row: Row, key: str) -> str:
    """A rendered row's prompt and answer.

    Args:
        row: A rendered row.
        key: The answer's key, such as ``completion``.
    """
    return f"{row['prompt'][0]['content']}{row[key][0]['content']}"
