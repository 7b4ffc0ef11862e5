"""Training rows as text: conversations rendered by the one function that renders the gate's prompts.

TRL's trainers render conversations themselves, with today's date. They get rows with rendered text in their
turns, and a tokenizer whose chat template writes this text unchanged.
"""

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from harness.prompts.rendering import text_ids
from harness.prompts.training import render_example
from trainers.config import TrainingConfig, rendering_of
from trainers.data.overlong import fitted
from trainers.data.rows import Examples, Row
from trainers.data.turns import template_turns

# With the mark for TRL's assistant_only_loss.
_AS_IT_IS = (
    "{%- for message in messages -%}{%- if message['role'] == 'assistant' -%}"
    "{% generation %}{{- message['content'] -}}{% endgeneration %}"
    "{%- else -%}{{- message['content'] -}}{%- endif -%}{%- endfor -%}"
)


def rendered_tokenizer(tokenizer: Any) -> Any:
    """The tokenizer for rendered rows; saving it saves the original tokenizer."""
    made = copy.deepcopy(tokenizer)
    made.chat_template = _AS_IT_IS
    # TRL saves it with each checkpoint, which can be used like any other adapter.
    made.save_pretrained = tokenizer.save_pretrained
    return made


def rendered_rows(
    examples: Examples, tokenizer: Any, config: TrainingConfig, answers: Sequence[str]
) -> Examples:
    """Rows of answered conversations, for trainers that read text.

    Args:
        examples: Rows with ``prompt`` and answers, all lists of turns.
        tokenizer: The base's.
        config: Gives ``max_length`` and the settings of rendering.
        answers: The answers' keys.

    Returns:
        The rows that fit, with prompt and answers as single turns of rendered text.

    Raises:
        DataError: With file and line of the first row that can't be rendered, or is too long.
    """

    def render(row: Row) -> tuple[Row, int]:
        rendered = {key: value for key, value in row.items() if key != "tools"}
        settings, longest = rendering_of(config, row.get("tools", ())), 0
        for key in answers:
            turns = template_turns([*row["prompt"], *row[key]])
            prompt, answer = render_example(tokenizer, turns[:-1], turns[-1], settings)
            longest = max(longest, len(text_ids(tokenizer, prompt + answer)))
            rendered["prompt"] = [{"role": "user", "content": prompt}]
            rendered[key] = [{"role": "assistant", "content": answer}]
        return rendered, longest

    kept, rows = fitted(examples, config, render)
    return replace(kept, rows=rows)
