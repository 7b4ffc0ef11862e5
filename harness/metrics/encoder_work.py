"""The work of text encoders as workers get it: which encoders they load, and vectors of texts."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from harness.errors import ModelError
from harness.metrics.definition import Result, ScoringRequest, computed, score_function
from harness.metrics.encoded_text import encoded
from harness.metrics.encoders import Encoder, encoder_name, find_encoder, last_layer, place_encoder
from harness.metrics.incomparable_text import unreadable
from harness.metrics.libraries import ScoreCache, cache_key
from harness.types import Check, MetricError, Score

if TYPE_CHECKING:
    from harness.engines.workers.functions import Dealer, FunctionKind

# The libraries that compute each metric's vectors, as they are installed.
ENCODED = {
    "similar": ("sentence-transformers", "torch", "transformers"),
    "bertscore": ("bert-score", "evaluate", "torch", "transformers"),
}
_TOGETHER = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class SentEncoder:
    """An encoder as it is named to a worker.

    Attributes:
        name: Its name in the golden set.
        directory: Where it is, if the name is a path; else empty.
        sha256: Of the files here.
        layer: The layer that is compared; None where it doesn't matter.
    """

    name: str
    directory: str
    sha256: str
    layer: int | None = None


def encoder_kind(metric: str, checks: Iterable[Check]) -> FunctionKind:
    """The function that scores checks by encoders.

    Args:
        metric: ``similar`` or ``bertscore``.
        checks: All checks of that metric.

    Raises:
        ModelError: An encoder is unavailable.
        ValueError: Its number of layers is unknown.
    """
    from harness.engines.workers.functions import FunctionKind

    sent: dict[SentEncoder, None] = {}
    for check in checks:
        encoder, layer = find_encoder(encoder_name(check)), check.options.get("layer")
        chosen = None
        if metric == "bertscore":
            chosen = layer if isinstance(layer, int) else last_layer(encoder)
        sent[_sent(encoder, chosen)] = None
    return FunctionKind(
        path="harness.metrics.encoder_work:EncoderScores",
        argument=(metric, tuple(sent)),
        together=_TOGETHER,
        versions=_versions(ENCODED[metric]),
    )


def vector_kind(name: str) -> FunctionKind:
    """The function that gives texts their vectors.

    Args:
        name: The encoder.

    Raises:
        ModelError: It is unavailable.
    """
    from harness.engines.workers.functions import FunctionKind

    return FunctionKind(
        path="harness.metrics.encoder_work:EncoderVectors",
        argument=_sent(find_encoder(name), None),
        together=_TOGETHER,
        versions=_versions(ENCODED["similar"]),
    )


def _sent(encoder: Encoder, layer: int | None) -> SentEncoder:
    from tunegate.project import user_path

    directory = encoder.directory.absolute() if user_path(encoder.name).is_dir() else ""
    return SentEncoder(name=encoder.name, directory=str(directory), sha256=encoder.sha256, layer=layer)


def _versions(libraries: Sequence[str]) -> dict[str, str]:
    from harness.engines.workers.ray_nodes import versions

    return versions(libraries)


def load_encoders(metric: str, encoders: Iterable[SentEncoder]) -> None:
    """Load encoders on a worker.

    Args:
        metric: What they are needed for.
        encoders: The encoders.

    Raises:
        ModelError: Files are missing here, or others.
    """
    for sent in encoders:
        encoder = _found(sent)
        if metric == "bertscore":
            from harness.metrics.bertscore_model import load_scorer

            assert sent.layer is not None
            layer = sent.layer
            with suppress(Exception):  # such as a layer that it hasn't: each check tells it by itself
                load_scorer(encoder, layer)
        else:
            from harness.metrics.similar import load_encoder

            with suppress(Exception):
                load_encoder(encoder)


def _found(sent: SentEncoder) -> Encoder:
    if sent.directory:
        place_encoder(sent.name, sent.directory)
    where = f"node {platform.node()}"
    try:
        encoder = find_encoder(sent.name)
    except ModelError as error:
        raise ModelError(f"{where}: {error}; share the encoder with all nodes") from error
    if encoder.sha256 != sent.sha256:
        raise ModelError(f"{where}: the encoder {sent.name} has other files there than here")
    return encoder


def dealt_scores(
    metric: str,
    requests: Sequence[ScoringRequest],
    cache: ScoreCache | None,
    show: Callable[[int], None],
    dealer: Dealer,
) -> list[Result]:
    """Results by workers; none where an encoder is unavailable, which each check then tells by itself.

    Args:
        metric: One of ``ENCODED``.
        requests: The checks and their answers.
        cache: Where scores are looked up, and stored as they come.
        show: Called with how many are done.
        dealer: Deals the work.
    """
    from harness.engines.workers.functions import Item

    kind: FunctionKind | None = None
    with suppress(Exception):
        kind = encoder_kind(metric, [request.check for request in requests])
    if kind is None:
        return []
    keys = [cache_key(request) if cache is not None else None for request in requests]
    known = [cache.get(key) if cache is not None and key is not None else None for key in keys]
    found: dict[int, Result] = {row: score for row, score in enumerate(known) if score is not None}
    missing = [row for row in range(len(requests)) if row not in found]
    show(len(found))

    def keep(batch: Mapping[int, Any]) -> None:
        for place, result in batch.items():
            row = missing[place]
            found[row], key = result, keys[row]
            if cache is not None and key is not None and isinstance(result, Score):
                cache.put(key, result)
        show(len(found))

    if missing:
        # Judges can't be sent, and encoders don't need them.
        items = [
            Item(key=requests[row].case.key, value=replace(requests[row], panel=None)) for row in missing
        ]
        for place, reason in dealer.compute(kind, items, keep).items():
            request = requests[missing[place]]
            found[missing[place]] = MetricError(metric=request.check.type, error=reason)
    return [found[row] for row in range(len(requests))]


class EncoderScores:
    """An encoder's metric on a worker."""

    def __init__(self, argument: Any) -> None:
        """Load the encoders.

        Args:
            argument: The metric, and what :func:`load_encoders` takes.

        Raises:
            ModelError: An encoder's files are missing here, or others.
        """
        self._metric, encoders = argument
        load_encoders(self._metric, encoders)

    def compute(self, items: Sequence[ScoringRequest]) -> list[Result]:
        """A result for each request; what breaks is its own error."""
        return computed(score_function(self._metric), items)


