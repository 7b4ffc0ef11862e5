"""The network: an encoder, possibly with adapters, and a linear layer for each task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.engines.decode import refuse_no_number
from harness.engines.library_faults import refuse_not_finite
from harness.engines.loading import attach, quiet_load
from harness.engines.multitask.decode import (
    best_span,
    entities_of,
    find_words,
    split_question,
    write_entities,
)
from harness.engines.multitask.description import MultitaskModel, Task
from harness.engines.multitask.directory import ADAPTERS, ENCODER, HEADS
from harness.engines.weights import not_finite, weight_sums
from harness.errors import AdapterError
from harness.prompts.tokenizers import from_files

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """Loaded weights.

    Attributes:
        encoder: transformers' encoder, or PEFT's model around it.
        heads: One linear layer per task.
        tokenizer: A fast tokenizer, which knows each token's characters.
        max_length: Most tokens of a row.
        max_answer_tokens: Most tokens of a span.
    """

    encoder: Any
    heads: Mapping[str, torch.nn.Linear]
    tokenizer: Any
    tasks: Mapping[str, Task]
    max_length: int
    max_answer_tokens: int


class TooLongError(ValueError):
    """A text has more tokens than the model accepts; the message says how many."""


def load_network(model: MultitaskModel, dtype: str, device: str) -> Network:
    """Load a checked directory, ready to answer.

    Args:
        model: The directory.
        dtype: A torch dtype's name.
        device: A torch device.

    Raises:
        AdapterError: A weight is NaN or infinite, or one of an adapter is missing or unknown.
    """
    import torch
    from safetensors.torch import load_file

    config = model.config
    with quiet_load():
        encoder = load_encoder(model.directory / ENCODER if config.encoder == "full" else model.base_dir)
        if config.encoder == "lora":
            for name in sorted({str(task.adapter) for task in config.tasks}):
                encoder = attach(encoder, name, str(model.directory / ADAPTERS / name), encodes=True)
        tokenizer = from_files(model.base_dir)
    weights = load_file(model.directory / HEADS)
    heads = {}
    for task in config.tasks:
        weight, bias = weights[f"{task.name}.weight"], weights[f"{task.name}.bias"]
        heads[task.name] = torch.nn.Linear(weight.shape[1], weight.shape[0])
        heads[task.name].load_state_dict({"weight": weight, "bias": bias})
    _refuse_spoiled(model.directory, encoder, heads)
    for head in heads.values():
        head.to(device=device, dtype=getattr(torch, dtype))
    return Network(
        encoder=encoder.to(device=device, dtype=getattr(torch, dtype)).eval(),
        heads=heads,
        tokenizer=tokenizer,
        tasks=model.tasks,
        max_length=config.max_length,
        max_answer_tokens=config.max_answer_tokens,
    )


def _refuse_spoiled(directory: Path, encoder: Any, heads: Mapping[str, torch.nn.Linear]) -> None:
    """Check that all weights are numbers: of others, the first label would be the answer to everything."""
    import torch

    broken = not_finite(encoder, weight_sums(encoder))
    for name, head in heads.items():
        tensors = head.named_parameters()
        broken += [f"{name}.{part}" for part, held in tensors if not bool(torch.isfinite(held).all())]
    refuse_not_finite(str(directory), broken, AdapterError)


def load_encoder(directory: Any) -> Any:
    """An encoder's weights in float32, without a head."""
    import torch
    from transformers import AutoModel

    return AutoModel.from_pretrained(
        directory, dtype=torch.float32, trust_remote_code=False, use_safetensors=True, local_files_only=True
    )


