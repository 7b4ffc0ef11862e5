"""The encoders that a server embeds texts with."""

from collections.abc import Callable, Sequence
from importlib.util import find_spec

from harness.errors import ModelError
from harness.metrics.encoders import Encoder, find_encoder

_ENCODER = "minilm"


def served_encoders() -> dict[str, Callable[[Sequence[str]], list[list[float]]]]:
    """The default encoder if it was fetched; it loads with the first request for it."""
    try:
        encoder = find_encoder(_ENCODER)
    except ModelError:
        return {}
    if find_spec("sentence_transformers") is None:
        return {}
    return {_ENCODER: lambda texts: _embed(encoder, texts)}


def _embed(encoder: Encoder, texts: Sequence[str]) -> list[list[float]]:
    from harness.metrics.similar import load_encoder

    vectors = load_encoder(encoder).encode(list(texts), normalize_embeddings=True, show_progress_bar=False)
    return [[float(number) for number in vector] for vector in vectors]
