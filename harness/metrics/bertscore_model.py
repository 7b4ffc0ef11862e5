"""The encoder that BERTScore compares with."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from harness.engines.loading import quiet_load
from harness.metrics.encoders import Encoder, last_layer, refuse_changed_encoder
from harness.types.storage import parse_json

if TYPE_CHECKING:
    from bert_score import BERTScorer


@cache
def load_scorer(encoder: Encoder, layer: int) -> "BERTScorer":
    """The encoder as bert-score uses it, loaded once per process.

    Args:
        encoder: Its directory contains a transformers model.
        layer: The layer whose vectors are compared, from 1.

    Raises:
        ValueError: The encoder has no such layer.
        ModelError: Its files changed since it was identified.
    """
    layers = last_layer(encoder)
    if layer > layers:
        raise ValueError(f"{encoder.name} has {layers} layers: there is no layer {layer}")
    # Before it loads, too: else each part of a batch, down to single answers, loads it anew to be told.
    refuse_changed_encoder(encoder)
    with _plain_path(encoder.directory) as path, quiet_load():
        from bert_score import BERTScorer

        scorer = BERTScorer(model_type=path, num_layers=layer)
    refuse_changed_encoder(encoder)
    scorer._model.float()
    tokenizer = scorer._tokenizer
    positions = getattr(scorer._model.config, "max_position_embeddings", 512)
    # A tokenizer without a limit has 1e30, which is too large for the tokenizers' 64-bit truncation.
    if tokenizer.model_max_length > positions:
        tokenizer.model_max_length = min(positions, 512)
    return scorer


@contextmanager
def _plain_path(directory: Path) -> Iterator[str]:
    """A path to the encoder without "t5" in it: bert-score would load it as a T5."""
    path = directory.absolute()
    if "t5" not in str(path) or "t5" in parse_json((path / "config.json").read_text())["model_type"]:
        yield str(path)
        return
    link = Path(tempfile.gettempdir()) / f"tunegate-encoder-{uuid4().hex}"
    if "t5" in str(link):
        raise ValueError(
            f'bert-score misreads paths with "t5" in them, such as {link}: set TMPDIR to another'
        )
    link.symlink_to(path, target_is_directory=True)
    try:
        yield str(link)
    finally:
        link.unlink()