def tokenize(network: Network, task: Task, texts: Sequence[str]) -> Any:
    """Tokens of a batch, padded to its longest row; a span's question and passage as a pair.

    Args:
        network: The network.
        task: The head.
        texts: The texts, one per row.

    Raises:
        TooLongError: A row has more tokens than the model accepts. ValueError: A text for a span is not a
        question with a passage.
    """
    given: tuple[list[str], ...] = (list(texts),)
    if task.kind == "span":
        pairs = [split_question(text) for text in texts]
        given = ([question for question, _ in pairs], [passage for _, passage in pairs])
    batch = network.tokenizer(
        *given, padding=True, truncation=False, return_offsets_mapping=True, return_tensors="pt"
    )
    longest = int(batch["input_ids"].shape[1])
    if longest > network.max_length:
        raise TooLongError(f"{longest} tokens, the model takes {network.max_length}")
    return batch


def count_tokens(network: Network, task: Task, text: str) -> int:
    """Number of tokens of one row, including special ones.

    Args:
        network: The network.
        task: The head that reads it.
        text: The text.

    Raises:
        TooLongError: There are more than the model accepts.
        ValueError: As tokenize.
    """
    return int(tokenize(network, task, [text])["input_ids"].shape[1])


def scores(network: Network, task: Task, batch: Any) -> torch.Tensor:
    """The output of a task's head for a batch.

    Args:
        network: The network.
        task: The head.
        batch: The result of tokenize.

    Returns:
        For a label (rows, labels), from the mean of the row's tokens; else (rows, tokens, labels).
    """
    if task.adapter is not None and network.encoder.active_adapter != task.adapter:
        network.encoder.set_adapter(task.adapter)
    device = next(network.encoder.parameters()).device
    known = ("input_ids", "attention_mask", "token_type_ids")
    inputs = {name: batch[name].to(device) for name in known if name in batch}
    hidden = network.encoder(**inputs).last_hidden_state  # (rows, tokens, width)
    head = network.heads[task.name]
    if task.kind != "label":
        found: torch.Tensor = head(hidden)
        return found
    mask = inputs["attention_mask"][..., None].to(hidden.dtype)
    pooled: torch.Tensor = head((hidden * mask).sum(dim=1) / mask.sum(dim=1))
    return pooled


def answer(network: Network, task: Task, texts: Sequence[str]) -> list[str]:
    """The head's answers: a label, a JSON list of entities, or a piece of the passage.

    Args:
        network: The network.
        task: The head.
        texts: The texts, one per answer.

    Raises:
        TooLongError: As tokenize.
        ValueError: As tokenize.
        ArithmeticError: The head gives no numbers.
    """
    import torch

    batch = tokenize(network, task, texts)
    with torch.inference_mode():
        said = scores(network, task, batch).float().cpu()
    own = said if task.kind == "label" else said[batch["attention_mask"].bool()]
    # Of infinite ones, which low precision may give, the first would be chosen too.
    refuse_no_number(own.masked_fill(own.isinf(), torch.nan))
    answers = []
    for row, text in enumerate(texts):
        if task.kind == "label":
            answers.append(task.labels[int(said[row].argmax())])
            continue
        offsets = [(int(start), int(end)) for start, end in batch["offset_mapping"][row].tolist()]
        if task.kind == "entities":
            words = find_words(batch.word_ids(row), offsets)
            likeliest = said[row].argmax(dim=-1).tolist()
            tags = [task.labels[likeliest[word.token]] for word in words]
            answers.append(write_entities(entities_of(tags, words), text))
        else:
            allowed = passage_tokens(batch, row)
            starts, ends = said[row, :, 0].tolist(), said[row, :, 1].tolist()
            first, last = best_span(starts, ends, allowed, network.max_answer_tokens)
            answers.append(split_question(text)[1][offsets[first][0] : offsets[last][1]])
    return answers


def passage_tokens(batch: Any, row: int) -> list[int]:
    """Indices of the passage's tokens in a row of question and passage.

    Args:
        batch: The result of tokenize for a span.
        row: The row's number.

    Returns:
        The tokens' positions in the row.
    """
    return [place for place, part in enumerate(batch.sequence_ids(row)) if part == 1]