class EncoderVectors:
    """Vectors of texts, on a worker."""

    def __init__(self, argument: SentEncoder) -> None:
        """Load the encoder.

        Raises:
            ModelError: Its files are missing here, or others.
        """
        self._name = argument.name
        load_encoders("similar", [argument])

    def compute(self, items: Sequence[str]) -> list[Any]:
        """Each text's vector, of length 1, or a ValueError that says why the encoder can't read it."""
        return text_vectors(self._name, items)


def text_vectors(name: str, texts: Sequence[str]) -> list[tuple[float, ...] | ValueError]:
    """Each text's vector, of length 1, or why the encoder can't read it.

    Args:
        name: The encoder.
        texts: The texts.
    """
    from harness.metrics.similar import load_encoder

    encoder = load_encoder(find_encoder(name))
    found: dict[str, tuple[float, ...] | ValueError] = {}
    for text in texts:
        if problem := unreadable(encoded(encoder.tokenizer, text, encoder.max_seq_length), "the question"):
            found[text] = ValueError(f"{name} {problem}")
    rest = [text for text in dict.fromkeys(texts) if text not in found]
    for text in rest:
        # One at a time: the rows of a batch change each other's last digits.
        vector = encoder.encode(text, normalize_embeddings=True, show_progress_bar=False)
        found[text] = tuple(vector.tolist())
    return [found[text] for text in texts]
