"""One row as the model gets it, with what is learnt marked."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

from harness.prompts.rendering import render_prompt, text_ids
from harness.prompts.training import render_example
from trainers.config import TrainingConfig, rendering_of
from trainers.data.learnt_tokens import NOT_LEARNT, Learn, learnt_tokens
from trainers.data.rendered_prompts import messages_of
from trainers.data.rows import Row
from trainers.data.turns import said, template_turns

Mark = Literal["prompt", "learnt", "rejected"]
# The answers of each kind of row, with their marks.
_ANSWERS: dict[str, Mark] = {"completion": "learnt", "chosen": "learnt", "rejected": "rejected"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of a row's text."""

    text: str
    mark: Mark


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedRow:
    """A row with a model's chat template.

    Attributes:
        samples: The parts of each sequence that is learnt.
        tokens: Tokens of the longest.
        learnt: Tokens that are learnt, of all.
    """

    samples: list[list[Part]]
    tokens: int
    learnt: int


def rendered(row: Row, kind: str, tokenizer: Any, config: TrainingConfig, learn: Learn) -> RenderedRow:
    """A row as a trainer renders it.

    Args:
        row: The row.
        kind: Its kind of data.
        tokenizer: The base's.
        config: The settings of rendering.
        learn: Of answers, which are learnt.

    Raises:
        PromptError: The template refuses the row.
    """
    if kind == "texts":
        ids = list(tokenizer(row["text"])["input_ids"])
        parts = [[Part(text=tokenizer.decode(ids), mark="learnt")]]
        return RenderedRow(samples=parts, tokens=len(ids), learnt=len(ids))
    if kind == "prompts":
        prompt = render_prompt(tokenizer, messages_of(row), rendering_of(config))
        return RenderedRow(samples=[[Part(text=prompt.shown, mark="prompt")]], tokens=prompt.tokens, learnt=0)
    if kind == "answers":
        samples = learnt_tokens(tokenizer, row, config, learn)
        return RenderedRow(
            samples=[list(_parts(tokenizer, sample)) for sample in samples],
            tokens=max(len(sample["input_ids"]) for sample in samples),
            learnt=sum(label != NOT_LEARNT for sample in samples for label in sample["labels"]),
        )
    return _judged(row, tokenizer, config)


def _judged(row: Row, tokenizer: Any, config: TrainingConfig) -> RenderedRow:
    """A row of preferences: one prompt, and its answers."""
    settings = rendering_of(config, row.get("tools", ()))
    parts: list[Part] = []
    sizes: list[int] = []
    learnt = 0
    for key in (key for key in _ANSWERS if key in row):
        turns = template_turns([*row["prompt"], *row[key]])
        prompt, answer = render_example(tokenizer, turns[:-1], turns[-1], settings)
        parts += [Part(text=prompt, mark="prompt")] if not parts else []
        parts.append(Part(text=answer, mark=_mark(row, key)))
        sizes.append(len(text_ids(tokenizer, prompt + answer)))
        learnt += sizes[-1] - len(text_ids(tokenizer, prompt))
    return RenderedRow(samples=[parts], tokens=max(sizes), learnt=learnt)


def _mark(row: Row, key: str) -> Mark:
    return "rejected" if row.get("label") is False else _ANSWERS[key]


def _parts(tokenizer: Any, sample: Row) -> Iterator[Part]:
    """Neighbouring tokens of one mark as one text."""
    pairs = zip(sample["input_ids"], sample["labels"], strict=True)
    for prompt, run in groupby(pairs, key=lambda pair: pair[1] == NOT_LEARNT):
        text = str(tokenizer.decode([token for token, _ in run], skip_special_tokens=False))
        yield Part(text=text, mark="prompt" if prompt else "learnt")


def plain_parts(row: Row, learn: Learn) -> list[Part]:
    """A row without a model's template: its turns, and what is learnt of them.

    Args:
        row: The row.
        learn: Of answers, which are learnt.
    """
    if "text" in row:
        return [Part(text=row["text"], mark="learnt")]
    parts = [
        Part(
            text=f"{turn['role']}: {said(turn)}\n",
            mark="learnt" if _is_learnt(turn, row, learn) else "prompt",
        )
        for turn in row["prompt"]
    ]
    return parts + [
        Part(text=f"{turn['role']}: {said(turn)}\n", mark=_mark(row, key))
        for key in _ANSWERS
        for turn in row.get(key, ())
    ]


def _is_learnt(turn: Row, row: Row, learn: Learn) -> bool:
    answers = "completion" in row and "label" not in row
    return answers and learn == "all" and turn["role"] == "assistant" and turn.get("weight") != 0
