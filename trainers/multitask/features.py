"""From rows to tokens and targets of a head, and its loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from harness.engines.multitask.decode import MisalignedError, find_words, tags_of
from harness.engines.multitask.description import Task
from harness.engines.multitask.network import Network, passage_tokens, scores, tokenize
from harness.errors import DataError
from trainers.data.rows import Examples, Row

if TYPE_CHECKING:
    import torch

IGNORED = -100  # cross_entropy's own mark of targets without loss


def encode(network: Network, task: Task, rows: Sequence[Row]) -> tuple[Any, torch.Tensor]:
    """Tokens and targets of a batch.

    Args:
        network: The network, whose tokenizer is used.
        task: The head's task.
        rows: The batch's rows, with ``text`` and ``target``.

    Returns:
        The tokenizer's batch, and the label (rows,), each token's tag (rows, tokens) with only a word's
        first token counting, or the span's first and last token (rows, 2).

    Raises:
        ValueError: A row is too long, or its target begins or ends inside a word.
    """
    import torch

    batch = tokenize(network, task, [row["text"] for row in rows])
    if task.kind == "label":
        return batch, torch.tensor([task.labels.index(row["target"]) for row in rows])
    targets = []
    for place, row in enumerate(rows):
        offsets = [(int(start), int(end)) for start, end in batch["offset_mapping"][place].tolist()]
        if task.kind == "entities":
            words = find_words(batch.word_ids(place), offsets)
            tags = [IGNORED] * len(offsets)
            for word, tag in zip(words, tags_of(row["target"], words), strict=True):
                tags[word.token] = task.labels.index(tag)
            targets.append(tags)
        else:
            targets.append(_span_tokens(network, row, passage_tokens(batch, place), offsets))
    return batch, torch.tensor(targets)


def _span_tokens(
    network: Network, row: Row, allowed: Sequence[int], offsets: Sequence[tuple[int, int]]
) -> list[int]:
    start, end = row["target"]
    first = [place for place in allowed if offsets[place][0] == start]
    last = [place for place in allowed if offsets[place][1] == end]
    if not first or not last:
        raise MisalignedError(f"the answer {row['answer']!r} begins or ends inside a word")
    if last[-1] - first[0] >= network.max_answer_tokens:
        tokens = last[-1] - first[0] + 1
        raise MisalignedError(
            f"the answer has {tokens} tokens (allowed by max_answer_tokens: {network.max_answer_tokens})"
        )
    return [first[0], last[-1]]


def check_rows(network: Network, task: Task, examples: Examples) -> None:
    """Check that every row can be encoded, before anything is trained.

    Args:
        network: The network, whose tokenizer is used.
        task: The head's task.
        examples: All rows of the task.

    Raises:
        DataError: With file and line.
    """
    for row, (path, line) in zip(examples.rows, examples.places, strict=True):
        try:
            encode(network, task, [row])
        except ValueError as error:
            raise DataError(path, line, str(error)) from error


def task_loss(network: Network, task: Task, rows: Sequence[Row]) -> torch.Tensor:
    """Cross-entropy of a batch, in nats: a row's, a word's, or the mean of a span's two ends.

    Args:
        network: The network.
        task: The head's task.
        rows: The batch's rows, with ``text`` and ``target``.

    Returns:
        A scalar with a gradient.
    """
    import torch
    from torch.nn.functional import cross_entropy

    batch, targets = encode(network, task, rows)
    said = scores(network, task, batch)
    targets = targets.to(said.device)
    if task.kind == "label":
        return cross_entropy(said, targets)
    if task.kind == "entities":
        return cross_entropy(said.flatten(0, 1), targets.flatten(), ignore_index=IGNORED)
    outside = said.new_ones(said.shape[:2], dtype=torch.bool)  # (rows, tokens)
    for row in range(len(rows)):
        outside[row, passage_tokens(batch, row)] = False
    said = said.masked_fill(outside[..., None], float("-inf"))
    return (cross_entropy(said[..., 0], targets[:, 0]) + cross_entropy(said[..., 1], targets[:, 1])) / 2
