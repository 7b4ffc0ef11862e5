"""Rows of answers as tokens, with a label for each token that is learnt."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from typing import Any, Literal

from harness.errors import DataError, PromptError
from harness.prompts.rendering import text_ids
from harness.prompts.training import render_example, render_written
from trainers.config import TrainingConfig, rendering_of
from trainers.data.overlong import fitted
from trainers.data.rows import Examples, Row
from trainers.data.turns import template_turns

NOT_LEARNT = -100
Learn = Literal["last", "all"]


def learnt_rows(
    examples: Examples, tokenizer: Any, config: TrainingConfig, learn: Learn = "last"
) -> tuple[Examples, list[Row]]:
    """Rows for a trainer that learns answers.

    Args:
        examples: Rows with ``prompt`` and ``completion``, both lists of turns. The completion's turn may have
            ``written``, a model's whole text after the prompt, in place of its content.
        tokenizer: The base's.
        config: Gives ``max_length`` and the settings of rendering.
        learn: The answers that are learnt: the last, or all whose weight isn't 0.

    Returns:
        The rows that fit, and their samples with ``input_ids`` and ``labels``, NOT_LEARNT for tokens of
        prompts. A conversation is one sample, or several where the template writes a later prompt in another
        way than the earlier answers.

    Raises:
        DataError: With file and line of the first row that can't be rendered, or is too long.
    """

    def render(row: Row) -> tuple[list[Row], int]:
        found = learnt_tokens(tokenizer, row, config, learn)
        return found, max(len(sample["input_ids"]) for sample in found)

    if learn == "all" and config.overlong == "cut-prompt":
        # Cutting the front of a conversation would lose its first answers: each gets a prompt of its own.
        examples = _apart(examples, lambda row: render(row)[1] > config.max_length)
    kept, samples = fitted(examples, config, render)
    return kept, [sample for made in samples for sample in made]


def learnt_tokens(tokenizer: Any, row: Row, config: TrainingConfig, learn: Learn) -> list[Row]:
    """A conversation's tokens, with a label for each token that is learnt.

    Every answer follows exactly the prompt with which it would be asked. Where a later prompt continues the
    tokens of an earlier one and its answer, both are one sample.

    Args:
        tokenizer: The base's.
        row: The conversation.
        config: Gives the settings of rendering.
        learn: The answers that are learnt.

    Returns:
        Samples with ``input_ids`` and ``labels``.

    Raises:
        PromptError: The template refuses the conversation, or leaves a part of an answer out.
    """
    settings = rendering_of(config, row.get("tools", ()))
    if "written" in row["completion"][0]:
        turns = template_turns(row["prompt"])
        texts = [render_written(tokenizer, turns, row["completion"][0]["written"], settings)]
    else:
        turns = template_turns([*row["prompt"], *row["completion"]])
        texts = [
            render_example(tokenizer, turns[:place], turns[place], settings)
            for place in answers_to_learn(row, learn)
        ]
    samples: list[Row] = []
    for prompt, answer in texts:
        asked, whole = text_ids(tokenizer, prompt), text_ids(tokenizer, prompt + answer)
        alike = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(asked, whole, strict=False)))
        labels = [NOT_LEARNT] * alike + whole[alike:]
        before = samples[-1] if samples else None
        if before is not None and asked[: len(before["input_ids"])] == before["input_ids"]:
            labels[: len(before["labels"])] = samples.pop()["labels"]
        samples.append({"input_ids": whole, "labels": labels})
    return samples


def answers_to_learn(row: Row, learn: Learn) -> list[int]:
    """The places of the turns that are learnt.

    Args:
        row: The conversation.
        learn: The answers that are learnt.

    Returns:
        Indices in the turns of prompt and completion together, in order.
    """
    turns = [*row["prompt"], *row["completion"]]
    if learn == "last":
        return [len(turns) - 1]
    return [
        place for place, turn in enumerate(turns) if turn["role"] == "assistant" and turn.get("weight") != 0
    ]


def _apart(examples: Examples, too_long: Callable[[Row], bool]) -> Examples:
    """The rows, those that are too long as one row for each answer."""
    rows: list[Row] = []
    places: list[tuple[Path, int]] = []
    for row, place in zip(examples.rows, examples.places, strict=True):
        try:
            made = list(_one_each(row)) if too_long(row) else [row]
        except PromptError as error:
            raise DataError(*place, str(error)) from error
        rows += made
        places += [place] * len(made)
    return replace(examples, rows=rows, places=places)


def _one_each(row: Row) -> Iterator[Row]:
    """A row for each answer that is learnt; the answers before it belong to its prompt."""
    turns = [*row["prompt"], *row["completion"]]
    for place in answers_to_learn(row, "all"):
        before = [{**turn, "weight": 0} if turn["role"] == "assistant" else turn for turn in turns[:place]]
        yield {**row, "prompt": before, "completion": [turns[place]]}
