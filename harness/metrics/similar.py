"""Cosine of sentence embeddings, by sentence-transformers.

Reimers and Gurevych 2019, "Sentence-BERT" (arXiv:1908.10084). Embeddings see what a text is about and
hardly whether it is denied: "good" and "not good" are close.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Any

from harness.engines.loading import quiet_load
from harness.metrics.definition import ScoringRequest, graded, quote
from harness.metrics.encoded_text import encoded, unseen
from harness.metrics.encoders import DECIMALS, Encoder, encoder_name, find_encoder, refuse_changed_encoder
from harness.metrics.incomparable_text import EncodedText, incomparable
from harness.types import MetricError, Score

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_BATCH_ROWS = 32


def similar(requests: Sequence[ScoringRequest]) -> list[Score | MetricError]:
    """Cosine in [-1, 1] of the answer and the closest reference; an empty answer scores 0."""
    groups: dict[str, list[int]] = {}
    for row, request in enumerate(requests):
        groups.setdefault(encoder_name(request.check), []).append(row)
    results: dict[int, Score | MetricError] = {}
    for name, rows in groups.items():
        scored = _score_group([requests[row] for row in rows], find_encoder(name))
        results.update(zip(rows, scored, strict=True))
    return [results[row] for row in range(len(requests))]


def _score_group(requests: Sequence[ScoringRequest], encoder: Encoder) -> list[Score | MetricError]:
    model = load_encoder(encoder)
    read = {
        one: encoded(model.tokenizer, one, model.max_seq_length)
        for request in requests
        for one in (request.text, *request.case.references)
    }
    texts = sorted(text for text, seen in read.items() if not seen.is_empty)
    # (texts, dimensions), each row of length 1
    vectors = model.encode(texts, batch_size=_BATCH_ROWS, normalize_embeddings=True, show_progress_bar=False)
    by_text = dict(zip(texts, vectors, strict=True))
    return [
        incomparable(request, read, encoder.name) or _score(request, by_text, read, encoder.name)
        for request in requests
    ]


def _score(
    request: ScoringRequest, by_text: Mapping[str, Any], read: Mapping[str, EncodedText], encoder: str
) -> Score:
    answer = by_text.get(request.text)
    if answer is None:
        return graded(request, 0.0, f"the answer is empty ({encoder})")
    cosines = [
        (round(float(answer @ by_text[one]), DECIMALS) if one in by_text else 0.0, one)
        for one in request.case.references
    ]
    value, closest = max(cosines)
    told = encoder + unseen(read[request.text], read[closest])
    return graded(request, value, f"closest to {quote(closest)} ({told})")


# A thread that prepares judging, and scoring, may need it at the same time.
_LOADING = Lock()


def load_encoder(encoder: Encoder) -> "SentenceTransformer":
    """The encoder, loaded once per process."""
    with _LOADING:
        return _loaded(encoder)


@cache
def _loaded(encoder: Encoder) -> "SentenceTransformer":
    # Before it loads, too: else each part of a batch, down to single answers, loads it anew to be told.
    refuse_changed_encoder(encoder)
    with quiet_load():
        from sentence_transformers import SentenceTransformer

        model = SentenceTransformer(str(encoder.directory))
    refuse_changed_encoder(encoder)
    return model.float().eval()
