"""Cosine of sentence embeddings, by sentence-transformers.

Reimers and Gurevych 2019, "Sentence-BERT" (arXiv:1908.10084). Embeddings see what a text is about and
hardly whether it is denied: "good" and "not good" are close.
"""

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from harness.engines.loading import quiet_load
from harness.metrics.definition import ScoringRequest, graded, quote
from harness.metrics.encoders import DECIMALS, Encoder, encoder_name, find_encoder
from harness.types import MetricError, Score

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_BATCH_ROWS = 32


def similar(requests: Sequence[ScoringRequest]) -> list[Score | MetricError]:
    """Cosine in [-1, 1] of the answer and the closest reference; an empty answer scores 0."""
    groups: dict[str, list[int]] = {}
    for row, request in enumerate(requests):
        groups.setdefault(encoder_name(request.check), []).append(row)
    results: dict[int, Score] = {}
    for name, rows in groups.items():
        scored = _score_group([requests[row] for row in rows], find_encoder(name))
        results.update(zip(rows, scored, strict=True))
    return [results[row] for row in range(len(requests))]


def _score_group(requests: Sequence[ScoringRequest], encoder: Encoder) -> list[Score]:
    model = load_encoder(encoder)
    texts = sorted(
        {one for request in requests for one in (request.text, *request.case.references) if one.strip()}
    )
    # (texts, dimensions), each row of length 1
    vectors = model.encode(texts, batch_size=_BATCH_ROWS, normalize_embeddings=True, show_progress_bar=False)
    by_text = dict(zip(texts, vectors, strict=True))
    return [_score(request, by_text, encoder, model) for request in requests]


def _score(
    request: ScoringRequest, by_text: dict[str, Any], encoder: Encoder, model: "SentenceTransformer"
) -> Score:
    answer = by_text.get(request.text)
    if answer is None:
        return graded(request, 0.0, f"the answer is empty ({encoder.name})")
    cosines = [
        (round(float(answer @ by_text[one]), DECIMALS) if one in by_text else 0.0, one)
        for one in request.case.references
    ]
    value, closest = max(cosines)
    seen = ", only the answer's beginning" if _is_cut(model, request.text) else ""
    return graded(request, value, f"closest to {quote(closest)} ({encoder.name}{seen})")


def _is_cut(model: "SentenceTransformer", text: str) -> bool:
    """Whether the encoder sees only the text's beginning. A token is at least one byte."""
    limit = model.max_seq_length
    if limit is None or len(text.encode()) <= limit - 2:
        return False
    return len(model.tokenizer(text, truncation=False, verbose=False)["input_ids"]) > limit


@cache
def load_encoder(encoder: Encoder) -> "SentenceTransformer":
    """The encoder, loaded once per process."""
    with quiet_load():
        from sentence_transformers import SentenceTransformer

        model = SentenceTransformer(str(encoder.directory))
    return model.float().eval()
